"""What goes wrong with a SQLite file, in one sentence each."""

import errno
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from jwt_middleware.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, and what to do."""

    what: str
    """What is said of the file: "is locked by ..."."""
    fix: str


class Unusable(Exception):
    """The file cannot be used, for a reason that SQLite itself does not know."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what)
        self.fault = Fault(what, fix)


LOCKED = Fault(
    "was locked by another connection for as long as the statement could wait",
    "find the process that keeps a transaction open, or raise timeout=",
)
_DENIED = Fault("may not be opened by this user", "give the user of this process access to it")
_FOLDER_DENIED = Fault(
    "lies in a folder that this user may not write to, and SQLite keeps two more files beside it",
    "give the user of this process write access to the folder",
)
_DAMAGED = Fault(
    "is not a SQLite database, or is damaged", "restore it from a backup, or name another file"
)
_READ_ONLY = Fault(
    "is read-only for this process", "make the file and its folder writable for this user"
)
_FULL = Fault("cannot grow: the disk is full", "free some space on the disk")
_BROKEN = Fault(
    "could not be read or written by the operating system", "look for errors of the disk"
)

# By the result codes of SQLite (https://sqlite.org/rescode.html): primary ones, and extended ones
# that say more.
_BY_CODE = {
    sqlite3.SQLITE_READONLY_DIRECTORY: _FOLDER_DENIED,
    sqlite3.SQLITE_BUSY: LOCKED,
    sqlite3.SQLITE_LOCKED: LOCKED,
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_READONLY: _READ_ONLY,
    sqlite3.SQLITE_IOERR: _BROKEN,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_PERM: _DENIED,
    sqlite3.SQLITE_AUTH: _DENIED,
}

# By the numbers of the operating system, where the file itself cannot be created.
_BY_ERRNO = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EROFS: _READ_ONLY,
    errno.EIO: _BROKEN,
    errno.ENAMETOOLONG: Fault("has a name that is too long", "name a file with a shorter one"),
    errno.EMFILE: Fault(
        "cannot be opened: this process has too many files open", "raise its limit (ulimit -n)"
    ),
}

# After these, a commit has certainly not been made.
_SURELY_UNDONE = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY})

Problem = sqlite3.Error | OSError | Unusable
PROBLEMS = (sqlite3.Error, OSError, Unusable)
"""What using a file may raise."""


def fault_of(path: str, problem: Problem) -> Fault:
    """Return what is wrong. The text of SQLite's own message is left out."""
    if isinstance(problem, Unusable):
        return problem.fault
    code = code_of(problem)
    known = _BY_CODE.get(getattr(problem, "sqlite_errorcode", code)) or _BY_CODE.get(code)
    if known is not None:
        return known
    if isinstance(problem, OSError) and problem.errno in _BY_ERRNO:
        return _BY_ERRNO[problem.errno]
    if isinstance(problem, OSError) or code == sqlite3.SQLITE_CANTOPEN:
        return _not_opened(Path(path))
    name = getattr(problem, "sqlite_errorname", None) or type(problem).__name__
    return Fault(f"was refused by SQLite ({name})", "look this name up in SQLite's documentation")


def code_of(problem: BaseException) -> int:
    """Return the primary result code of SQLite; 0 if there was none."""
    # The higher bits tell variants of one code apart.
    return int(getattr(problem, "sqlite_errorcode", 0)) & 0xFF


def may_be_done(problem: Problem) -> bool:
    """Return whether a commit that raised this may have been made."""
    return code_of(problem) not in _SURELY_UNDONE


def configuration_error(path: str, fault: Fault) -> ConfigurationError:
    """Return what is raised at start-up."""
    return ConfigurationError(f"path={path!r} {fault.what}: {fault.fix}")


def reason(path: str, fault: Fault) -> str:
    """Return what an operator reads at run time."""
    return f"the SQLite file {path!r} {fault.what}"


def _not_opened(path: Path) -> Fault:
    try:
        if path.is_dir():
            return Fault("is a folder", "name a file in it, such as 'tokens.db'")
        if not path.parent.is_dir():
            return Fault("lies in a folder that does not exist", "create the folder")
        is_denied = path.exists() and not os.access(path, os.R_OK | os.W_OK)
        return _DENIED if is_denied else _FOLDER_DENIED
    except OSError:
        return _DENIED
