"""Threads, tasks, several loops, forks, no threads at all, and the end of a process."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import pytest

from jwt_middleware import forks
from jwt_middleware.errors import ConfigurationError, KeysUnavailable
from jwt_middleware.events import KeyFetchStarted
from jwt_middleware.keys.remote.pool_limits import PoolLimit, PoolShare
from jwt_middleware.keys.remote.resolver import JWKSResolver
from jwt_middleware.keys.remote.shared_fetch import NO_THREAD, THREAD_ENDED, Waiter
from jwt_middleware.testing import Clock, FakeIssuer
from jwt_middleware.testing.issuer import JWKS_PATH
from tests.keys.publisher import (
    ES256,
    SOON,
    URI,
    Publisher,
    Steady,
    aoutcome,
    held_up,
    in_threads,
    landed,
    outcome,
    resolver_of,
)


def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)


def test_one_source_serves_threads_and_one_loop_after_another(
    source: JWKSResolver, publisher: Publisher, clock: Clock
) -> None:
    """A source works from threads, from a loop, from the next loop, and from threads again (P49)."""
    assert asyncio.run(aoutcome(source, "a")) == "found"
    clock.tick(601)
    assert asyncio.run(aoutcome(source, "a")) == "found"
    clock.tick(601)
    assert in_threads(5, lambda: outcome(source, "a")) == ["found"] * 5
    assert publisher.fetches == 3


def test_a_loop_that_closes_during_a_fetch_takes_nothing_from_others(
    source: JWKSResolver, publisher: Publisher
) -> None:
    """A loop may end while its fetch is under way; the keys arrive all the same (P49)."""
    publisher.hold()

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await aoutcome(source, "a")

    asyncio.run(give_up())
    publisher.gate.set()
    landed()

    assert asyncio.run(aoutcome(source, "a")) == "found"
    assert publisher.fetches == 1


def test_a_source_serves_code_that_makes_a_loop_for_each_call(
    source: JWKSResolver, publisher: Publisher
) -> None:
    """Throw-away loops, as ``async_to_sync`` makes them, share one source (P49)."""
    from asgiref.sync import async_to_sync

    assert [async_to_sync(aoutcome)(source, "a") for _ in range(3)] == ["found"] * 3
    assert publisher.fetches == 1


async def test_a_blocking_call_beside_a_running_loop_says_so(source: JWKSResolver) -> None:
    """On a thread with a running loop, ``warm`` refuses to block it and names its twin (P50)."""
    with pytest.raises(ConfigurationError, match="await awarm"):
        source.warm()

    await source.awarm(required=True)
    source.warm(required=True)


def test_what_a_child_does_after_a_fork_keeps_the_keys_and_frees_the_fetch(
    warm: JWKSResolver, publisher: Publisher
) -> None:
    """The fetch is the parent's, and no thread of the child carries it out."""
    held_up(warm, publisher, "x")

    warm.after_fork()

    assert not warm.health().is_fetching
    assert outcome(warm, "a") == "found"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_keeps_the_keys_and_not_the_fetch(
    warm: JWKSResolver, publisher: Publisher, clock: Clock
) -> None:
    """With a fetch under way and the lock held elsewhere, a child serves and fetches (P51)."""
    held_up(warm, publisher, "x")
    with warm._fetches.lock:
        child = os.fork()
        if child == 0:
            signal.alarm(8)
            publisher.gate.set()
            clock.tick(601)
            good = outcome(warm, "a") == "found" and warm.health().generation > 1
            os._exit(0 if good else 1)
    publisher.gate.set()

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_fetches_over_http_while_its_parent_hangs() -> None:
    """A preloading server's child is not held up by what its parent was doing (P51)."""
    with FakeIssuer(["ES256"]) as issuer:
        share = PoolShare(PoolLimit(1))
        source = JWKSResolver(issuer.jwks_uri, share=share)
        issuer.gate.clear()
        gap = source.plan("x", ES256)
        assert isinstance(gap, Waiter)
        gap.fetch.claim()
        gap.fetch.start()
        assert issuer.arrived.wait(SOON)
        issuer.arrived.clear()
        with source._own_fetcher._lock:
            child = os.fork()
        if child == 0:
            signal.alarm(8)
            os._exit(0 if outcome(source, issuer.key.kid) == "found" else 1)
        assert issuer.arrived.wait(SOON)
        issuer.gate.set()

        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert outcome(source, issuer.key.kid) == "found"


RESOLVE = pytest.mark.parametrize(
    "resolved", [outcome, lambda *args: asyncio.run(aoutcome(*args))], ids=["sync", "async"]
)
Resolved = Callable[[JWKSResolver, str], str]


@RESOLVE
def test_without_threads_the_answer_is_503_in_words(
    resolved: Resolved,
    source: JWKSResolver,
    publisher: Publisher,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where no thread can be started, nothing could hold the time limit of a fetch (P52)."""
    with monkeypatch.context() as patch:
        no_threads(patch)
        assert resolved(source, "a") == "keys_unavailable"
        assert source.health().last_failure == NO_THREAD
        with pytest.raises(KeysUnavailable, match="no thread can be started"):
            source.warm(required=True)
        with pytest.raises(KeysUnavailable, match="no thread can be started"):
            source.plan("a", ES256)
    assert publisher.fetches == 0
    assert source.health().failures == 0

    # A second later, with a thread to be had, it works.
    clock.tick(1)
    assert resolved(source, "a") == "found"
    assert source.health().last_failure is None


def test_a_fetch_of_a_closed_source_pauses_nothing(
    source: JWKSResolver, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given up for lack of a thread after its source was closed, it is not the current one."""
    gap = source.plan("a", ES256)
    assert isinstance(gap, Waiter)
    source.close()
    with monkeypatch.context() as patch:
        no_threads(patch)
        gap.perform(0.0)

    assert source.health().last_failure is None
    source.warm(required=True)
    assert outcome(source, "a") == "found"


def test_without_threads_what_is_in_memory_serves_on(
    warm: JWKSResolver, publisher: Publisher, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refresh that cannot begin pauses for a second, and old keys serve as in any outage (P52)."""
    no_threads(monkeypatch)
    clock.tick(301)
    assert outcome(warm, "a") == "found"
    clock.tick(601)
    assert outcome(warm, "a") == "found"
    assert publisher.fetches == 0


@RESOLVE
def test_a_fetch_sees_no_context_variables_of_a_request(
    resolved: Resolved, source: JWKSResolver, publisher: Publisher
) -> None:
    """It belongs to all that wait for it, so it must not see the caller of one of them."""
    caller: ContextVar[str] = ContextVar("caller", default="nobody")
    caller.set("alice")
    seen = list[str]()
    fetch = publisher.fetch

    def look(request: Any) -> Any:
        seen.append(caller.get())
        return fetch(request)

    publisher.fetch = look  # type: ignore[method-assign]
    assert resolved(source, "a") == "found"
    assert seen == ["nobody"]


@pytest.mark.slow
def test_a_hung_fetch_does_not_delay_the_end_of_the_process() -> None:
    """The interpreter ends although a fetch hangs (P53)."""
    program = """
        import sys, time
        from jwt_middleware.keys.remote.resolver import JWKSResolver
        from jwt_middleware.errors import KeysUnavailable
        source = JWKSResolver(sys.argv[1])
        try:
            source.warm(timeout=0.05, required=True)
        except KeysUnavailable:
            print("leaving")
    """
    with FakeIssuer(["ES256"]) as issuer:
        issuer.gate.clear()
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program), issuer.jwks_uri],
            capture_output=True,
            text=True,
            timeout=4.5,
            check=False,
        )

    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "leaving", "")


async def test_close_wakes_who_waits(source: JWKSResolver, publisher: Publisher) -> None:
    """Waiters of a closed source hear at once that it is closed (P54)."""
    publisher.hold()
    tasks = [asyncio.create_task(aoutcome(source, "a")) for _ in range(10)]
    assert await asyncio.to_thread(publisher.arrived.wait, SOON)
    fetch = source._fetches.current
    await source.aclose()

    assert fetch is not None
    assert fetch.future.done()
    assert await asyncio.gather(*tasks) == ["keys_unavailable"] * 10
    with pytest.raises(KeysUnavailable, match="closed"):
        source.plan("a", ES256)
    publisher.gate.set()
    await asyncio.to_thread(landed)
    assert source.snapshot is None
    assert source.health().state == "closed"


def test_close_leaves_no_thread_and_no_socket() -> None:
    """After ``close`` during a fetch, its thread ends and its connection is cut (P54)."""
    with FakeIssuer(["ES256"]) as issuer:
        issuer.gate.clear()
        source = JWKSResolver(issuer.jwks_uri)
        gap = source.plan("a", ES256)
        assert isinstance(gap, Waiter)
        gap.fetch.claim()
        gap.fetch.start()
        assert issuer.arrived.wait(SOON)
        (thread,) = [each for each in threading.enumerate() if each.name == "jwt_middleware.keys"]
        source.close()
        thread.join(2)

        assert not thread.is_alive()
        assert issuer.requests[JWKS_PATH] == 1


def test_a_closed_source_opens_again_when_it_is_warmed(
    warm: JWKSResolver, publisher: Publisher
) -> None:
    """A server that starts twice, as test clients do, closes and warms the same source (P54)."""
    warm.close()
    assert outcome(warm, "a") == "keys_unavailable"
    assert publisher.fetches == 0

    warm.warm(required=True)
    assert outcome(warm, "a") == "found"


@RESOLVE
def test_a_fetcher_that_exits_is_one_that_fails(
    resolved: Resolved, source: JWKSResolver, publisher: Publisher, clock: Clock
) -> None:
    """On a thread of its own, ``sys.exit`` ends nothing but the fetch, and counts as a failure."""
    publisher.failure = SystemExit()

    assert resolved(source, "a") == "keys_unavailable"

    assert source.health().last_failure == "no answer (SystemExit)"
    assert source.health().failures == 1
    publisher.failure = None
    clock.tick(1)
    assert resolved(source, "a") == "found"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_fetch_whose_thread_dies_frees_its_place(publisher: Publisher, clock: Clock) -> None:
    """The waiters are told, and after a second the next caller fetches (P52)."""
    dying = [True]

    def die(event: object) -> None:
        if dying and isinstance(event, KeyFetchStarted):
            raise SystemExit

    source = resolver_of(publisher, clock, [die])
    assert outcome(source, "a") == "keys_unavailable"
    landed()

    assert source.health().last_failure == THREAD_ENDED
    assert (source.health().failures, source.health().stuck_fetches) == (0, 0)
    assert publisher.fetches == 0
    dying.clear()
    clock.tick(1)
    assert outcome(source, "a") == "found"


def test_a_source_that_is_gone_is_not_kept_for_forks(publisher: Publisher) -> None:
    """The fork hook holds sources weakly."""
    import gc

    source = JWKSResolver(URI, fetcher=publisher, rng=Steady())
    assert forks._forkables[id(source)] is source
    before = len(forks._forkables)
    del source
    gc.collect()

    assert len(forks._forkables) < before


def test_a_fetch_may_be_finished_twice(publisher: Publisher, clock: Clock) -> None:
    """Who closes the source and who fetches may both do so."""
    source = resolver_of(publisher, clock)
    gap = source.plan("a", ES256)
    assert isinstance(gap, Waiter)
    source.close()
    gap.fetch.claim()
    gap.fetch.fetch_here()

    assert source.snapshot is None
