"""Methods of requests; opening a WebSocket counts as a method of its own."""

import re
from enum import Enum

from jwt_middleware.errors import PathInvalid

# RFC 9110 §9.1: a method is a token.
_METHOD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class Socket(Enum):
    """The type of :data:`SOCKET`, the method of a request that opens a WebSocket.

    Rules write ``WEBSOCKET``, but a client can send this text as the method of a plain request.
    So the opening is an enum member, which no text equals.
    """

    SOCKET = "WEBSOCKET"

    def __str__(self) -> str:
        return self.value


SOCKET = Socket.SOCKET

Method = str | Socket


def named_method(name: str) -> Method:
    """Return the method for its name in a rule, a route or the configuration."""
    return SOCKET if name == SOCKET.value else name


def normal_method(method: Method) -> Method:
    """Return a method in upper case.

    A server may pass ``post`` on, and a framework may handle it as ``POST``.

    :raises PathInvalid: if the method is not a token (RFC 9110 §9.1).
    """
    if method is SOCKET:
        return method
    if not _METHOD.fullmatch(method):
        raise PathInvalid("the method is not a token")
    return method.upper()
