"""A few threads that perform blocking statements for awaiting callers.

They belong to no event loop, so that one pool serves several loops, one after another or at once.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import wait as wait_for_futures
from contextlib import suppress
from dataclasses import dataclass
from threading import Condition
from time import monotonic
from typing import Any, Generic, TypeVar

from jwt_middleware.daemons import start_daemon
from jwt_middleware.forks import renew_after_fork

T = TypeVar("T")

# A thread without work ends after so many seconds.
_IDLE = 10.0

# A call that waits is told an earlier deadline than its caller, so that its own answer, which says
# what it waited for, still arrives in time.
_MARGIN = 0.05

# How long a call may wait for others where it runs on the thread of the event loop.
_INLINE = 0.25

Call = Callable[[float], T]
"""A blocking call. It is given its deadline, an instant of ``time.monotonic``."""


class Late(Exception):
    """There was no answer by the deadline."""

    def __init__(self, has_begun: bool) -> None:
        """:param has_begun: whether the call has begun; it then runs to its end all the same."""
        super().__init__(has_begun)
        self.has_begun = has_begun


@dataclass(eq=False, slots=True)
class _Job(Generic[T]):
    """A call, and the future that its caller awaits or waits for."""

    call: Call[T]
    deadline: float
    future: "asyncio.Future[T] | Future[T]"
    loop: asyncio.AbstractEventLoop | None = None
    """The event loop of a caller that awaits."""
    has_begun: bool = False

    def perform(self) -> None:
        try:
            result = self.call(_earlier(self.deadline))
        except BaseException as problem:  # noqa: BLE001 - raised again where it is awaited
            self._hand_over(self.future.set_exception, problem)
        else:
            self._hand_over(self.future.set_result, result)

    def _hand_over(self, put: Callable[[Any], object], outcome: object) -> None:
        if self.loop is None:
            put(outcome)
            return
        # The loop may have been closed in the meantime; then the call has no caller any more.
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(put, outcome)


class Workers:
    """A few daemon threads, started when needed. Idle ones end.

    A forked child has none of its parent's threads and starts its own.
    """

    def __init__(self, name: str, most: int) -> None:
        """
        :param name: the name of the threads.
        :param most: the most threads at once.
        """
        self._name, self._most = name, most
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Forget the threads and the calls of the parent in a forked child."""
        self._changed = Condition()
        self._jobs: deque[_Job[Any]] = deque()
        self._threads = self._idle = 0

    async def run(self, call: Call[T], deadline: float) -> T:
        """Return what ``call`` returns, or raise what it raises.

        If the awaiting caller is cancelled, a call that has begun runs to its end on its thread,
        and one that has not is never begun.

        Where no thread can be started, the call runs on the thread of the event loop. Its deadline
        is then at most a quarter of a second away, so that it cannot hold up the loop for long.

        :param deadline: an instant of ``time.monotonic``.
        :raises Late: if there is no answer by then.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        job: _Job[T] = _Job(call, deadline, future, loop)
        if not self._accept(job):
            return call(min(deadline, monotonic() + _INLINE))
        try:
            await asyncio.wait((future,), timeout=_until(deadline))
            if future.done():
                return future.result()
        finally:
            has_begun = self._withdraw(job)
        raise Late(has_begun)

    def wait(self, call: Call[T], deadline: float) -> T:
        """Return what ``call`` returns, or raise what it raises, for a caller that blocks.

        For a call that may hang for longer than its caller waits. Where no thread can be started,
        it runs on this one.

        :param deadline: an instant of ``time.monotonic``.
        :raises Late: if there is no answer by then.
        """
        future: Future[T] = Future()
        job: _Job[T] = _Job(call, deadline, future)
        if not self._accept(job):
            return call(_earlier(deadline))
        wait_for_futures((future,), timeout=_until(deadline))
        if future.done():
            return future.result()
        raise Late(self._withdraw(job))

    def _accept(self, job: _Job[Any]) -> bool:
        """Queue a call; return ``False`` if there is no thread to perform it."""
        with self._changed:
            self._jobs.append(job)
            needs_thread = self._idle < len(self._jobs) and self._threads < self._most
            self._threads += needs_thread
            self._changed.notify()
        if not needs_thread or start_daemon(self._name, self._work):
            return True
        with self._changed:
            self._threads -= 1
            is_alone = self._threads == 0
        return not is_alone or self._withdraw(job)

    def _withdraw(self, job: _Job[Any]) -> bool:
        """Take a call out of the queue; return whether it has begun."""
        with self._changed:
            if not job.has_begun:
                with suppress(ValueError):
                    self._jobs.remove(job)
            return job.has_begun

    def _work(self) -> None:
        while (job := self._next()) is not None:
            job.perform()

    def _next(self) -> _Job[Any] | None:
        """Return the next call; ``None`` if the thread was idle for long enough to end."""
        with self._changed:
            self._idle += 1
            self._changed.wait_for(lambda: self._jobs, _IDLE)
            self._idle -= 1
            if not self._jobs:
                self._threads -= 1
                return None
            job = self._jobs.popleft()
            job.has_begun = True
            return job


def _until(deadline: float) -> float:
    # Not every event loop can wait for ever.
    return min(max(0.0, deadline - monotonic()), 86_400.0)


def _earlier(deadline: float) -> float:
    remaining = deadline - monotonic()
    return deadline - min(_MARGIN, max(0.0, remaining) / 10)
