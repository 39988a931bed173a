"""The table of documents on a server, and its version, which stands in it as a document."""

from sqlalchemy import Connection, Table, insert, inspect, select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from jwt_middleware.stores.sql_table import NEVER, VERSION

SCHEMA = ("schema", "version")
"""The kind and the name of the document that has the version of the table."""


class OtherVersion(SQLAlchemyError):
    """The table is of another release."""

    def __init__(self, version: str) -> None:
        super().__init__()
        self.version = version


def prepare(connection: Connection, table: Table, *, creates: bool) -> None:
    """Create the table if it is missing, and compare its version.

    :raises OtherVersion: if another release has made it.
    :raises SQLAlchemyError: if the server refuses.
    """
    if creates and not inspect(connection).has_table(table.name, schema=table.schema):
        _create(connection, table)
    found = select(table.c.body).where(table.c.kind == SCHEMA[0], table.c.name == SCHEMA[1])
    version = connection.execute(found).scalar()
    connection.rollback()
    if version is None:
        _sign(connection, table)
    elif bytes(version) != VERSION:
        raise OtherVersion(bytes(version[:20]).decode(errors="replace"))


def _create(connection: Connection, table: Table) -> None:
    connection.rollback()
    try:
        table.create(connection, checkfirst=True)
        connection.commit()
    except SQLAlchemyError:
        connection.rollback()
        # Another process may have created it meanwhile.
        if not inspect(connection).has_table(table.name, schema=table.schema):
            raise


def _sign(connection: Connection, table: Table) -> None:
    kind, name = SCHEMA
    values = {"version": 1, "body": VERSION, "expires_at": NEVER, "written_at": 0.0}
    try:
        connection.execute(insert(table).values(kind=kind, name=name, **values))
        connection.commit()
    except IntegrityError:
        # Another process was faster.
        connection.rollback()
