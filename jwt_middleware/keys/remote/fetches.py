"""The fetches of one key source: one at a time, shared by all callers.

It owns the only lock of the source. The lock is held for microseconds: never during a fetch, a
parse or a call of an observer.
"""

from collections.abc import Callable

from jwt_middleware.forks import TinyLock
from jwt_middleware.keys.remote.fetch_limits import FetchLimits, Suppressed
from jwt_middleware.keys.remote.pool_limits import PoolShare
from jwt_middleware.keys.remote.rate_limits import FIRST_PAUSE
from jwt_middleware.keys.remote.shared_fetch import (
    CROWD_PATIENCE,
    MAX_UNKNOWN_KID_WAITERS,
    SharedFetch,
    Waiter,
    in_crowd,
    until_over,
)

# A fetch counts as lost this many seconds after its timeout, because the look-up of a host's
# address has no timeout of its own and must not block a source for minutes.
LEASE_GRACE = 1.0

# The most threads of one source that hang in a fetch that was given up. A thread cannot be stopped,
# so that beyond this number no fetch begins until one of them ends.
MAX_STUCK = 4


class Fetches:
    """Begins fetches, and returns waiters for the fetch under way.

    Those that begin, join or end a fetch are called with :attr:`lock` held, but not
    :meth:`send_off` and :meth:`abandon`. The others read attributes, and need no lock.
    """

    def __init__(
        self,
        carry_out: Callable[[SharedFetch], None],
        limits: FetchLimits,
        share: PoolShare | None,
        seconds: float,
        monotonic: Callable[[], float],
    ) -> None:
        """
        :param carry_out: performs a fetch and applies its outcome, on the thread of the fetch.
        :param share: the share in the limit of simultaneous fetches over several sources.
        :param seconds: the time that one fetch may take.
        :param monotonic: returns the monotonic time.
        """
        self.lock = TinyLock()
        self.current: SharedFetch | None = None
        self._carry_out = carry_out
        self._limits = limits
        self._share = share
        self._seconds = seconds
        self._lease = seconds + LEASE_GRACE
        self._monotonic = monotonic
        self._begun = 0
        self._left_behind: tuple[SharedFetch, ...] = ()
        """Fetches that made room for others, and whose threads may still run."""

    def is_busy(self, now: float) -> bool:
        """Return whether no fetch may begin now. The result is a guess."""
        fetch = self.current
        if fetch is not None:
            return not self._is_overdue(fetch, now)
        return not self._may_begin(now)

    def is_fetching(self, now: float) -> bool:
        """Return whether a fetch is under way that may still be in time."""
        fetch = self.current
        return fetch is not None and not self._is_overdue(fetch, now)

    def stuck(self, now: float) -> int:
        """Return how many threads hang in fetches that took too long."""
        fetches = (*self._left_behind, self.current)
        return sum(
            fetch is not None and fetch.is_running and self._is_overdue(fetch, now)
            for fetch in fetches
        )

    def _is_overdue(self, fetch: SharedFetch, now: float) -> bool:
        return now > fetch.started_at + self._lease

    def _may_begin(self, now: float) -> bool:
        return self._limits.may_fetch(now) and not self.has_too_many_stuck

    @property
    def has_too_many_stuck(self) -> bool:
        """Whether too many threads hang for another fetch to begin."""
        return sum(fetch.is_running for fetch in self._left_behind) >= MAX_STUCK

    @property
    def obstacle(self) -> str:
        """Why no fetch has brought the keys, in a few words."""
        if self._limits.is_closed:
            return "closed"
        reason = self._limits.backoff.last_failure or "the fetch is not over"
        if self.has_too_many_stuck:
            return f"{MAX_STUCK} fetches are stuck, so that no other begins ({reason})"
        return reason

    def under_way(self, now: float) -> SharedFetch | None:
        """Return the fetch under way; give up one that takes too long."""
        fetch = self.current
        if fetch is not None and self._is_overdue(fetch, now):
            self.free(fetch)
            # A fetch that no thread has claimed says nothing about the issuer, so only a claimed
            # one counts as a failure.
            if not fetch.claim():
                self._limits.backoff.failed("took too long", None, now)
        return self.current

    def wait(self, now: float, reason: str) -> Waiter | Suppressed | None:
        """Return a waiter for the fetch under way or a new one; ``None`` if none may begin."""
        fetch = self.under_way(now) or self._begin(now, reason)
        if not isinstance(fetch, SharedFetch):
            return fetch
        if fetch.is_run_here:
            return None
        waiter = until_over(fetch, now)
        if self._may_be_patient():
            return waiter
        return in_crowd(waiter, now) or Suppressed("too many waiting", CROWD_PATIENCE)

    def _may_be_patient(self) -> bool:
        return self._share is None or self._share.may_be_patient()

    def wait_for_unknown_kid(self, kid: str | None, now: float) -> Waiter | Suppressed:
        """Return a waiter for a fetch that may bring an unknown key id, or why there is none."""
        fetch = self.under_way(now)
        if fetch is not None:
            return self._join(fetch, kid, now)
        begun = self._begin_for_unknown_kid(kid, now)
        if isinstance(begun, Suppressed):
            return begun
        begun.unknown_kid_waiters += 1
        return Waiter(begun, begun.patience, now, began_it=True)

    def _join(self, fetch: SharedFetch, kid: str | None, now: float) -> Waiter | Suppressed:
        if fetch.is_run_here:
            return Suppressed("paused", FIRST_PAUSE)
        waiter = until_over(fetch, now)
        if fetch.unknown_kid_waiters < MAX_UNKNOWN_KID_WAITERS and self._may_be_patient():
            fetch.unknown_kid_waiters += 1
            return waiter
        is_wanted = kid == fetch.kid or kid in self._limits.removed_kids
        crowded = in_crowd(waiter, now) if is_wanted else None
        return crowded or Suppressed("too many waiting", CROWD_PATIENCE)

    def _begin_for_unknown_kid(self, kid: str | None, now: float) -> SharedFetch | Suppressed:
        if self.has_too_many_stuck:
            return Suppressed("paused", FIRST_PAUSE)
        reason = self._limits.reason_for(kid, now)
        if isinstance(reason, Suppressed):
            return reason
        begun = self._begin(now, reason, kid)
        if not isinstance(begun, SharedFetch):
            # Other issuers' fetches take all the places, which counts as a flood, too.
            return begun or Suppressed("over budget", FIRST_PAUSE)
        self._limits.spend(kid, now)
        return begun

    def in_background(self, now: float) -> SharedFetch | None:
        """Return a new fetch without a waiter; ``None`` if one is under way or none may begin."""
        return None if self.under_way(now) is not None else self._begin_or_none(now, "refresh")

    def for_replaced_kid(self, now: float) -> SharedFetch | None:
        """Return a new fetch after a bad signature with a known key id, if it is allowed."""
        if self.under_way(now) is not None or not self._limits.take_replaced_kid(now):
            return None
        return self._begin_or_none(now, "replaced kid")

    def _begin_or_none(self, now: float, reason: str) -> SharedFetch | None:
        begun = self._begin(now, reason)
        return begun if isinstance(begun, SharedFetch) else None

    def _begin(
        self, now: float, reason: str, kid: str | None = None
    ) -> SharedFetch | Suppressed | None:
        """Begin a fetch, unless the backoff or the limit over several sources forbids it."""
        if not self._may_begin(now):
            return None
        fetch = SharedFetch(
            self._carry_out,
            self.abandon,
            number=self._begun + 1,
            reason=reason,
            seconds=self._seconds,
            now=now,
            kid=kid,
        )
        share = self._share
        refusal = None if share is None else share.take(now, self._lease, fetch.threads)
        if refusal is not None:
            # Issuer names can be invented, so a refusal of an unproven issuer does not mean that
            # its keys are unavailable.
            is_proven = refusal.standing == "proven"
            return None if is_proven else Suppressed("over budget", refusal.seconds)
        self._begun += 1
        self.current = fetch
        return fetch

    def free(self, fetch: SharedFetch) -> None:
        """Make room for the next fetch. No-op: a fetch that was already given up."""
        if self.current is fetch:
            self.current = None
            self._left_behind = tuple(
                each for each in (*self._left_behind, fetch) if each.is_running
            )
            if self._share is not None:
                self._share.give_back()

    def send_off(self, fetch: SharedFetch | None) -> None:
        """Start a fetch in the background."""
        if fetch is not None and fetch.claim():
            fetch.start()

    def close(self) -> SharedFetch | None:
        """Forbid further fetches; return the fetch under way, which the caller must finish."""
        fetch = self.current
        if fetch is not None:
            self.free(fetch)
        self._limits.is_closed = True
        return fetch

    def abandon(self, fetch: SharedFetch, reason: str) -> None:
        """Make room for the next fetch, because no thread will perform this one.

        The pause prevents that every request tries again until threads can be started.
        """
        with self.lock:
            if self.current is fetch:
                self._limits.backoff.pause(reason, self._monotonic())
            self.free(fetch)

    def after_fork(self) -> None:
        """Reset the lock and the fetch in a forked child: they belong to the parent process."""
        self.lock = TinyLock()
        self.current = None
        self._left_behind = ()
        if self._share is not None:
            self._share.after_fork()
