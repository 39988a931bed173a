"""The least work of any middleware, and the applications that are measured behind it."""

import asyncio
import json
import time
from collections.abc import Callable, Coroutine, Iterable
from contextvars import ContextVar, Token
from typing import Any

from jwt_middleware.asgi.types import (
    ASGIApp,
    Message,
    Receive,
    Scope,
    Send,
)
from jwt_middleware.formats import base64url
from jwt_middleware.wsgi import Environ, StartResponse, WSGIApp

_current: ContextVar[object] = ContextVar("current")


async def bare(scope: Scope, receive: Receive, send: Send) -> None:
    """Respond with nothing, so that only the middleware in front of it costs time."""


def _attached(scope: Scope, principal: object) -> Token[object]:
    scope["user"] = scope["auth"] = scope["principal"] = principal
    return _current.set(principal)


def floor(known: dict[bytes, tuple[object, float]]) -> ASGIApp:
    """Return the least that passes a known token on: look, compare, attach."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        header = next(value for name, value in scope["headers"] if name == b"authorization")
        principal, until = known[header[7:]]
        if time.time() < until:
            token = _attached(scope, principal)
            try:
                await bare(scope, receive, send)
            finally:
                _current.reset(token)

    return app


def new_floor(verifies: Callable[[bytes, bytes], bool], claims: dict[str, str]) -> ASGIApp:
    """Return the least that passes a new token on: decode, verify, compare, attach.

    :param verifies: returns whether a signature fits the signed text.
    :param claims: what the token must say besides ``exp``.
    """

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        header = next(value for name, value in scope["headers"] if name == b"authorization")
        signed, _, signature = header[7:].rpartition(b".")
        said = json.loads(base64url.decode(signed.partition(b".")[2]))
        if (
            verifies(signed, base64url.decode(signature))
            and time.time() < said["exp"]
            and claims.items() <= said.items()
        ):
            token = _attached(scope, said)
            try:
                await bare(scope, receive, send)
            finally:
                _current.reset(token)

    return app


def refusing_floor() -> ASGIApp:
    """Return the least that refuses an expired token: decode, compare, answer."""

    async def app(scope: Scope, _: Receive, send: Send) -> None:
        header = next(value for name, value in scope["headers"] if name == b"authorization")
        if json.loads(base64url.decode(header[7:].split(b".")[1]))["exp"] < time.time():
            await send({"type": "http.response.start", "status": 401, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    return app


def wsgi_bare(_environ: Environ, _start_response: StartResponse) -> list[bytes]:
    """Answer with nothing, as :func:`bare` does."""
    return []


def wsgi_floor(known: dict[str, tuple[object, float]]) -> WSGIApp:
    """Return the same as :func:`floor` for WSGI."""

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        principal, until = known[environ["HTTP_AUTHORIZATION"][7:]]
        if time.time() >= until:
            return []
        environ["principal"] = environ["REMOTE_USER"] = environ["AUTH_TYPE"] = principal
        token = _current.set(principal)
        try:
            return wsgi_bare(environ, start_response)
        finally:
            _current.reset(token)

    return app


def environ_of(token: str, path: str = "/orders/1") -> Environ:
    """Return the environment of an ordinary request."""
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "HTTP_AUTHORIZATION": f"Bearer {token}",
        "wsgi.url_scheme": "http",
    }


def scope_of(token: str, path: str = "/orders/1") -> Scope:
    """Return the scope of an ordinary request."""
    headers = [(b"host", b"example"), (b"accept", b"*/*"), (b"user-agent", b"bench")]
    headers.append((b"authorization", f"Bearer {token}".encode()))
    return {
        "type": "http",
        "method": "GET",
        "path": path,
        "headers": headers,
        "query_string": b"",
        "state": {},
    }


async def _receive() -> Message:
    return {"type": "http.request"}


async def _send(message: Message) -> None:
    pass


def call(app: ASGIApp, scopes: Callable[[], Scope]) -> Callable[[], object]:
    """Return one request as plain work, driven without an event loop's own cost."""

    def work() -> None:
        step: Coroutine[Any, Any, None] = app(scopes(), _receive, _send)  # type: ignore[assignment]
        try:
            step.send(None)
        except StopIteration:
            return
        raise RuntimeError("the request waited for something")

    return work


def settle(app: ASGIApp, scope: Scope) -> None:
    """Serve one request in an event loop, so that whatever must be fetched is there."""
    asyncio.run(_serve(app, scope))


async def _serve(app: ASGIApp, scope: Scope) -> None:
    await app(scope, _receive, _send)
