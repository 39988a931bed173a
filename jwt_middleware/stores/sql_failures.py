"""What goes wrong with a SQL server, in one sentence each, without the credentials of its URL."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from jwt_middleware.stores.sql_schema import OtherVersion
from jwt_middleware.stores.sql_table import VERSION

Problem = SQLAlchemyError | OSError
PROBLEMS = (SQLAlchemyError, OSError)
"""What using a server may raise."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, and what to do."""

    what: str
    fix: str


_AWAY = Fault("cannot be reached", "start it, and look at host and port of the URL")
_PASSWORD = Fault("refuses the user or the password", "look at both in the URL")
_NO_DATABASE = Fault("has no database of that name", "create it, or name another in the URL")
_CONNECTIONS = Fault(
    "has no connection left", "raise its limit of connections, or lower pool_size of the engine"
)
_READ_ONLY = Fault("is read-only", "name the primary server in the URL")
_FULL = Fault("cannot grow: its disk is full", "free some space on its disk")
_SLOW = Fault("did not answer in time", "look for a transaction that is kept open")
_NO_TABLE = Fault(
    "has no table of documents, or an older one",
    "let your migrations create documents_table(metadata), or write create_table=True",
)
_DENIED = Fault(
    "does not let this user use the table", "grant SELECT, INSERT, UPDATE and DELETE on it"
)
_TLS = Fault("and this client do not agree on TLS", "look at sslmode or ssl of the URL")

# By the SQLSTATE of PostgreSQL (its manual, Appendix A) ...
_BY_STATE = {
    "28P01": _PASSWORD,
    "28000": _PASSWORD,
    "3D000": _NO_DATABASE,
    "53300": _CONNECTIONS,
    "25006": _READ_ONLY,
    "53100": _FULL,
    "57014": _SLOW,
    "55P03": _SLOW,
    "42P01": _NO_TABLE,
    "42703": _NO_TABLE,
    "42501": _DENIED,
    "57P01": _AWAY,
    "57P03": _AWAY,
}
# ... and by the numbers of MySQL and MariaDB.
_BY_NUMBER = {
    1045: _PASSWORD,
    1698: _PASSWORD,
    1049: _NO_DATABASE,
    1040: _CONNECTIONS,
    1203: _CONNECTIONS,
    1290: _READ_ONLY,
    1792: _READ_ONLY,
    1836: _READ_ONLY,
    1021: _FULL,
    1114: _FULL,
    1205: _SLOW,
    3024: _SLOW,
    1969: _SLOW,
    1146: _NO_TABLE,
    1054: _NO_TABLE,
    1142: _DENIED,
    1044: _DENIED,
    2003: _AWAY,
    2006: _AWAY,
    2013: _AWAY,
    2026: _TLS,
}
# Where a connection fails, drivers of PostgreSQL say why in words alone.
_BY_WORDS = (
    ("password authentication failed", _PASSWORD),
    ("no password supplied", _PASSWORD),
    ("too many clients", _CONNECTIONS),
    ("too many connections", _CONNECTIONS),
    ("remaining connection slots", _CONNECTIONS),
    ("ssl", _TLS),
    ("does not exist", _NO_DATABASE),
)
_UNKNOWN = Fault("refused the statement", "look into its log")

# Another transaction was in the way, and the statement may be tried again at once.
_TRY_AGAIN = frozenset({"40001", "40P01", 1213, 1205, 1020})


def fault_of(problem: BaseException) -> Fault:
    """Return what is wrong. The text of the server's message is left out."""
    if isinstance(problem, PoolTimeout):
        return _SLOW
    if isinstance(problem, OtherVersion):
        return Fault(
            f"has a table of version {problem.version}",
            f"install the release that wrote it; this one knows version {VERSION.decode()}",
        )
    original = _original(problem)
    state, number = code_of(problem), _number(original)
    known = _BY_STATE.get(state) or _BY_NUMBER.get(number)
    if known is not None:
        return known
    if state == "" and number == 0:
        words = str(original).lower()
        return next((fault for part, fault in _BY_WORDS if part in words), _AWAY)
    return _UNKNOWN


def may_try_again(problem: BaseException) -> bool:
    """Return whether another transaction was in the way."""
    return not _TRY_AGAIN.isdisjoint({code_of(problem), _number(_original(problem))})


def code_of(problem: BaseException) -> str:
    """Return the SQLSTATE of a problem; empty if it has none."""
    original = _original(problem)
    return str(getattr(original, "sqlstate", None) or getattr(original, "pgcode", None) or "")


def _original(problem: BaseException) -> Any:
    return problem.orig if isinstance(problem, DBAPIError) else problem


def _number(original: Any) -> int:
    first = original.args[0] if getattr(original, "args", None) else 0
    return first if isinstance(first, int) else 0
