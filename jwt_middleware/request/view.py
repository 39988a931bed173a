"""What the guard may see of a request: narrow questions, the same for both faces."""

from functools import lru_cache
from typing import Any, Protocol, TypeAlias
from urllib.parse import parse_qsl

from jwt_middleware.rules.paths import strip_prefix

SUBPROTOCOLS = "sec-websocket-protocol"

Sent: TypeAlias = tuple[str, str, bytes | None]
"""A path as the server hands it over, its mount point, and the path before escapes are decoded."""


class RequestView(Protocol):
    """A request, as far as a decision may depend on it.

    A view may also have ``variables(name)``, every value that a WSGI application would find under
    the variable of a header; without it that is what ``headers(name)`` returns.
    """

    @property
    def method(self) -> str:
        """The method as sent."""
        ...

    @property
    def path(self) -> str:
        """The decoded path as the wrapped application sees it, without its mount point."""
        ...

    @property
    def sent(self) -> Sent:
        """What the server said of the path; ``(path, "", None)`` where it said no more."""
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
        """Whether a WebSocket is to be opened."""
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

    Split on semicolons, trimmed, cut at the first equals sign; a pair without one has no name.
    """
    # A browser trims these two and no more (RFC 6265bis §5.6). To trim what else Python takes for
    # white space would read a neighbour's "\xa0__Host-token" as a name that only we can set.
    pairs = (pair.partition("=") for header in headers for pair in header.split(";"))
    named = ((key.strip(_BLANKS), value) for key, equals, value in pairs if equals)
    return [value.strip(_BLANKS) for key, value in named if key == name]


_BLANKS = " \t"


def query_values(query: str, name: str) -> list[str]:
    """Return every value of a query parameter."""
    # A name may be escaped, as anything in a query may be.
    if name not in query and "%" not in query:
        return []
    pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=None)
    return [value for key, value in pairs if key == name]


def as_text(raw: str) -> str:
    """Return what bytes say that look like latin-1, as PEP 3333 has them.

    What is no UTF-8 gets U+FFFD, which no rule reads.
    """
    if raw.isascii():
        return raw
    try:
        return raw.encode("latin-1").decode("utf-8", "replace")
    except UnicodeEncodeError:
        return "\ufffd"


def asks_for_socket(view: RequestView) -> bool:
    """Return whether a plain request asks for a WebSocket, which below WSGI an application opens.

    It finds the connection among the server's own variables; some ask for no more than a key.
    """
    upgrades = ", ".join(view.headers("upgrade")).lower()
    return "websocket" in upgrades or bool(view.headers("sec-websocket-key"))


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
        """The path, ``root_path`` and ``raw_path`` as the server hands them over."""
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
            # What the application will see, whatever a server does with the header itself.
            offered = self._scope.get("subprotocols")
            return [", ".join(offered)] if offered else []
        wanted = name.encode("latin-1")
        length = len(wanted)
        values = []
        # A loop: it is on every request's way, and a comprehension would be one more call.
        for key, value in self._scope["headers"]:
            # The specification has names in lower case; a server that forgets must not hide one.
            if len(key) == length and key.lower() == wanted:
                values.append(value.decode("latin-1"))
        return values

    def variables(self, name: str) -> list[str]:
        """Return every value of a header that a bridge to WSGI gives the same variable.

        An underscore and a hyphen are one there.
        """
        wanted = name.replace("-", "_").encode("latin-1")
        every = ((key.lower().replace(b"-", b"_"), value) for key, value in self._scope["headers"])
        return [value.decode("latin-1") for key, value in every if key == wanted]

    def cookies(self, name: str) -> list[str]:
        return cookie_values(self.headers("cookie"), name)

    def query(self, name: str) -> list[str]:
        raw: bytes = self._scope.get("query_string", b"")
        return query_values(raw.decode("latin-1"), name)


# The names are those that the configuration speaks of, far fewer than these.
@lru_cache(maxsize=64)
def _variable(name: str) -> str:
    return f"HTTP_{name.upper().replace('-', '_')}"


class WSGIView:
    """The view of a WSGI environment (PEP 3333)."""

    __slots__ = ("_environ", "is_websocket", "method")

    def __init__(self, environ: Any) -> None:
        self._environ = environ
        self.is_websocket = False
        self.method: str = environ["REQUEST_METHOD"]

    @property
    def may_tunnel(self) -> bool:
        """Whether an application could open a WebSocket; two look-ups tell of most that not."""
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
