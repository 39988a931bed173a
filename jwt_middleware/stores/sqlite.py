"""A store in a SQLite file, for all processes of one machine."""

import math
import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Annotated, Any, TypeAlias

from jwt_middleware.checks import shown
from jwt_middleware.clock import Clock, SystemClock, usable_clock
from jwt_middleware.errors import ConfigurationError
from jwt_middleware.options import Seconds, read_options
from jwt_middleware.stores.contract import (
    ABSENT,
    AnyAnswer,
    AnyStatement,
    Change,
    Document,
    Exchange,
    Exchanged,
    Found,
    FoundGroup,
    FoundSome,
    Read,
    ReadGroup,
    ReadSome,
    ReadWritten,
    StoreFailed,
    Unchanged,
)
from jwt_middleware.stores.limits import objection
from jwt_middleware.stores.pool import Late, Workers
from jwt_middleware.stores.sqlite_connections import MOST_CONNECTIONS, Connections
from jwt_middleware.stores.sqlite_failures import (
    PROBLEMS,
    Fault,
    Problem,
    Unusable,
    configuration_error,
    fault_of,
    may_be_done,
    reason,
)

# Each write deletes at most so many expired documents, so that none takes long.
_MOST_DELETED = 50

_COLUMNS = "kind, name, version, body, group_name, expires_at, written_at"
_READ = (
    f"SELECT {_COLUMNS} FROM jwt_middleware_documents"  # noqa: S608 - of constants
    " WHERE kind = ? AND name = ? AND expires_at > ?"
)
# The plus keeps SQLite from looking for the name in the index of all names.
_READ_GROUP = (
    f"SELECT {_COLUMNS} FROM jwt_middleware_documents"  # noqa: S608 - of constants
    " WHERE kind = ? AND group_name = ? AND expires_at > ? AND +name > ? ORDER BY name LIMIT ?"
)
_READ_WRITTEN = (
    f"SELECT {_COLUMNS} FROM jwt_middleware_documents"  # noqa: S608 - of constants
    " WHERE kind = ? AND (written_at, name) > (?, ?) AND +expires_at > ?"
    " ORDER BY written_at, name LIMIT ?"
)
_VERSION = (
    "SELECT version FROM jwt_middleware_documents WHERE kind = ? AND name = ? AND expires_at > ?"
)
_WRITE = (
    f"INSERT OR REPLACE INTO jwt_middleware_documents ({_COLUMNS})"  # noqa: S608 - of constants
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_DELETE = "DELETE FROM jwt_middleware_documents WHERE kind = ? AND name = ?"
_DELETE_EXPIRED = (
    "DELETE FROM jwt_middleware_documents WHERE rowid IN (SELECT rowid FROM"
    " jwt_middleware_documents WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)"
)

_CHANGE_NOTHING = "DELETE FROM jwt_middleware_documents WHERE FALSE"

_Row: TypeAlias = tuple[str, str, int, bytes, str | None, float, float]
_TEXT: set[type] = {str}
_NUMBER: set[type] = {float, int}
_OTHERS: list[set[type]] = [{int}, {bytes}, {str, type(None)}]
_KINDS: tuple[set[type], ...] = (_TEXT, _TEXT, *_OTHERS, _NUMBER, _NUMBER)


def usable_path(name: str, path: Any) -> str:
    """Return the absolute path of a file.

    Absolute, because a server may change its folder between start-up and the first request.

    :raises ConfigurationError: if it cannot be the path of a file.
    """
    try:
        text = os.fspath(path)
    except TypeError:
        text = None
    if not isinstance(text, str) or not text or "\0" in text:
        raise ConfigurationError(
            f"{name}={shown(path)} must be the path of a file, such as 'tokens.db'"
        )
    if text == ":memory:":
        raise ConfigurationError(f"{name}={shown(path)} names no file: write MemoryStore() instead")
    try:
        # It opens nothing; half a surrogate pair cannot be the name of a file.
        os.fsencode(text)
    except UnicodeEncodeError:
        raise ConfigurationError(
            f"{name}={shown(path)} has a character that no file name can have: write 'tokens.db'"
        ) from None
    return str(Path(text).absolute())


class SQLiteStore:
    """Holds documents in a SQLite file, for all threads, event loops and processes of one machine.

    The file may be on a local disk only: network file systems do not keep the locks that several
    processes need. It must not be replaced while a process uses it. The first statement opens it,
    and creates it with access for its owner alone. A commit is on the disk before it is answered.

    It may be used before and after a fork. At most eight connections are open at once, and awaiting
    callers are served by at most eight threads. A disk that hangs holds up blocking callers for as
    long as it hangs; an awaiting caller has its answer by the deadline.
    """

    def __init__(
        self,
        path: Annotated[str | os.PathLike[str], usable_path],
        *,
        clock: Annotated[Clock, usable_clock] = SystemClock(),  # noqa: B008 - it has no state
        timeout: Annotated[float, Seconds(60, may_be_zero=False)] = 5.0,
    ) -> None:
        """
        :param path: the path of the file. Its folder must exist. The file may be a database of
            another application that does not use ``user_version``; its tables are left alone.
        :param clock: the source of the time by which documents expire. All processes must have
            the same.
        :param timeout: the most seconds that a statement waits for locks of other processes, if
            its deadline is not earlier.
        :raises ConfigurationError: for a value of another kind. The file is not looked at; see
            :meth:`check`.
        """
        read = read_options(SQLiteStore, {"path": path, "clock": clock, "timeout": timeout})
        self._path: str = read["path"]
        self._clock: Clock = read["clock"]
        self._timeout: float = read["timeout"]
        self._connections = Connections(self._path)
        # Only one statement of a process writes at a time. Others that waited on threads for a file
        # that is locked would hold up readers, which need not wait.
        self._readers = Workers("jwt_middleware.sqlite", MOST_CONNECTIONS - 1)
        self._writer = Workers("jwt_middleware.sqlite", 1)

    def check(self) -> None:
        """Open the file and see whether it can be written to, such as at start-up. It blocks.

        :raises ConfigurationError: naming the path, what is wrong with it, and the fix.
        """
        try:
            with self._connections.lend(monotonic() + self._timeout, to_write=True) as connection:
                # SQLite begins a transaction on a read-only file, and refuses the first change.
                connection.execute("BEGIN IMMEDIATE")
                connection.execute(_CHANGE_NOTHING)
                connection.execute("ROLLBACK")
        except PROBLEMS as problem:
            raise configuration_error(self._path, fault_of(self._path, problem)) from problem

    def answer(self, statement: AnyStatement, deadline: float) -> AnyAnswer | StoreFailed:
        """Perform a statement (see :class:`Store`)."""
        refused = objection(statement, deadline)
        if refused is not None:
            return refused
        until = min(deadline, monotonic() + self._timeout)
        try:
            with self._connections.lend(until, to_write=_writes(statement)) as connection:
                return self._perform(connection, statement)
        except _CommitFailed as failed:
            return self._failed(failed.problem, is_unknown=may_be_done(failed.problem))
        except PROBLEMS as problem:
            return self._failed(problem)

    async def aanswer(self, statement: AnyStatement, deadline: float) -> AnyAnswer | StoreFailed:
        """Async version of :meth:`answer`.

        A caller that is cancelled leaves a statement that has begun to run to its end on its
        thread.
        """
        refused = objection(statement, deadline)
        if refused is not None:
            return refused
        workers = self._writer if _writes(statement) else self._readers
        try:
            return await workers.run(partial(self.answer, statement), deadline)
        except Late as late:
            what = Fault("did not answer by the deadline", "")
            is_unknown = late.has_begun and _writes(statement)
            return StoreFailed(reason(self._path, what), may_be_done=is_unknown)

    def close(self) -> None:
        """Close the connections of this process. The next statement opens them again."""
        self._connections.close()

    async def aclose(self) -> None:
        """Async version of :meth:`close`."""
        # Late, it is still closed on its thread.
        with suppress(Late):
            await self._readers.run(lambda _: self.close(), monotonic() + self._timeout)

    def __repr__(self) -> str:
        return f"SQLiteStore({self._path!r})"

    def _failed(self, problem: Problem, *, is_unknown: bool = False) -> StoreFailed:
        sentence = reason(self._path, fault_of(self._path, problem))
        return StoreFailed(sentence, may_be_done=is_unknown)

    def _perform(self, connection: sqlite3.Connection, statement: AnyStatement) -> AnyAnswer:
        if isinstance(statement, Exchange):
            return _exchange(connection, statement, self._clock.now)
        now = self._clock.now()
        if isinstance(statement, Read):
            return Found(_one(connection, (statement.kind, statement.name), now), now)
        if isinstance(statement, ReadSome):
            return FoundSome(_some(connection, statement, now), now)
        if isinstance(statement, ReadWritten):
            return FoundGroup(_written(connection, statement, now), now)
        return FoundGroup(_group(connection, statement, now), now)


class _CommitFailed(Exception):
    """The commit of a transaction raised, so that it may or may not have been made."""

    def __init__(self, problem: sqlite3.Error) -> None:
        super().__init__()
        self.problem = problem


def _writes(statement: AnyStatement) -> bool:
    return isinstance(statement, Exchange)


def _document(row: _Row) -> Document:
    """Return the document of a row.

    SQLite takes a value of any type for any column, so that the file may have other ones.

    :raises Unusable: if a column has a value of another type.
    """
    if any(type(value) not in kinds for value, kinds in zip(row, _KINDS, strict=True)):
        raise Unusable(
            "has a document with a column of another type", "restore the file from a backup"
        )
    kind, name, version, body, group, expires_at, written_at = row
    end = None if math.isinf(expires_at) else expires_at
    return Document(kind, name, version, body, group, end, written_at)


def _one(connection: sqlite3.Connection, key: tuple[str, str], now: float) -> Document | None:
    row = connection.execute(_READ, (*key, now)).fetchone()
    return None if row is None else _document(row)


def _some(
    connection: sqlite3.Connection, statement: ReadSome, now: float
) -> tuple[Document | None, ...]:
    # In one transaction, so that all of them are from one moment.
    connection.execute("BEGIN")
    found = tuple(_one(connection, key, now) for key in statement.keys)
    connection.execute("COMMIT")
    return found


def _written(
    connection: sqlite3.Connection, statement: ReadWritten, now: float
) -> tuple[Document, ...]:
    wanted = (statement.kind, statement.since, statement.after, now, statement.most)
    return tuple(map(_document, connection.execute(_READ_WRITTEN, wanted)))


def _group(
    connection: sqlite3.Connection, statement: ReadGroup, now: float
) -> tuple[Document, ...]:
    wanted = (statement.kind, statement.group, now, statement.after, statement.most)
    return tuple(map(_document, connection.execute(_READ_GROUP, wanted)))


def _exchange(
    connection: sqlite3.Connection, statement: Exchange, clock: Callable[[], float]
) -> Exchanged:
    connection.execute("BEGIN IMMEDIATE")
    # Read once the file is locked, so that times are in the order of the changes.
    now = clock()
    if not all(_is_unchanged(connection, each, now) for each in statement.expected):
        connection.execute("ROLLBACK")
        return Exchanged(is_done=False, now=now)
    for change in statement.changes:
        _make(connection, change, now)
    connection.execute(_DELETE_EXPIRED, (now, _MOST_DELETED))
    try:
        connection.execute("COMMIT")
    except sqlite3.Error as problem:
        raise _CommitFailed(problem) from problem
    return Exchanged(is_done=True, now=now)


def _is_unchanged(connection: sqlite3.Connection, each: Change | Unchanged, now: float) -> bool:
    row = connection.execute(_VERSION, (each.kind, each.name, now)).fetchone()
    return bool(each.expected == (ABSENT if row is None else row[0]))


def _make(connection: sqlite3.Connection, change: Change, now: float) -> None:
    if change.body is None:
        connection.execute(_DELETE, (change.kind, change.name))
        return
    expires_at = math.inf if change.expires_at is None else change.expires_at
    key, version = (change.kind, change.name), change.expected + 1
    connection.execute(_WRITE, (*key, version, change.body, change.group, expires_at, now))
