"""The fetches of one key source: one at a time, for everyone who needs it.

Holds the one lock of the source. It is only ever held for microseconds: nothing is fetched, read or
told to an observer meanwhile.
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

# After this many seconds beyond its time a fetch counts as lost: looking up a host's address has no
# limit of its own, and must not block a source for minutes.
LEASE_GRACE = 1.0


class Fetches:
    """Begins fetches, and lets callers wait for the one under way.

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
        :param carry_out: fetches and takes in what comes, on whichever thread carries it out.
        :param share: in how many fetches may be under way at once, over several sources.
        :param seconds: time that one fetch may take.
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
        """Return whether there is nothing to begin. May be called without the lock, as a guess."""
        fetch = self.current
        if fetch is not None:
            return now <= fetch.started_at + self._lease
        return not self._limits.may_fetch(now)

    def under_way(self, now: float) -> SharedFetch | None:
        """Return the fetch under way; one that takes too long is left to itself."""
        fetch = self.current
        if fetch is not None and now > fetch.started_at + self._lease:
            self.free(fetch)
            # One that nobody has carried out says nothing about the publisher.
            if not fetch.claim():
                self._limits.backoff.failed("took too long", None, now)
        return self.current

    def wait(self, now: float, reason: str) -> Waiter | Suppressed | None:
        """Wait for the fetch under way or a new one; ``None`` while there must be none."""
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
        """Wait for a fetch that may bring a key which a good set has not, or tell why not."""
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
            # Other issuers' fetches take all the places: that is a flood, too.
            return begun or Suppressed("over budget", FIRST_PAUSE)
        self._limits.spend(kid, now)
        return begun

    def in_background(self, now: float) -> SharedFetch | None:
        """Return a new fetch that nobody waits for; ``None`` if there is one or must not be."""
        return None if self.under_way(now) is not None else self._begin_or_none(now, "refresh")

    def for_replaced_kid(self, now: float) -> SharedFetch | None:
        """Return a new fetch after a bad signature of a known kid, where that is wanted."""
        if self.under_way(now) is not None or not self._limits.take_replaced_kid(now):
            return None
        return self._begin_or_none(now, "replaced kid")

    def _begin_or_none(self, now: float, reason: str) -> SharedFetch | None:
        begun = self._begin(now, reason)
        return begun if isinstance(begun, SharedFetch) else None

    def _begin(
        self, now: float, reason: str, kid: str | None = None
    ) -> SharedFetch | Suppressed | None:
        """Begin a fetch, unless it must wait or others take all the places."""
        if not self._limits.may_fetch(now):
            return None
        refusal = None if self._share is None else self._share.take(now, self._lease)
        if refusal is not None:
            # Names can be invented: what they cannot have is no sign that anything is out of order.
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
        """Make room for the next fetch; for one that was left to itself already, nothing."""
        if self.current is fetch:
            self.current = None
            if self._share is not None:
                self._share.give_back()

    def send_off(self, fetch: SharedFetch | None, now: float) -> None:
        """Have a fetch carried out for nobody in particular. Called without the lock."""
        if fetch is not None and fetch.claim() and not fetch.fetch_in_background():
            # No thread to be had. A request that has to wait will fetch by itself; until then, not
            # every request need try.
            with self.lock:
                self._limits.backoff.pause(now)

    def close(self) -> SharedFetch | None:
        """Begin nothing any more; return what was under way, to be finished."""
        fetch = self.current
        if fetch is not None:
            self.free(fetch)
        self._limits.is_closed = True
        return fetch

    def abandon(self, fetch: SharedFetch) -> None:
        """Make room, since nobody will carry a fetch out any more."""
        with self.lock:
            self.free(fetch)

    def after_fork(self) -> None:
        """Start over in a forked child: the lock and the fetch are another process's."""
        self.lock = TinyLock()
        self.current = None
        if self._share is not None:
            self._share.after_fork()
