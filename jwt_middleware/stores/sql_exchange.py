"""An exchange as one transaction, with the locks that each server has.

On PostgreSQL a lock belongs to a name, whether a document of it exists or not. On MySQL and MariaDB
a row is locked, or the gap in which it would be; a new document is inserted without a look, because
two transactions that look into one gap could not both insert there.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Table, bindparam, delete, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from jwt_middleware.stores.contract import ABSENT, Change, Exchange, Unchanged
from jwt_middleware.stores.sql_table import NEVER

Clock = Callable[[Connection], float]
"""Returns the time of the store, in POSIX seconds."""

_EXCLUSIVE = text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))")
_SHARED = text("SELECT pg_advisory_xact_lock_shared(hashtextextended(:key, 0))")


class Stale(Exception):
    """A document has another version than the one that was read."""

    def __init__(self, now: float) -> None:
        super().__init__()
        self.now = now


def exchange(connection: Connection, table: Table, statement: Exchange, clock: Clock) -> float:
    """Make the changes of a statement; return the time of the store.

    :raises Stale: if a version is another one. The transaction must be undone then.
    """
    # In one order, so that no two transactions wait for each other.
    every = sorted(statement.expected, key=lambda each: (each.kind, each.name))
    if connection.dialect.name == "postgresql":
        return _on_postgresql(connection, table, every, clock)
    return _on_mysql(connection, table, every, clock)


def _on_postgresql(
    connection: Connection, table: Table, every: list[Change | Unchanged], clock: Clock
) -> float:
    for each in every:
        lock = _SHARED if isinstance(each, Unchanged) else _EXCLUSIVE
        connection.execute(lock, {"key": f"{table.name}\n{each.kind}\n{each.name}"})
    # Read once the documents are locked, so that times are in the order of the changes.
    now = clock(connection)
    # The rows are locked too, because others delete what has expired.
    held = {(each.kind, each.name): _row(connection, table, each, locks=True) for each in every}
    for each in every:
        _check(held[each.kind, each.name], each, now)
    for each in every:
        if isinstance(each, Change):
            _make(connection, table, each, now, exists=held[each.kind, each.name] is not None)
    return now


def _on_mysql(
    connection: Connection, table: Table, every: list[Change | Unchanged], clock: Clock
) -> float:
    now = clock(connection)
    for each in every:
        if isinstance(each, Change) and each.body is not None and each.expected == ABSENT:
            try:
                _make(connection, table, each, now, exists=False)
                continue
            except IntegrityError:
                # It exists, and may have expired. MySQL has undone the insertion alone.
                pass
        row = _row(connection, table, each, locks=True)
        _check(row, each, now)
        if isinstance(each, Change):
            _make(connection, table, each, now, exists=row is not None)
    return now


def _row(
    connection: Connection, table: Table, each: Change | Unchanged, *, locks: bool = False
) -> Any:
    found = select(table.c.version, table.c.expires_at).where(*_is(table, each))
    if locks:
        found = found.with_for_update(read=isinstance(each, Unchanged))
    return connection.execute(found).first()


def _check(row: Any, each: Change | Unchanged, now: float) -> None:
    version = ABSENT if row is None or row.expires_at <= now else row.version
    if version != each.expected:
        raise Stale(now)


def _make(
    connection: Connection, table: Table, change: Change, now: float, *, exists: bool
) -> None:
    if change.body is None:
        if exists:
            connection.execute(delete(table).where(*_is(table, change)))
        return
    values = {
        "version": change.expected + 1,
        "body": change.body,
        "group_name": change.group,
        "expires_at": NEVER if change.expires_at is None else change.expires_at,
        "written_at": now,
    }
    if exists:
        connection.execute(update(table).where(*_is(table, change)).values(values))
    else:
        connection.execute(insert(table).values(kind=change.kind, name=change.name, **values))


def _is(table: Table, each: Change | Unchanged) -> tuple[Any, Any]:
    return table.c.kind == each.kind, table.c.name == each.name


def delete_expired(connection: Connection, table: Table, now: float, most: int) -> None:
    """Delete some of the documents that have expired, without waiting for any."""
    if connection.dialect.name == "postgresql":
        expired = (
            select(table.c.kind, table.c.name)
            .where(table.c.expires_at <= now)
            .limit(most)
            .with_for_update(skip_locked=True)
        )
        keys = [tuple(row) for row in connection.execute(expired)]
        for kind, name in keys:
            connection.execute(
                delete(table).where(
                    table.c.kind == kind, table.c.name == name, table.c.expires_at <= now
                )
            )
        return
    name = connection.dialect.identifier_preparer.format_table(table)
    some = text(f"DELETE FROM {name} WHERE expires_at <= :now LIMIT {int(most)}")  # noqa: S608
    connection.execute(some.bindparams(bindparam("now", now)))
