"""Limits how many fetches may be under way at once, over the sources of a pool.

A token names its source before it is verified, so sources are distinguished by their tokens. A
*proven* source is in service and a token of it was verified. A *returning* source was proven before
it lost its place. All others are *new*. Each kind has places of its own. New sources share one
budget, which outlives each of them. A returning source has a small budget by its name. So invented
names only use up the budget of new sources, and proven sources are not affected.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from jwt_middleware.forks import TinyLock, renew_after_fork
from jwt_middleware.keys.remote.rate_limits import FIRST_PAUSE, RateLimit

# The most fetches at once over all issuers of a pool, because tokens can name many in one second.
MAX_FETCHES = 8

# The most threads that hang in fetches that were given up, for each kind of source. One source has
# at most four, so that seven proven sources whose hosts hang do not stop the others.
MAX_STUCK = 32

# The budget of all new issuers together. A deployment that starts with forty tenants fetches all
# their keys at once, and a flood of invented names causes one fetch a second.
UNPROVEN_BURST = 40
UNPROVEN_INTERVAL = 1.0

# The budget of one returning issuer. Its name is known, so any client can write it into a token.
RETURNING_BURST = 2
RETURNING_INTERVAL = 10.0

# The most callers that wait as long as a fetch takes, over all unproven issuers, because invented
# names must not block every worker of a server while issuers are slow.
MAX_PATIENT_WAITERS = 8

Standing = Literal["proven", "returning", "new"]


@dataclass(frozen=True, slots=True)
class PoolRefusal:
    """The refusal of a fetch because of a limit, although the source is in order."""

    standing: Standing
    seconds: float
    """Seconds after which the source may fetch."""


@dataclass(slots=True, eq=False)
class Lease:
    """A place for one fetch. It expires by itself, even if the fetch never ends."""

    standing: Standing
    ends_at: float
    threads: Collection[object]
    """The threads of the fetch that have not ended. The fetch would keep its source alive."""
    patient_waiters: int = 0


class PoolLimit:
    """The places for fetches of a pool, and the budget of its new sources."""

    def __init__(self, most: int = MAX_FETCHES, budget: RateLimit | None = None) -> None:
        """
        :param most: the most fetches at once for each kind: proven, returning and new sources.
        :param budget: the budget of new sources; without it their fetches are not counted.
        """
        self._most = most
        self._budget = budget
        self._leases: list[Lease] = []
        self._lock = TinyLock()
        renew_after_fork(self)

    def take(
        self,
        now: float,
        seconds: float,
        standing: Standing,
        own: RateLimit | None,
        threads: Collection[object],
    ) -> Lease | PoolRefusal:
        """Take a place and charge the budget, or return why it cannot.

        :param seconds: the time after which the place is free again, at the latest.
        :param own: the budget of a returning source.
        :param threads: the threads of the fetch, empty when they have ended.
        """
        budget = {"proven": None, "returning": own, "new": self._budget}[standing]
        with self._lock:
            if self._is_full(standing, now):
                return PoolRefusal(standing, FIRST_PAUSE)
            # The budget is charged last, so that a fetch without a place spends nothing.
            if budget is not None and not budget.take(now):
                return PoolRefusal(standing, budget.seconds_until_next(now))
            lease = Lease(standing, now + seconds, threads)
            self._leases.append(lease)
            return lease

    def _is_full(self, standing: Standing, now: float) -> bool:
        self._leases = [each for each in self._leases if now <= each.ends_at or each.threads]
        places = stuck = 0
        for each in self._leases:
            if now > each.ends_at:
                each.patient_waiters = 0
                stuck += each.standing == standing
            else:
                places += each.standing == standing
        return places >= self._most or stuck >= MAX_STUCK

    def give_back(self, lease: Lease) -> None:
        """Give a place back; its thread counts until it ends. No-op: a place that has expired."""
        with self._lock:
            lease.ends_at, lease.patient_waiters = -math.inf, 0

    def may_be_patient(self, lease: Lease) -> bool:
        """Return whether one more caller may wait as long as the fetch of a lease takes."""
        if lease.standing == "proven":
            return True
        with self._lock:
            others = (each for each in self._leases if each.standing != "proven")
            if sum(each.patient_waiters for each in others) >= MAX_PATIENT_WAITERS:
                return False
            lease.patient_waiters += 1
            return True

    def after_fork(self) -> None:
        """Forget the fetches of the parent process."""
        self._lock = TinyLock()
        self._leases = []


class PoolShare:
    """One source's share in a :class:`PoolLimit`."""

    def __init__(self, limit: PoolLimit) -> None:
        self._limit = limit
        self._lease: Lease | None = None
        self.is_proven = False
        """Whether the source is in service and a token of it was verified."""
        self.returning: RateLimit | None = None
        """The budget of a source that was proven before."""

    def take(
        self, now: float, seconds: float, threads: Collection[object] = ()
    ) -> PoolRefusal | None:
        """Take a place for at most ``seconds``; return the refusal if it cannot.

        :param threads: the threads of the fetch, empty when they have ended.
        """
        standing: Standing = "new" if self.returning is None else "returning"
        if self.is_proven:
            standing = "proven"
        taken = self._limit.take(now, seconds, standing, self.returning, threads)
        if isinstance(taken, PoolRefusal):
            return taken
        self._lease = taken
        return None

    def give_back(self) -> None:
        """Give back the place that was taken last."""
        lease, self._lease = self._lease, None
        if lease is not None:
            self._limit.give_back(lease)

    def may_be_patient(self) -> bool:
        """Return whether one more caller may wait as long as the fetch under way takes."""
        return self._lease is None or self._limit.may_be_patient(self._lease)

    def after_fork(self) -> None:
        """Forget the fetch of the parent process."""
        self._lease = None
