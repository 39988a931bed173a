"""The open connections of one process to one SQLite file.

A connection must not cross a fork. A child that uses or closes one of its parent's disturbs the
parent, and SQLite, which keeps account of the locks of the process in memory, would believe that
the child holds the parent's. So all connections are closed before a fork, and each side opens its
own.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Condition
from time import monotonic, sleep
from weakref import WeakSet

from jwt_middleware.forks import TinyLock, renew_after_fork
from jwt_middleware.stores.sqlite_failures import LOCKED, Unusable, code_of
from jwt_middleware.stores.sqlite_schema import prepare

MOST_CONNECTIONS = 8
"""The most connections of a process to one file at once. Only one of them writes."""

# A fork waits so long for statements that run on other threads.
_FORK_PATIENCE = 5.0

_RETRY_SECONDS = 0.01

# What a child has of a parent that forked without a word. It is neither used nor closed.
_inherited: list[sqlite3.Connection] = []


class _Opening:
    """Lets one connection of the process be opened at a time."""

    def __init__(self) -> None:
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        self.lock = TinyLock()


_opening = _Opening()


class Connections:
    """Lends connections to statements, and keeps them open in between."""

    def __init__(self, path: str) -> None:
        """:param path: the absolute path of the file."""
        self._path = path
        self._idle: list[sqlite3.Connection] = []
        self._forget()
        renew_after_fork(self)
        _all.add(self)

    def _forget(self) -> None:
        # Reentrant, because a handler of a signal may fork on the thread that holds it.
        self._changed = Condition()
        _inherited.extend(self._idle)
        self._idle, self._lent = [], set[sqlite3.Connection]()
        self._places = MOST_CONNECTIONS
        self._is_writing = False
        self._forks = self._closed = 0
        self._process = os.getpid()

    def after_fork(self) -> None:
        """Start anew in a forked child."""
        _inherited.extend(self._lent)
        self._forget()

    @contextmanager
    def lend(self, deadline: float, *, to_write: bool = False) -> Iterator[sqlite3.Connection]:
        """Lend a connection for one statement. It is closed if the statement raises.

        :param deadline: the instant of ``time.monotonic`` until which to wait for one.
        :param to_write: whether the statement writes. Writers of one process wait here for each
            other, where they are woken at once, and not in SQLite, which looks now and then.
        :raises Unusable: if there is none by the deadline, or the file is not usable.
        """
        if self._process != os.getpid():
            # Forked by code that is not Python's, such as a server written in C.
            self.after_fork()
        closed = self._take_place(deadline, to_write)
        connection, is_sound = None, False
        try:
            connection = self._connection(deadline)
            wait_until(connection, deadline)
            yield connection
            is_sound = True
        finally:
            # Closed before the place is given back, because a fork waits for all places.
            if connection is not None and not (is_sound and self._keep(connection, closed)):
                self._discard(connection)
            self._leave_place(to_write)

    def close(self) -> None:
        """Close the connections that are not lent, and the others when they are given back."""
        with self._changed:
            idle, self._idle = self._idle, []
            self._closed += 1
            # Under the lock, for which a fork waits.
            for each in idle:
                _close(each)

    def before_fork(self) -> None:
        """Hold new statements back, wait for those that run, and close the connections."""
        with self._changed:
            self._forks += 1
            self._changed.wait_for(lambda: self._places == MOST_CONNECTIONS, _FORK_PATIENCE)
        self.close()

    def after_fork_in_parent(self) -> None:
        """Let statements run again."""
        with self._changed:
            # A store that another thread has made since was not told of the fork before it.
            self._forks = max(0, self._forks - 1)
            self._changed.notify_all()

    def __del__(self) -> None:
        # Python warns of connections that are left to its garbage collector.
        if self._process == os.getpid():
            for each in self._idle:
                _close(each)

    def _take_place(self, deadline: float, to_write: bool) -> int:
        with self._changed:
            if not self._changed.wait_for(
                lambda: self._places and not self._forks and not (to_write and self._is_writing),
                max(0.0, deadline - monotonic()),
            ):
                raise Unusable(LOCKED.what, LOCKED.fix)
            self._places -= 1
            self._is_writing = self._is_writing or to_write
            return self._closed

    def _connection(self, deadline: float) -> sqlite3.Connection:
        with self._changed:
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = _open(self._path, deadline)
        self._lent.add(connection)
        return connection

    def _keep(self, connection: sqlite3.Connection, closed: int) -> bool:
        """Keep a connection for the next statement; return ``False`` if it must be closed."""
        with self._changed:
            if closed != self._closed or self._forks:
                return False
            self._lent.discard(connection)
            self._idle.append(connection)
            return True

    def _leave_place(self, to_write: bool) -> None:
        with self._changed:
            self._places += 1
            self._is_writing = self._is_writing and not to_write
            self._changed.notify_all()

    def _discard(self, connection: sqlite3.Connection) -> None:
        _close(connection)
        self._lent.discard(connection)


def wait_until(connection: sqlite3.Connection, deadline: float) -> None:
    """Have SQLite wait for locks of other processes until the deadline."""
    milliseconds = max(0, int((deadline - monotonic()) * 1_000))
    connection.execute(f"PRAGMA busy_timeout = {milliseconds}")


def _open(path: str, deadline: float) -> sqlite3.Connection:
    connection = _connect(path, deadline)
    try:
        _set_up(connection, deadline)
    except BaseException:
        _close(connection)
        raise
    return connection


def _connect(path: str, deadline: float) -> sqlite3.Connection:
    opening = _opening.lock
    if not opening.acquire(timeout=max(0.0, deadline - monotonic())):
        raise Unusable(LOCKED.what, LOCKED.fix)
    try:
        _create(path)
        return sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    finally:
        opening.release()


def _create(path: str) -> None:
    """Create the file if it is missing, readable and writable for its owner alone.

    SQLite gives the files that it keeps beside it the same mode. When a process closes a file, it
    loses all its locks on that file (POSIX), those of its connections too. So a file that exists is
    not opened here, and no connection is opened meanwhile.
    """
    with suppress(FileExistsError):
        os.close(os.open(os.path.realpath(path), os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _set_up(connection: sqlite3.Connection, deadline: float) -> None:
    while True:
        wait_until(connection, deadline)
        try:
            prepare(connection)
            # Readers and the writer do not wait for each other then. Where a file system cannot do
            # it, SQLite stays with its older journal, which is as safe and slower.
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
            # FULL has the disk confirm each commit. With NORMAL, the last commits are lost if the
            # power fails: a refresh token that was exchanged would be good again, in the hands of a
            # thief too, and so would a revoked token. A commit is whole either way if only the
            # process dies.
            connection.execute("PRAGMA synchronous = FULL")
        except sqlite3.OperationalError as problem:
            # SQLite does not wait where two processes could wait for each other.
            if code_of(problem) != sqlite3.SQLITE_BUSY or monotonic() >= deadline:
                raise
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            sleep(_RETRY_SECONDS)
        else:
            return


def _close(connection: sqlite3.Connection) -> None:
    # Without a transaction that is not committed, which SQLite rolls back.
    with suppress(sqlite3.Error):
        connection.close()


_all: WeakSet[Connections] = WeakSet()


def _before_fork() -> None:
    for each in list(_all):
        each.before_fork()


def _after_fork_in_parent() -> None:
    for each in list(_all):
        each.after_fork_in_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent)
