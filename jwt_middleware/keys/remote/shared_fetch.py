"""One fetch under way, shared by everyone who needs it, and the small lock of a key source.

A flight belongs to nobody: a waiter who gives up takes nothing from the others, and nothing of it
is bound to an event loop. If the thread that flies it dies, a fresh one takes over.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal

from jwt_middleware.forks import renew_after_fork
from jwt_middleware.keys.remote.rate_limits import Bucket

# Added to what a fetch may take, so that its own end is what a waiter sees.
GRACE = 0.5

# Of those who wait for a kid that nobody knows yet, this many wait as long as the fetch takes. Kids
# can be invented, and must not hold every worker of a server while a publisher is slow.
MAX_STRANGERS = 8

# Beyond them, callers with the very kid that is being fetched for wait this many seconds: after a
# rotation without notice it is everybody's, and a healthy publisher answers sooner.
CROWD_PATIENCE = 1.0

# While keys that still serve are there, a request waits this many seconds for their renewal, from
# the start of the fetch: a publisher that hangs must not hold every worker of a server.
STALE_PATIENCE = 1.0

# Fetches at once over all the issuers of a pool: tokens can name many issuers in one second.
MAX_FLIGHTS = 8

# What tokens of issuers that were never proven may cause together: a deployment that starts with
# forty tenants fetches all their keys at once, and a flood of invented names one set a second.
UNPROVEN_BURST = 40
UNPROVEN_INTERVAL = 1.0


class KeyFlight:
    """A fetch of one key set."""

    def __init__(
        self,
        task: Callable[["KeyFlight"], None],
        abandon: Callable[["KeyFlight"], None],
        *,
        number: int,
        reason: str,
        seconds: float,
        now: float,
        kid: str | None = None,
    ) -> None:
        """
        :param task: fetches, takes in the outcome and lands; raises only if its thread is to die.
        :param abandon: told that nobody will fly this any more.
        :param number: counts the flights of one source.
        :param reason: why it was launched, in a word.
        :param seconds: time that the fetch may take.
        :param now: the monotonic time of the launch.
        :param kid: the unknown kid that it was launched for.
        """
        self.future: Future[None] = Future()
        # A RUNNING future ignores the cancellation that a waiter's wrapper passes on.
        self.future.set_running_or_notify_cancel()
        self.patience = seconds + GRACE
        self.number = number
        self.reason = reason
        self.launched_at = now
        self.kid = kid
        self.strangers = 0
        self.succeeded = False
        self._task = task
        self._abandon = abandon
        self._claim = threading.Lock()
        self._may_hand_over = True
        self._pilot: int | None = None

    @property
    def is_flown_here(self) -> bool:
        """Whether this thread is the one that flies it, and would wait for itself."""
        return self._pilot == threading.get_ident()

    def claim(self) -> bool:
        """Return ``True`` to exactly one caller."""
        return self._claim.acquire(blocking=False)

    def fly(self) -> None:
        """Fetch here, and wake the waiters whatever happens."""
        self._pilot = threading.get_ident()
        try:
            self._task(self)
        except BaseException:
            # Not a failed fetch, which the task takes in itself, but the end of this thread: a
            # worker that is told to exit, a killed greenlet. The others still want the keys.
            self._hand_over()
            raise
        self.land()

    def _hand_over(self) -> None:
        may, self._may_hand_over = self._may_hand_over and not self.future.done(), False
        if not (may and self._start_thread()):
            self.give_up()

    def start(self) -> None:
        """Fetch on a short-lived thread, which does not keep the interpreter from its end."""
        if not self._start_thread():
            # Threads can be forbidden or used up: whoever needs the keys is better slow than wrong.
            self.fly()

    def start_behind(self) -> bool:
        """Do the same for nobody in particular: without a thread it is given up."""
        if self._start_thread():
            return True
        self.give_up()
        return False

    def _start_thread(self) -> bool:
        try:
            threading.Thread(target=self.fly, name="jwt_middleware.keys", daemon=True).start()
        except RuntimeError:
            return False
        return True

    def give_up(self) -> None:
        """Free the source's slot and wake the waiters with nothing."""
        self._abandon(self)
        self.land()

    def land(self) -> None:
        """Wake the waiters; a second landing is nothing."""
        # Two threads may land it: the one that flew, and one that closes the source.
        with suppress(InvalidStateError):
            self.future.set_result(None)


@dataclass(frozen=True, slots=True)
class Seat:
    """One waiter's place on a flight, which may have less patience than the flight."""

    flight: KeyFlight
    patience: float
    taken_at: float
    is_in_crowd: bool = False
    """Whether it waits with many others for a kid that nobody knows."""
    has_old_keys: bool = False
    """Whether keys that still serve are there, so that it must not wait for long."""

    @property
    def future(self) -> "Future[None]":
        """Done when the flight is over."""
        return self.flight.future

    def claim(self) -> bool:
        """Return ``True`` to exactly one waiter: the one who must fly or start it."""
        return self.flight.claim()

    def fly(self) -> None:
        """Fetch here, unless the fetch may take longer than this waiter waits."""
        if self.has_old_keys:
            self.flight.start()
        else:
            self.flight.fly()

    def start(self) -> None:
        """Fetch on a thread."""
        self.flight.start()


def brief(seat: Seat, now: float) -> Seat | None:
    """Return a seat for a waiter with old keys; ``None`` where it has been too long already."""
    left = STALE_PATIENCE - (now - seat.flight.launched_at)
    if left <= 0:
        return None
    return replace(seat, patience=min(seat.patience, left), has_old_keys=True)


class FlightLimit:
    """How many flights may be under way at once, over several sources that share it.

    A token can name a source before anything of it is verified. So sources that have served a good
    token have places of their own, and all others share a budget: it outlives each of them, and
    whoever invents names spends what is invented names', not what keeps the proven ones alive.
    """

    def __init__(
        self,
        most: int = MAX_FLIGHTS,
        budget: Bucket | None = None,
    ) -> None:
        """
        :param most: flights at once of proven sources, and as many of the others.
        :param budget: flights of those that are not proven; without it they are not counted.
        """
        self._most = most
        self._budget = budget
        self._lock = TinyLock()
        self._under_way = {True: 0, False: 0}
        renew_after_fork(self)

    def take(self, now: float, *, is_proven: bool) -> "Refusal | None":
        """Take a place; return why there is none."""
        with self._lock:
            if not is_proven and self._budget is not None and not self._budget.take(now):
                return "over budget"
            if self._under_way[is_proven] >= self._most:
                return "all places taken"
            self._under_way[is_proven] += 1
            return None

    def give_back(self, *, is_proven: bool) -> None:
        """Give a place back."""
        with self._lock:
            self._under_way[is_proven] = max(0, self._under_way[is_proven] - 1)

    def seconds_until_next(self, now: float) -> float:
        """Return after how many seconds the budget allows one more flight."""
        return 0.0 if self._budget is None else self._budget.seconds_until_next(now)

    def after_fork(self) -> None:
        """Forget the flights of the parent process."""
        self._lock = TinyLock()
        self._under_way = {True: 0, False: 0}


class Share:
    """One source's part in a limit."""

    def __init__(self, limit: FlightLimit) -> None:
        self._limit = limit
        self.is_proven = False
        """Whether the source has served a good token."""
        self._taken_as: bool | None = None

    def take(self, now: float) -> "Refusal | None":
        """Take a place; return why there is none."""
        is_proven = self.is_proven
        refusal = self._limit.take(now, is_proven=is_proven)
        if refusal is None:
            self._taken_as = is_proven
        return refusal

    def give_back(self) -> None:
        """Give back the place that was taken last."""
        if self._taken_as is not None:
            self._limit.give_back(is_proven=self._taken_as)
            self._taken_as = None

    def seconds_until_next(self, now: float) -> float:
        """Return after how many seconds the budget allows one more flight."""
        return self._limit.seconds_until_next(now)

    def after_fork(self) -> None:
        """Forget the flight of the parent process."""
        self._taken_as = None


Refusal = Literal["over budget", "all places taken"]
"""Why a source may not fetch now although nothing is wrong with it."""


TinyLock = threading.Lock
"""Held for microseconds, never over a fetch, a parse or an observer."""
