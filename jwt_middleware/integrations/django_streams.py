"""Sets the current principal while Django sends a streaming body, after the middleware returned."""

from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any

from jwt_middleware.principal import Principal, reset_current, set_current


def stream_as(response: Any, principal: Principal) -> None:
    """Make a principal the current one while a streaming response produces and closes its body."""
    iterator = response._iterator
    # ``streaming_content`` is not set, because the server could then no longer send a file itself.
    response._iterator = (_AsyncBody if response.is_async else _Body)(iterator, principal)
    response.close = partial(_close_as, principal, response.close)


class _Body:
    """An iterator whose steps may each run in another context and on another thread."""

    def __init__(self, body: Iterator[Any], principal: Principal) -> None:
        self._body = body
        self._principal = principal

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        token = set_current(self._principal)
        try:
            return next(self._body)
        finally:
            reset_current(token)


class _AsyncBody:
    """Async version of :class:`_Body`."""

    def __init__(self, body: AsyncIterator[Any], principal: Principal) -> None:
        self._body = body
        self._principal = principal

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        token = set_current(self._principal)
        try:
            return await anext(self._body)
        finally:
            reset_current(token)


def _close_as(principal: Principal, close: Callable[[], None]) -> None:
    token = set_current(principal)
    try:
        close()
    finally:
        reset_current(token)
