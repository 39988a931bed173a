"""What a request wants to do: its method, or the opening of a WebSocket."""

import re
from enum import Enum

from jwt_middleware.errors import PathInvalid

# RFC 9110 §9.1: a method is a token.
_METHOD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class Socket(Enum):
    """The opening of a WebSocket.

    Rules write it as the text ``WEBSOCKET``, which a client can also send as the method of a plain
    request. So it is a value of its own that no text equals.
    """

    SOCKET = "WEBSOCKET"

    def __str__(self) -> str:
        return self.value


SOCKET = Socket.SOCKET

Method = str | Socket


def named_method(name: str) -> Method:
    """Return what a rule, a route or an operator means by the name of a method."""
    return SOCKET if name == SOCKET.value else name


def normal_method(method: Method) -> Method:
    """Return a method in upper case.

    A server may pass ``post`` on, and a framework may run it as ``POST``.

    :raises PathInvalid: if it is not a token (RFC 9110 §9.1).
    """
    if method is SOCKET:
        return method
    if not _METHOD.fullmatch(method):
        raise PathInvalid("the method is not a token")
    return method.upper()
