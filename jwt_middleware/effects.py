"""What memory could not answer, and the two drivers that go and ask.

The judge is a plain function. Where it lacks something it returns a :class:`Gap`: the slot it wants
filled and the effect that would fill it. ``run`` performs effects by blocking, ``arun`` by
awaiting; neither decides anything. A failed effect comes back as a value, never as an exception.
"""

import asyncio
import time
from collections.abc import Generator
from concurrent.futures import Future
from concurrent.futures import wait as wait_for_futures
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol, TypeVar

from jwt_middleware.errors import ConfigurationError

Answer = TypeVar("Answer")

# The sum of what one request may wait for, in seconds. A flight has its own, shorter patience; this
# bounds a request that needs several answers, below the 15 to 30 s at which proxies give up.
REQUEST_PATIENCE = 12.0


class Flight(Protocol):
    """One fetch under way, which everyone who needs it shares."""

    @property
    def future(self) -> "Future[None]":
        """Done when the fetch is over, however it ended; its result is always ``None``.

        It is in the RUNNING state from the start, so that a waiter who quits cannot cancel it.
        """
        ...

    @property
    def patience(self) -> float:
        """Seconds that one caller waits for it at the most."""
        ...

    def claim(self) -> bool:
        """Return ``True`` to exactly one caller: the one who must ``fly`` or ``start`` it."""
        ...

    def fly(self) -> None:
        """Fetch here, take in the outcome and wake the waiters; raises nothing of its own."""
        ...

    def start(self) -> None:
        """Do the same on a short-lived daemon thread."""
        ...


@dataclass(frozen=True, slots=True)
class Fly:
    """Wait until a flight is over. Answers whether it is, within the caller's patience."""

    flight: Flight


Effect = Fly


@dataclass(frozen=True, slots=True)
class Gap:
    """The first thing that memory could not answer, and the effect that would."""

    slot: str
    effect: Effect

    def __bool__(self) -> bool:
        raise TypeError("a Gap is neither true nor false: hand it to run() or arun()")


Steps = Generator[Effect, object, Answer]


def run(steps: Steps[Answer], patience: float = REQUEST_PATIENCE) -> Answer:
    """Drive ``steps`` by blocking and return their answer.

    :param patience: seconds that all effects together may take.
    """
    deadline = time.monotonic() + patience
    with closing(steps):
        return _exhaust(steps, deadline)


def _exhaust(steps: Steps[Answer], deadline: float) -> Answer:
    try:
        effect = next(steps)
        while True:
            effect = steps.send(_wait(effect.flight, deadline))
    except StopIteration as end:
        answer: Answer = end.value
        return answer


def _wait(flight: Flight, deadline: float) -> bool:
    if flight.claim():
        flight.fly()
    wait_for_futures((flight.future,), timeout=_seconds_left(flight, deadline))
    return flight.future.done()


async def arun(steps: Steps[Answer], patience: float = REQUEST_PATIENCE) -> Answer:
    """Drive ``steps`` by awaiting and return their answer; the twin of :func:`run`."""
    deadline = time.monotonic() + patience
    with closing(steps):
        try:
            effect = next(steps)
            while True:
                effect = steps.send(await _await(effect.flight, deadline))
        except StopIteration as end:
            answer: Answer = end.value
            return answer


async def _await(flight: Flight, deadline: float) -> bool:
    loop = _asyncio_loop()
    if flight.claim():
        flight.start()
    try:
        # Cancelling the wrapper asks the future to cancel too, which a RUNNING future ignores: a
        # client that hangs up takes nothing away from the others.
        async with asyncio.timeout(_seconds_left(flight, deadline)):
            await asyncio.wrap_future(flight.future, loop=loop)
    except TimeoutError:
        pass
    return flight.future.done()


def _seconds_left(flight: Flight, deadline: float) -> float:
    return max(0.0, min(flight.patience, deadline - time.monotonic()))


def _asyncio_loop() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise ConfigurationError(
            "jwt_middleware runs on asyncio, and another event loop is running: "
            "start the server with its asyncio worker"
        ) from None


def loop_is_running() -> bool:
    """Return whether the current thread runs an event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def refuse_to_block(call: str, instead: str) -> None:
    """Raise if the current thread runs an event loop, which ``call`` would stall.

    :raises ConfigurationError: naming the awaitable twin to use.
    """
    if loop_is_running():
        raise ConfigurationError(
            f"{call}() would block the running event loop: use 'await {instead}()' there"
        )
