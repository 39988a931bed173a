"""A process that uses a file, started by the tests beside it.

``count PATH THREADS TIMES`` counts a document up, each thread so often. ``write PATH`` writes two
documents together, with random content of their own, and says after each commit which it was. ``lock
PATH`` locks the file until it is ended.
"""

import os
import sqlite3
import sys
import threading
from collections.abc import Callable
from time import monotonic

from jwt_middleware.stores import SQLiteStore
from tests.stores.asking import Asker, change, increment


def say(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def count(path: str, number: str, times: str) -> None:
    store = SQLiteStore(path, timeout=60)

    def work() -> None:
        for _ in range(int(times)):
            increment(store, "n")

    threads = [threading.Thread(target=work) for _ in range(int(number))]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    store.close()


def write(path: str) -> None:
    asker = Asker(SQLiteStore(path, timeout=60))
    version = asker.version("a")
    end = monotonic() + 60
    while monotonic() < end:
        body = os.urandom(20_000)
        assert asker.exchange(change("a", version, body), change("b", version, body))
        version += 1
        say(version)


def lock(path: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    say("locked")
    sys.stdin.read()


if __name__ == "__main__":
    tasks: dict[str, Callable[..., None]] = {"count": count, "write": write, "lock": lock}
    tasks[sys.argv[1]](*sys.argv[2:])
