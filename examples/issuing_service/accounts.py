"""The accounts of the service, in a file of SQLite. Passwords are kept by Argon2."""

import sqlite3
from contextlib import closing
from pathlib import Path
from uuid import uuid4

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

_hasher = PasswordHasher()

# Compared with where there is no account, so that the time of a login does not tell.
_NOBODY = _hasher.hash(uuid4().hex)


class NameTaken(Exception):
    """There is an account of that name."""


class Accounts:
    """Who may log in."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._connected() as db:
            db.execute(
                "CREATE TABLE IF NOT EXISTS accounts ("
                "id TEXT PRIMARY KEY, name TEXT UNIQUE NOT NULL, password TEXT NOT NULL, "
                "roles TEXT NOT NULL DEFAULT '', is_locked INTEGER NOT NULL DEFAULT 0)"
            )

    def register(self, name: str, password: str) -> str:
        """Return the id of a new account. The first one is that of the administrator."""
        account = uuid4().hex
        with self._connected() as db:
            roles = "" if db.execute("SELECT 1 FROM accounts").fetchone() else "admin"
            try:
                db.execute(
                    "INSERT INTO accounts (id, name, password, roles) VALUES (?, ?, ?, ?)",
                    (account, name, _hasher.hash(password), roles),
                )
            except sqlite3.IntegrityError:
                raise NameTaken from None
        return account

    def verified(self, name: str, password: str) -> str | None:
        """Return the id of the account with that name and password."""
        with self._connected() as db:
            row = db.execute(
                "SELECT id, password FROM accounts WHERE name = ? AND NOT is_locked", (name,)
            ).fetchone()
        account, kept = row or (None, _NOBODY)
        try:
            _hasher.verify(kept, password)
        except VerifyMismatchError:
            return None
        return account

    def set_password(self, account: str, password: str) -> None:
        with self._connected() as db:
            hashed = _hasher.hash(password)
            db.execute("UPDATE accounts SET password = ? WHERE id = ?", (hashed, account))

    def lock(self, name: str) -> None:
        with self._connected() as db:
            db.execute("UPDATE accounts SET is_locked = 1 WHERE name = ?", (name,))

    def is_active(self, account: str) -> bool:
        """Return whether an account may log in and refresh."""
        with self._connected() as db:
            found = db.execute(
                "SELECT 1 FROM accounts WHERE id = ? AND NOT is_locked", (account,)
            ).fetchone()
        return found is not None

    def claims_of(self, account: str) -> dict[str, object]:
        """Return what a token says of an account."""
        with self._connected() as db:
            row = db.execute("SELECT name, roles FROM accounts WHERE id = ?", (account,)).fetchone()
        name, roles = row or ("", "")
        return {"preferred_username": name, "roles": roles.split()}

    def _connected(self) -> "closing[sqlite3.Connection]":
        # A connection of its own for each call; it writes at once.
        return closing(sqlite3.connect(self._path, timeout=5, isolation_level=None))
