"""What failures and unknown kids may cost. Their owner holds the lock."""

import random
from collections.abc import Iterable

from cachetools import LRUCache

# 1,024 kids of at most 256 characters stay under a megabyte.
MAX_REMEMBERED = 1_024
FIRST_RETRY_DELAY = 10.0
LONGEST_RETRY_DELAY = 60.0

# The first pause after a failure; each further one is twice as long, up to an option.
FIRST_PAUSE = 1.0


class RateLimit:
    """Fetches that may be spent, refilled one by one as time passes."""

    def __init__(self, burst: int, interval: float, now: float) -> None:
        """
        :param burst: fetches that may be spent at once.
        :param interval: seconds in which one comes back.
        """
        self._interval = interval
        self._lead = burst * interval
        self._paid_until = now

    def take(self, now: float) -> bool:
        """Spend one, if there is one."""
        # Each fetch pays for one interval, and the burst may be paid ahead. Adding up what came
        # back since the last call would lose a fetch to rounding.
        paid_until = max(self._paid_until, now) + self._interval
        if paid_until > now + self._lead:
            return False
        self._paid_until = paid_until
        return True

    def has_one(self, now: float) -> bool:
        """Return whether there is one to spend."""
        return self.seconds_until_next(now) <= 0

    def seconds_until_next(self, now: float) -> float:
        """Return after how many seconds there is one to spend."""
        return max(0.0, max(self._paid_until, now) + self._interval - now - self._lead)


class UnknownKids:
    """Kids that were asked for in vain: each is left alone for 10, 20, 40, 60 seconds.

    Without it one replayed token would drain the budget that a new key needs.
    """

    def __init__(self) -> None:
        self._delays: LRUCache[str | None, tuple[float, float]] = LRUCache(MAX_REMEMBERED)

    def __len__(self) -> int:
        return len(self._delays)

    def retry_in(self, kid: str | None, now: float) -> float:
        """Return for how many seconds ``kid`` is to be left alone still."""
        until, _ = self._delays.get(kid, (now, 0.0))
        return max(0.0, until - now)

    def add(self, kid: str | None, now: float) -> None:
        """Remember that a fetch did not bring ``kid``."""
        _, delay = self._delays.get(kid, (0.0, FIRST_RETRY_DELAY / 2))
        delay = min(delay * 2, LONGEST_RETRY_DELAY)
        self._delays[kid] = (now + delay, delay)

    def forget(self, kids: Iterable[str]) -> None:
        """Forget the misses of kids that are published now."""
        for kid in kids:
            self._delays.pop(kid, None)


class Backoff:
    """The pause after a failure: a second, then up to twice as long each time."""

    def __init__(self, longest: float, rng: random.Random) -> None:
        """
        :param longest: seconds of the longest pause that is our own choice.
        :param rng: spreads several processes over the pause.
        """
        self._longest = longest
        self._rng = rng
        self.failures = 0
        self.last_failure: str | None = None
        self.ends_at = 0.0

    def is_waiting(self, now: float) -> bool:
        """Return whether nothing may be fetched yet."""
        return now < self.ends_at

    def failed(self, reason: str, retry_after: float | None, now: float) -> float:
        """Begin a pause and return how many seconds it lasts.

        :param retry_after: what the publisher asks for (RFC 9110 §10.2.3).
        """
        ceiling = min(self._longest, FIRST_PAUSE * 2.0 ** min(self.failures, 30))
        floor = min(FIRST_PAUSE, ceiling)
        pause = max(self._rng.uniform(floor, ceiling), retry_after or 0.0)
        self.failures += 1
        self.last_failure = reason
        self.ends_at = now + pause
        return pause

    def pause(self, now: float) -> None:
        """Begin the shortest pause, for a reason of our own."""
        self.ends_at = max(self.ends_at, now + FIRST_PAUSE)

    def succeeded(self) -> None:
        """End the pause and forget the failures."""
        self.failures = 0
        self.last_failure = None
        self.ends_at = 0.0
