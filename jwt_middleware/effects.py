"""Effects that fill gaps in memory, and the two drivers that perform them.

The judge is a plain function. Where it lacks something it returns a :class:`Gap`: the slot it wants
filled and the effect that would fill it. ``run`` performs effects by blocking, ``arun`` by
awaiting; neither decides anything, and neither knows what an effect does. A failed effect comes
back as a value, never as an exception.
"""

import asyncio
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, cast

from jwt_middleware.errors import ConfigurationError

T = TypeVar("T")
Outcome = TypeVar("Outcome")

# The sum of what one request may wait for, in seconds. An effect has its own, shorter patience;
# this bounds a request that needs several answers, below the 15 to 30 s at which proxies give up.
REQUEST_PATIENCE = 12.0


class Effect(Protocol):
    """An operation that gets an answer from outside the process.

    Both methods return the answer, and never raise: a failure is an answer too. Whatever they wait
    for, they are back by the deadline, an instant of ``time.monotonic``.
    """

    def perform(self, deadline: float) -> object:
        """Get the answer by blocking."""
        ...

    async def aperform(self, deadline: float) -> object:
        """Async version of :meth:`perform`. It runs on asyncio only."""
        ...


class Untimed:
    """An effect whose time does not count, because the application limits it itself."""

    __slots__ = ()


class Slot(Generic[T]):
    """A place for one answer, of type ``T``. Two slots of one name are two places."""

    def __init__(self, name: str) -> None:
        self.name = name


class Answers:
    """The answers of effects so far, by slot."""

    __slots__ = ("_by_slot",)

    def __init__(self) -> None:
        self._by_slot: dict[Slot[Any], object] = {}

    def get(self, slot: Slot[T]) -> T | None:
        """Return the answer in a slot; ``None`` if its effect was not performed yet."""
        return cast("T | None", self._by_slot.get(slot))

    def put(self, slot: Slot[T], answer: T) -> None:
        """Store the answer of a slot."""
        self._by_slot[slot] = answer


NO_ANSWERS = Answers()
"""What is known before anything was asked. It stays empty: :func:`ask` fills one of its own."""


@dataclass(frozen=True, slots=True)
class Gap:
    """The first answer that is missing, and the effect that would get it."""

    slot: Slot[Any]
    effect: Effect

    def __bool__(self) -> bool:
        raise TypeError("a Gap is neither true nor false: hand it to run() or arun()")


Steps = Generator[Effect, object, Outcome]


def ask(judge: Callable[[Answers], Outcome | Gap], gap: Outcome | Gap) -> Steps[Outcome]:
    """Fill each gap and call ``judge`` again. It decides nothing itself.

    :param gap: what ``judge`` returned without any answers.
    """
    answers = Answers()
    while isinstance(gap, Gap):
        answers.put(gap.slot, (yield gap.effect))
        gap = judge(answers)
    return gap


def run(steps: Steps[Outcome], patience: float = REQUEST_PATIENCE) -> Outcome:
    """Drive ``steps`` by blocking and return their outcome.

    :param patience: seconds that all effects together may take, but those that are not timed.
    """
    deadline = time.monotonic() + patience
    with closing(steps):
        try:
            effect = next(steps)
            while True:
                began = time.monotonic()
                answer = effect.perform(deadline)
                deadline += _uncounted(effect, began)
                effect = steps.send(answer)
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome


async def arun(steps: Steps[Outcome], patience: float = REQUEST_PATIENCE) -> Outcome:
    """Drive ``steps`` by awaiting and return their outcome; the twin of :func:`run`."""
    deadline = time.monotonic() + patience
    with closing(steps):
        try:
            effect = next(steps)
            _check_asyncio()
            while True:
                began = time.monotonic()
                answer = await effect.aperform(deadline)
                deadline += _uncounted(effect, began)
                effect = steps.send(answer)
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome


def _uncounted(effect: Effect, began: float) -> float:
    return time.monotonic() - began if isinstance(effect, Untimed) else 0.0


def _check_asyncio() -> None:
    if not loop_is_running():
        raise ConfigurationError(
            "jwt_middleware runs on asyncio, and another event loop is running: "
            "start the server with its asyncio worker"
        )


def loop_is_running() -> bool:
    """Return whether the current thread runs an event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def refuse_to_block(call: str, instead: str) -> None:
    """Raise if the current thread runs an event loop, which ``call`` would block.

    :raises ConfigurationError: naming the awaitable twin to use.
    """
    if loop_is_running():
        raise ConfigurationError(
            f"{call}() would block the running event loop: use 'await {instead}()' there"
        )
