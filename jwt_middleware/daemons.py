"""Short-lived daemon threads, for calls that may take longer than their callers wait.

A thread cannot be stopped from outside. So a call that may hang, such as the look-up of a host's
address or a file on a network share, gets a thread of its own, and its caller leaves it behind. A
daemon thread does not delay the exit of the interpreter.
"""

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextvars import Context, copy_context
from functools import partial
from time import monotonic
from typing import Any, TypeVar

from jwt_middleware.forks import TinyLock, renew_after_fork

T = TypeVar("T")


def start_daemon(name: str, call: Callable[[], object], context: Context | None = None) -> bool:
    """Run ``call`` on a daemon thread; return ``False`` if none can be started.

    :param name: the name of the thread.
    :param context: the context variables that the call sees; by default none are set.
    """
    chosen = Context() if context is None else context
    try:
        threading.Thread(target=chosen.run, args=(call,), name=name, daemon=True).start()
    except RuntimeError:
        # Threads are used up, forbidden or unknown here, or the interpreter is about to exit.
        return False
    return True


def threads_run(seconds: float = 1.0) -> bool:
    """Return whether a thread can be started here and does run.

    :param seconds: the most seconds to wait for it.
    """
    has_run = threading.Event()
    return start_daemon("jwt_middleware.probe", has_run.set) and has_run.wait(seconds)


# Files of so many names are read at once only if something stays broken.
MOST_AT_ONCE = 64


class _Calls:
    """The calls that run. A forked child has none of its parent's threads."""

    def __init__(self) -> None:
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        self._running: dict[Hashable, Future[Any]] = {}
        self._lock = TinyLock()
        self.places = threading.BoundedSemaphore(MOST_AT_ONCE)

    def join(self, key: Hashable) -> tuple[Future[Any], bool]:
        """Return the result of a call to come, and whether it must be made yet."""
        with self._lock:
            known = self._running.get(key)
            future = self._running.setdefault(key, Future()) if known is None else known
            return future, known is None

    def end(self, key: Hashable, future: "Future[Any]") -> None:
        """Forget a call, so that the next caller makes another."""
        with self._lock:
            if self._running.get(key) is future:
                del self._running[key]

    def perform(self, key: Hashable, future: "Future[Any]", call: Callable[[], object]) -> None:
        """Make a call whose place was taken, and give the place back."""
        try:
            result = call()
        except BaseException as problem:  # noqa: BLE001 - raised again by the threads that wait
            self.end(key, future)
            future.set_exception(problem)
        else:
            self.end(key, future)
            future.set_result(result)
        finally:
            self.places.release()


_calls = _Calls()


def within(seconds: float, name: str, key: Hashable, call: Callable[[], T]) -> T:
    """Return what ``call`` returns, or raise what it raises.

    Where no thread can be started, the call runs on this thread, and nothing limits it.

    :param seconds: the most seconds to wait for it.
    :param name: the name of its thread.
    :param key: what is called. If the same is called already, its result is waited for, so that one
        file that hangs takes one thread, however many ask for it.
    :raises TimeoutError: if it takes longer. Its thread ends when the call does.
    """
    ends_at = monotonic() + seconds
    calls = _calls
    future, is_new = calls.join(key)
    if is_new:
        perform = partial(calls.perform, key, future, call)
        if not calls.places.acquire(timeout=seconds):
            calls.end(key, future)
            future.set_exception(TimeoutError())
        elif not start_daemon(name, perform, copy_context()):
            perform()
    try:
        result: T = future.result(max(0.0, ends_at - monotonic()))
    except FutureTimeout:
        if future.done():
            # The call has raised it, as a read of a network share does, or has just ended.
            return future.result()  # type: ignore[no-any-return]
        # What hangs may have been replaced since, so the next caller does not join this call.
        calls.end(key, future)
        raise TimeoutError from None
    return result
