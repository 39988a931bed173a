"""S1, S2 and S6: several processes use one file, and some of them are killed."""

import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from time import monotonic
from typing import IO

import pytest

from jwt_middleware.stores import SQLiteStore, StoreFailed
from jwt_middleware.stores.contract import Exchange
from tests.stores.asking import Asker, change, count

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s.db"


@contextmanager
def started(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Run a worker, and kill it if it is still there in the end."""
    command = [sys.executable, "-m", "tests.stores.worker", *map(str, arguments)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def output(process: subprocess.Popen[str]) -> IO[str]:
    assert process.stdout is not None
    return process.stdout


@pytest.mark.parametrize("is_there", [True, False])
def test_processes_with_threads_lose_no_update(path: Path, is_there: bool) -> None:
    """S2. Four of 25 threads each, also where they create the file at once."""
    if is_there:
        SQLiteStore(path).check()
    counter = ("count", path, 25, 2)
    with ExitStack() as stack:
        processes = [stack.enter_context(started(*counter)) for _ in range(4)]
        assert [each.wait(120) for each in processes] == [0, 0, 0, 0]

    with closing(SQLiteStore(path)) as store:
        assert count([Asker(store)], "n") == {200}
        assert Asker(store).version("n") == 200


def test_a_process_that_is_killed_while_it_writes_leaves_the_file_whole(path: Path) -> None:
    """S1 and S2. What it had answered is there, what it had begun is there as a whole or not."""
    # Seen by a store that stays open, and by one that is opened after each kill.
    with closing(SQLiteStore(path, timeout=20)) as observer:
        observer.check()
        for _ in range(5):
            with started("write", path) as writer:
                answered = [int(next(output(writer))) for _ in range(random.randint(1, 40))]
                writer.kill()
                answered += [int(line) for line in output(writer) if line.endswith("\n")]
            with closing(SQLiteStore(path, timeout=20)) as fresh:
                for store in (observer, fresh):
                    check_whole(Asker(store), answered[-1])
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def check_whole(asker: Asker, answered: int) -> None:
    a, b = asker.read("a"), asker.read("b")

    assert a is not None
    assert b is not None
    assert a.version == b.version
    assert a.body == b.body
    assert answered <= a.version <= answered + 1


def test_a_process_that_is_killed_gives_its_lock_back(path: Path) -> None:
    """S1. Until then, statements fail by their deadline; then they are made."""
    with closing(SQLiteStore(path, timeout=20)) as store:
        store.check()
        statement = Exchange((change("a", 0),))
        with started("lock", path) as locker:
            assert next(output(locker)) == "locked\n"
            failed = store.answer(statement, monotonic() + 0.1)
            assert isinstance(failed, StoreFailed)
            assert "locked" in failed.reason
            locker.kill()
            locker.wait(30)
            assert Asker(store).exchange(*statement.changes)
