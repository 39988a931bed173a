"""The table of documents on a SQL server, for the caller's ``MetaData``.

Names are compared byte by byte on every server, and in one order: a server's own collation may
take ``A`` for ``a``, and a name with a space at its end for one without.
"""

from typing import Any

from sqlalchemy import BigInteger, Column, Index, LargeBinary, MetaData, String, Table, types
from sqlalchemy.dialects.mysql import DOUBLE, MEDIUMBLOB, VARBINARY
from sqlalchemy.engine import Dialect

TABLE = "jwt_middleware_documents"
"""The name of the table, unless another is chosen."""

VERSION = b"1"
"""The version of the table, which stands in it as a document."""

# A document without an end has this POSIX time, so that one comparison decides.
NEVER = 1e18


class Key(types.TypeDecorator[str]):
    """Text that is compared byte by byte."""

    impl = String
    cache_ok = True

    def __init__(self, length: int) -> None:
        super().__init__()
        self.length = length

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        if dialect.name in {"mysql", "mariadb"}:
            # A character has up to four bytes.
            return dialect.type_descriptor(VARBINARY(self.length * 4))
        collation = "C" if dialect.name == "postgresql" else None
        return dialect.type_descriptor(String(self.length, collation=collation))

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        is_binary = isinstance(value, str) and dialect.name in {"mysql", "mariadb"}
        return value.encode() if is_binary else value

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return bytes(value).decode() if isinstance(value, bytes | bytearray) else value


def documents_table(metadata: MetaData | None = None, name: str = TABLE) -> Table:
    """Return the table, as a part of a ``MetaData``, where Alembic finds it.

    :param metadata: that of the application; by default a new one.
    """
    chosen = MetaData() if metadata is None else metadata
    known = name if chosen.schema is None else f"{chosen.schema}.{name}"
    if known in chosen.tables:
        return chosen.tables[known]
    seconds: Any = types.Double().with_variant(DOUBLE(asdecimal=False), "mysql", "mariadb")
    body = LargeBinary().with_variant(MEDIUMBLOB(), "mysql", "mariadb")
    return Table(
        name,
        chosen,
        Column("kind", Key(64), primary_key=True),
        Column("name", Key(255), primary_key=True),
        Column("version", BigInteger, nullable=False),
        Column("body", body, nullable=False),
        Column("group_name", Key(255)),
        Column("expires_at", seconds, nullable=False),
        Column("written_at", seconds, nullable=False),
        Index(f"{name}_by_group", "kind", "group_name", "name"),
        Index(f"{name}_by_writing", "kind", "written_at", "name"),
        Index(f"{name}_by_expiry", "expires_at"),
        mysql_engine="InnoDB",
        mariadb_engine="InnoDB",
    )
