"""How many fetches may be under way at once, over the sources of a pool.

A token can name a source before anything of it is verified. So sources are told apart by what their
tokens have shown: *proven* ones are in service and have shown a good token, *returning* ones had
shown one before they lost their place, all others are *new*. Each kind has places of its own. New
ones share a budget that outlives each of them, and a returning one has a small budget by its name:
whoever invents names spends what is invented names', not what keeps the proven ones alive.
"""

from dataclasses import dataclass
from typing import Literal

from jwt_middleware.forks import TinyLock, renew_after_fork
from jwt_middleware.keys.remote.rate_limits import FIRST_PAUSE, RateLimit

# Fetches at once over all the issuers of a pool: tokens can name many issuers in one second.
MAX_FETCHES = 8

# What tokens of issuers that were never proven may cause together: a deployment that starts with
# forty tenants fetches all their keys at once, and a flood of invented names one set a second.
UNPROVEN_BURST = 40
UNPROVEN_INTERVAL = 1.0

# What tokens of one issuer may cause that was proven once and has no place: its name is known, and
# anybody can write it.
RETURNING_BURST = 2
RETURNING_INTERVAL = 10.0

# Callers who wait as long as a fetch takes, over all issuers that are not proven: names can be
# invented, and must not hold every worker of a server while publishers are slow.
MAX_PATIENT_WAITERS = 8

Standing = Literal["proven", "returning", "new"]


@dataclass(frozen=True, slots=True)
class PoolRefusal:
    """Why a source may not fetch now although nothing is wrong with it."""

    standing: Standing
    seconds: float
    """Time after which it may."""


@dataclass(slots=True, eq=False)
class Lease:
    """A place for one fetch. It ends by itself, whatever becomes of the fetch."""

    standing: Standing
    ends_at: float
    patient_waiters: int = 0


class PoolLimit:
    """The places of a pool, and the budget of its new sources."""

    def __init__(self, most: int = MAX_FETCHES, budget: RateLimit | None = None) -> None:
        """
        :param most: fetches at once of proven sources, as many of returning ones, and of new ones.
        :param budget: fetches of new sources; without it they are not counted.
        """
        self._most = most
        self._budget = budget
        self._leases: list[Lease] = []
        self._lock = TinyLock()
        renew_after_fork(self)

    def take(
        self, now: float, seconds: float, standing: Standing, own: RateLimit | None
    ) -> Lease | PoolRefusal:
        """Take a place and spend what it costs, or tell why neither.

        :param seconds: time after which the place is free again, at the latest.
        :param own: the budget of a returning source.
        """
        budget = {"proven": None, "returning": own, "new": self._budget}[standing]
        with self._lock:
            self._leases = [lease for lease in self._leases if now <= lease.ends_at]
            if sum(lease.standing == standing for lease in self._leases) >= self._most:
                return PoolRefusal(standing, FIRST_PAUSE)
            # Only now: what finds no place spends nothing.
            if budget is not None and not budget.take(now):
                return PoolRefusal(standing, budget.seconds_until_next(now))
            lease = Lease(standing, now + seconds)
            self._leases.append(lease)
            return lease

    def give_back(self, lease: Lease) -> None:
        """Give a place back; one that has ended by itself is gone already."""
        with self._lock:
            self._leases = [each for each in self._leases if each is not lease]

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
    """One source's part in a limit."""

    def __init__(self, limit: PoolLimit) -> None:
        self._limit = limit
        self._lease: Lease | None = None
        self.is_proven = False
        """Whether the source is in service and has served a good token."""
        self.returning: RateLimit | None = None
        """The budget of a source that was proven before."""

    def take(self, now: float, seconds: float) -> PoolRefusal | None:
        """Take a place for so many seconds; return why there is none."""
        standing: Standing = "new" if self.returning is None else "returning"
        if self.is_proven:
            standing = "proven"
        taken = self._limit.take(now, seconds, standing, self.returning)
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
