"""The two drivers: each waits for what it is asked to wait for, and no longer."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

import pytest

from jwt_middleware import ConfigurationError
from jwt_middleware.effects import Fly, Gap, Steps, arun, run


@dataclass
class Trip:
    """A flight that lands when it is told to."""

    patience: float = 5.0
    is_claimed: bool = False
    future: "Future[None]" = field(default_factory=Future)
    flown_by: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.future.set_running_or_notify_cancel()

    def claim(self) -> bool:
        was, self.is_claimed = self.is_claimed, True
        return not was

    def fly(self) -> None:
        self.flown_by.append(threading.current_thread().name)
        self.future.set_result(None)

    def start(self) -> None:
        threading.Thread(target=self.fly, name="behind", daemon=True).start()


def asking(*trips: Trip, closed: list[bool] | None = None) -> Steps[list[object]]:
    """Ask for each flight in turn, and answer with what came of them."""
    landed = []
    try:
        for trip in trips:
            answer = yield Fly(trip)
            landed.append(answer)
    finally:
        if closed is not None:
            closed.append(True)
    return landed


def by_awaiting(steps: Steps[list[object]], patience: float = 12.0) -> list[object]:
    return asyncio.run(arun(steps, patience))


DRIVERS = pytest.mark.parametrize("drive", [run, by_awaiting])
Drive = Callable[..., list[object]]


def test_blocking_flies_here_and_awaiting_on_a_thread() -> None:
    """Whoever claims the flight has it flown: a thread of its own only beside an event loop."""
    here, behind = Trip(), Trip()

    assert run(asking(here)) == [True]
    assert by_awaiting(asking(behind)) == [True]
    assert here.flown_by == [threading.current_thread().name]
    assert behind.flown_by == ["behind"]


@DRIVERS
def test_a_flight_of_others_is_waited_for(drive: Drive) -> None:
    """It is not flown a second time."""
    trip = Trip(is_claimed=True)
    other = threading.Timer(0.01, trip.future.set_result, [None])
    other.start()

    assert drive(asking(trip)) == [True]
    assert trip.flown_by == []


@DRIVERS
def test_patience_ends_with_an_answer(drive: Drive) -> None:
    """A flight that does not land in time is answered with ``False``, not with an exception."""
    assert drive(asking(Trip(patience=0.0, is_claimed=True)), 3_600.0) == [False]


@DRIVERS
def test_one_deadline_bounds_all_that_is_waited_for(drive: Drive) -> None:
    """With the time used up, patient flights are not waited for either, one after the other."""
    trips = [Trip(patience=3_600.0, is_claimed=True) for _ in range(3)]

    assert drive(asking(*trips), 0.0) == [False] * 3


async def test_whoever_gives_up_takes_nothing_from_the_others() -> None:
    """A cancelled waiter leaves the flight as it is, and its steps are closed."""
    trip, closed = Trip(is_claimed=True), list[bool]()
    task = asyncio.create_task(arun(asking(trip, closed=closed)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert closed == [True]
    assert trip.future.running()
    trip.fly()
    assert await arun(asking(trip)) == [True]


def test_another_event_loop_is_named() -> None:
    """Driven by anything but asyncio, it says what to do instead of failing somewhere inside."""
    with pytest.raises(ConfigurationError, match="runs on asyncio"):
        arun(asking(Trip())).send(None)


def test_a_gap_has_no_truth_value() -> None:
    """``if gap`` would take an open question for an answer."""
    with pytest.raises(TypeError, match=r"run\(\) or arun\(\)"):
        bool(Gap("keys", Fly(Trip())))
