"""Threads for awaiting callers."""

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from threading import Event
from time import monotonic

import pytest

from jwt_middleware.stores import pool
from jwt_middleware.stores.pool import Late, Workers
from tests.support.forking import in_a_child

NAME = "tests.pool"
MOST = 4


@pytest.fixture
def gate() -> Iterator[Event]:
    """Holds calls until it is set, which it is in the end."""
    gate = Event()
    yield gate
    gate.set()


@pytest.fixture
def workers() -> Workers:
    return Workers(NAME, MOST)


def soon(seconds: float = 30.0) -> float:
    return monotonic() + seconds


def threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == NAME]


def waits(gate: Event, begun: list[int] | None = None) -> Callable[[float], str]:
    def call(_: float) -> str:
        if begun is not None:
            begun.append(1)
        gate.wait(30)
        return "done"

    return call


async def until(condition: Callable[[], object]) -> None:
    """Let other tasks and threads run until something holds."""
    end = monotonic() + 30
    while not condition():
        assert monotonic() < end
        await asyncio.sleep(0.001)


async def test_a_call_runs_on_a_daemon_thread(workers: Workers) -> None:
    """S6. It never delays the exit of the process."""
    thread = await workers.run(lambda _: threading.current_thread(), soon())

    assert thread.daemon
    assert thread is not threading.current_thread()


async def test_what_a_call_raises_is_raised_where_it_is_awaited(workers: Workers) -> None:
    def call(_: float) -> None:
        raise LookupError("x")

    with pytest.raises(LookupError, match="x"):
        await workers.run(call, soon())
    assert await workers.run(lambda _: 1, soon()) == 1


async def test_a_call_has_an_earlier_deadline_than_its_caller(workers: Workers) -> None:
    """So that what it says of its wait arrives in time."""
    deadline = soon()

    assert deadline - 1 < await workers.run(lambda until: until, deadline) < deadline


async def test_at_most_so_many_threads_run(workers: Workers, gate: Event) -> None:
    """S6. The other calls wait for one of them, and all are answered."""
    begun: list[int] = []
    before = len(threads())
    tasks = [asyncio.create_task(workers.run(waits(gate, begun), soon())) for _ in range(30)]
    await until(lambda: len(begun) == MOST)
    await asyncio.sleep(0.01)

    assert len(begun) == MOST
    assert len(threads()) - before == MOST
    gate.set()
    assert await asyncio.gather(*tasks) == ["done"] * 30


async def test_an_idle_thread_ends(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    """S6. And the next call starts another."""
    monkeypatch.setattr(pool, "_IDLE", 0.001)
    thread = await workers.run(lambda _: threading.current_thread(), soon())
    await until(lambda: not thread.is_alive())

    assert workers._threads == workers._idle == 0
    assert await workers.run(lambda _: 1, soon()) == 1


async def test_an_idle_thread_is_used_again(workers: Workers) -> None:
    first = await workers.run(lambda _: threading.current_thread(), soon())
    await until(lambda: workers._idle)

    assert await workers.run(lambda _: threading.current_thread(), soon()) is first


async def test_the_caller_is_back_by_the_deadline(workers: Workers, gate: Event) -> None:
    """S7. What has begun goes on."""
    ended: list[str] = []

    def call(until: float) -> None:
        ended.append(waits(gate)(until))

    with pytest.raises(Late) as late:
        await workers.run(call, soon(0.05))

    assert late.value.has_begun
    gate.set()
    await until(lambda: ended)


async def test_a_call_that_never_came_to_its_turn_is_not_made(
    workers: Workers, gate: Event
) -> None:
    """S7. The caller learns that nothing was done."""
    begun: list[int] = []
    tasks = [asyncio.create_task(workers.run(waits(gate), soon())) for _ in range(MOST)]
    await asyncio.sleep(0)

    with pytest.raises(Late) as late:
        await workers.run(waits(gate, begun), soon(0.05))
    assert not late.value.has_begun
    gate.set()
    await asyncio.gather(*tasks)
    assert not workers._jobs
    assert begun == []


async def test_a_cancelled_caller_leaves_its_call_alone(workers: Workers, gate: Event) -> None:
    """S7. It runs to its end, and the thread serves others."""
    begun: list[int] = []
    ended: list[str] = []

    def call(until: float) -> None:
        ended.append(waits(gate, begun)(until))

    task = asyncio.create_task(workers.run(call, soon()))
    await until(lambda: begun)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert ended == []
    gate.set()
    await until(lambda: ended)
    assert await workers.run(lambda _: 1, soon()) == 1


async def test_a_call_is_cancelled_before_its_turn(workers: Workers, gate: Event) -> None:
    """S7. It is never begun."""
    begun: list[int] = []
    tasks = [asyncio.create_task(workers.run(waits(gate), soon())) for _ in range(MOST)]
    extra = asyncio.create_task(workers.run(waits(gate, begun), soon()))
    await asyncio.sleep(0)
    extra.cancel()
    with pytest.raises(asyncio.CancelledError):
        await extra
    gate.set()

    await asyncio.gather(*tasks)
    assert begun == []


def test_a_loop_that_is_closed_in_the_meantime_harms_nothing(workers: Workers, gate: Event) -> None:
    """S6. The answer has no caller any more; other loops are served."""

    async def leave() -> None:
        with pytest.raises(Late):
            await workers.run(waits(gate), soon(0.01))

    async def again() -> int:
        return await workers.run(lambda _: 1, soon())

    asyncio.run(leave())
    gate.set()
    assert [asyncio.run(again()) for _ in range(3)] == [1, 1, 1]


async def test_without_threads_a_call_runs_on_the_loop_and_briefly(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S6. Its own deadline is near."""
    monkeypatch.setattr(pool, "start_daemon", lambda *_: False)

    thread, deadline = await workers.run(lambda until: (threading.current_thread(), until), soon())

    assert thread is threading.current_thread()
    assert deadline < monotonic() + 1
    assert not workers._jobs
    assert workers._threads == 0


async def test_without_another_thread_a_call_waits_for_those_there_are(
    workers: Workers, gate: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S6."""
    begun: list[int] = []
    first = asyncio.create_task(workers.run(waits(gate, begun), soon()))
    await until(lambda: begun)
    monkeypatch.setattr(pool, "start_daemon", lambda *_: False)
    second = asyncio.create_task(workers.run(waits(gate, begun), soon()))
    await asyncio.sleep(0.01)

    assert begun == [1]
    gate.set()
    assert list(await asyncio.gather(first, second)) == ["done", "done"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_starts_threads_of_its_own(workers: Workers, gate: Event) -> None:
    """S6. Even if all of its parent's are busy."""

    async def fill() -> None:
        for _ in range(MOST):
            with pytest.raises(Late):
                await workers.run(waits(gate), soon(0.01))

    async def again() -> None:
        assert await workers.run(lambda _: 1, soon()) == 1

    asyncio.run(fill())
    assert in_a_child(lambda: asyncio.run(again())) == 0
