"""The table of documents in a SQLite file, and its version."""

import sqlite3

from jwt_middleware.stores.sqlite_failures import Unusable

VERSION = 2
"""The version of the table, which the file holds as its ``user_version``."""

_BY_WRITING = """CREATE INDEX jwt_middleware_documents_by_writing
        ON jwt_middleware_documents (kind, written_at, name)"""

# A document without an end has the time infinity, so that one comparison decides.
_CREATE = (
    """CREATE TABLE jwt_middleware_documents (
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        version INTEGER NOT NULL,
        body BLOB NOT NULL,
        group_name TEXT,
        expires_at REAL NOT NULL,
        written_at REAL NOT NULL DEFAULT 0,
        PRIMARY KEY (kind, name)
    )""",
    # With the time of expiry, so that the expired documents of a group are not even read.
    """CREATE INDEX jwt_middleware_documents_by_group
        ON jwt_middleware_documents (kind, group_name, expires_at)
        WHERE group_name IS NOT NULL""",
    """CREATE INDEX jwt_middleware_documents_by_expiry
        ON jwt_middleware_documents (expires_at)""",
    _BY_WRITING,
    f"PRAGMA user_version = {VERSION}",
)
# Of version 1, which did not know when a document was written.
_UPGRADE = (
    "ALTER TABLE jwt_middleware_documents ADD COLUMN written_at REAL NOT NULL DEFAULT 0",
    _BY_WRITING,
    f"PRAGMA user_version = {VERSION}",
)

_IS_THERE = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'jwt_middleware_documents'"


def prepare(connection: sqlite3.Connection) -> None:
    """Create the table if the file has none.

    A database of another application is accepted if it does not use ``user_version`` itself. Its
    own tables are left alone.

    :raises Unusable: if the table is of a newer version, or if another application uses the
        version of the file.
    """
    # In a transaction, because another process may be creating the table: both of what is looked at
    # are then from before it, or both from after it.
    connection.execute("BEGIN")
    commands = _missing(connection)
    connection.execute("COMMIT")
    if commands:
        connection.execute("BEGIN IMMEDIATE")
        # Another process may have created it since.
        for command in _missing(connection):
            connection.execute(command)
        connection.execute("COMMIT")


def _missing(connection: sqlite3.Connection) -> tuple[str, ...]:
    """Return what creates the table, or brings it to this version; nothing if it is ready."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    is_there = connection.execute(_IS_THERE).fetchone() is not None
    if is_there and version > VERSION:
        raise Unusable(
            f"has documents of version {version}, and this release knows version {VERSION}",
            "install the release that wrote it, or a newer one",
        )
    if is_there != (version != 0) or version not in range(VERSION + 1):
        raise Unusable(
            f"belongs to another application, whose user_version is {version}",
            "name a file of its own",
        )
    return {0: _CREATE, 1: _UPGRADE}.get(version, ())
