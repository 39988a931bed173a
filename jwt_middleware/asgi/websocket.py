"""WebSockets: a token among the subprotocols, and closing at expiry."""

import asyncio
from collections import deque
from typing import Any, Self

from jwt_middleware.asgi.types import Message, Receive, Scope, Send
from jwt_middleware.request.sources import split_list, without_token
from jwt_middleware.request.view import OFFERED_KEY, SUBPROTOCOLS, Offered, offered_in

_HEADER = SUBPROTOCOLS.encode()


def answering(subprotocol: str | None, scope: Scope, send: Send) -> Send:
    """Remove the token from the scope, and return a ``send`` that names a subprotocol.

    :param subprotocol: the subprotocol to accept with if the application chooses none; ``None`` if
        the client offered no token.
    """
    if subprotocol is None:
        return send
    sent = offered_in(scope)
    scope["subprotocols"] = left = without_token(split_list(sent))
    scope[OFFERED_KEY] = Offered(sent, left)
    scope["headers"] = _without_token_in_headers(scope["headers"])

    async def send_with_subprotocol(message: Message) -> None:
        if message["type"] == "websocket.accept" and not message.get("subprotocol"):
            message = {**message, "subprotocol": subprotocol}
        await send(message)

    return send_with_subprotocol


def _without_token_in_headers(headers: Any) -> list[tuple[bytes, bytes]]:
    offered = [value.decode("latin-1") for name, value in headers if name.lower() == _HEADER]
    left = ", ".join(without_token(split_list(offered))).encode("latin-1")
    others = [(name, value) for name, value in headers if name.lower() != _HEADER]
    return [*others, (_HEADER, left)] if left else others


class SocketExpired(OSError):
    """Raised by ``send`` on a socket that was closed because its token had expired.

    It is an ``OSError``, as the ASGI specification requires of a ``send`` after the end.
    """


# A server accepts a close at once, unless its client has stopped reading.
_CLOSING_SECONDS = 1.0


class Deadline:
    """Closes a WebSocket when its token expires, for the client and for the application."""

    def __init__(self, seconds: float, receive: Receive, send: Send) -> None:
        """:param seconds: how long the socket may stay open."""
        self._seconds = seconds
        self._receive = receive
        self._send = send
        self._is_over = False
        self._expired: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Events that the application did not receive. If it stops waiting, as with
        # ``wait_for``, the event may have arrived already, and dropping it would lose a message.
        self._left: deque[asyncio.Future[Message]] = deque()

    async def __aenter__(self) -> Self:
        self._timer = asyncio.create_task(self._close_in_time())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._expired.done():
            # The application may end before the server has accepted the close.
            await asyncio.wait((self._timer,), timeout=_CLOSING_SECONDS)
        tasks: list[asyncio.Future[Any]] = [self._timer, *self._left]
        for task in tasks:
            task.cancel()
        # An error of the close is dropped, because the client had already disconnected.
        await asyncio.gather(*tasks, return_exceptions=True)

    async def send(self, message: Message) -> None:
        """Send a message of the application until the token expires.

        :raises SocketExpired: after expiry. A second close is ignored.
        """
        kind = message["type"]
        if self._expired.done():
            if kind == "websocket.close":
                return
            raise SocketExpired("the token of this socket has expired")
        # After a close, or a response that refuses the handshake, there is nothing to close.
        self._is_over = self._is_over or kind in _ENDS
        await self._send(message)

    async def receive(self) -> Message:
        """Return the next event, or a disconnect as soon as the token expires.

        Some servers still deliver messages of the client after the socket was closed.
        """
        if self._expired.done():
            return _gone()
        event = self._left.popleft() if self._left else asyncio.ensure_future(self._receive())
        try:
            await asyncio.wait((event, self._expired), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._left.append(event)
            raise
        # Nothing is awaited from here on, so the token cannot expire before this returns.
        if self._expired.done():
            self._left.append(event)
            return _gone()
        return event.result()

    async def _close_in_time(self) -> None:
        await asyncio.sleep(self._seconds)
        if not self._is_over:
            self._expired.set_result(None)
            # RFC 6455 §7.4.1: 1008 means a policy violation.
            close = {"type": "websocket.close", "code": 1008, "reason": REASON}
            try:
                await self._send(close)
            except Exception:  # noqa: BLE001 - daphne refuses close codes below 3000
                # 3000 is registered with IANA as "Unauthorized".
                await self._send({**close, "code": 3000})


REASON = "token_expired"
"""The close reason that the client and the application receive."""


def _gone() -> Message:
    return {"type": "websocket.disconnect", "code": 1008, "reason": REASON}


_ENDS = frozenset({"websocket.close", "websocket.http.response.start"})
