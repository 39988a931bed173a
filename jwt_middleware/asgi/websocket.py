"""What only WebSockets need: a token among subprotocols, and an end in time."""

import asyncio
from collections import deque
from typing import Any, Self

from jwt_middleware.asgi.types import Message, Receive, Scope, Send
from jwt_middleware.request.sources import split_list, without_token
from jwt_middleware.request.view import SUBPROTOCOLS

_HEADER = SUBPROTOCOLS.encode()


def answering(subprotocol: str | None, scope: Scope, send: Send) -> Send:
    """Hide the token from the application, and return ``send`` that answers for it.

    :param subprotocol: what to answer with if the application chooses none; ``None`` where no token
        was among those offered.
    """
    if subprotocol is None:
        return send
    scope["subprotocols"] = without_token(split_list(scope["subprotocols"]))
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
    """Something was sent to a socket that was closed because its token had expired.

    An ``OSError``, as the ASGI specification asks of a ``send`` after the end.
    """


# A server takes a close at once, unless its client has stopped reading.
_CLOSING_SECONDS = 1.0


class Deadline:
    """Ends a WebSocket when its time is up, for the client and for the application."""

    def __init__(self, seconds: float, receive: Receive, send: Send) -> None:
        """:param seconds: how long the socket may stay open."""
        self._seconds = seconds
        self._receive = receive
        self._send = send
        self._is_over = False
        self._expired: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Events that an application was not there to take. Where it gives up waiting, as with
        # ``wait_for``, the event may have arrived already: dropping it would lose a message.
        self._left: deque[asyncio.Future[Message]] = deque()

    async def __aenter__(self) -> Self:
        self._timer = asyncio.create_task(self._close_in_time())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._expired.done():
            # The application may end before the server has taken the close.
            await asyncio.wait((self._timer,), timeout=_CLOSING_SECONDS)
        tasks: list[asyncio.Future[Any]] = [self._timer, *self._left]
        for task in tasks:
            task.cancel()
        # What went wrong while closing is of no interest to anybody: the peer was gone already.
        await asyncio.gather(*tasks, return_exceptions=True)

    async def send(self, message: Message) -> None:
        """Send what the application sends, up to the end.

        :raises SocketExpired: after it; closing once more is no mistake.
        """
        kind = message["type"]
        if self._expired.done():
            if kind == "websocket.close":
                return
            raise SocketExpired("the token of this socket has expired")
        # After its own end, or a refusal in place of an opening, there is nothing left to close.
        self._is_over = self._is_over or kind in _ENDS
        await self._send(message)

    async def receive(self) -> Message:
        """Return the next event; after the end, at once that the socket is gone.

        Some servers go on delivering what the client sends after we closed the socket.
        """
        if self._expired.done():
            return _gone()
        event = self._left.popleft() if self._left else asyncio.ensure_future(self._receive())
        try:
            await asyncio.wait((event, self._expired), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._left.append(event)
            raise
        # Nothing is awaited from here on, so that the time cannot run out before this returns.
        if self._expired.done():
            self._left.append(event)
            return _gone()
        return event.result()

    async def _close_in_time(self) -> None:
        await asyncio.sleep(self._seconds)
        if not self._is_over:
            self._expired.set_result(None)
            # RFC 6455 §7.4.1: 1008 is a violation of policy.
            close = {"type": "websocket.close", "code": 1008, "reason": REASON}
            try:
                await self._send(close)
            except Exception:  # noqa: BLE001 - daphne lets an application choose no code below 3000
                # Registered with IANA as "Unauthorized".
                await self._send({**close, "code": 3000})


REASON = "token_expired"
"""Why a socket was ended, for its client and for its application."""


def _gone() -> Message:
    return {"type": "websocket.disconnect", "code": 1008, "reason": REASON}


_ENDS = frozenset({"websocket.close", "websocket.http.response.start"})
