"""What unknown kids may cost. Anybody can invent a kid; a new key must be found all the same.

A bucket of fetches that refills slowly, apart from the regular fetches, and a memory of kids that
were asked for in vain, so that one replayed token cannot drain the bucket.
"""

from collections.abc import Iterable

from cachetools import LRUCache

from jwt_middleware.clock import Clock
from jwt_middleware.keys.options import ResolverOptions

# 1,024 kids of at most 256 characters stay under a megabyte.
MAX_REMEMBERED = 1_024
FIRST_PAUSE = 10.0
LONGEST_PAUSE = 60.0


class UnknownKids:
    """The bucket and the memory of one issuer. Its owner holds the lock."""

    def __init__(self, options: ResolverOptions, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._tokens = float(options.unknown_kid_burst)
        self._filled_at = clock.monotonic()
        self._missed: LRUCache[str, tuple[float, float]] = LRUCache(MAX_REMEMBERED)

    def may_ask(self, kid: str | None) -> bool:
        """Return whether a fetch may be spent on ``kid``, and spend it."""
        now = self._clock.monotonic()
        until, _ = self._missed.get(kid or "", (0.0, 0.0))
        if now < until:
            return False
        self._refill(now)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _refill(self, now: float) -> None:
        gained = (now - self._filled_at) / self._options.unknown_kid_interval
        self._tokens = min(float(self._options.unknown_kid_burst), self._tokens + gained)
        self._filled_at = now

    def missed(self, kid: str) -> None:
        """Leave a kid that a fetch did not bring alone for 10, 20, 40, 60 seconds."""
        _, pause = self._missed.get(kid, (0.0, FIRST_PAUSE / 2))
        pause = min(pause * 2, LONGEST_PAUSE)
        self._missed[kid] = (self._clock.monotonic() + pause, pause)

    def found(self, kids: Iterable[str]) -> None:
        """Forget the misses of kids that are published now."""
        for kid in kids:
            self._missed.pop(kid, None)
