"""What real servers make of a request target; ``test_servers.py`` holds this against them."""

import io
import re
from typing import Any
from urllib.parse import unquote, unquote_to_bytes, urlsplit

Headers = tuple[tuple[str, str], ...]

_ABSOLUTE = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")


def h11_path(target: bytes) -> str:
    """Return ``scope["path"]`` of uvicorn with h11, and of hypercorn."""
    return unquote(target.partition(b"?")[0].decode("ascii", "surrogateescape"))


def httptools_path(target: bytes) -> str:
    """Return ``scope["path"]`` of uvicorn with httptools, which reads a target as a URL."""
    path = _ABSOLUTE.sub(b"", target, count=1) if not target.startswith(b"/") else target
    return unquote(re.split(rb"[?#]", path)[0].decode("ascii", "surrogateescape"))


def raw_path(target: bytes) -> bytes:
    """Return ``scope["raw_path"]`` of uvicorn with h11, of hypercorn and of daphne."""
    return target.partition(b"?")[0]


def httptools_raw_path(target: bytes) -> bytes:
    """Return ``scope["raw_path"]`` of uvicorn with httptools."""
    path = _ABSOLUTE.sub(b"", target, count=1) if not target.startswith(b"/") else target
    return re.split(rb"[?#]", path)[0]


def gunicorn_path(target: bytes) -> str:
    """Return ``PATH_INFO`` of gunicorn: bytes that look like latin-1."""
    text = target.decode("latin-1")
    # A target that begins with two slashes is a path to gunicorn, not the name of a host.
    path = urlsplit(f".{text}").path[1:] if text.startswith("//") else urlsplit(text).path
    return unquote_to_bytes(path.encode("latin-1")).decode("latin-1")


def bare_text(target: bytes) -> str:
    """Return a target that nobody decoded, its bytes taken for UTF-8 where they are."""
    return target.partition(b"?")[0].decode("utf-8", "surrogateescape")


def bare_bytes(target: bytes) -> str:
    """Return a target that nobody decoded, its bytes taken for latin-1 (PEP 3333)."""
    return target.partition(b"?")[0].decode("latin-1")


def asgi_scope(  # noqa: PLR0917 - what a server says, in its order
    method: str, path: str, raw: bytes, root_path: str, query: bytes, headers: Headers
) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": ("testserver", 80),
        "client": ("127.0.0.1", 1),
        "scheme": "http",
        "method": method,
        "root_path": root_path,
        "path": path,
        "raw_path": raw,
        "query_string": query,
        "headers": [
            (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers
        ],
        "state": {},
    }


def wsgi_environ(
    method: str, path: str, script_name: str, query: bytes, headers: Headers
) -> dict[str, Any]:
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": script_name,
        "PATH_INFO": path,
        "QUERY_STRING": query.decode("latin-1"),
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_LENGTH": "0",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    named = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers}
    return {**environ, **named}
