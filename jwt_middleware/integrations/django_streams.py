"""Sets the current principal while Django sends a streaming body, after the middleware returned."""

from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

from jwt_middleware.principal import Caller, resume, suspend
from jwt_middleware.wsgi import CallersBody


def stream_as(response: Any, caller: Caller) -> None:
    """Make a caller the current one while a streaming response produces its body, until it closes.

    The caller's request ends when the response is closed.
    """
    iterator = response._iterator
    # ``streaming_content`` is not set, because the server could then no longer send a file itself.
    response._iterator = (_AsyncBody if response.is_async else CallersBody)(iterator, caller)
    response.close = partial(_close_as, caller, response.close)


class _AsyncBody:
    """Async version of :class:`~jwt_middleware.wsgi.CallersBody`."""

    def __init__(self, body: AsyncIterator[Any], caller: Caller) -> None:
        self._body = body
        self._caller = caller

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        before = resume(self._caller)
        try:
            return await anext(self._body)
        finally:
            suspend(before)


def _close_as(caller: Caller, close: Callable[[], None]) -> None:
    before = resume(caller)
    try:
        close()
    finally:
        suspend(before)
        caller.end()
