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
)

# A fetch counts as lost this many seconds after its timeout, because the look-up of a host's
# address has no timeout of its own and must not block a source for minutes.
LEASE_GRACE = 1.0


class Fetches:
    """Begins fetches, and returns waiters for the fetch under way.

    All but :meth:`is_busy`, :meth:`send_off` and :meth:`abandon` are called with :attr:`lock` held.
    """

    def __init__(
        self,
        carry_out: Callable[[SharedFetch], None],
        limits: FetchLimits,
        share: PoolShare | None,
        seconds: float,
    ) -> None:
        """
        :param carry_out: performs a fetch and applies its outcome, on any thread.
        :param share: the share in the limit of simultaneous fetches over several sources.
        :param seconds: the time that one fetch may take.
        """
        self.lock = TinyLock()
        self.current: SharedFetch | None = None
        self._carry_out = carry_out
        self._limits = limits
        self._share = share
        self._seconds = seconds
        self._lease = seconds + LEASE_GRACE
        self._begun = 0

    def is_busy(self, now: float) -> bool:
        """Return whether no fetch may begin now. Without the lock the result is a guess."""
        fetch = self.current
        if fetch is not None:
            return now <= fetch.started_at + self._lease
        return not self._limits.may_fetch(now)

    def under_way(self, now: float) -> SharedFetch | None:
        """Return the fetch under way; give up one that takes too long."""
        fetch = self.current
        if fetch is not None and now > fetch.started_at + self._lease:
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
        waiter = Waiter(fetch, fetch.patience, now)
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
        waiter = Waiter(fetch, fetch.patience, now)
        if fetch.unknown_kid_waiters < MAX_UNKNOWN_KID_WAITERS and self._may_be_patient():
            fetch.unknown_kid_waiters += 1
            return waiter
        is_wanted = kid == fetch.kid or kid in self._limits.removed_kids
        crowded = in_crowd(waiter, now) if is_wanted else None
        return crowded or Suppressed("too many waiting", CROWD_PATIENCE)

    def _begin_for_unknown_kid(self, kid: str | None, now: float) -> SharedFetch | Suppressed:
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
        if not self._limits.may_fetch(now):
            return None
        refusal = None if self._share is None else self._share.take(now, self._lease)
        if refusal is not None:
            # Issuer names can be invented, so a refusal of an unproven issuer does not mean that
            # its keys are unavailable.
            is_proven = refusal.standing == "proven"
            return None if is_proven else Suppressed("over budget", refusal.seconds)
        self._begun += 1
        self.current = SharedFetch(
            self._carry_out,
            self.abandon,
            number=self._begun,
            reason=reason,
            seconds=self._seconds,
            now=now,
            kid=kid,
        )
        return self.current

    def free(self, fetch: SharedFetch) -> None:
        """Make room for the next fetch. No-op: a fetch that was already given up."""
        if self.current is fetch:
            self.current = None
            if self._share is not None:
                self._share.give_back()

    def send_off(self, fetch: SharedFetch | None, now: float) -> None:
        """Start a fetch in the background. Called without the lock."""
        if fetch is not None and fetch.claim() and not fetch.fetch_in_background():
            # No thread can be started. A request that must wait will fetch on its own thread. The
            # pause prevents that every request tries again until then.
            with self.lock:
                self._limits.backoff.pause(now)

    def close(self) -> SharedFetch | None:
        """Forbid further fetches; return the fetch under way, which the caller must finish."""
        fetch = self.current
        if fetch is not None:
            self.free(fetch)
        self._limits.is_closed = True
        return fetch

    def abandon(self, fetch: SharedFetch) -> None:
        """Make room for the next fetch, because no thread will perform this one."""
        with self.lock:
            self.free(fetch)

    def after_fork(self) -> None:
        """Reset the lock and the fetch in a forked child: they belong to the parent process."""
        self.lock = TinyLock()
        self.current = None
        if self._share is not None:
            self._share.after_fork()
