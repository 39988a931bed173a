"""Decides whether one key source may fetch now, and counts the fetches of unknown key ids.

The methods are called with the lock of the source held, so they neither wait, fetch nor notify.
"""

import random
from dataclasses import dataclass
from typing import Literal

from jwt_middleware.keys.remote.options import ResolverOptions
from jwt_middleware.keys.remote.rate_limits import Backoff, RateLimit, UnknownKids

# The most removed key ids to remember. Each allows one fetch, so the number is small.
MAX_REMOVED_KIDS = 100

Cause = Literal["paused", "asked before", "over budget", "too many waiting"]
"""Why a fetch is not begun."""

UnknownKidReason = Literal["unknown kid", "vanished kid"]


@dataclass(frozen=True, slots=True)
class Suppressed:
    """The reason why a fetch is not begun, or why the caller does not wait for it."""

    cause: Cause
    seconds: float
    """Seconds after which another try may succeed."""


class FetchLimits:
    """The backoff after failures, the budgets of unknown key ids, and whether it is closed."""

    def __init__(self, options: ResolverOptions, rng: random.Random, now: float) -> None:
        self.backoff = Backoff(options.max_backoff, rng)
        self.unknown_kids = UnknownKids()
        self.removed_kids: dict[str, None] = {}
        """Key ids that were removed from the set, the latest last, until a fetch for them."""
        self.is_closed = False
        self._budget = RateLimit(options.unknown_kid_burst, options.unknown_kid_interval, now)
        interval = options.replaced_kid_interval
        self._replaced = None if interval is None else RateLimit(1, interval, now)

    def may_fetch(self, now: float) -> bool:
        """Return whether a fetch is allowed now."""
        return not self.is_closed and not self.backoff.is_waiting(now)

    def reason_for(self, kid: str | None, now: float) -> UnknownKidReason | Suppressed:
        """Return the reason for which an unknown key id may be fetched, or why it must not be.

        It spends nothing of a budget.
        """
        if not self.may_fetch(now):
            return Suppressed("paused", self.backoff.ends_at - now)
        if kid is not None and kid in self.removed_kids:
            # Some issuers drop keys for a moment while they rotate, so a removed key id allows one
            # fetch outside the budget.
            return "vanished kid"
        if (delay := self.unknown_kids.retry_in(kid, now)) > 0:
            return Suppressed("asked before", delay)
        if not self._budget.has_one(now):
            return Suppressed("over budget", self._budget.seconds_until_next(now))
        return "unknown kid"

    def spend(self, kid: str | None, now: float) -> None:
        """Charge the budget for a fetch that :meth:`reason_for` allowed."""
        if kid is not None and kid in self.removed_kids:
            del self.removed_kids[kid]
        else:
            self._budget.take(now)

    def take_replaced_kid(self, now: float) -> bool:
        """Charge for a fetch that checks whether a known key was replaced.

        :return: whether options, backoff and budget allow that fetch.
        """
        return self._replaced is not None and self.may_fetch(now) and self._replaced.take(now)

    def succeeded(self, kids: frozenset[str], before: frozenset[str]) -> None:
        """Record a fetch that brought a set.

        :param kids: the key ids of the set.
        :param before: the key ids of the previous set.
        """
        self.backoff.succeeded()
        self.unknown_kids.forget(kids)
        gone = {**self.removed_kids, **dict.fromkeys(before)}
        latest = list(gone)[-MAX_REMOVED_KIDS:]
        self.removed_kids = {kid: None for kid in latest if kid not in kids}
