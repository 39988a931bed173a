"""What one key source may fetch now, and what that has cost. It only answers.

Its methods are called with the lock of the source held: nothing in here waits, fetches or tells.
"""

import random
from dataclasses import dataclass
from typing import Literal

from jwt_middleware.keys.remote.options import ResolverOptions
from jwt_middleware.keys.remote.rate_limits import Backoff, RateLimit, UnknownKids

# Kids that are remembered as gone. Each is good for one fetch, so they are few; a set has fewer.
MAX_REMOVED_KIDS = 100

Cause = Literal["paused", "asked before", "over budget", "too many waiting"]
"""Why nobody is asked."""

UnknownKidReason = Literal["unknown kid", "vanished kid"]


@dataclass(frozen=True, slots=True)
class Suppressed:
    """A fetch that is not begun, or not waited for."""

    cause: Cause
    seconds: float
    """Time after which asking may help."""


class FetchLimits:
    """The pause after failures, the budgets of unknown kids, and the end."""

    def __init__(self, options: ResolverOptions, rng: random.Random, now: float) -> None:
        self.backoff = Backoff(options.max_backoff, rng)
        self.unknown_kids = UnknownKids()
        self.removed_kids: dict[str, None] = {}
        """Kids that were in a set and are no longer, the latest last, until they are asked for."""
        self.is_closed = False
        self._budget = RateLimit(options.unknown_kid_burst, options.unknown_kid_interval, now)
        interval = options.replaced_kid_interval
        self._replaced = None if interval is None else RateLimit(1, interval, now)

    def may_fetch(self, now: float) -> bool:
        """Return whether a fetch is allowed now."""
        return not self.is_closed and not self.backoff.is_waiting(now)

    def reason_for(self, kid: str | None, now: float) -> UnknownKidReason | Suppressed:
        """Return as what an unknown kid may be fetched for, or why not. Spends nothing."""
        if not self.may_fetch(now):
            return Suppressed("paused", self.backoff.ends_at - now)
        if kid is not None and kid in self.removed_kids:
            # It was in the set before this one: some publishers drop keys for a moment while they
            # roll over. One more look, on no budget but its own.
            return "vanished kid"
        if (delay := self.unknown_kids.retry_in(kid, now)) > 0:
            return Suppressed("asked before", delay)
        if not self._budget.has_one(now):
            return Suppressed("over budget", self._budget.seconds_until_next(now))
        return "unknown kid"

    def spend(self, kid: str | None, now: float) -> None:
        """Pay for a fetch for an unknown kid that :meth:`reason_for` allowed."""
        if kid is not None and kid in self.removed_kids:
            del self.removed_kids[kid]
        else:
            self._budget.take(now)

    def take_replaced_kid(self, now: float) -> bool:
        """Pay for a look whether a known key was replaced, where that is wanted."""
        return self._replaced is not None and self.may_fetch(now) and self._replaced.take(now)

    def succeeded(self, kids: frozenset[str], before: frozenset[str]) -> None:
        """Take note of a fetch that brought a set.

        :param kids: the names of its keys.
        :param before: those of the set before.
        """
        self.backoff.succeeded()
        self.unknown_kids.forget(kids)
        gone = {**self.removed_kids, **dict.fromkeys(before)}
        latest = list(gone)[-MAX_REMOVED_KIDS:]
        self.removed_kids = {kid: None for kid in latest if kid not in kids}
