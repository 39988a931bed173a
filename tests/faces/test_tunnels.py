"""WebSockets that an application opens below WSGI, where a server sees a plain request."""

import socket
import sys
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from jwt_middleware import JWTMiddleware, JWTWSGIMiddleware
from jwt_middleware.clock import SystemClock
from jwt_middleware.testing import Clock
from tests.faces.calls import http_scope, through_asgi, through_wsgi, wsgi_environ
from tests.faces.test_servers import GUNICORN
from tests.faces.tunnels import RULES, tunnel
from tests.support.serving import serve
from tests.support.short_form import HMAC, bearer, short_guard, token

KEY = ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
UPGRADE = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    KEY,
]

SERVERS = {
    "gunicorn": [*GUNICORN, "--threads", "4", "tests.faces.tunnels:guarded"],
    "werkzeug": [sys.executable, "-m", "tests.faces.tunnels", "{fd}"],
}


@pytest.fixture(scope="module", params=SERVERS)
def base(request: pytest.FixtureRequest) -> Iterator[str]:
    with serve(SERVERS[request.param], {}) as address:
        yield address


def status_of(
    base: str, method: str, path: str, headers: list[tuple[str, str]]
) -> tuple[int, bool]:
    """Return the status of the answer, and whether a message came through a socket."""
    host = urlsplit(base).netloc
    lines = [f"{name}: {value}\r\n" for name, value in [("Host", host), *headers]]
    asked = f"{method} {path} HTTP/1.1\r\n{''.join(lines)}Content-Length: 0\r\n\r\n"
    with socket.create_connection(("127.0.0.1", int(host.rpartition(":")[2])), timeout=30) as line:
        line.sendall(asked.encode())
        line.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: line.recv(10_000), b""))
    return int(answer.split(b" ", 2)[1]), b"socket" in answer


@pytest.mark.server
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/page"), ("GET", "/socket"), ("POST", "/posted")]
)
def test_a_socket_below_wsgi_needs_what_both_rules_ask_for(
    base: str, method: str, path: str
) -> None:
    """Whoever may read the page may not open the socket behind it, and the other way round."""
    claims = {"iss": "https://a/", "exp": SystemClock().now() + 600, "sub": "alice"}
    stranger = bearer(HMAC.sign({**claims}))
    member = bearer(HMAC.sign({**claims, "roles": ["chat"]}))

    assert status_of(base, method, path, UPGRADE) == (401, False)
    assert status_of(base, method, path, [*UPGRADE, *stranger]) == (403, False)
    assert status_of(base, method, path, [*UPGRADE, *member]) == (101, True)
    assert status_of(base, "GET", "/open", UPGRADE) == (101, True)


OPENING = {
    "as a browser does": UPGRADE,
    "in capitals": [("Connection", "upgrade"), ("Upgrade", "WebSocket")],
    "among others": [("Upgrade", "h2c, websocket/13")],
    # uWSGI's own handshake looks at nothing else.
    "by a key alone": [KEY],
}


@pytest.mark.parametrize("opening", OPENING)
@pytest.mark.parametrize(
    ("method", "path", "plain"),
    [("GET", "/page", 200), ("GET", "/socket", 401), ("POST", "/posted", 200)],
)
def test_whatever_may_open_a_socket_is_judged_as_one_too(
    opening: str, method: str, path: str, plain: int, clock: Clock
) -> None:
    """In either order, so that what is remembered of one is no answer to the other."""
    app = JWTWSGIMiddleware(tunnel, guard=short_guard(rules=RULES, clock=clock))
    member = bearer(token(clock, roles=["chat"]))

    for _ in range(2):
        assert through_wsgi(app, wsgi_environ(method, path)).status == plain
        assert through_wsgi(app, wsgi_environ(method, path, OPENING[opening])).status == 401
        asked = wsgi_environ(method, path, [*OPENING[opening], *member])
        assert through_wsgi(app, asked).status == 200


async def test_below_asgi_a_plain_request_stays_one() -> None:
    """The server opens sockets there, and says so; no application finds the connection."""

    async def page(scope: object, receive: object, send: object) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[operator]
        await send({"type": "http.response.body", "body": b""})  # type: ignore[operator]

    app = JWTMiddleware(page, guard=short_guard(rules=RULES))

    assert (await through_asgi(app, http_scope("GET", "/page", UPGRADE))).status == 200
