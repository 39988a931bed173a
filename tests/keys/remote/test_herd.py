"""Many callers at once: one fetch, and nobody waits who need not."""

import asyncio
import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from jwt_middleware.errors import KeysUnavailable
from jwt_middleware.events import Event, KeyFetchFinished, KeyFetchStarted
from jwt_middleware.keys.remote.resolver import JWKSResolver
from jwt_middleware.keys.remote.shared_fetch import Waiter
from jwt_middleware.testing.clock import Clock
from tests.keys.publisher import (
    ES256,
    SOON,
    Publisher,
    Record,
    aoutcome,
    aresolve,
    held_up,
    in_threads,
    landed,
    outcome,
    resolve,
    resolver_of,
)


async def test_a_thousand_tasks_on_a_cold_start_cause_one_fetch(
    source: JWKSResolver, publisher: Publisher
) -> None:
    """A thousand concurrent resolves on a cold cache cause exactly one fetch, and all succeed (P1)."""
    found = await asyncio.gather(*(aresolve(source, "a") for _ in range(1_000)))

    assert publisher.fetches == 1
    assert len(set(found)) == 1


def test_three_loops_and_a_hundred_threads_share_one_fetch(
    source: JWKSResolver, publisher: Publisher
) -> None:
    """Three event loops with 300 tasks each and 100 threads cause exactly one fetch (P2)."""
    publisher.hold()
    counted: Counter[str] = Counter()
    ready = threading.Barrier(104)

    def loop() -> None:
        async def herd() -> list[str]:
            tasks = [asyncio.create_task(aoutcome(source, "a")) for _ in range(300)]
            await asyncio.sleep(0)
            ready.wait(SOON)
            return await asyncio.gather(*tasks)

        counted.update(asyncio.run(herd()))

    def thread() -> None:
        ready.wait(SOON)
        counted.update([outcome(source, "b")])

    workers = [threading.Thread(target=loop) for _ in range(3)]
    workers += [threading.Thread(target=thread) for _ in range(100)]
    for worker in workers:
        worker.start()
    ready.wait(SOON)
    publisher.gate.set()
    for worker in workers:
        worker.join(2 * SOON)

    assert publisher.fetches == 1
    assert counted == {"found": 1_000}


async def test_a_failing_cold_start_asks_once_and_answers_everybody(
    source: JWKSResolver, publisher: Publisher
) -> None:
    """A thousand resolves against a failing publisher cause one fetch; all fail alike (P3)."""
    publisher.failure = OSError("connection refused")

    outcomes = Counter(await asyncio.gather(*(aoutcome(source, "a") for _ in range(1_000))))

    assert publisher.fetches == 1
    assert outcomes == {"keys_unavailable": 1_000}


def test_failing_threads_form_no_convoy(source: JWKSResolver, publisher: Publisher) -> None:
    """Those who waited for a failed fetch do not fetch one after the other (P3)."""
    publisher.failure = OSError()
    publisher.hold()
    opener = threading.Timer(0.05, publisher.gate.set)
    opener.start()

    outcomes = in_threads(100, lambda: outcome(source, "a"))

    opener.join()
    assert publisher.fetches == 1
    assert set(outcomes) == {"keys_unavailable"}


def test_inside_the_pause_nothing_is_fetched(
    source: JWKSResolver, publisher: Publisher, clock: Clock
) -> None:
    """After a failure, calls inside the pause cause no fetch, and say when to come again (P4)."""
    publisher.failure = OSError()
    outcome(source, "a")
    clock.tick(0.5)

    with pytest.raises(KeysUnavailable) as refused:
        source.plan("a", ES256)

    assert publisher.fetches == 1
    assert refused.value.retry_after == pytest.approx(1.0)
    clock.tick(0.5)
    assert isinstance(source.plan("a", ES256), Waiter)


@pytest.mark.parametrize("age", [0.0, 299.0, 301.0, 599.0])
def test_a_known_kid_never_waits_for_a_fetch_that_hangs(
    warm: JWKSResolver, publisher: Publisher, clock: Clock, age: float
) -> None:
    """A known kid of a set that is good is answered while a fetch hangs (P5)."""
    publisher.hold()
    clock.tick(age)
    assert isinstance(warm.plan("unknown", ES256), Waiter)
    assert warm._fetches.current is not None

    assert resolve(warm, "a")[0].kid == "a"


def test_an_observer_may_resolve_keys_itself(publisher: Publisher, clock: Clock) -> None:
    """No lock is held over an observer: one that resolves keys does not deadlock (P6)."""
    seen: list[str] = []
    locked: list[bool] = []

    def curious(event: Event) -> None:
        locked.append(source._fetches.lock.locked())
        seen.append(f"{type(event).__name__}: {outcome(source, 'a')}")

    source = resolver_of(publisher, clock, [curious])
    caller = threading.Thread(target=outcome, args=(source, "a"), daemon=True)
    caller.start()
    caller.join(SOON)

    assert not caller.is_alive()
    assert not any(locked)
    # Before the fetch there is nothing to resolve with, and waiting for oneself is refused.
    assert seen[0] == "KeyFetchStarted: keys_unavailable"
    assert seen[1:] == [
        "KeyFetchFinished: found",
        "KeyAdded: found",
        "KeyAdded: found",
        "KeysWaitedFor: found",
    ]


def test_an_observer_of_a_fetch_does_not_wait_for_that_fetch(
    publisher: Publisher, clock: Clock
) -> None:
    """An observer on the fetching thread that asks for an unknown kid is not made to wait (P6)."""
    seen: list[str] = []

    def curious(event: Event) -> None:
        if isinstance(event, KeyFetchStarted) and event.reason == "unknown kid":
            seen.append(outcome(source, "y"))

    source = resolver_of(publisher, clock, [curious])
    source.warm()
    caller = threading.Thread(target=outcome, args=(source, "x"), daemon=True)
    caller.start()
    caller.join(SOON)

    assert seen == ["keys_unavailable"]


def test_the_lock_is_free_while_a_document_is_fetched_and_read(
    warm: JWKSResolver, publisher: Publisher, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock is held neither over a fetch nor over a parse (P6)."""
    from jwt_middleware.keys import document
    from jwt_middleware.keys.remote import download

    held: list[bool] = []
    read = document.read_key_set

    def watching(*arguments: Any) -> Any:
        held.append(warm._fetches.lock.locked())
        return read(*arguments)

    monkeypatch.setattr(download, "read_key_set", watching)
    publisher.publish("a", "c")
    publisher.hold()
    clock.tick(301)
    resolve(warm, "a")
    assert publisher.arrived.wait(SOON)
    held.append(warm._fetches.lock.locked())
    publisher.gate.set()
    landed()

    assert held == [False, False]


def test_between_soft_and_hard_age_one_renewal_runs_behind(
    warm: JWKSResolver, publisher: Publisher, clock: Clock
) -> None:
    """Between soft and hard age nobody waits, and exactly one fetch runs for everybody (P7)."""
    publisher.hold()
    clock.tick(301)

    outcomes = in_threads(50, lambda: type(warm.plan("a", ES256)).__name__)

    assert set(outcomes) == {"tuple"}
    publisher.gate.set()
    landed()
    assert publisher.fetches == 1
    clock.tick(299)
    warm.plan("a", ES256)
    assert publisher.fetches == 1


async def test_a_fetch_and_its_parse_run_beside_the_loop(
    source: JWKSResolver, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop's own thread neither fetches nor reads a set of a hundred keys (P8)."""
    from jwt_middleware.keys import document
    from jwt_middleware.keys.remote import download

    publisher.publish(*(f"k{number}" for number in range(100)))
    readers: list[int] = []
    read = document.read_key_set

    def watching(*arguments: Any) -> Any:
        readers.append(threading.get_ident())
        return read(*arguments)

    monkeypatch.setattr(download, "read_key_set", watching)

    await aresolve(source, "k99")

    assert threading.get_ident() not in {*publisher.threads, *readers}
    assert len(readers) == 1


async def test_cancelling_the_leader_costs_nobody_anything(
    source: JWKSResolver, publisher: Publisher
) -> None:
    """A client that hangs up neither cancels the fetch for others nor adds one (P9)."""
    publisher.hold()
    tasks = [asyncio.create_task(aoutcome(source, "a")) for _ in range(20)]
    assert await asyncio.to_thread(publisher.arrived.wait, SOON)
    tasks[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]
    publisher.gate.set()

    assert await asyncio.gather(*tasks[1:]) == ["found"] * 19
    assert publisher.fetches == 1


async def test_a_callers_own_timeout_fires_while_the_fetch_goes_on(
    source: JWKSResolver, publisher: Publisher
) -> None:
    """A caller's own timeout fires on time although the fetch goes on (P10)."""
    publisher.hold()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await aresolve(source, "a")
    fetch = source._fetches.current
    assert fetch is not None
    assert not fetch.future.done()

    publisher.gate.set()
    assert await aoutcome(source, "a") == "found"
    assert publisher.fetches == 1


def test_a_blocking_caller_who_begins_a_fetch_is_back_when_its_own_time_is_over(
    publisher: Publisher, clock: Clock
) -> None:
    """The effect is back by its deadline, and by its patience, though it begins the fetch itself."""
    source = resolver_of(publisher, clock, timeout=30)
    publisher.hold()
    waiter = source.plan("a", ES256)
    assert isinstance(waiter, Waiter)

    late = waiter.perform(time.monotonic() + 0.01)

    assert not late.is_over
    assert publisher.arrived.wait(SOON)
    assert threading.get_ident() not in publisher.threads
    publisher.gate.set()
    landed()
    assert outcome(source, "a") == "found"


def test_a_fetch_that_never_ends_gives_up_its_place(
    source: JWKSResolver, publisher: Publisher, clock: Clock
) -> None:
    """A hung fetch frees the slot after its time; its late result replaces nothing newer (P11)."""
    lost = held_up(source, publisher).fetch
    clock.tick(6.5)
    # That it took too long is a failure, so a thread a pause is all that hangs.
    with pytest.raises(KeysUnavailable):
        source.plan("a", ES256)
    assert source.health().failures == 1
    clock.tick(1)

    second = source.plan("a", ES256)

    assert isinstance(second, Waiter)
    newer_fetch = second.fetch
    assert newer_fetch is not lost
    gate, publisher.gate = publisher.gate, threading.Event()
    publisher.gate.set()
    publisher.publish("new")
    assert newer_fetch.claim()
    newer_fetch.fetch_here()
    newer = source.snapshot
    publisher.publish("a", "b")
    gate.set()
    landed()
    lost.future.result(SOON)
    assert source.snapshot is newer
    assert outcome(source, "new") == "found"


def test_a_late_result_is_welcome_where_there_is_nothing_newer(
    source: JWKSResolver, publisher: Publisher, clock: Clock
) -> None:
    """A result that comes after its time still serves if nothing newer came before it (P11)."""
    waiter = held_up(source, publisher)
    clock.tick(6.5)
    assert outcome(source, "a") == "keys_unavailable"
    publisher.gate.set()
    waiter.fetch.future.result(SOON)

    assert resolve(source, "a")[0].kid == "a"
    assert source.health().failures == 0


def test_a_late_failure_does_not_close_the_gate(
    source: JWKSResolver, publisher: Publisher, clock: Clock
) -> None:
    """The failure of a fetch that was given up is nobody's any more (P11)."""
    publisher.failure = OSError()
    waiter = held_up(source, publisher)
    clock.tick(6.5)
    assert outcome(source, "a") == "keys_unavailable"
    assert source.health().failures == 1
    publisher.gate.set()
    waiter.fetch.future.result(SOON)

    assert source.health().failures == 1


def keep_asking(source: JWKSResolver, clock: Clock, seconds: int) -> None:
    """Ask once a second, and start what may be started."""
    for _ in range(seconds):
        with contextlib.suppress(KeysUnavailable):
            waiter = source.plan("a", ES256)
            if isinstance(waiter, Waiter) and waiter.fetch.claim():
                waiter.fetch.start()
        clock.tick(1)


def test_a_publisher_that_never_answers_costs_four_threads(
    source: JWKSResolver, publisher: Publisher, clock: Clock
) -> None:
    """Each fetch that is given up is a failure; the fifth is not begun until one ends (P11)."""
    publisher.hold()

    keep_asking(source, clock, 300)

    health = source.health()
    assert (health.failures, health.stuck_fetches, health.is_fetching) == (4, 4, False)
    assert publisher.fetches == len(set(publisher.threads)) == 4
    with pytest.raises(KeysUnavailable, match=r"4 fetches are stuck.*took too long"):
        source.plan("a", ES256)
    publisher.gate.set()
    landed()
    assert source.health().stuck_fetches == 0
    clock.tick(61)
    assert outcome(source, "a") == "found"
    assert source.health().failures == 0


def test_an_unknown_kid_is_no_verdict_while_fetches_are_stuck(
    warm: JWKSResolver, publisher: Publisher, clock: Clock
) -> None:
    """Nobody can ask whether it is published, so the answer is 503, and known keys serve on."""
    publisher.hold()
    clock.tick(301)
    keep_asking(warm, clock, 120)
    assert warm.health().stuck_fetches == 4
    warm._limits.backoff.ends_at = 0.0

    assert outcome(warm, "x") == "keys_unavailable"
    assert outcome(warm, "a") == "found"
    assert publisher.fetches == 4


def test_an_observer_that_hangs_counts_as_well(publisher: Publisher, clock: Clock) -> None:
    """The keys are there before observers hear of them, and the thread is counted while it hangs."""
    hanging = threading.Event()
    source = resolver_of(
        publisher, clock, [lambda event: isinstance(event, KeyFetchFinished) and hanging.wait(SOON)]
    )

    assert outcome(source, "a") == "found"
    clock.tick(7)
    assert source.health().stuck_fetches == 1
    hanging.set()
    landed()
    assert source.health().stuck_fetches == 0


def test_a_fetch_that_nobody_carried_out_is_no_failure(
    source: JWKSResolver, publisher: Publisher, clock: Clock
) -> None:
    """Its caller went away before it began; the next caller fetches."""
    assert isinstance(source.plan("a", ES256), Waiter)
    clock.tick(6.5)

    assert outcome(source, "a") == "found"
    assert source.health().failures == 0


def test_a_warm_look_up_takes_no_lock_and_reads_nothing(
    warm: JWKSResolver, publisher: Publisher, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A known kid costs no lock, no fetch, no event and no import of a key (P12)."""
    from jwt_middleware.keys import document

    monkeypatch.setattr(document, "import_jwk", None)
    monkeypatch.setattr(warm._fetches, "lock", None)
    first = warm.plan("a", ES256)
    again = warm.plan("a", ES256)

    assert first is again
    assert publisher.fetches == 0
    assert not record.of(KeyFetchStarted)


class Overtaken:
    """A lock before which something else happens, once: another thread was faster."""

    def __init__(self, source: JWKSResolver, meanwhile: Callable[[], object]) -> None:
        self._lock = source._fetches.lock
        self._source = source
        self._meanwhile = meanwhile
        source._fetches.lock = self  # type: ignore[assignment]

    def __enter__(self) -> None:
        self._source._fetches.lock = self._lock
        self._meanwhile()
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def test_a_set_that_arrived_meanwhile_is_not_asked_for_again(
    source: JWKSResolver, publisher: Publisher
) -> None:
    """Between a look at the empty set and the lock, another thread may bring one (P1, P18)."""
    Overtaken(source, lambda: resolve(source, "a"))

    assert outcome(source, "a") == "found"
    assert publisher.fetches == 1


def test_a_renewal_that_began_meanwhile_is_the_only_one(
    warm: JWKSResolver, publisher: Publisher, clock: Clock
) -> None:
    """Between a look without the lock and one with it, another thread may begin one (P7)."""
    clock.tick(301)
    publisher.hold()
    Overtaken(warm, lambda: resolve(warm, "a"))

    assert outcome(warm, "a") == "found"
    publisher.gate.set()
    landed()
    assert publisher.fetches == 1
