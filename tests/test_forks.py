"""Forks: no lock of the parent's may stay locked in a child, whichever was held at that moment."""

import gc
import os
import re
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest

import jwt_middleware
from jwt_middleware import AdmittedIssuers, Guard, Issuer
from jwt_middleware.daemons import MOST_AT_ONCE, within
from jwt_middleware.forks import renew_after_fork
from jwt_middleware.issuing import KeyRing, Minter
from jwt_middleware.revocation import RevocationList
from jwt_middleware.stores import MemoryStore, SQLiteStore, Store
from jwt_middleware.testing import Clock
from tests.keys.publisher import Publisher
from tests.stores.asking import Asker, change
from tests.support.forking import in_a_child

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")

ROOT = Path(jwt_middleware.__file__).parent
LOCK = type(threading.Lock())

# Ends with the process.
_FOLDER = tempfile.TemporaryDirectory()
FOLDER = Path(_FOLDER.name)

# What makes a lock, a thread or a timer, anywhere in the package but in the test kit.
MAKERS = re.compile(
    r"\b(?:threading\.)?(TinyLock|Lock|RLock|Semaphore|BoundedSemaphore|Condition|Event|Barrier|Timer"
    r"|Thread|local)\(|\b(?:asyncio\.Event|ThreadPoolExecutor|Queue|SimpleQueue)\("
)

# Each file that makes any, how many times, and why a fork does it no harm.
KNOWN = {
    # TokenCache.after_fork renews it.
    "tokens/cache.py": 2,
    # AdmittedPool.after_fork renews it.
    "issuers/admitted_pool.py": 2,
    # Withdrawals.after_fork renews it.
    "issuers/withdrawals.py": 2,
    # Fetches.after_fork renews it, called by its resolver.
    "keys/remote/fetches.py": 2,
    # SingleKeys.after_fork renews it.
    "keys/remote/single_keys.py": 2,
    # PoolLimit.after_fork renews it.
    "keys/remote/pool_limits.py": 2,
    # RefusalLog.after_fork renews it.
    "guard/refusal_log.py": 2,
    # Distrusted.after_fork renews it.
    "keys/distrust.py": 2,
    # StaticKeys.after_fork renews it.
    "keys/static.py": 2,
    # HTTPFetcher.after_fork renews the lock; a timer cuts one call, and ends with it.
    "keys/remote/http.py": 3,
    # The claim of a fetch is never waited for, and a child has no fetch.
    "keys/remote/shared_fetch.py": 1,
    # A thread carries out one call, and nothing waits for one of the parent's; what is kept of such
    # calls is renewed by _Calls.after_fork.
    "daemons.py": 4,
    # An event of asyncio, of one socket and its loop.
    "asgi/websocket.py": 1,
    # Replica.after_fork renews it.
    "revocation/replica.py": 2,
    # Follower.after_fork renews all of them, and a child has no such thread.
    "revocation/follower.py": 4,
    # SharedRing.after_fork renews it.
    "issuing/shared_ring.py": 2,
    # RingKeys.after_fork renews it.
    "issuing/ring_keys.py": 2,
    # MemoryStore.after_fork renews it.
    "stores/memory.py": 2,
    # Workers.after_fork renews it.
    "stores/pool.py": 1,
    # Connections.after_fork and _Opening.after_fork renew them; no statement runs during a fork.
    "stores/sqlite_connections.py": 2,
}


def test_every_lock_of_the_package_is_known_and_renewed() -> None:
    """A new one has to be added here, with the reason why a forked child does not wait for it."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        count = len(MAKERS.findall(path.read_text()))
        if count and not name.startswith("testing/"):
            found[name] = count

    assert found == KNOWN


class World:
    """A guard with a fixed and an admitted issuer, and tokens of both."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.publisher = Publisher("a")
        self.names = ["https://fixed.example/", "https://admitted.example/"]
        fixed, admitted = (
            Issuer(name, audience=None, jwks_uri=f"{name}keys", fetcher=self.publisher)
            for name in self.names
        )
        pool = AdmittedIssuers(lambda name: admitted if name == self.names[1] else None)
        with_http = Issuer(
            "https://http.example/", audience=None, jwks_uri="https://http.example/k"
        )
        held = Issuer("https://held.example/", audience=None, keys=self.publisher.pairs[0].jwk)
        self.ring = KeyRing(MemoryStore(self.clock), clock=self.clock)
        self.minter = Minter(
            self.ring, issuer="https://own.example/", audience="a", clock=self.clock
        )
        own = Issuer("https://own.example/", audience="a", keys=self.ring)
        self.guard = Guard(
            issuers=[fixed, pool, with_http, held, own], clock=self.clock, token_cache_size=4
        )
        self.use_ring()
        for name in self.names:
            self.guard.verify(self.token(name))
        # Several worlds of one process use one file.
        self.stores: list[Store] = [MemoryStore(), SQLiteStore(FOLDER / "forks.db")]
        self.use_stores()
        self.revocations = RevocationList(MemoryStore(), on_lag="refuse")
        self.use_revocations()

    def token(self, name: str, subject: str = "known") -> str:
        claims = {"iss": name, "sub": subject, "exp": self.clock.now() + 9_000}
        return self.publisher.pairs[0].sign(claims)

    def locks(self) -> dict[str, Any]:
        """Return every lock that is an attribute of a living object of the package."""
        found = {}
        for each in gc.get_objects():
            module = str(type(each).__module__)
            is_ours = module.startswith("jwt_middleware.") and ".testing" not in module
            if is_ours and hasattr(each, "__dict__"):
                for name, value in vars(each).items():
                    if isinstance(value, LOCK):
                        found[f"{type(each).__name__}.{name}"] = value
        return found

    def use(self) -> None:
        """Go through all that the guard keeps: cached tokens, new ones, evictions, renewals."""
        for name in self.names:
            self.guard.verify(self.token(name))
            for number in range(6):
                self.guard.verify(self.token(name, str(number)))
        self.clock.tick(700)
        for name in self.names:
            self.guard.verify(self.token(name, "after the renewal"))
        self.guard.health()
        self.use_ring()
        self.guard.distrust(self.names[0], "another")
        self.guard.distrust("https://held.example/")
        self.guard.close()
        self.use_stores()
        self.use_revocations()

    def use_ring(self) -> None:
        """Read the ring, change it and verify what it has signed."""
        self.clock.tick(60)
        self.ring.rotate()
        self.guard.verify(self.minter.mint("alice"))
        self.guard.distrust("https://own.example/", self.ring.rotate().kid)

    def use_revocations(self) -> None:
        """Revoke something, and read all of it."""
        self.revocations.revoke_session("x", token_hex(8))
        assert self.revocations.follower.read()

    def use_stores(self) -> None:
        """Write a new document to each, and read it, on a connection that is opened anew."""
        for store in self.stores:
            store.close()
            asker = Asker(store)
            name = token_hex(8)
            assert asker.exchange(change(name, 0))
            assert asker.version(name) == 1


LOCKS = [
    "RefusalLog._lock",
    "_Calls._lock",
    "Distrusted._lock",
    "StaticKeys._lock",
    "TokenCache._lock",
    "Fetches.lock",
    "PoolLimit._lock",
    "AdmittedPool._lock",
    "Withdrawals._lock",
    "HTTPFetcher._lock",
    "SharedFetch._claim",
    "MemoryStore._lock",
    "_Opening.lock",
    "SharedRing._lock",
    "RingKeys._lock",
    "Follower._lock",
    "Follower._turn",
    "Replica._lock",
]


def test_no_lock_is_missing_from_those_that_are_held_over_a_fork() -> None:
    """Found on the living objects; a fetch that is over is gone."""
    world = World()

    assert set(world.locks()) <= set(LOCKS)
    assert set(LOCKS) - set(world.locks()) <= {"SharedFetch._claim"}


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("name", [name for name in LOCKS if name != "SharedFetch._claim"])
def test_a_child_that_was_forked_while_a_lock_was_held_goes_on(name: str) -> None:
    """Another thread holds it, and does not exist in the child."""
    world = World()
    lock = world.locks()[name]
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            done.wait(30)

    holder = threading.Thread(target=hold, daemon=True)
    holder.start()
    assert held.wait(10)
    try:
        assert in_a_child(world.use) == 0
    finally:
        done.set()
        holder.join(10)
    # The parent goes on as well.
    world.use()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_forked_in_the_middle_of_a_change_counts_what_it_has() -> None:
    """Between an entry and its place in the queue: the child evicts, and its bytes add up."""
    world = World()
    cache = world.guard._authenticator._tokens
    # As a thread leaves them that was stopped half-way.
    cache._queue.clear()
    cache._bytes = 10**9

    def use_and_count() -> None:
        for number in range(6):
            world.guard.verify(world.token(world.names[0], str(number)))
        assert len(cache) == len(cache._queue) == 4
        assert 0 < cache.bytes < 100_000

    assert in_a_child(use_and_count) == 0


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_has_the_places_of_calls_that_hang_in_its_parent() -> None:
    """Its parent's threads are not there to give them back."""
    let_go = threading.Event()
    for number in range(MOST_AT_ONCE):
        with pytest.raises(TimeoutError):
            within(0, "tests.forks", number, let_go.wait)
    running = [each for each in threading.enumerate() if each.name == "tests.forks"]

    try:
        assert in_a_child(lambda: within(10, "tests.forks", 0, lambda: None)) == 0
    finally:
        let_go.set()
        for thread in running:
            thread.join(10)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_equal_objects_renew_a_lock_each() -> None:
    """They are told apart by identity."""

    @dataclass(frozen=True)
    class Equal:
        forked: list[int] = field(default_factory=list, compare=False)

        def after_fork(self) -> None:
            self.forked.append(1)

    twins = [Equal(), Equal()]
    for each in twins:
        renew_after_fork(each)

    def renewed() -> None:
        assert [each.forked for each in twins] == [[1], [1]]

    assert twins[0] == twins[1]
    assert in_a_child(renewed) == 0
