"""One request through each face, in process, with nothing between the face and the application."""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from jwt_middleware import Guard, JWTMiddleware, JWTWSGIMiddleware, Principal, current_principal
from jwt_middleware.asgi.types import (
    Message,
    Receive,
    Scope,
    Send,
)
from jwt_middleware.wsgi import Environ, StartResponse


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """Return every value of a header, joined."""
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        return ", ".join(found) if found else None

    def json(self) -> Any:
        return json.loads(self.body)


def describe(principal: Principal) -> bytes:
    """Return what an application says of who called."""
    assert principal == current_principal()
    seen = {
        "subject": principal.subject,
        "authenticated": principal.is_authenticated,
        "scopes": sorted(principal.scopes),
        "refusal": principal.refusal,
        "identity": principal.identity,
    }
    return json.dumps(seen).encode()


async def asgi_app(scope: Scope, receive: Receive, send: Send) -> None:
    body = describe(scope["jwt_middleware.principal"])
    assert scope["user"] is scope["jwt_middleware.principal"]
    assert scope["state"]["user"] is scope["user"]
    authenticated = {"authenticated"} if scope["user"].is_authenticated else set()
    assert set(scope["auth"].scopes) == scope["user"].scopes | authenticated
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def wsgi_app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    principal = environ["jwt_middleware.principal"]
    assert environ.get("AUTH_TYPE") == ("Bearer" if principal.is_authenticated else None)
    start_response("200 OK", [])
    return [b"" if environ["REQUEST_METHOD"] == "HEAD" else describe(principal)]


def http_scope(
    method: str, path: str, headers: Iterable[tuple[str, str]] = (), **more: Any
) -> dict[str, Any]:
    """Return the scope that a server makes of a request."""
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    scope = {"type": "http", "method": method, "path": path, "headers": raw, "scheme": "http"}
    return {**scope, "query_string": b"", "client": ("127.0.0.1", 1), **more}


def wsgi_environ(
    method: str, path: str, headers: Iterable[tuple[str, str]] = (), **more: Any
) -> dict[str, Any]:
    """Return the environment that a server makes of a request (PEP 3333)."""
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path.encode().decode("latin-1")}
    for name, value in headers:
        key = f"HTTP_{name.upper().replace('-', '_')}"
        # RFC 9113 §8.2.3 joins cookies with a semicolon, RFC 9110 §5.3 the rest with a comma.
        joint = "; " if key == "HTTP_COOKIE" else ","
        environ[key] = f"{environ[key]}{joint}{value}" if key in environ else value
    return {**environ, "SCRIPT_NAME": "", "wsgi.url_scheme": "http", **more}


async def through_asgi(app: Any, scope: Scope) -> Answer:
    sent: list[Message] = []

    waiting: list[Message] = [{"type": "http.request", "body": b""}]

    is_answered = asyncio.Event()

    async def receive() -> Message:
        if waiting:
            return waiting.pop()
        # As a server has it: the client stays until it is answered.
        await is_answered.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            is_answered.set()

    await app(scope, receive, send)
    start, *bodies = sent
    headers = tuple((k.decode("latin-1"), v.decode("latin-1")) for k, v in start["headers"])
    return Answer(start["status"], headers, b"".join(part.get("body", b"") for part in bodies))


def through_wsgi(app: Any, environ: Environ) -> Answer:
    started: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], *_: Any) -> Any:
        started[:] = [status, headers]

    result = app(environ, start_response)
    body = b"".join(result)
    if hasattr(result, "close"):
        result.close()
    return Answer(int(started[0].split()[0]), tuple(started[1]), body)


class InProcess:
    """Both faces of one guard."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.asgi = JWTMiddleware(asgi_app, guard=guard)
        self.wsgi = JWTWSGIMiddleware(wsgi_app, guard=guard)

    async def ask(
        self,
        face: str,
        method: str,
        path: str,
        headers: Iterable[tuple[str, str]] = (),
        query: str = "",
    ) -> Answer:
        if face == "asgi":
            scope = http_scope(method, path, headers, query_string=query.encode())
            return await through_asgi(self.asgi, scope)
        return through_wsgi(self.wsgi, wsgi_environ(method, path, headers, QUERY_STRING=query))
