"""One fetch under way, shared by everyone who needs it, and the small lock of a key source.

A flight belongs to nobody: a waiter who gives up takes nothing from the others, and nothing of it
is bound to an event loop.
"""

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol
from weakref import WeakSet

# Added to what a fetch may take, so that its own end is what a waiter sees.
GRACE = 0.5


class KeyFlight:
    """A fetch of one key set."""

    def __init__(self, task: Callable[["KeyFlight"], None], seconds: float, started: float) -> None:
        """
        :param task: fetches, takes in the outcome, and never raises but for an interruption.
        :param seconds: time that the fetch may take.
        :param started: the monotonic time of the start.
        """
        self.future: Future[None] = Future()
        # A RUNNING future ignores the cancellation that a waiter's wrapper passes on.
        self.future.set_running_or_notify_cancel()
        self.patience = seconds + GRACE
        self.started = started
        self.succeeded = False
        self.waiting = 0
        self._task = task
        self._claim = threading.Lock()

    def claim(self) -> bool:
        """Return ``True`` to exactly one caller."""
        return self._claim.acquire(blocking=False)

    def fly(self) -> None:
        """Fetch here, and wake the waiters whatever happens."""
        try:
            self._task(self)
        finally:
            self.land()

    def land(self) -> None:
        """Wake the waiters; a second landing is nothing."""
        if not self.future.done():
            self.future.set_result(None)

    def start(self) -> None:
        """Fetch on a short-lived thread, which does not keep the interpreter from its end."""
        try:
            threading.Thread(target=self.fly, name="jwt_middleware.keys", daemon=True).start()
        except RuntimeError:
            # No thread to be had (limits, shutdown): the caller is better slow than wrong.
            self.fly()


class Forkable(Protocol):
    """Something with a lock and a flight that a forked child must not inherit."""

    def after_fork(self) -> None:
        """Start over, keeping what is known."""
        ...


_sources: "WeakSet[Forkable]" = WeakSet()


def renew_after_fork(source: Forkable) -> None:
    """Have ``source.after_fork()`` called in every forked child."""
    _sources.add(source)


def _after_fork() -> None:
    for source in list(_sources):
        source.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

TinyLock = threading.Lock
"""Held for microseconds, never over a fetch, a parse or an observer."""
