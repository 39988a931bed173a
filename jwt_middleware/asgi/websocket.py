"""WebSockets: a token among the subprotocols, and closing when a token expires or is revoked."""

import asyncio
import math
from collections import deque
from contextlib import suppress
from typing import Any, Self

from jwt_middleware.asgi.types import Message, Receive, Scope, Send
from jwt_middleware.request.sources import split_list, without_token
from jwt_middleware.request.view import OFFERED_KEY, SUBPROTOCOLS, Offered, offered_in
from jwt_middleware.verdict import Watch

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
    """Raised by ``send`` on a socket that was closed because its token expired or was revoked.

    It is an ``OSError``, as the ASGI specification requires of a ``send`` after the end.
    """


# A server accepts a close at once, unless its client has stopped reading.
_CLOSING_SECONDS = 1.0


class Deadline:
    """Closes a WebSocket when its token ends, for the client and for the application."""

    def __init__(
        self, seconds: float | None, receive: Receive, send: Send, watch: Watch | None = None
    ) -> None:
        """
        :param seconds: how long the socket may stay open; ``None`` for any time.
        :param watch: tells of the revocation of its token.
        """
        self._seconds = math.inf if seconds is None else seconds
        self._watch = watch
        self._reason = EXPIRED
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
        """Send a message of the application until the token ends.

        :raises SocketExpired: after that. A second close is ignored.
        """
        kind = message["type"]
        if self._expired.done():
            if kind == "websocket.close":
                return
            raise SocketExpired(f"the socket was closed: {self._reason}")
        # After a close, or a response that refuses the handshake, there is nothing to close.
        self._is_over = self._is_over or kind in _ENDS
        await self._send(message)

    async def receive(self) -> Message:
        """Return the next event, or a disconnect as soon as the token ends.

        Some servers still deliver messages of the client after the socket was closed.
        """
        if self._expired.done():
            return self._gone()
        event = self._left.popleft() if self._left else asyncio.ensure_future(self._receive())
        try:
            await asyncio.wait((event, self._expired), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._left.append(event)
            raise
        # Nothing is awaited from here on, so the token cannot expire before this returns.
        if self._expired.done():
            self._left.append(event)
            return self._gone()
        return event.result()

    async def _until_revoked(self, watch: Watch) -> None:
        loop, changed = asyncio.get_running_loop(), asyncio.Event()
        # Set, because it may have been revoked since the request was judged.
        changed.set()

        def listener() -> None:
            # The loop may have been closed.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(changed.set)

        end = watch.listen(listener)
        try:
            while True:
                await changed.wait()
                changed.clear()
                if watch.is_revoked():
                    return
        finally:
            end()

    async def _until_it_ends(self) -> str:
        """Wait until the token expires or is revoked; return which."""
        if self._watch is None:
            await asyncio.sleep(self._seconds)
            return EXPIRED
        try:
            seconds = None if math.isinf(self._seconds) else self._seconds
            async with asyncio.timeout(seconds):
                await self._until_revoked(self._watch)
        except TimeoutError:
            return EXPIRED
        return REVOKED

    async def _close_in_time(self) -> None:
        self._reason = await self._until_it_ends()
        if not self._is_over:
            self._expired.set_result(None)
            # RFC 6455 §7.4.1: 1008 means a policy violation.
            close = {"type": "websocket.close", "code": 1008, "reason": self._reason}
            try:
                await self._send(close)
            except Exception:  # noqa: BLE001 - daphne refuses close codes below 3000
                # 3000 is registered with IANA as "Unauthorized".
                await self._send({**close, "code": 3000})

    def _gone(self) -> Message:
        return {"type": "websocket.disconnect", "code": 1008, "reason": self._reason}


EXPIRED, REVOKED = "token_expired", "token_revoked"
"""The close reasons that the client and the application receive."""

_ENDS = frozenset({"websocket.close", "websocket.http.response.start"})
