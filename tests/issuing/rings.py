"""Rings, stores that fail, and readers of tokens, for the tests of this folder."""

import time
from typing import Any

from jwt_middleware import Guard, Issuer
from jwt_middleware.issuing import KeyRing, Minter
from jwt_middleware.stores.contract import AnyAnswer, AnyStatement, Exchange, StoreFailed
from jwt_middleware.stores.memory import MemoryStore
from jwt_middleware.testing import Clock

ISSUER = "https://shop.example/"
AUDIENCE = "orders"
DAY = 86_400.0


class Faulty(MemoryStore):
    """A store that can be away or read-only, and counts what it is asked."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.is_away = False
        self.is_read_only = False
        self.asked = 0

    def answer(self, statement: AnyStatement, deadline: float) -> AnyAnswer | StoreFailed:
        self.asked += 1
        if self.is_away:
            return StoreFailed("the server is away")
        if self.is_read_only and isinstance(statement, Exchange):
            return StoreFailed("the database is read-only")
        assert deadline > time.monotonic()
        return super().answer(statement, deadline)


class World:
    """A ring of one process, with a clock that a test controls."""

    def __init__(self, **options: Any) -> None:
        self.clock = Clock()
        self.store = Faulty(self.clock)
        self.ring = self.process(**options)

    def process(self, **options: Any) -> KeyRing:
        """Return the same ring as another process has it."""
        return KeyRing(self.store, clock=self.clock, **options)

    def minter(self, ring: KeyRing | None = None, **options: Any) -> Minter:
        known: dict[str, Any] = {"issuer": ISSUER, "audience": AUDIENCE, "clock": self.clock}
        return Minter(ring or self.ring, **known | options)

    def guard(self, ring: KeyRing | None = None, **options: Any) -> Guard:
        chosen = ring or self.ring
        algorithms = options.pop("algorithms", [chosen.algorithm])
        issuer = Issuer(ISSUER, audience=AUDIENCE, keys=chosen, algorithms=algorithms, **options)
        return Guard(issuers=issuer, clock=self.clock)

    def kid(self, ring: KeyRing | None = None) -> str:
        chosen = ring or self.ring
        chosen.load()
        key = chosen.signer()
        assert key is not None
        return key.kid


def phases(ring: KeyRing) -> list[str]:
    return [key.phase for key in ring.status()]
