"""The two drivers and the generator between them: each effect is asked once, and nobody else waits."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

import pytest

from jwt_middleware import ConfigurationError
from jwt_middleware.effects import NO_ANSWERS, Answers, Gap, Slot, Steps, arun, ask, run
from jwt_middleware.keys.remote.shared_fetch import SharedFetch, Waited, Waiter


def fetch(done_by: list[str] | None = None) -> SharedFetch:
    """Return a fetch that is over as soon as anybody carries it out."""

    def task(_: SharedFetch) -> None:
        if done_by is not None:
            done_by.append(threading.current_thread().name)

    return SharedFetch(task, lambda *_: None, number=1, reason="test", seconds=5.0, now=0.0)


def waiter(of: SharedFetch | None = None, patience: float = 5.0) -> Waiter:
    """Return a waiter for a fetch that somebody else carries out, unless it is given."""
    if of is None:
        of = fetch()
        of.claim()
    return Waiter(of, patience, 0.0)


def asking(*waiters: Waiter, closed: list[bool] | None = None) -> Steps[list[bool]]:
    """Wait for each in turn, and answer with what came of them."""
    over = []
    try:
        for each in waiters:
            waited = yield each
            assert isinstance(waited, Waited)
            over.append(waited.is_over)
    finally:
        if closed is not None:
            closed.append(True)
    return over


def by_awaiting(steps: Steps[list[bool]], patience: float = 12.0) -> list[bool]:
    return asyncio.run(arun(steps, patience))


DRIVERS = pytest.mark.parametrize("drive", [run, by_awaiting])
Drive = Callable[..., list[bool]]


@DRIVERS
def test_a_fetch_is_carried_out_on_a_thread_of_its_own(drive: Drive) -> None:
    """Whoever claims it starts that thread, and none carries it out."""
    done_by = list[str]()

    assert drive(asking(waiter(fetch(done_by), 10))) == [True]
    assert done_by == ["jwt_middleware.keys"]


@DRIVERS
def test_a_fetch_of_others_is_waited_for(drive: Drive) -> None:
    """It is not carried out a second time."""
    done_by = list[str]()
    shared = fetch(done_by)
    shared.claim()
    other = threading.Timer(0.01, shared.finish)
    other.start()

    assert drive(asking(waiter(shared))) == [True]
    assert done_by == []


@DRIVERS
def test_patience_ends_with_an_answer(drive: Drive) -> None:
    """A fetch that is not over in time is answered with that, not with an exception."""
    assert drive(asking(waiter(patience=0.0)), 3_600.0) == [False]


@DRIVERS
def test_one_deadline_bounds_all_that_is_waited_for(drive: Drive) -> None:
    """With the time used up, patient waiters do not wait either, one after the other."""
    waiters = [waiter(patience=3_600.0) for _ in range(3)]

    assert drive(asking(*waiters), 0.0) == [False] * 3


async def test_whoever_gives_up_takes_nothing_from_the_others() -> None:
    """A cancelled waiter leaves the fetch as it is, and its steps are closed."""
    shared, closed = fetch(), list[bool]()
    shared.claim()
    task = asyncio.create_task(arun(asking(waiter(shared), closed=closed)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert closed == [True]
    assert shared.future.running()
    shared.fetch_here()
    assert await arun(asking(waiter(shared))) == [True]


@dataclass(frozen=True)
class Query:
    """What a store is asked: nothing of it is a fetch of keys."""

    number: int
    deadlines: list[float] = field(default_factory=list)

    def perform(self, deadline: float) -> int | str:
        self.deadlines.append(deadline)
        return "failed" if self.number < 0 else self.number + 1

    async def aperform(self, deadline: float) -> int | str:
        done: Future[int | str] = Future()
        threading.Timer(0.001, lambda: done.set_result(self.perform(deadline))).start()
        return await asyncio.wrap_future(done)


FIRST: Slot[int | str] = Slot("first")
SECOND: Slot[int | str] = Slot("second")


def judge(answers: Answers) -> str | Gap:
    """Need two answers, the second of which depends on the first."""
    first = answers.get(FIRST)
    if first is None:
        return Gap(FIRST, Query(1))
    second = answers.get(SECOND)
    if second is None:
        return Gap(SECOND, Query(-1))
    return f"{first}, {second}"


@pytest.mark.parametrize("drive", [run, lambda steps: asyncio.run(arun(steps))])
def test_any_effect_is_driven_and_a_failure_is_an_answer(drive: Callable[..., str]) -> None:
    """The drivers know nothing of what is asked, and each answer is found in its own slot."""
    assert drive(ask(judge, judge(NO_ANSWERS))) == "2, failed"
    assert NO_ANSWERS.get(FIRST) is None


def test_what_memory_answers_is_not_asked() -> None:
    """The generator ends at once with it."""
    assert run(ask(judge, "known")) == "known"


def test_all_effects_of_one_request_share_one_deadline() -> None:
    """However many there are, the last may take no longer than the first."""
    deadlines = list[float]()

    def steps() -> Steps[None]:
        yield Query(1, deadlines)
        yield Query(2, deadlines)

    run(steps())

    assert len(deadlines) == 2
    assert len(set(deadlines)) == 1


def test_another_event_loop_is_named() -> None:
    """Driven by anything but asyncio, it says what to do instead of failing somewhere inside."""
    with pytest.raises(ConfigurationError, match="runs on asyncio"):
        arun(asking(waiter())).send(None)


def test_a_gap_has_no_truth_value() -> None:
    """``if gap`` would take an open question for an answer."""
    with pytest.raises(TypeError, match=r"run\(\) or arun\(\)"):
        bool(Gap(FIRST, Query(1)))
