"""One fetch under way, shared by everyone who needs it.

A fetch belongs to nobody: a waiter who gives up takes nothing from the others, and nothing of it is
bound to an event loop. If the thread that fetches dies, a fresh one takes over.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from concurrent.futures import wait as wait_for_futures
from contextlib import suppress
from dataclasses import dataclass, replace

# Added to what a fetch may take, so that its own end is what a waiter sees.
GRACE = 0.5

# Of those who wait for a kid that nobody knows yet, this many wait as long as the fetch takes. Kids
# can be invented, and must not hold every worker of a server while a publisher is slow.
MAX_UNKNOWN_KID_WAITERS = 8

# Beyond them, callers with the very kid that is being fetched for wait this many seconds: after a
# rotation without notice it is everybody's, and a healthy publisher answers sooner.
CROWD_PATIENCE = 1.0

# While keys that still serve are there, a request waits this many seconds for their renewal, from
# the start of the fetch: a publisher that hangs must not hold every worker of a server.
STALE_PATIENCE = 1.0


class SharedFetch:
    """A fetch of one key set."""

    def __init__(
        self,
        task: Callable[["SharedFetch"], None],
        abandon: Callable[["SharedFetch"], None],
        *,
        number: int,
        reason: str,
        seconds: float,
        now: float,
        kid: str | None = None,
    ) -> None:
        """
        :param task: fetches and takes in the outcome; raises only if its thread is to die.
        :param abandon: told that nobody will carry this out any more.
        :param number: counts the fetches of one source.
        :param reason: why it was begun, in a word.
        :param seconds: time that it may take.
        :param now: the monotonic time of its beginning.
        :param kid: the unknown kid that it was begun for.
        """
        self.future: Future[None] = Future()
        # A RUNNING future ignores the cancellation that a waiter's wrapper passes on.
        self.future.set_running_or_notify_cancel()
        self.patience = seconds + GRACE
        self.number = number
        self.reason = reason
        self.started_at = now
        self.kid = kid
        self.unknown_kid_waiters = 0
        self.succeeded = False
        self._task = task
        self._abandon = abandon
        self._claim = threading.Lock()
        self._may_hand_over = True
        self._thread: int | None = None

    @property
    def is_run_here(self) -> bool:
        """Whether this thread is the one that fetches, and would wait for itself."""
        return self._thread == threading.get_ident()

    def claim(self) -> bool:
        """Return ``True`` to exactly one caller: the one who must have it carried out."""
        return self._claim.acquire(blocking=False)

    def fetch_here(self) -> None:
        """Fetch on this thread, and wake the waiters whatever happens."""
        self._thread = threading.get_ident()
        try:
            self._task(self)
        except BaseException:
            # Not a failed fetch, which the task takes in itself, but the end of this thread: a
            # worker that is told to exit, a killed greenlet. The others still want the keys.
            self._hand_over()
            raise
        self.finish()

    def _hand_over(self) -> None:
        may = self._may_hand_over and not self.future.done()
        self._may_hand_over = False
        if not (may and self._start_thread()):
            self.give_up()

    def fetch_on_thread(self) -> None:
        """Fetch on a short-lived thread, which does not keep the interpreter from its end."""
        if not self._start_thread():
            # Threads can be forbidden or used up: whoever needs the keys is better slow than wrong.
            self.fetch_here()

    def fetch_in_background(self) -> bool:
        """Do the same for nobody in particular: without a thread it is given up."""
        if self._start_thread():
            return True
        self.give_up()
        return False

    def _start_thread(self) -> bool:
        try:
            threading.Thread(
                target=self.fetch_here, name="jwt_middleware.keys", daemon=True
            ).start()
        except RuntimeError:
            return False
        return True

    def give_up(self) -> None:
        """Free the source's slot and wake the waiters with nothing."""
        self._abandon(self)
        self.finish()

    def finish(self) -> None:
        """Wake the waiters; to finish twice is nothing."""
        # Two threads may finish it: the one that fetched, and one that closes the source.
        with suppress(InvalidStateError):
            self.future.set_result(None)


@dataclass(frozen=True, slots=True)
class Waiter:
    """One caller who waits for a fetch: the effect that a key source asks for."""

    fetch: SharedFetch
    patience: float
    """Seconds that it waits at the most, which may be less than the fetch may take."""
    began_at: float
    """The monotonic time of its source's clock when it began to wait."""
    began_it: bool = False
    """Whether the fetch was begun for the very token that waits: only then does what it brings say
    that the key of this token is not published."""
    is_in_crowd: bool = False
    """Whether it waits with many others, for what anybody can invent."""

    def perform(self, deadline: float) -> "Waited":
        """Wait by blocking; fetch here if nobody else does."""
        if self.fetch.claim():
            if self._seconds_left(deadline) < self.fetch.patience:
                # The fetch may take longer than this waiter waits.
                self.fetch.fetch_on_thread()
            else:
                self.fetch.fetch_here()
        wait_for_futures((self.fetch.future,), timeout=self._seconds_left(deadline))
        return Waited(self, self.fetch.future.done())

    async def aperform(self, deadline: float) -> "Waited":
        """Wait by awaiting; have a thread fetch if nobody else does."""
        if self.fetch.claim():
            self.fetch.fetch_on_thread()
        try:
            # Cancelling the wrapper asks the future to cancel too, which a RUNNING future ignores:
            # a client that hangs up takes nothing away from the others.
            async with asyncio.timeout(self._seconds_left(deadline)):
                await asyncio.wrap_future(self.fetch.future)
        except TimeoutError:
            pass
        return Waited(self, self.fetch.future.done())

    def _seconds_left(self, deadline: float) -> float:
        return max(0.0, min(self.patience, deadline - time.monotonic()))


@dataclass(frozen=True, slots=True)
class Waited:
    """What came of waiting for a fetch."""

    waiter: Waiter
    is_over: bool
    """Whether the fetch was over in time."""


def with_old_keys(waiter: Waiter, now: float) -> Waiter | None:
    """Return a waiter with old keys; ``None`` where the fetch has taken too long already."""
    left = STALE_PATIENCE - (now - waiter.fetch.started_at)
    if left <= 0:
        return None
    return replace(waiter, patience=min(waiter.patience, left))


def in_crowd(waiter: Waiter, now: float) -> Waiter | None:
    """Return a waiter in a crowd; ``None`` where the fetch has taken too long already."""
    left = CROWD_PATIENCE - (now - waiter.fetch.started_at)
    if left <= 0:
        return None
    return replace(waiter, patience=min(waiter.patience, left), is_in_crowd=True)
