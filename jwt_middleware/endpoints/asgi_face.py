"""The ASGI face of an endpoint: reads the body, asks for the response and sends it."""

import asyncio
from typing import TYPE_CHECKING

from jwt_middleware.asgi.types import Receive, Scope, Send
from jwt_middleware.effects import arun
from jwt_middleware.endpoint_errors import BodyTooLarge, BodyTooSlow, EndpointRefused
from jwt_middleware.endpoints.body import LONGEST, PATIENCE
from jwt_middleware.errors import ConfigurationError
from jwt_middleware.request.view import ASGIView

if TYPE_CHECKING:
    from jwt_middleware.endpoints.endpoint import Endpoint


class ASGIFace:
    """An endpoint as an ASGI application."""

    def __init__(self, endpoint: "Endpoint") -> None:
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI 3.0)."""
        if scope["type"] != "http":
            raise ConfigurationError(
                f"{type(self._endpoint).__name__} answers HTTP requests, not {scope['type']!r}: "
                "mount it at a path of its own"
            )
        body: bytes | EndpointRefused | None = b""
        if self._endpoint.reads_body and scope["method"] in self._endpoint.methods:
            body = await _read(receive)
        if body is None:
            # The client has gone.
            return
        steps = self._endpoint.replying(ASGIView(scope), body)
        reply = await arun(steps, self._endpoint.patience)
        headers = list(reply.raw_headers)
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})

    def __repr__(self) -> str:
        return f"{type(self._endpoint).__name__}(...).asgi"


async def _read(receive: Receive) -> bytes | EndpointRefused | None:
    """Return the body, or why it is refused; ``None`` if the client has gone."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await _whole(receive)
    except TimeoutError:
        return BodyTooSlow()


async def _whole(receive: Receive) -> bytes | EndpointRefused | None:
    parts: list[bytes] = []
    length = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        part: bytes = message.get("body", b"")
        length += len(part)
        if length > LONGEST:
            return BodyTooLarge()
        # Empty parts would be counted by nothing.
        parts += [part] if part else []
        if not message.get("more_body", False):
            return b"".join(parts)
