"""WebSockets on real servers, asked by a real client."""

import json
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Self

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from jwt_middleware.testing import Clock, FakeIssuer
from tests.support.serving import serve

pytestmark = [pytest.mark.server, pytest.mark.slow]

ENDS = int(Clock().now()) + 2
"""When a token expires, and with it its socket: two seconds after the handshake."""

UVICORN = [sys.executable, "-m", "uvicorn", "--fd", "{fd}", "tests.faces.sockets:guarded"]
SERVERS = {
    "uvicorn with websockets": [*UVICORN, "--ws", "websockets-sansio"],
    "uvicorn with wsproto": [*UVICORN, "--ws", "wsproto"],
    "hypercorn": [
        sys.executable,
        "-m",
        "hypercorn",
        "-b",
        "fd://{fd}",
        "tests.faces.sockets:guarded",
    ],
    "daphne": [
        sys.executable,
        "-m",
        "tests.support.daphne_server",
        "{fd}",
        "tests.faces.sockets:guarded",
    ],
}


@pytest.fixture(scope="module")
def issuer() -> Iterator[FakeIssuer]:
    with FakeIssuer(["ES256"], now=Clock().now) as issuer:
        yield issuer


@pytest.fixture(scope="module", params=SERVERS)
def address(request: pytest.FixtureRequest, issuer: FakeIssuer) -> Iterator[str]:
    with serve(SERVERS[request.param], {"ISSUER_URL": issuer.url}) as base:
        yield base.replace("http:", "ws:")


@pytest.fixture
def is_on_daphne(request: pytest.FixtureRequest, address: str) -> bool:
    return request.node.callspec.params["address"] == "daphne"  # type: ignore[no-any-return]


@contextmanager
def opened(
    address: str, path: str = "/chat", **options: Any
) -> Iterator[tuple[ClientConnection, dict[str, Any]]]:
    """Open a socket and give it with what the application says first."""
    with connect(address + path, proxy=None, **options) as client:
        yield client, json.loads(client.recv(timeout=10))


def test_each_source_opens_a_socket(address: str, issuer: FakeIssuer) -> None:
    """Header, subprotocol, cookie with a proven origin, query."""
    token = issuer.token(aud="chat")
    origin = address.replace("ws:", "http:")
    ways: list[dict[str, Any]] = [
        {"additional_headers": {"Authorization": f"Bearer {token}"}},
        {"subprotocols": ["bearer", token]},
        {"additional_headers": {"Cookie": f"session={token}"}, "origin": origin},
        {"path": f"/chat?access_token={token}"},
    ]
    for way in ways:
        with opened(address, **way) as (client, seen):
            client.send("hello")
            assert client.recv(timeout=10) == "hello"
            assert seen == {"subject": "alice", "offered": []}
            assert client.subprotocol == ("bearer" if "subprotocols" in way else None)


def test_a_refusal_is_an_http_answer(address: str, issuer: FakeIssuer, is_on_daphne: bool) -> None:
    """With status, challenge and body, where the server offers the extension."""
    token = issuer.token(aud="chat")
    cookie = {"additional_headers": {"Cookie": f"session={token}"}}
    ways: list[tuple[dict[str, Any], int, str]] = [
        ({}, 401, "token_missing"),
        ({"subprotocols": ["bearer", "a.b"]}, 401, "token_malformed"),
        ({"path": "/staff/x", "subprotocols": ["bearer", token]}, 403, "requirement_not_met"),
        ({"path": "/a/%2e%2e/b", "subprotocols": ["bearer", token]}, 400, "path_invalid"),
        (cookie, 403, "csrf_refused"),
        ({**cookie, "origin": "https://evil.example"}, 403, "csrf_refused"),
    ]
    for way, status, code in ways:
        with pytest.raises(InvalidStatus) as caught, opened(address, **way):
            pass
        response = caught.value.response
        if is_on_daphne:
            # Daphne answers every refused handshake with 403 and nothing else.
            assert response.status_code == 403
            continue
        assert (response.status_code, json.loads(response.body)["code"]) == (status, code)
        assert ("www-authenticate" in response.headers) is (code != "csrf_refused")


def test_an_open_socket_ends_with_its_token(
    address: str, issuer: FakeIssuer, is_on_daphne: bool
) -> None:
    """While its client listens: 1008, and the reason."""
    token = issuer.token(aud="chat", exp=ENDS)
    with (
        opened(address, subprotocols=["bearer", token]) as (client, _),
        pytest.raises(ConnectionClosed) as caught,
    ):
        client.recv(timeout=10)

    assert caught.value.rcvd is not None
    # Daphne lets an application choose neither a code below 3000 nor a reason.
    expected = (3000, "") if is_on_daphne else (1008, "token_expired")
    assert (caught.value.rcvd.code, caught.value.rcvd.reason) == expected


def test_a_client_that_ignores_the_end_is_not_heard_any_more(
    address: str, issuer: FakeIssuer
) -> None:
    """The application is told that the socket is gone, and gets nothing that is sent after."""
    token = issuer.token(aud="chat", exp=ENDS)
    host, _, port = address.removeprefix("ws://").rpartition(":")
    with Stubborn((host, int(port)), token) as client:
        heard = client.talk_until_the_application_has_ended()
        for _ in range(20):
            client.send("still here")

        assert heard["ended"] == 1008
        assert heard["texts"] > 0
        assert client.told() == heard


class Stubborn:
    """A client that never answers a close, and goes on sending."""

    def __init__(self, address: tuple[str, int], token: str) -> None:
        self._http = httpx.Client(
            base_url=f"http://{address[0]}:{address[1]}", trust_env=False, timeout=10
        )
        self._socket = socket.create_connection(address, timeout=10)
        self._socket.sendall(
            b"GET /chat HTTP/1.1\r\nHost: testserver\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Authorization: Bearer " + token.encode() + b"\r\n\r\n"
        )
        assert self._socket.recv(65_536).startswith(b"HTTP/1.1 101")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._http.close()

    def send(self, text: str) -> None:
        """Send one text frame, masked with nothing (RFC 6455 §5.2)."""
        data = text.encode()
        # A server may have cut the connection, which is as good.
        with suppress(OSError):
            self._socket.sendall(bytes([0x81, 0x80 | len(data)]) + bytes(4) + data)

    def told(self) -> dict[str, Any]:
        answer: dict[str, Any] = self._http.get("/seen").json()
        return answer

    def talk_until_the_application_has_ended(self) -> dict[str, Any]:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            self.send("hello")
            if (told := self.told())["ended"] is not None:
                return told
        raise AssertionError("the application was never told of the end")
