"""S6: connections over threads and forks."""

import gc
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from jwt_middleware.stores import SQLiteStore, StoreFailed, sqlite_connections
from jwt_middleware.stores.contract import Read
from jwt_middleware.stores.sqlite_connections import MOST_CONNECTIONS, Connections
from jwt_middleware.stores.sqlite_failures import Unusable
from jwt_middleware.stores.sqlite_schema import prepare as genuine_prepare
from tests.stores.asking import Asker, change
from tests.support.forking import in_a_child

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


@pytest.fixture
def connections(tmp_path: Path) -> Iterator[Connections]:
    connections = Connections(str(tmp_path / "s.db"))
    yield connections
    connections.close()


def soon(seconds: float = 30.0) -> float:
    return monotonic() + seconds


def opened(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return a list that grows with each connection that is opened."""
    made: list[Any] = []
    genuine = sqlite_connections._open

    def open_(*given: Any) -> Any:
        made.append(genuine(*given))
        return made[-1]

    monkeypatch.setattr(sqlite_connections, "_open", open_)
    return made


def test_a_connection_is_kept_for_the_next_statement(
    connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = opened(monkeypatch)
    for _ in range(3):
        with connections.lend(soon()) as connection:
            connection.execute("SELECT 1")

    assert len(made) == 1


def test_a_connection_that_failed_is_closed(
    connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it had begun is rolled back, whatever was raised."""
    made = opened(monkeypatch)
    lent = connections.lend(soon(), to_write=True)
    lent.__enter__().execute("BEGIN IMMEDIATE")
    assert not lent.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    with connections.lend(soon(), to_write=True) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")

    assert len(made) == 2
    assert len(connections._lent) == 0


def test_at_most_eight_are_open_at_once(connections: Connections) -> None:
    """The ninth waits until its deadline."""
    lent = [connections.lend(soon()) for _ in range(MOST_CONNECTIONS)]
    for each in lent:
        each.__enter__()

    with pytest.raises(Unusable), connections.lend(soon(0.01)):
        pass
    lent.pop().__exit__(None, None, None)
    with connections.lend(soon()):
        pass
    for each in lent:
        each.__exit__(None, None, None)
    assert connections._places == MOST_CONNECTIONS
    assert len(connections._idle) == MOST_CONNECTIONS


def test_one_connection_writes_at_a_time(connections: Connections) -> None:
    """And others read meanwhile."""
    with connections.lend(soon(), to_write=True):
        with pytest.raises(Unusable), connections.lend(soon(0.01), to_write=True):
            pass
        with connections.lend(soon()):
            pass
    with connections.lend(soon(), to_write=True):
        pass


def test_what_is_lent_while_the_store_is_closed_is_closed_when_given_back(
    connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = opened(monkeypatch)
    with connections.lend(soon()) as connection:
        connections.close()
        connection.execute("SELECT 1")
    assert connections._idle == []

    with connections.lend(soon()):
        pass
    assert len(made) == 2


def test_a_store_that_is_forgotten_leaves_nothing_open(tmp_path: Path) -> None:
    """Python would warn of its connections."""
    store = SQLiteStore(tmp_path / "s.db")
    store.check()
    del store
    gc.collect()

    assert not (tmp_path / "s.db-wal").exists()


def test_a_child_opens_connections_of_its_own(sqlite: SQLiteStore) -> None:
    """S6. Both go on, and see what the other has written."""
    asker = Asker(sqlite)
    asker.exchange(change("a", 0))

    def work() -> None:
        assert sqlite._connections._idle == []
        assert asker.version("a") == 1
        assert asker.exchange(change("a", 1))

    assert in_a_child(work) == 0
    assert asker.version("a") == 2
    assert asker.exchange(change("a", 2))


def test_what_a_child_commits_outlives_the_connections_of_its_parent(
    sqlite: SQLiteStore, tmp_path: Path
) -> None:
    """S6. SQLite deletes the journal with what it takes for the last connection to the file."""
    asker = Asker(sqlite)
    asker.exchange(change("a", 0))
    to_child, to_parent = os.pipe(), os.pipe()

    def work() -> None:
        assert asker.exchange(change("a", 1))
        os.write(to_parent[1], b"1")
        os.read(to_child[0], 1)
        assert asker.exchange(change("a", 2))

    def close_in_between() -> None:
        os.read(to_parent[0], 1)
        sqlite.close()
        with closing(SQLiteStore(tmp_path / "s.db")) as other:
            other.check()
        os.write(to_child[1], b"1")

    closer = threading.Thread(target=close_in_between)
    closer.start()
    assert in_a_child(work) == 0
    closer.join(30)

    assert asker.version("a") == 3
    for each in (*to_child, *to_parent):
        os.close(each)


def test_no_statement_runs_while_a_process_forks(sqlite: SQLiteStore) -> None:
    """S6. Threads that write go on in the parent, and the child finds the file whole."""
    asker = Asker(sqlite)
    is_over = threading.Event()
    written: list[int] = []
    asker.exchange(change("a", 0), change("b", 0))

    def write() -> None:
        version = 1
        while not is_over.is_set():
            assert asker.exchange(change("a", version), change("b", version))
            version += 1
            written.append(version)

    def work() -> None:
        for _ in range(3):
            versions = [each.version for each in (asker.read("a"), asker.read("b")) if each]
            assert versions[0] <= versions[1]

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert [in_a_child(work) for _ in range(10)] == [0] * 10
    finally:
        is_over.set()
        writer.join(30)
    assert asker.version("a") == asker.version("b") == written[-1]


def test_a_fork_waits_for_the_end_of_a_statement(connections: Connections) -> None:
    """S6. And then closes its connection."""
    forker = threading.Thread(target=connections.before_fork)
    with connections.lend(soon()) as connection:
        forker.start()
        forker.join(0.05)
        assert forker.is_alive()
        connection.execute("SELECT 1")
    forker.join(30)

    assert not forker.is_alive()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")


def test_a_statement_waits_for_the_end_of_a_fork(connections: Connections) -> None:
    """S6. Of forks by several threads, for all."""
    connections.before_fork()
    connections.before_fork()
    connections.after_fork_in_parent()
    with pytest.raises(Unusable), connections.lend(soon(0.01)):
        pass

    connections.after_fork_in_parent()
    with connections.lend(soon()):
        pass


def test_a_fork_does_not_wait_for_ever(
    connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S6. A child has a place for each of its statements, and never touches what it inherited."""
    monkeypatch.setattr(sqlite_connections, "_FORK_PATIENCE", 0.01)

    def work() -> None:
        kept = list(sqlite_connections._inherited)
        with connections.lend(soon(), to_write=True) as mine:
            assert mine is not lent
            assert lent in kept

    with connections.lend(soon()) as lent:
        assert in_a_child(work) == 0
        lent.execute("SELECT 1")


def test_a_child_that_python_was_not_told_of_is_noticed(
    sqlite: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S6. As a server written in C forks: by the number of the process."""
    Asker(sqlite).exchange(change("a", 0))
    inherited = list(sqlite._connections._idle)
    monkeypatch.setattr(os, "getpid", lambda: -1)

    assert Asker(sqlite).version("a") == 1
    assert inherited[0] in sqlite_connections._inherited
    assert inherited[0] not in sqlite._connections._idle
    sqlite_connections._inherited.remove(inherited[0])
    inherited[0].close()


def test_one_connection_of_the_process_is_opened_at_a_time(sqlite: SQLiteStore) -> None:
    """S10. Waiting for it ends with the deadline."""
    with sqlite_connections._opening.lock:
        failed = sqlite.answer(Read("k", "a"), soon(0.01))
    assert isinstance(failed, StoreFailed)
    assert Asker(sqlite).read("a") is None


def test_a_store_that_was_made_during_a_fork_is_usable(connections: Connections) -> None:
    """S6. By another thread: it hears only of the end."""
    connections.after_fork_in_parent()
    with connections.lend(soon()):
        pass
    connections.before_fork()
    with pytest.raises(Unusable), connections.lend(soon(0.01)):
        pass
    connections.after_fork_in_parent()


@pytest.mark.parametrize("seconds", [30.0, 0.05])
def test_opening_is_tried_again_where_sqlite_does_not_wait(
    connections: Connections, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    """S9. Until the deadline, each time from the start."""
    calls: list[int] = []

    def prepare(connection: sqlite3.Connection) -> None:
        calls.append(1)
        if seconds < 1 or len(calls) < 3:
            if len(calls) % 2:
                connection.execute("BEGIN IMMEDIATE")
            busy = sqlite3.OperationalError("locked")
            busy.sqlite_errorcode = sqlite3.SQLITE_BUSY
            raise busy
        genuine_prepare(connection)

    monkeypatch.setattr(sqlite_connections, "prepare", prepare)
    if seconds < 1:
        with pytest.raises(sqlite3.OperationalError), connections.lend(soon(seconds)):
            pass
    else:
        with connections.lend(soon(seconds)):
            pass
        assert len(calls) == 3
    assert connections._places == MOST_CONNECTIONS


def test_processes_that_create_the_file_at_once_create_it_once(tmp_path: Path) -> None:
    """S2. Whoever comes first."""
    for number in range(5):
        store = SQLiteStore(tmp_path / f"{number}.db")
        threads = [threading.Thread(target=in_a_child, args=(created(store),)) for _ in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join(30)
        with closing(store):
            assert Asker(store).version("n") == 4


def created(store: SQLiteStore) -> Callable[[], None]:
    def work() -> None:
        asker = Asker(store)
        while not asker.exchange(change("n", asker.version("n"))):
            pass

    return work
