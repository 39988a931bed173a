"""The types of ASGI 3.0, and of its applications."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]


Message = MutableMapping[str, Any]


Receive = Callable[[], Awaitable[Message]]


Send = Callable[[Message], Awaitable[None]]


# Frameworks type scope and messages each in their own way; any of them fits.
ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]
