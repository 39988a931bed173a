"""One fetch under way, shared by all callers that need it.

A fetch does not belong to one caller: a waiter that gives up does not affect the others, and a
fetch is not bound to an event loop. It is always performed on a short-lived thread of its own, so
that a fetch that hangs holds up no caller for longer than the caller's patience.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from concurrent.futures import wait as wait_for_futures
from contextlib import suppress
from dataclasses import dataclass, replace

from jwt_middleware.daemons import start_daemon

# Added to the timeout of a fetch, so that a waiter sees the end of the fetch and not its own.
GRACE = 0.5

# Why a fetch is given up that no thread performs.
NO_THREAD = "no thread can be started to fetch them"
THREAD_ENDED = "the thread that fetched them ended early"

# The most callers that wait for an unknown key id as long as the fetch takes, because invented key
# ids must not block every worker of a server while an issuer is slow.
MAX_UNKNOWN_KID_WAITERS = 8

# Further callers with the key id that is being fetched for wait this many seconds, because after a
# rotation without notice all callers have it, and a healthy issuer responds sooner.
CROWD_PATIENCE = 1.0

# While expired keys still serve, a request waits this many seconds for the refresh, from the start
# of the fetch, because an issuer that hangs must not block every worker of a server.
STALE_PATIENCE = 1.0


class SharedFetch:
    """A fetch of one key set."""

    def __init__(
        self,
        task: Callable[["SharedFetch"], None],
        abandon: Callable[["SharedFetch", str], None],
        *,
        number: int,
        reason: str,
        seconds: float,
        now: float,
        kid: str | None = None,
    ) -> None:
        """
        :param task: fetches and applies the outcome; it raises only if its thread must end.
        :param abandon: called with the reason if no thread will perform this fetch.
        :param number: the number of this fetch among those of the source.
        :param reason: why the fetch was begun, in a word.
        :param seconds: the time that the fetch may take.
        :param now: the monotonic time at which the fetch begins.
        :param kid: the unknown key id that the fetch was begun for.
        """
        self.future: Future[None] = Future()
        # The state is set to RUNNING, because such a future ignores the cancellation that
        # asyncio.wrap_future passes on.
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
        self._thread: int | None = None
        self.threads: set[object] = set()
        """One mark for each thread that has not ended yet."""

    @property
    def is_run_here(self) -> bool:
        """Whether this thread is the one that fetches, so that a wait would not end."""
        return self._thread == threading.get_ident()

    def claim(self) -> bool:
        """Return ``True`` to exactly one caller, which must have the fetch performed."""
        return self._claim.acquire(blocking=False)

    @property
    def is_running(self) -> bool:
        """Whether a thread of this fetch has not ended yet."""
        return bool(self.threads)

    def start(self) -> None:
        """Fetch on a short-lived daemon thread; give the fetch up if none can be started.

        The thread sees no context variables, because the fetch belongs to none of its waiters.
        """
        thread = object()
        self.threads.add(thread)

        def run() -> None:
            try:
                self.fetch_here()
            finally:
                self.threads.discard(thread)

        if not start_daemon("jwt_middleware.keys", run):
            self.threads.discard(thread)
            self.give_up(NO_THREAD)

    def fetch_here(self) -> None:
        """Fetch on this thread, and wake the waiters in any case."""
        self._thread = threading.get_ident()
        try:
            self._task(self)
        except BaseException:
            # Not a failed fetch, which the task handles itself, but the end of this thread, such as
            # by an observer that exits.
            self.give_up(THREAD_ENDED)
            raise
        self.finish()

    def give_up(self, reason: str) -> None:
        """Free the source for another fetch, and wake the waiters without a result."""
        self._abandon(self, reason)
        self.finish()

    def finish(self) -> None:
        """Wake the waiters. No-op: the second call."""
        # Two threads may call this: the one that fetched, and one that closes the source.
        with suppress(InvalidStateError):
            self.future.set_result(None)


@dataclass(frozen=True, slots=True)
class Waiter:
    """The effect of waiting for a fetch, for one caller."""

    fetch: SharedFetch
    patience: float
    """The most seconds to wait, which may be less than the fetch takes."""
    began_at: float
    """The monotonic time of the source's clock when the wait began."""
    began_it: bool = False
    """Whether the fetch was begun for the token of this caller. Only then does its result show that
    the key of this token is not published."""
    is_in_crowd: bool = False
    """Whether many callers wait for what a client can invent, so that the wait is short."""

    def perform(self, deadline: float) -> "Waited":
        """Wait by blocking; starts the fetch if no other caller does."""
        self._start_once()
        wait_for_futures((self.fetch.future,), timeout=self._seconds_left(deadline))
        return Waited(self, self.fetch.future.done())

    async def aperform(self, deadline: float) -> "Waited":
        """Async version of :meth:`perform`."""
        self._start_once()
        try:
            # Cancelling the wrapper also cancels its future, which a RUNNING future ignores, so a
            # client that disconnects does not affect the others.
            async with asyncio.timeout(self._seconds_left(deadline)):
                await asyncio.wrap_future(self.fetch.future)
        except TimeoutError:
            pass
        return Waited(self, self.fetch.future.done())

    def _start_once(self) -> None:
        if self.fetch.claim():
            self.fetch.start()

    def _seconds_left(self, deadline: float) -> float:
        return max(0.0, min(self.patience, deadline - time.monotonic()))


@dataclass(frozen=True, slots=True)
class Waited:
    """The result of waiting for a fetch."""

    waiter: Waiter
    is_over: bool
    """Whether the fetch was over in time."""


def until_over(fetch: SharedFetch, now: float) -> Waiter:
    """Return a waiter that waits as long as a fetch may take, from the start of the fetch."""
    return Waiter(fetch, max(0.0, fetch.started_at + fetch.patience - now), now)


def with_old_keys(waiter: Waiter, now: float) -> Waiter | None:
    """Return a waiter with old keys; ``None`` if the fetch has already taken too long."""
    left = STALE_PATIENCE - (now - waiter.fetch.started_at)
    if left <= 0:
        return None
    return replace(waiter, patience=min(waiter.patience, left))


def in_crowd(waiter: Waiter, now: float) -> Waiter | None:
    """Return a waiter with a short wait; ``None`` if the fetch has already taken too long."""
    left = CROWD_PATIENCE - (now - waiter.fetch.started_at)
    if left <= 0:
        return None
    return replace(waiter, patience=min(waiter.patience, left), is_in_crowd=True)
