"""Calls on threads of their own, which their callers may leave behind."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any

import pytest

from jwt_middleware import Guard, Issuer, daemons
from jwt_middleware.daemons import MOST_AT_ONCE, start_daemon, threads_run, within
from tests.support.short_form import HMAC

NAME = "tests.daemons"


def test_within_returns_and_raises_what_the_call_does() -> None:
    """As if it were called here, with the context variables of this thread."""
    who: ContextVar[str] = ContextVar("who", default="nobody")
    who.set("alice")

    assert within(10, NAME, 1, who.get) == "alice"
    with pytest.raises(ZeroDivisionError):
        within(10, NAME, 1, lambda: 1 // 0)
    with pytest.raises(SystemExit):
        within(10, NAME, 1, lambda: (_ for _ in ()).throw(SystemExit()))


def test_within_raises_the_timeout_of_the_call_itself() -> None:
    """As a read of a network share ends, with what was said about it."""

    def read() -> None:
        raise TimeoutError(110, "Connection timed out")

    with pytest.raises(TimeoutError, match="Connection timed out"):
        within(10, NAME, 1, read)


def test_within_is_back_while_the_call_still_hangs() -> None:
    """The thread that is left behind is a daemon, and ends with the call."""
    let_go = threading.Event()

    with pytest.raises(TimeoutError):
        within(0.01, NAME, 1, let_go.wait)

    (thread,) = [each for each in threading.enumerate() if each.name == NAME]
    assert thread.daemon
    let_go.set()
    thread.join(10)
    assert not thread.is_alive()


def test_calls_that_hang_for_ever_are_bounded() -> None:
    """The next one is not begun, until one of them has ended."""
    let_go = threading.Event()
    for number in range(MOST_AT_ONCE):
        with pytest.raises(TimeoutError):
            within(0, NAME, number, let_go.wait)
    running = [each for each in threading.enumerate() if each.name == NAME]
    try:
        with pytest.raises(TimeoutError):
            within(0.01, NAME, "another", lambda: pytest.fail("it was begun"))
    finally:
        let_go.set()
    assert within(10, NAME, "another", lambda: "done") == "done"
    for thread in running:
        thread.join(10)


def test_callers_at_one_time_share_one_thread() -> None:
    """Whoever asks for it waits for the same call, and gets its result."""
    let_go, began, looked_up = threading.Event(), threading.Event(), threading.Semaphore(0)
    found: list[Future[bool]] = [Future() for _ in range(4)]

    class Key:
        """It is hashed under the lock under which a call is joined."""

        def __hash__(self) -> int:
            looked_up.release()
            return 1

    def hang() -> bool:
        began.set()
        return let_go.wait(10)

    def asking(future: Future[bool], call: Callable[[], bool]) -> threading.Thread:
        thread = threading.Thread(target=lambda: future.set_result(within(10, NAME, key, call)))
        thread.start()
        return thread

    key = Key()
    callers = [asking(found[0], hang)]
    assert began.wait(10)
    while looked_up.acquire(blocking=False):
        pass
    callers += [asking(each, lambda: pytest.fail("it was begun")) for each in found[1:]]
    for _ in found[1:]:
        assert looked_up.acquire(timeout=10)
    let_go.set()

    assert [each.result(10) for each in found] == [True] * 4
    for thread in callers:
        thread.join(10)


def test_what_hung_may_have_been_replaced() -> None:
    """A caller that comes after a wait that ran out does not join the call that hangs."""
    let_go = threading.Event()
    with pytest.raises(TimeoutError):
        within(0.01, NAME, "a", let_go.wait)

    assert within(10, NAME, "a", lambda: "another file") == "another file"
    let_go.set()


def test_many_short_calls_wait_for_a_place() -> None:
    """None is refused because others are quick too."""
    with ThreadPoolExecutor(MOST_AT_ONCE * 2) as pool:
        found = list(pool.map(lambda n: within(30, NAME, n, lambda: n), range(500)))

    assert found == list(range(500))


def test_without_threads_the_call_is_made_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no limit then, but a start that needs the file does not fail for it."""

    def refuse(*_: Any) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)

    assert not start_daemon(NAME, threading.get_ident)
    assert within(10, NAME, 1, threading.get_ident) == threading.get_ident()


def test_a_daemon_sees_no_context_variables_by_itself() -> None:
    """What is shared by many must not see the context of the one that started it."""
    who: ContextVar[str] = ContextVar("who", default="nobody")
    who.set("alice")
    seen: Future[str] = Future()

    assert start_daemon(NAME, lambda: seen.set_result(who.get()))
    assert seen.result(10) == "nobody"


def test_threads_that_run_are_told_from_those_that_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some servers forbid them, others let them start and never run."""
    assert threads_run(10)
    monkeypatch.setattr(daemons, "start_daemon", lambda *_: True)
    assert not threads_run(0)
    monkeypatch.setattr(daemons, "start_daemon", lambda *_: False)
    assert not threads_run(10)


@pytest.mark.parametrize(("keys", "is_told"), [({}, True), ({"keys": HMAC.jwk}, False)])
def test_a_guard_without_threads_says_at_start_up_that_it_gets_no_keys(
    keys: dict[str, Any],
    is_told: bool,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Unless it needs to fetch none."""
    monkeypatch.setattr(daemons, "start_daemon", lambda *_: False)
    algorithms = ["HS256"] if keys else ["ES256"]
    Guard(issuers=Issuer("https://a/", audience="x", algorithms=algorithms, **keys))

    assert ("no thread can be started here" in caplog.text) == is_told
