"""Views: the parts of a request that the guard reads, with one interface for ASGI and WSGI."""

from functools import lru_cache
from typing import Any, Protocol, TypeAlias
from urllib.parse import unquote_plus

from jwt_middleware.rules.paths import strip_prefix

SUBPROTOCOLS = "sec-websocket-protocol"

Sent: TypeAlias = tuple[str, str, bytes | None]
"""The server's path, its mount point, and the path before percent-escapes are decoded."""


class RequestView(Protocol):
    """The parts of a request that a decision may depend on.

    A view may also have ``variables(name)``. It returns every value that a WSGI application would
    find in the variable of a header. Without it, ``headers(name)`` is used.
    """

    @property
    def method(self) -> str:
        """The method as sent."""
        ...

    @property
    def path(self) -> str:
        """The decoded path that the wrapped application receives, without its mount point."""
        ...

    @property
    def sent(self) -> Sent:
        """The path as the server passes it on; ``(path, "", None)`` without further details."""
        ...

    @property
    def scheme(self) -> str:
        """``http``, ``https``, ``ws`` or ``wss``."""
        ...

    @property
    def host(self) -> str | None:
        """The ``Host`` header."""
        ...

    @property
    def client(self) -> str | None:
        """The address of the peer."""
        ...

    @property
    def is_websocket(self) -> bool:
        """Whether the request opens a WebSocket."""
        ...

    @property
    def may_tunnel(self) -> bool:
        """Whether the application may turn a plain request into a WebSocket, as under WSGI."""
        ...

    def headers(self, name: str) -> list[str]:
        """Return every value of a header; ``name`` is in lower case."""
        ...

    def cookies(self, name: str) -> list[str]:
        """Return every value of a cookie."""
        ...

    def query(self, name: str) -> list[str]:
        """Return every value of a query parameter."""
        ...


def cookie_values(headers: list[str], name: str) -> list[str]:
    """Return every value of a cookie (RFC 6265 §5.4), neither unquoted nor decoded.

    Headers are split on semicolons, and each pair is trimmed and cut at the first equals sign. A
    pair without an equals sign has no name.
    """
    # A browser trims only spaces and tabs (RFC 6265bis §5.6). Trimming all white space of Python
    # would read a neighbour's "\xa0__Host-token" as a name that only this host can set.
    pairs = (pair.partition("=") for header in headers for pair in header.split(";"))
    named = ((key.strip(_BLANKS), value) for key, equals, value in pairs if equals)
    return [value.strip(_BLANKS) for key, value in named if key == name]


_BLANKS = " \t"


def query_values(query: str, name: str) -> list[str]:
    """Return every value of a query parameter."""
    # The name in the query may be percent-escaped, so a query with "%" must be parsed.
    if name not in query and "%" not in query:
        return []
    pairs = (pair.partition("=") for pair in query.split("&"))
    # One pair after another, because a list of them would be forty times as large as the query.
    return [unquote_plus(value) for key, _, value in pairs if _is_name(key, name)]


def _is_name(key: str, name: str) -> bool:
    # Each escape takes three characters for one, and the lengths are compared first, because a long
    # query of short keys would cost a tenth of a second otherwise.
    may_be = len(key) - 2 * key.count("%") == len(name) or not name.isascii()
    return may_be and unquote_plus(key) == name


def as_text(raw: str) -> str:
    """Decode a text of PEP 3333, in which bytes are characters of latin-1, as UTF-8.

    Bytes that are not UTF-8 become U+FFFD, which is refused in a path.
    """
    if raw.isascii():
        return raw
    try:
        return raw.encode("latin-1").decode("utf-8", "replace")
    except UnicodeEncodeError:
        return "\ufffd"


def asks_for_socket(view: RequestView) -> bool:
    """Return whether a plain request asks for a WebSocket, which a WSGI application may open.

    The application finds the connection in the server's variables, and some require only a key.
    """
    upgrades = ", ".join(view.headers("upgrade")).lower()
    return "websocket" in upgrades or bool(view.headers("sec-websocket-key"))


CALLER_KEY = "jwt_middleware.caller"
"""Where an ASGI scope has the caller that a guard let pass."""

OFFERED_KEY = "jwt_middleware.subprotocols"
"""Where an ASGI scope has the subprotocols as the client offered them."""


class Offered:
    """The subprotocols of a client, for another guard behind the one that has hidden the token."""

    __slots__ = ("_left", "_sent")

    def __init__(self, sent: list[str], left: list[str]) -> None:
        """
        :param sent: what the client offered.
        :param left: what the application finds in place of it.
        """
        self._sent, self._left = sent, left

    # The representation of a scope is logged, so no token is shown.
    def __repr__(self) -> str:
        return f"Offered({self._left})"

    def whole(self, present: Any) -> Any:
        """Return what the client offered, unless other code has set something else since."""
        return self._sent if present == self._left else present


def offered_in(scope: Any) -> Any:
    """Return the subprotocols of a WebSocket, also those that a guard further out has hidden."""
    present, offered = scope.get("subprotocols"), scope.get(OFFERED_KEY)
    if type(offered) is not Offered:
        return present
    # A server may use the scope of a request that is over for another one.
    caller = scope.get(CALLER_KEY)
    is_over = caller is None or caller.principal is None
    return present if is_over else offered.whole(present)


class ASGIView:
    """The view of an ASGI scope."""

    __slots__ = ("_scope", "is_websocket", "method")

    # Here a server opens a socket, and says so.
    may_tunnel = False

    def __init__(self, scope: Any) -> None:
        self._scope = scope
        self.is_websocket = scope["type"] == "websocket"
        self.method: str = "WEBSOCKET" if self.is_websocket else scope["method"]

    @property
    def path(self) -> str:
        path: str = self._scope["path"]
        root: str = self._scope.get("root_path") or ""
        return strip_prefix(path, root.rstrip("/")) if root else path

    @property
    def sent(self) -> Sent:
        """The path, ``root_path`` and ``raw_path`` as the server passes them on."""
        scope = self._scope
        return scope["path"], scope.get("root_path") or "", scope.get("raw_path")

    @property
    def scheme(self) -> str:
        return str(self._scope.get("scheme", "ws" if self.is_websocket else "http"))

    @property
    def host(self) -> str | None:
        return next(iter(self.headers("host")), None)

    @property
    def client(self) -> str | None:
        client = self._scope.get("client")
        return str(client[0]) if client else None

    def headers(self, name: str) -> list[str]:
        if name == SUBPROTOCOLS and self.is_websocket:
            # The application reads "subprotocols", so a server's change of the header is ignored.
            offered = offered_in(self._scope)
            return [", ".join(offered)] if offered else []
        wanted = name.encode("latin-1")
        length = len(wanted)
        values = []
        # A loop instead of a comprehension saves one call on every request.
        for key, value in self._scope["headers"]:
            # ASGI requires names in lower case, but a server's mistake must not hide a header.
            if len(key) == length and key.lower() == wanted:
                values.append(value.decode("latin-1"))
        return values

    def variables(self, name: str) -> list[str]:
        """Return every value of the headers for which a bridge to WSGI uses the same variable.

        The bridge does not tell an underscore from a hyphen.
        """
        wanted = name.replace("-", "_").encode("latin-1")
        every = ((key.lower().replace(b"-", b"_"), value) for key, value in self._scope["headers"])
        return [value.decode("latin-1") for key, value in every if key == wanted]

    def cookies(self, name: str) -> list[str]:
        return cookie_values(self.headers("cookie"), name)

    def query(self, name: str) -> list[str]:
        raw: bytes = self._scope.get("query_string", b"")
        return query_values(raw.decode("latin-1"), name)


# Only the few header names of the configuration are looked up, so 64 entries are enough.
@lru_cache(maxsize=64)
def _variable(name: str) -> str:
    variable = name.upper().replace("-", "_")
    # RFC 3875 §4.1: these two have no prefix.
    return variable if variable in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{variable}"


class WSGIView:
    """The view of a WSGI environment (PEP 3333)."""

    __slots__ = ("_environ", "is_websocket", "method")

    def __init__(self, environ: Any) -> None:
        self._environ = environ
        self.is_websocket = False
        self.method: str = environ["REQUEST_METHOD"]

    @property
    def may_tunnel(self) -> bool:
        """Whether an application could open a WebSocket; two look-ups exclude most requests."""
        return "HTTP_UPGRADE" in self._environ or "HTTP_SEC_WEBSOCKET_KEY" in self._environ

    @property
    def path(self) -> str:
        return self._text("PATH_INFO")

    @property
    def sent(self) -> Sent:
        """``PATH_INFO`` and ``SCRIPT_NAME``."""
        path, mount_point = self._environ.get("PATH_INFO", ""), self._environ.get("SCRIPT_NAME", "")
        if path.isascii() and mount_point.isascii():
            return path, mount_point, None
        return self._text("PATH_INFO"), self._text("SCRIPT_NAME"), None

    def _text(self, name: str) -> str:
        return as_text(self._environ.get(name, ""))

    @property
    def scheme(self) -> str:
        return str(self._environ.get("wsgi.url_scheme", "http"))

    @property
    def host(self) -> str | None:
        return next(iter(self.headers("host")), None)

    @property
    def client(self) -> str | None:
        return self._environ.get("REMOTE_ADDR") or None

    def headers(self, name: str) -> list[str]:
        value = self._environ.get(_variable(name))
        return [] if value is None else [value]

    def cookies(self, name: str) -> list[str]:
        return cookie_values(self.headers("cookie"), name)

    def query(self, name: str) -> list[str]:
        return query_values(self._environ.get("QUERY_STRING", ""), name)
