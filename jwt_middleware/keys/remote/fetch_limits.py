"""The bookkeeping of one key source: who flies, who may launch, and what it costs.

Its methods are called with :attr:`Ledger.lock` held, which is only ever held for microseconds:
nothing in here fetches, reads a document or calls an observer.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from jwt_middleware.forks import TinyLock
from jwt_middleware.keys.remote.options import ResolverOptions
from jwt_middleware.keys.remote.rate_limits import FIRST_PAUSE, Backoff, Bucket, Missed
from jwt_middleware.keys.remote.shared_fetch import (
    CROWD_PATIENCE,
    MAX_UNKNOWN_KID_WAITERS,
    Share,
    SharedFetch,
    Waiter,
)

Launch = Callable[..., SharedFetch]

# After this many seconds beyond its time a fetch counts as lost: looking up a host's address has
# no limit of its own, and must not block a source for minutes.
LEASE_GRACE = 1.0

# "No keys at all" must be said again after this many seconds to be believed: an issuer's bad minute
# must not lock everybody out.
EMPTY_CONFIRMED_AFTER = 10.0

# Kids that are remembered as gone. Each is good for one fetch, so they are few; a set has fewer.
MAX_REMOVED = 100

Cause = Literal["paused", "asked before", "over budget", "too many waiting"]
"""Why nobody is asked for an unknown kid."""


@dataclass(frozen=True, slots=True)
class Suppressed:
    """An unknown kid for which nobody is asked now."""

    cause: Cause
    seconds: float
    """Time after which asking may help."""


class Ledger:
    """What is under way and what was spent."""

    def __init__(
        self,
        options: ResolverOptions,
        spread: random.Random,
        launch: Launch,
        share: Share | None,
        now: float,
    ) -> None:
        """
        :param launch: makes a fetch of ``number``, ``reason``, ``now`` and ``kid``.
        :param share: in how many fetches may be under way at once, over several sources.
        """
        self.lock = TinyLock()
        self.fetch: SharedFetch | None = None
        self.backoff = Backoff(options.max_backoff, spread)
        self.missed = Missed()
        self.removed: dict[str, None] = {}
        """Kids that were in a set and are no longer, the latest last, until they are asked for."""
        self.is_closed = False
        self._lease = options.timeout + LEASE_GRACE
        self._launch = launch
        self._share = share
        self._strangers = Bucket(options.unknown_kid_burst, options.unknown_kid_interval, now)
        interval = options.replaced_kid_interval
        self._replacements = None if interval is None else Bucket(1, interval, now)
        self._empty_since: float | None = None
        self._launched = 0

    def is_busy(self, now: float) -> bool:
        """Return whether there is nothing to launch. May be called without the lock, as a guess."""
        fetch = self.fetch
        if fetch is not None:
            return now <= fetch.started_at + self._lease
        return not self.may_launch(now)

    def under_way(self, now: float) -> SharedFetch | None:
        """Return the fetch under way; one that outlived its lease is left to itself."""
        if self.fetch is not None and now > self.fetch.started_at + self._lease:
            self.free(self.fetch)
        return self.fetch

    def wait(self, now: float, reason: str) -> Waiter | Suppressed | None:
        """Wait for the fetch under way or on a new one; ``None`` while that must wait."""
        fetch = self.under_way(now) or self.new_fetch(now, reason)
        if isinstance(fetch, Suppressed):
            return fetch
        if fetch is None or fetch.is_run_here:
            return None
        return Waiter(fetch, fetch.patience, now)

    def new_fetch(
        self, now: float, reason: str, kid: str | None = None
    ) -> SharedFetch | Suppressed | None:
        """Launch, unless the gate is closed or others take all the places."""
        if not self.may_launch(now):
            return None
        refusal = None if self._share is None else self._share.take(now)
        if refusal == "over budget" and self._share is not None:
            return Suppressed("over budget", self._share.seconds_until_next(now))
        if refusal is not None:
            return None
        self._launched += 1
        self.fetch = self._launch(number=self._launched, reason=reason, now=now, kid=kid)
        return self.fetch

    def may_launch(self, now: float) -> bool:
        """Return whether a fetch is allowed now."""
        return not self.is_closed and not self.backoff.is_closed(now)

    def fetch_in_background(self, now: float, reason: str) -> SharedFetch | None:
        """Return a new fetch that nobody waits for; ``None`` if there is one or must not be."""
        return None if self.under_way(now) is not None else self._fetch_or_none(now, reason)

    def _fetch_or_none(self, now: float, reason: str) -> SharedFetch | None:
        fetch = self.new_fetch(now, reason)
        return None if isinstance(fetch, Suppressed) else fetch

    def fetch_for_replaced_kid(self, now: float) -> SharedFetch | None:
        """Return a new fetch after a bad signature of a known kid, where that is wanted."""
        bucket = self._replacements
        if (
            bucket is None
            or self.under_way(now)
            or not self.may_launch(now)
            or not bucket.take(now)
        ):
            return None
        return self._fetch_or_none(now, "replaced kid")

    def wait_for_unknown_kid(self, kid: str | None, now: float) -> Waiter | Suppressed:
        """Have a token wait whose kid nobody knows, or why there is none."""
        fetch = self.under_way(now) or self._fetch_for_unknown_kid(kid, now)
        if isinstance(fetch, Suppressed):
            return fetch
        if fetch.is_run_here:
            return Suppressed("paused", FIRST_PAUSE)
        if fetch.unknown_kid_waiters < MAX_UNKNOWN_KID_WAITERS:
            fetch.unknown_kid_waiters += 1
            return Waiter(fetch, fetch.patience, now)
        if kid == fetch.kid or kid in self.removed:
            return Waiter(fetch, min(fetch.patience, CROWD_PATIENCE), now, is_in_crowd=True)
        return Suppressed("too many waiting", CROWD_PATIENCE)

    def _fetch_for_unknown_kid(self, kid: str | None, now: float) -> SharedFetch | Suppressed:
        if not self.may_launch(now):
            return Suppressed("paused", self.backoff.opens_at - now)
        if kid is not None and kid in self.removed:
            # It was in the set before this one: some publishers drop keys for a moment while they
            # roll over. One more look, on no budget but its own.
            del self.removed[kid]
            return self._fetch_within_limit(now, "vanished kid", kid)
        if (silence := self.missed.silence(kid, now)) > 0:
            return Suppressed("asked before", silence)
        if not self._strangers.take(now):
            return Suppressed("over budget", self._strangers.seconds_until_next(now))
        return self._fetch_within_limit(now, "unknown kid", kid)

    def _fetch_within_limit(
        self, now: float, reason: str, kid: str | None
    ) -> SharedFetch | Suppressed:
        fetch = self.new_fetch(now, reason, kid)
        # Other issuers' fetches take all the places: that is a flood, too.
        return fetch or Suppressed("over budget", FIRST_PAUSE)

    def believes_empty(self, now: float) -> bool:
        """Return whether "no keys at all" was now said twice, far enough apart."""
        if self._empty_since is None:
            self._empty_since = now
        return now - self._empty_since >= EMPTY_CONFIRMED_AFTER

    def succeeded(self, kids: frozenset[str], before: frozenset[str], *, is_empty: bool) -> None:
        """Take note of a fetch that brought a set.

        :param kids: the names of its keys.
        :param before: those of the set before.
        """
        self.backoff.succeeded()
        self.missed.forget(kids)
        gone = {**self.removed, **dict.fromkeys(before)}
        self.removed = {kid: None for kid in list(gone)[-MAX_REMOVED:] if kid not in kids}
        if not is_empty:
            self._empty_since = None

    def free(self, fetch: SharedFetch) -> None:
        """Make room for the next fetch; for one that was left to itself already, nothing."""
        if self.fetch is fetch:
            self.fetch = None
            if self._share is not None:
                self._share.give_back()

    def after_fork(self) -> None:
        """Start over in a forked child: the lock and the fetch are another process's."""
        self.lock = TinyLock()
        self.fetch = None
        if self._share is not None:
            self._share.after_fork()
