"""A process that shares a ring and logins in a file, started by the tests beside it.

``refresh PATH TOKEN THREADS`` refreshes a token in so many threads at once, and says which successors
it got. ``chain PATH`` logs in and refreshes again and again, and says each token that it got. ``load PATH AHEAD THREADS`` reads the ring in so many threads at once, so many days ahead of the
clock, and says which keys it has. ``revoke PATH`` revokes the active key again and again, and says
after each time which key signs.
"""

import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from jwt_middleware.issuing import KeyRing, Minter, TokenPairs
from jwt_middleware.stores import SQLiteStore

SECRET = b"0123456789abcdefghijklmnopqrstuv"


class Ahead:
    """The clock of the system, some days ahead."""

    def __init__(self, days: float) -> None:
        self.seconds = days * 86_400

    def now(self) -> float:
        return time.time() + self.seconds

    def monotonic(self) -> float:
        return time.monotonic()


def ring_of(path: str, days: float = 0) -> KeyRing:
    clock = Ahead(days)
    return KeyRing(SQLiteStore(path, clock=clock, timeout=60), clock=clock)


def say(what: str) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def load(path: str, days: str, number: str) -> None:
    rings = [ring_of(path, float(days)) for _ in range(int(number))]
    threads = [threading.Thread(target=each.load) for each in rings]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    for ring in rings:
        say(" ".join(sorted(f"{key.kid}:{key.phase}" for key in ring.status())))


def revoke(path: str) -> None:
    ring = ring_of(path)
    while True:
        ring.load()
        key = ring.signer()
        assert key is not None
        ring.revoke_key(key.kid)
        key = ring.signer()
        assert key is not None
        say(key.kid)


def pairs_of(path: str) -> TokenPairs:
    ring = KeyRing(SQLiteStore(path, timeout=60))
    minter = Minter(ring, issuer="https://a/", audience="a")
    return TokenPairs(minter, SQLiteStore(path, timeout=60), grace=60)


def refresh(path: str, token: str, number: str) -> None:
    pairs = pairs_of(path)
    with ThreadPoolExecutor(int(number)) as pool:
        for pair in pool.map(lambda _: pairs.refresh(token), range(int(number))):
            say(pair.refresh_token)


def chain(path: str) -> None:
    pairs = pairs_of(path)
    token = pairs.issue("alice").refresh_token
    while True:
        say(token)
        token = pairs.refresh(token).refresh_token


if __name__ == "__main__":
    tasks: dict[str, Callable[..., None]] = {
        "load": load,
        "revoke": revoke,
        "refresh": refresh,
        "chain": chain,
    }
    tasks[sys.argv[1]](*sys.argv[2:])
