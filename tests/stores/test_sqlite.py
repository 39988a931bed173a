"""What is particular to the store in a SQLite file."""

import asyncio
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from jwt_middleware import ConfigurationError
from jwt_middleware.stores import SQLiteStore, StoreFailed
from jwt_middleware.stores.contract import Exchange, Exchanged, Found, Read
from jwt_middleware.stores.sqlite import _READ, _READ_GROUP, _READ_WRITTEN
from jwt_middleware.testing import Clock
from tests.stores.asking import Asker, change


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s.db"


@pytest.fixture
def locker(path: Path, sqlite: SQLiteStore) -> Iterator[sqlite3.Connection]:
    """Another connection to the file, which can lock it."""
    sqlite.check()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


def test_nothing_is_opened_before_the_first_statement(path: Path, sqlite: SQLiteStore) -> None:
    assert not path.exists()
    Asker(sqlite).read("a")
    assert path.exists()


def test_only_its_owner_may_read_the_files(path: Path, sqlite: SQLiteStore) -> None:
    """S10. Whatever the umask says; what SQLite keeps beside it too."""
    Asker(sqlite).exchange(change("a", 0))

    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    assert modes == dict.fromkeys(("s.db", "s.db-wal", "s.db-shm"), 0o600)


def test_a_link_to_a_missing_file_creates_that_file(path: Path, tmp_path: Path) -> None:
    """S10. With the same mode."""
    target = tmp_path / "target.db"
    path.symlink_to(target)
    with closing(SQLiteStore(path)) as store:
        store.check()

    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_a_relative_path_is_that_of_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server may change its folder later."""
    monkeypatch.chdir(tmp_path)
    store = SQLiteStore("a.db")
    monkeypatch.chdir("/")
    with closing(store):
        store.check()

    assert (tmp_path / "a.db").exists()


def test_a_commit_waits_for_the_disk(sqlite: SQLiteStore) -> None:
    """S2. Journal and mode of synchronisation, as SQLite names them."""
    with sqlite._connections.lend(monotonic() + 9) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


@pytest.mark.parametrize("way", ["blocking", "awaiting"])
def test_a_file_that_stays_locked_is_a_failure(
    sqlite: SQLiteStore, locker: sqlite3.Connection, way: str
) -> None:
    """S9. For writers, by their deadline, and nothing was done; readers go on."""
    asker = Asker(sqlite, way)
    locker.execute("BEGIN IMMEDIATE")
    before = monotonic()
    failed = asker.ask(Exchange((change("a", 0),)), 0.5)

    assert isinstance(failed, StoreFailed)
    assert "locked by another connection" in failed.reason
    assert failed.may_be_done is False
    assert monotonic() - before < 10
    assert asker.read("a") is None
    locker.execute("ROLLBACK")
    assert asker.exchange(change("a", 0))


def test_the_timeout_bounds_the_wait_too(path: Path, locker: sqlite3.Connection) -> None:
    """S9. Where the deadline is later."""
    locker.execute("BEGIN IMMEDIATE")
    with closing(SQLiteStore(path, timeout=timedelta(milliseconds=50))) as store:  # type: ignore[arg-type]
        before = monotonic()
        failed = store.answer(Exchange((change("a", 0),)), monotonic() + 300)
        with pytest.raises(ConfigurationError, match=r"path=.*locked.*raise timeout="):
            store.check()

    assert isinstance(failed, StoreFailed)
    assert monotonic() - before < 60


def test_a_statement_waits_for_a_lock_that_is_given_back(
    sqlite: SQLiteStore, locker: sqlite3.Connection
) -> None:
    """S9. And is then done."""
    locker.execute("BEGIN IMMEDIATE")
    answers: list[Any] = []
    statement = Exchange((change("a", 0),))
    writer = threading.Thread(
        target=lambda: answers.append(sqlite.answer(statement, monotonic() + 60))
    )
    writer.start()
    locker.execute("COMMIT")
    writer.join(60)

    assert [type(each) for each in answers] == [Exchanged]
    assert answers[0].is_done


def test_a_writer_that_waits_holds_up_no_reader(
    sqlite: SQLiteStore, locker: sqlite3.Connection
) -> None:
    """S6. Nor do many: writers of one process wait for each other without a connection."""
    locker.execute("BEGIN IMMEDIATE")
    statement = Exchange((change("a", 0, None),))
    writers = [
        threading.Thread(target=sqlite.answer, args=(statement, monotonic() + 60))
        for _ in range(20)
    ]
    for each in writers:
        each.start()
    try:
        assert Asker(sqlite).read("a") is None
    finally:
        locker.execute("COMMIT")
        for each in writers:
            each.join(60)


async def test_awaiting_writers_hold_up_no_awaiting_reader(
    sqlite: SQLiteStore, locker: sqlite3.Connection
) -> None:
    """S6. Although there are more of them than threads."""
    locker.execute("BEGIN IMMEDIATE")
    statement = Exchange((change("a", 0, None),))
    writers = [asyncio.create_task(sqlite.aanswer(statement, monotonic() + 60)) for _ in range(20)]
    await until_writing(sqlite, is_writing=True)
    found = await sqlite.aanswer(Read("k", "a"), monotonic() + 60)
    assert isinstance(found, Found)
    assert not any(each.done() for each in writers)

    locker.execute("COMMIT")
    assert all(isinstance(each, Exchanged) for each in await asyncio.gather(*writers))


async def test_a_cancelled_caller_leaves_nothing_half_done(
    sqlite: SQLiteStore, locker: sqlite3.Connection
) -> None:
    """S7. The statement waits for the lock on its thread, and is then made as a whole."""
    locker.execute("BEGIN IMMEDIATE")
    statement = Exchange((change("a", 0), change("b", 0)))
    task = asyncio.create_task(sqlite.aanswer(statement, monotonic() + 60))
    await until_writing(sqlite, is_writing=True)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    locker.execute("COMMIT")
    await until_writing(sqlite, is_writing=False)

    assert [Asker(sqlite).version(each) for each in "ab"] == [1, 1]


async def until_writing(store: SQLiteStore, *, is_writing: bool) -> None:
    """Let a thread of the store come to that point."""
    for _ in range(30_000):
        if store._connections._is_writing is is_writing:
            return
        await asyncio.sleep(0.001)
    raise AssertionError


async def test_a_statement_that_is_late_may_be_done(
    sqlite: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S7. The caller cannot know; of one that reads, it does not matter."""
    gate = threading.Event()

    def hang(*_: object) -> None:
        gate.wait(30)

    monkeypatch.setattr(sqlite, "answer", hang)
    try:
        late = await sqlite.aanswer(Exchange((change("a", 0),)), monotonic() + 0.05)
        read = await sqlite.aanswer(Read("k", "a"), monotonic() + 0.05)
    finally:
        gate.set()

    assert isinstance(late, StoreFailed)
    assert isinstance(read, StoreFailed)
    assert (late.may_be_done, read.may_be_done) == (True, False)
    assert "did not answer by the deadline" in late.reason


def test_one_store_serves_loop_after_loop(sqlite: SQLiteStore) -> None:
    """S6. Nothing is bound to a loop; the threads are the same."""

    async def work(version: int) -> bool:
        statement = Exchange((change("a", version),))
        answers = await asyncio.gather(
            *(sqlite.aanswer(statement, monotonic() + 60) for _ in range(20))
        )
        assert all(isinstance(each, Exchanged) for each in answers)
        return sum(each.is_done for each in answers if isinstance(each, Exchanged)) == 1

    assert [asyncio.run(work(version)) for version in range(3)] == [True] * 3
    assert sqlite._writer._threads == 1


def test_several_loops_at_once_use_one_store(sqlite: SQLiteStore) -> None:
    """S6. Each in a thread of its own."""
    done: list[bool] = []

    async def work(number: int) -> None:
        for version in range(5):
            statement = Exchange((change(str(number), version),))
            answer = await sqlite.aanswer(statement, monotonic() + 60)
            done.append(isinstance(answer, Exchanged) and answer.is_done)

    threads = [threading.Thread(target=asyncio.run, args=(work(n),)) for n in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)

    assert done == [True] * 20


def test_a_write_deletes_a_bounded_number_of_expired_rows(
    sqlite: SQLiteStore, path: Path, clock: Clock
) -> None:
    """S4. However many there are."""
    asker = Asker(sqlite)
    expire(sqlite, path, clock, 1_000)

    asker.exchange(change("other", 0))

    assert rows(path) == 1_000 - 50 + 1


@pytest.mark.slow
def test_a_mass_of_expired_rows_slows_nothing(
    sqlite: SQLiteStore, path: Path, clock: Clock
) -> None:
    """S4. Neither a reader of a document or of their group, nor a writer."""
    expire(sqlite, path, clock, 200_000)
    asker = Asker(sqlite)
    asker.exchange(change("alive", 0, group="g"))

    def quickest(work: Callable[[], object]) -> float:
        times = []
        for _ in range(5):
            before = monotonic()
            work()
            times.append(monotonic() - before)
        return min(times)

    versions = iter(range(1, 100))
    # Generous, because others may use the disk; the plans of the statements are tested below.
    assert quickest(lambda: asker.read("1")) < 0.2
    assert quickest(lambda: asker.names("g")) < 0.2
    assert quickest(lambda: asker.exchange(change("alive", next(versions), group="g"))) < 0.2
    assert asker.names("g") == ["alive"]


def test_every_statement_finds_its_rows_by_an_index(sqlite: SQLiteStore) -> None:
    """S4. The time of expiry is part of that of groups."""
    with sqlite._connections.lend(monotonic() + 9) as connection:

        def plan(query: str, *values: object) -> str:
            steps = connection.execute(f"EXPLAIN QUERY PLAN {query}", values).fetchall()
            return " / ".join(step[3] for step in steps)

        assert "USING INDEX" in plan(_READ, "k", "a", 0)
        assert "(kind=? AND group_name=? AND expires_at>?)" in plan(
            _READ_GROUP, "k", "g", 0, "a", 9
        )
        assert "(kind=? AND (written_at,name)>(?,?))" in plan(_READ_WRITTEN, "k", 0, "a", 0, 9)
        assert "(expires_at<?)" in plan(
            "SELECT rowid FROM jwt_middleware_documents WHERE expires_at <= ?"
            " ORDER BY expires_at LIMIT ?",
            *(0, 9),
        )


def expire(store: SQLiteStore, path: Path, clock: Clock, number: int) -> None:
    """Put in so many documents of one group that have expired."""
    store.check()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(
            "INSERT INTO jwt_middleware_documents VALUES ('k', ?, 1, x'00', 'g', ?, 0)",
            ((str(each), clock.now() - 1 - each % 1_000) for each in range(number)),
        )


def rows(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(
            connection.execute("SELECT count(*) FROM jwt_middleware_documents").fetchone()[0]
        )


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("path", "", "such as 'tokens.db'"),
        ("path", b"a.db", "such as 'tokens.db'"),
        ("path", "a\0.db", "such as 'tokens.db'"),
        ("path", ":memory:", "write MemoryStore()"),
        ("path", "\ud800", "character"),
        ("timeout", 0, "above 0 and at most 60"),
        ("timeout", 61, "above 0 and at most 60"),
        ("timeout", "5", "seconds or a timedelta"),
        ("clock", None, "SystemClock()"),
    ],
)
def test_a_wrong_option_is_refused_in_words(name: str, value: Any, words: str) -> None:
    options = {"path": "a.db", name: value}
    with pytest.raises(ConfigurationError) as refused:
        SQLiteStore(**options)

    assert str(refused.value).startswith(f"{name}={value!r} ")
    assert words in str(refused.value)


def test_what_was_read_is_from_the_time_of_the_clock(sqlite: SQLiteStore, clock: Clock) -> None:
    """S3."""
    clock.jump(-100)
    found = Asker(sqlite).ask(Read("k", "a"))

    assert isinstance(found, Found)
    assert found.now == clock.now()
