"""A publisher of keys in memory, and what it takes to resolve keys from it without a network."""

import json
import random
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from jwt_middleware.crypto.algorithms import ALGORITHMS
from jwt_middleware.crypto.jwk import VerificationKey
from jwt_middleware.effects import Steps, arun, run
from jwt_middleware.events import Event
from jwt_middleware.keys.remote.http import FetchRequest, FetchResponse
from jwt_middleware.keys.remote.options import ResolverOptions
from jwt_middleware.keys.remote.resolver import JWKSResolver
from jwt_middleware.keys.remote.shared_fetch import Waited, Waiter
from jwt_middleware.testing.clock import Clock
from jwt_middleware.testing.keys import KeyPair

URI = "https://id.example/jwks.json"
ES256 = ALGORITHMS["ES256"]
Keys = tuple[VerificationKey, ...]

# Longer than anything here takes, and short enough for a test that hangs to fail by itself.
SOON = 10.0


def pair(kid: str, alg: str = "ES256") -> KeyPair:
    return KeyPair.generate(alg, kid)


class Steady(random.Random):
    """No spread at all: intervals are as configured, pauses as long as they may be."""

    def random(self) -> float:
        return 0.0

    def uniform(self, a: float, b: float) -> float:
        return b


class Publisher:
    """A fetcher that answers from memory, and can be made to fail or to hang."""

    def __init__(self, *kids: str) -> None:
        self.pairs: list[KeyPair] = [pair(kid) for kid in kids]
        self.extra: list[Any] = []
        """Members beside the good keys."""
        self.requests: list[FetchRequest] = []
        self.failure: BaseException | None = None
        self.response: FetchResponse | None = None
        """An answer in place of the true one."""
        self.headers: dict[str, str] = {}
        self.gate = threading.Event()
        self.gate.set()
        self.arrived = threading.Event()
        self.threads: list[int] = []
        self._lock = threading.Lock()

    @property
    def fetches(self) -> int:
        return len(self.requests)

    @property
    def document(self) -> bytes:
        return json.dumps({"keys": [*self.extra, *(each.jwk for each in self.pairs)]}).encode()

    def publish(self, *kids: str) -> None:
        """Publish these kids; one that is published already keeps its key."""
        known = {each.kid: each for each in self.pairs}
        self.pairs = [known.get(kid) or pair(kid) for kid in kids]

    def fetch(self, request: FetchRequest) -> FetchResponse:
        with self._lock:
            self.requests.append(request)
            self.threads.append(threading.get_ident())
        self.arrived.set()
        assert self.gate.wait(SOON)
        if self.failure is not None:
            raise self.failure
        return self.response or FetchResponse(200, self.headers, self.document)

    def hold(self) -> None:
        """Let fetches hang from now on."""
        self.gate.clear()
        self.arrived.clear()


class Record:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    def of(self, *kinds: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kinds)]


def resolver_of(
    publisher: Any, clock: Clock | None = None, observers: Sequence[Any] = (), **options: Any
) -> JWKSResolver:
    """Return a resolver that asks ``publisher`` and draws no lots."""
    return JWKSResolver(
        URI,
        options=ResolverOptions(**options),
        fetcher=publisher,
        clock=clock or Clock(),
        observers=observers,
        rng=Steady(),
    )


def steps(source: JWKSResolver, kid: str | None, algorithm: Any = ES256) -> Steps[Keys]:
    """Resolve as a guard does: plan, wait once, settle."""
    answer = source.plan(kid, algorithm)
    if not isinstance(answer, Waiter):
        return answer
    waited = yield answer
    assert isinstance(waited, Waited)
    return source.settle(kid, algorithm, waited)


def resolve(source: JWKSResolver, kid: str | None, algorithm: Any = ES256) -> Keys:
    return run(steps(source, kid, algorithm))


async def aresolve(source: JWKSResolver, kid: str | None, algorithm: Any = ES256) -> Keys:
    return await arun(steps(source, kid, algorithm))


def outcome(source: JWKSResolver, kid: str | None) -> str:
    """Return ``found`` or the code of the refusal."""
    from jwt_middleware.errors import Refused

    try:
        resolve(source, kid)
    except Refused as refused:
        return refused.code
    return "found"


async def aoutcome(source: JWKSResolver, kid: str | None) -> str:
    from jwt_middleware.errors import Refused

    try:
        await aresolve(source, kid)
    except Refused as refused:
        return refused.code
    return "found"


def held_up(source: JWKSResolver, publisher: Publisher, kid: str = "a") -> Waiter:
    """Return a waiter for a fetch on a thread, whose answer the publisher holds back."""
    publisher.hold()
    waiter = source.plan(kid, ES256)
    assert isinstance(waiter, Waiter)
    assert waiter.fetch.claim()
    waiter.fetch.start()
    assert publisher.arrived.wait(SOON)
    return waiter


def landed() -> None:
    """Wait until no fetch is under way any more, its observers included."""
    for thread in threading.enumerate():
        if thread.name == "jwt_middleware.keys":
            thread.join(SOON)


def in_threads(count: int, call: Any) -> list[Any]:
    """Return what ``call`` returns in each of so many threads that start at once."""
    barrier = threading.Barrier(count)
    results: list[Any] = [None] * count

    def work(index: int) -> None:
        barrier.wait(SOON)
        results[index] = call()

    threads = [threading.Thread(target=work, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * SOON)
    return results


def without_kid(key: KeyPair) -> KeyPair:
    return replace(key, kid=None)
