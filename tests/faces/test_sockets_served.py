"""WebSockets on real servers, asked by a real client."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from jwt_middleware.testing import FakeIssuer
from tests.serving import serve

pytestmark = [pytest.mark.server, pytest.mark.slow]

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
}


@pytest.fixture(scope="module")
def issuer() -> Iterator[FakeIssuer]:
    with FakeIssuer(["ES256"]) as issuer:
        yield issuer


@pytest.fixture(scope="module", params=SERVERS)
def address(request: pytest.FixtureRequest, issuer: FakeIssuer) -> Iterator[str]:
    with serve(SERVERS[request.param], {"ISSUER_URL": issuer.url}) as base:
        yield base.replace("http:", "ws:")


@contextmanager
def opened(
    address: str, path: str = "/chat", **options: Any
) -> Iterator[tuple[ClientConnection, dict[str, Any]]]:
    """Open a socket and give it with what the application says first."""
    with connect(address + path, proxy=None, **options) as socket:
        yield socket, json.loads(socket.recv(timeout=10))


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
        with opened(address, **way) as (socket, seen):
            socket.send("hello")
            assert socket.recv(timeout=10) == "hello"
            assert seen == {"subject": "alice", "offered": []}
            assert socket.subprotocol == ("bearer" if "subprotocols" in way else None)


def test_a_refusal_is_an_http_answer(address: str, issuer: FakeIssuer) -> None:
    """With status, challenge and body, since these servers offer the extension."""
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
        assert (response.status_code, json.loads(response.body)["code"]) == (status, code)
        assert ("www-authenticate" in response.headers) is (code != "csrf_refused")


def test_an_open_socket_ends_with_its_token(address: str, issuer: FakeIssuer) -> None:
    """While its client listens: 1008, and the reason."""
    token = issuer.token(aud="chat", exp=int(time.time()) + 2)
    with (
        opened(address, subprotocols=["bearer", token]) as (socket, _),
        pytest.raises(ConnectionClosed) as caught,
    ):
        socket.recv(timeout=10)

    assert caught.value.rcvd is not None
    assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (1008, "token_expired")
