"""Short-lived daemon threads, for calls that may take longer than their callers wait.

A thread cannot be stopped from outside. So a call that may hang, such as the look-up of a host's
address or a file on a network share, gets a thread of its own, and its caller leaves it behind. A
daemon thread does not delay the exit of the interpreter.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import Context, copy_context
from typing import TypeVar

from jwt_middleware.forks import renew_after_fork

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


# More calls than this hang at once only if something stays broken.
MOST_AT_ONCE = 16


class _Places:
    """The places for calls that run at once. A forked child has none of its parent's threads."""

    def __init__(self) -> None:
        self.free = threading.BoundedSemaphore(MOST_AT_ONCE)
        renew_after_fork(self)

    def after_fork(self) -> None:
        self.free = threading.BoundedSemaphore(MOST_AT_ONCE)


_places = _Places()


def within(seconds: float, name: str, call: Callable[[], T]) -> T:
    """Return what ``call`` returns, or raise what it raises.

    Where no thread can be started, the call runs on this thread, and nothing limits it.

    :param seconds: the most seconds to wait for it.
    :param name: the name of its thread.
    :raises TimeoutError: if it takes longer. Its thread ends when the call does. Also if too many
        such calls have not ended.
    """
    future: Future[T] = Future()
    running = _places.free
    if not running.acquire(blocking=False):
        raise TimeoutError

    def fill() -> None:
        try:
            future.set_result(call())
        except BaseException as problem:  # noqa: BLE001 - raised again by the thread that waits
            future.set_exception(problem)
        finally:
            running.release()

    if not start_daemon(name, fill, copy_context()):
        running.release()
        return call()
    return future.result(seconds)
