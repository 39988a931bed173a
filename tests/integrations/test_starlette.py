"""Endpoints of Starlette that ask for more than the rule of their path."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.authentication import requires as starlettes_requires
from starlette.endpoints import HTTPEndpoint, WebSocketEndpoint
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from jwt_middleware import (
    ConfigurationError,
    Guard,
    JWTMiddleware,
    capture,
    has_claim,
    has_scope,
    optional,
    protect,
)
from jwt_middleware.integrations.starlette import requires
from jwt_middleware.testing import KeyPair

PAIR = KeyPair(b"0123456789abcdefghijklmnopqrstuv", "HS256", None)
READS = has_scope("orders:read")


def token(**claims: Any) -> dict[str, str]:
    text = PAIR.sign({"iss": "https://a/", "sub": "alice", "exp": 4_000_000_000, **claims})
    return {"Authorization": f"Bearer {text}"}


def guard() -> Guard:
    rules = [protect("/ruled/**", requires=READS), optional("/**", on_invalid="anonymous")]
    return Guard(key=PAIR.private, algorithms=["HS256"], issuer="https://a/", rules=rules)


@requires(READS)
async def in_loop(request: Request) -> Response:
    return JSONResponse({"subject": request.user.subject, "scopes": request.auth.scopes})


@requires(READS)
def in_thread(request: Request) -> Response:
    return JSONResponse({"subject": request.user.subject, "scopes": request.auth.scopes})


class Orders(HTTPEndpoint):
    @requires(READS)
    async def get(self, request: Request) -> Response:
        return JSONResponse({"subject": request.state.user.subject, "scopes": request.auth.scopes})


@requires(has_claim("tenant", capture("tenant")))
async def tenant(request: Request) -> Response:
    return JSONResponse({"subject": request.user.subject})


@starlettes_requires("orders:read")
async def theirs(request: Request) -> Response:
    return JSONResponse({"subject": request.user.display_name})


@starlettes_requires("authenticated")
async def anybody(request: Request) -> Response:
    return JSONResponse({"subject": request.user.display_name})


@starlettes_requires("authenticated")
async def any_socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.close()


@requires(has_scope("authenticated"))
async def scoped(request: Request) -> Response:
    return JSONResponse({})


@requires(READS)
async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(websocket.user.subject)
    await websocket.close()


class Socket(WebSocketEndpoint):
    @requires(READS)
    async def on_connect(self, websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(websocket.user.subject)
        await websocket.close()


async def ruled(request: Request) -> Response:
    return JSONResponse({})


ROUTES = [
    Route("/loop", in_loop),
    Route("/thread", in_thread),
    Route("/class", Orders),
    Mount("/mounted", routes=[Route("/loop", in_loop)]),
    Route("/tenants/{tenant:int}", tenant),
    Route("/theirs", theirs),
    Route("/anybody", anybody),
    Route("/scoped", scoped),
    WebSocketRoute("/any-socket", any_socket),
    Route("/ruled", ruled),
    WebSocketRoute("/socket", socket),
    WebSocketRoute("/socket-class", Socket),
]
HTTP = ["/loop", "/thread", "/class", "/mounted/loop"]
SOCKETS = ["/socket", "/socket-class"]


def client() -> TestClient:
    return TestClient(JWTMiddleware(Starlette(routes=ROUTES), guard=guard()))


@pytest.mark.parametrize("path", HTTP)
def test_who_meets_it_is_served(path: str) -> None:
    """In a loop, in a thread, in a class, below a mount."""
    answer = client().get(path, headers=token(scope="orders:read"))

    assert answer.json() == {"subject": "alice", "scopes": ["authenticated", "orders:read"]}


@pytest.mark.parametrize("path", HTTP)
@pytest.mark.parametrize("headers", [{}, token(scope="x"), token(exp=1)])
def test_a_refusal_is_the_middlewares_own(path: str, headers: dict[str, str]) -> None:
    """Byte for byte what a rule of the table answers; to the forgiven, what was forgiven."""
    ours = client().get(path, headers=headers)
    rules = client().get("/ruled", headers=headers)

    assert ours.status_code in {401, 403}
    assert (ours.status_code, ours.content) == (rules.status_code, rules.content)
    assert ours.headers.items() == rules.headers.items()


def test_a_path_parameter_is_a_capture() -> None:
    """Also one that a converter made a number."""
    headers = token(tenant=7)

    assert client().get("/tenants/7", headers=headers).status_code == 200
    assert client().get("/tenants/8", headers=headers).status_code == 403


def test_starlettes_own_decorator_works() -> None:
    """It reads the scopes that the middleware sets."""
    assert client().get("/theirs", headers=token(scope="orders:read")).json()["subject"] == "alice"
    assert client().get("/theirs").status_code == 403


@pytest.mark.parametrize("path", SOCKETS)
def test_a_socket_is_refused_like_a_request(path: str) -> None:
    """With the denial response; who meets the requirement is let in."""
    with client().websocket_connect(path, headers=token(scope="orders:read")) as opened:
        assert opened.receive_text() == "alice"
    for headers, status in (({}, 401), (token(scope="x"), 403)):
        with (
            pytest.raises(WebSocketDenialResponse) as denied,
            client().websocket_connect(path, headers=headers),
        ):
            pass
        assert denied.value.status_code == status
        assert denied.value.headers["www-authenticate"].startswith('Bearer realm="api"')


async def test_a_socket_of_an_older_server_is_closed_with_1008() -> None:
    """Where there is no extension to answer with."""
    sent: list[Any] = []
    scope = {
        "type": "websocket",
        "path": "/socket",
        "headers": [],
        "scheme": "ws",
        "query_string": b"",
        "subprotocols": [],
    }

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await JWTMiddleware(Starlette(routes=ROUTES), guard=guard())(scope, receive, send)

    assert sent == [{"type": "websocket.close", "code": 1008, "reason": "token_missing"}]


def test_without_a_guard_in_front_nobody_is_served() -> None:
    """The sentence names what is missing."""
    bare = TestClient(Starlette(routes=ROUTES))

    with pytest.raises(ConfigurationError, match=r"add_middleware\(JWTMiddleware"):
        bare.get("/loop")


def not_an_endpoint() -> None:
    """Nothing to find a connection in."""


@pytest.mark.parametrize(
    ("decorate", "sentence"),
    [
        (lambda: requires("orders:read"), "must be given a Requirement"),  # type: ignore[arg-type]
        (lambda: requires(READS)(not_an_endpoint), "add a parameter named 'request'"),
    ],
)
def test_a_mistake_is_a_sentence_at_decoration(
    decorate: Callable[[], object], sentence: str
) -> None:
    """When the module is imported."""
    with pytest.raises(ConfigurationError, match=sentence):
        decorate()


def test_cors_on_the_wrong_side_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """At start-up: browsers would hide the refusals; on the right side nothing is said."""
    right, wrong = Starlette(), Starlette()
    right.add_middleware(JWTMiddleware, guard=guard())
    right.add_middleware(CORSMiddleware, allow_origins=["https://app.example"])
    wrong.add_middleware(CORSMiddleware, allow_origins=["https://app.example"])
    wrong.add_middleware(JWTMiddleware, guard=guard())
    for app in (right, wrong):
        caplog.clear()
        with caplog.at_level(logging.WARNING, "jwt_middleware"), TestClient(app):
            pass
        said = [line for line in caplog.messages if "CORSMiddleware" in line]
        assert len(said) == (app is wrong)


def test_starlettes_own_convention_for_a_known_caller_holds() -> None:
    """``requires("authenticated")``: a scope of that name neither opens nor closes anything."""
    for claims in ({}, {"scope": "orders:read"}, {"scope": "authenticated"}):
        assert client().get("/anybody", headers=token(**claims)).status_code == 200
        with client().websocket_connect("/any-socket", headers=token(**claims)):
            pass
    for headers in ({}, token(scope="authenticated", exp=1)):
        assert client().get("/anybody", headers=headers).status_code == 403
        with (
            pytest.raises(WebSocketDisconnect),
            client().websocket_connect("/any-socket", headers=headers),
        ):
            pass
    assert client().get("/scoped", headers=token(scope="orders:read")).status_code == 403
    assert client().get("/scoped", headers=token(scope="authenticated")).status_code == 200
