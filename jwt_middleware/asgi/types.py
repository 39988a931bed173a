"""The types of ASGI 3.0 and of ASGI applications."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]


Message = MutableMapping[str, Any]


Receive = Callable[[], Awaitable[Message]]


Send = Callable[[Message], Awaitable[None]]


# The parameters are Any because each framework has its own types for scope and messages.
ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]
