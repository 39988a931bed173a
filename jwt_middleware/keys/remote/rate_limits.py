"""Rate limits and the backoff of fetches. Their users hold the lock."""

import random
from collections.abc import Iterable

from cachetools import LRUCache

# 1,024 kids of at most 256 characters stay under a megabyte.
MAX_REMEMBERED = 1_024
FIRST_RETRY_DELAY = 10.0
LONGEST_RETRY_DELAY = 60.0

# The first pause after a failure. Each further one is twice as long, up to ``max_backoff``.
FIRST_PAUSE = 1.0


class RateLimit:
    """A budget of fetches, refilled one by one as time passes."""

    def __init__(self, burst: int, interval: float, now: float) -> None:
        """
        :param burst: the fetches that may be spent at once.
        :param interval: the seconds after which one fetch is refilled.
        """
        self._interval = interval
        self._lead = burst * interval
        self._paid_until = now

    def take(self, now: float) -> bool:
        """Spend one fetch; return whether there was one."""
        # Each fetch pays for one interval, and the burst may be paid ahead, because adding up the
        # refills since the last call would lose a fetch to rounding.
        paid_until = max(self._paid_until, now) + self._interval
        if paid_until > now + self._lead:
            return False
        self._paid_until = paid_until
        return True

    def has_one(self, now: float) -> bool:
        """Return whether a fetch may be spent."""
        return self.seconds_until_next(now) <= 0

    def seconds_until_next(self, now: float) -> float:
        """Return after how many seconds a fetch may be spent."""
        return max(0.0, max(self._paid_until, now) + self._interval - now - self._lead)


class UnknownKids:
    """Key ids that a fetch did not find. Each is not fetched again for 10, 20, 40, 60 seconds.

    Without these delays one replayed token would use up the budget that a new key needs.
    """

    def __init__(self) -> None:
        self._delays: LRUCache[str | None, tuple[float, float]] = LRUCache(MAX_REMEMBERED)

    def __len__(self) -> int:
        return len(self._delays)

    def retry_in(self, kid: str | None, now: float) -> float:
        """Return the seconds until ``kid`` may be fetched for again."""
        until, _ = self._delays.get(kid, (now, 0.0))
        return max(0.0, until - now)

    def add(self, kid: str | None, now: float) -> None:
        """Record that a fetch did not bring ``kid``."""
        _, delay = self._delays.get(kid, (0.0, FIRST_RETRY_DELAY / 2))
        delay = min(delay * 2, LONGEST_RETRY_DELAY)
        self._delays[kid] = (now + delay, delay)

    def forget(self, kids: Iterable[str]) -> None:
        """Forget the misses of key ids that are published now."""
        for kid in kids:
            self._delays.pop(kid, None)


class Backoff:
    """The pause after a failure: a second, then up to twice as long each time."""

    def __init__(self, longest: float, rng: random.Random) -> None:
        """
        :param longest: seconds of the longest pause, if the response has no ``Retry-After``.
        :param rng: chooses the pause at random, so that several processes do not retry at once.
        """
        self._longest = longest
        self._rng = rng
        self.failures = 0
        self.last_failure: str | None = None
        self.ends_at = 0.0

    def is_waiting(self, now: float) -> bool:
        """Return whether the pause still lasts."""
        return now < self.ends_at

    def failed(self, reason: str, retry_after: float | None, now: float) -> float:
        """Begin a pause and return how many seconds it lasts.

        :param retry_after: the ``Retry-After`` of the response (RFC 9110 §10.2.3).
        """
        ceiling = min(self._longest, FIRST_PAUSE * 2.0 ** min(self.failures, 30))
        floor = min(FIRST_PAUSE, ceiling)
        pause = max(self._rng.uniform(floor, ceiling), retry_after or 0.0)
        self.failures += 1
        self.last_failure = reason
        self.ends_at = now + pause
        return pause

    def pause(self, reason: str, now: float) -> None:
        """Begin the shortest pause, for a reason in this process that is not a failed fetch."""
        self.last_failure = reason
        self.ends_at = max(self.ends_at, now + FIRST_PAUSE)

    def succeeded(self) -> None:
        """End the pause and forget the failures."""
        self.failures = 0
        self.last_failure = None
        self.ends_at = 0.0
