"""Reads documents of a table of a SQL server."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Select, Table, and_, or_, select

from jwt_middleware.stores.contract import Document, ReadGroup, ReadWritten
from jwt_middleware.stores.sql_table import NEVER


class Reader:
    """Reads what is alive at one instant."""

    def __init__(self, connection: Connection, table: Table, now: float) -> None:
        """:param now: POSIX seconds of the store's clock."""
        self._connection = connection
        self._table = table
        self._living = select(table).where(table.c.expires_at > now)

    def one(self, kind: str, name: str) -> Document | None:
        """Return a document; ``None`` if it is absent."""
        (found,) = self.some([(kind, name)])
        return found

    def some(self, keys: Iterable[tuple[str, str]]) -> tuple[Document | None, ...]:
        """Return documents, in the order of their keys."""
        columns, wanted = self._table.c, list(keys)
        if not wanted:
            return ()
        each = [and_(columns.kind == kind, columns.name == name) for kind, name in wanted]
        found = {(one.kind, one.name): one for one in self._all(self._living.where(or_(*each)))}
        return tuple(found.get(key) for key in wanted)

    def group(self, statement: ReadGroup) -> tuple[Document, ...]:
        """Return a page of a group."""
        columns = self._table.c
        of_group = self._living.where(
            columns.kind == statement.kind,
            columns.group_name == statement.group,
            columns.name > statement.after,
        )
        return self._all(of_group.order_by(columns.name).limit(statement.most))

    def written(self, statement: ReadWritten) -> tuple[Document, ...]:
        """Return a page of what was written."""
        columns, since = self._table.c, statement.since
        lately = self._living.where(
            columns.kind == statement.kind,
            columns.written_at >= since,
            or_(columns.written_at > since, columns.name > statement.after),
        )
        return self._all(lately.order_by(columns.written_at, columns.name).limit(statement.most))

    def _all(self, query: Select[Any]) -> tuple[Document, ...]:
        return tuple(map(_document, self._connection.execute(query)))


def _document(row: Any) -> Document:
    end = None if row.expires_at >= NEVER else row.expires_at
    body = bytes(row.body)
    return Document(row.kind, row.name, row.version, body, row.group_name, end, row.written_at)
