"""Until when a caller is the current one: as long as its request runs, and for nothing after it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import AsyncClient, AsyncRequestFactory, Client, RequestFactory, override_settings
from django.urls import path
from flask import Flask, Response
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket

from jwt_middleware import Guard, JWTMiddleware, JWTWSGIMiddleware, current_principal
from jwt_middleware.integrations.django import JWTMiddleware as DjangoMiddleware
from jwt_middleware.integrations.django_settings import MIDDLEWARE
from jwt_middleware.integrations.flask import JWT
from jwt_middleware.principal import Caller, Principal, revise_current
from jwt_middleware.testing import KeyPair
from jwt_middleware.wsgi import Environ, StartResponse
from tests.faces.calls import through_wsgi, wsgi_environ

PAIR = KeyPair(b"0123456789abcdefghijklmnopqrstuv", "HS256", None)
guard = Guard(key=PAIR.private, algorithms=["HS256"], issuer="https://a/")


def sent(subject: str) -> dict[str, str]:
    token = PAIR.sign({"iss": "https://a/", "sub": subject, "exp": 4_000_000_000})
    return {"Authorization": f"Bearer {token}"}


def who() -> str | None:
    return current_principal().subject


class Left:
    """What a request leaves behind: its context, as any task or thread of it has."""

    def __init__(self) -> None:
        self.contexts: list[Context] = []
        self.seen: list[str | None] = []

    def note(self) -> None:
        self.seen.append(who())
        self.contexts.append(copy_context())

    def assert_ended(self, *subjects: str) -> None:
        """Each was seen while its request ran, and is gone from everything that it left."""
        assert self.seen == list(subjects)
        assert [context.run(who) for context in self.contexts] == [None] * len(subjects)
        assert who() is None


def starlette_app(left: Left) -> Starlette:
    async def plain(request: Request) -> PlainTextResponse:
        left.note()
        return PlainTextResponse("x", background=BackgroundTask(left.note))

    def in_thread(request: Request) -> PlainTextResponse:
        left.note()
        return PlainTextResponse("x")

    async def failing(request: Request) -> PlainTextResponse:
        left.note()
        raise LookupError

    async def streaming(request: Request) -> StreamingResponse:
        async def pieces() -> AsyncIterator[bytes]:
            left.note()
            yield b"x"

        return StreamingResponse(pieces())

    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        left.note()
        await websocket.close()

    places = {"plain": plain, "thread": in_thread, "failing": failing, "streaming": streaming}
    routes: list[Any] = [Route(f"/{name}", endpoint) for name, endpoint in places.items()]
    app = Starlette(routes=[*routes, WebSocketRoute("/socket", socket)])
    app.add_middleware(JWTMiddleware, guard=guard)
    return app


@pytest.mark.parametrize("place", ["plain", "thread", "failing", "streaming"])
def test_a_request_leaves_no_caller_behind(place: str) -> None:
    """Its background task, which belongs to the response, still sees the caller."""
    left = Left()
    client = TestClient(starlette_app(left), raise_server_exceptions=False)

    client.get(f"/{place}", headers=sent("alice"))

    left.assert_ended(*(["alice"] * (2 if place == "plain" else 1)))


def test_a_socket_leaves_no_caller_behind() -> None:
    """When its application returns."""
    left = Left()
    with TestClient(starlette_app(left)).websocket_connect("/socket", headers=sent("alice")):
        pass

    left.assert_ended("alice")


async def test_a_task_sees_its_caller_until_the_request_ends() -> None:
    """And not the caller of the next request."""
    ended = asyncio.Event()
    seen: list[str | None] = []
    tasks: list[asyncio.Task[None]] = []

    async def outliving() -> None:
        seen.append(who())
        await ended.wait()
        seen.append(who())

    async def app(scope: Any, receive: Any, send: Any) -> None:
        tasks.append(asyncio.create_task(outliving()))
        await asyncio.sleep(0)

    async def unused(*_: Any) -> Any:
        raise AssertionError

    middleware = JWTMiddleware(app, guard=guard)
    for name in ("alice", "bob"):
        headers = [(b"authorization", sent(name)["Authorization"].encode())]
        scope = {"type": "http", "method": "GET", "path": "/", "headers": headers}
        await middleware({**scope, "scheme": "http", "query_string": b""}, unused, unused)
    ended.set()
    await asyncio.gather(*tasks)

    assert seen == ["alice", "bob", None, None]


Body = Callable[[Left], Iterable[bytes]]


def generated(left: Left) -> Iterator[bytes]:
    for piece in (b"a", b"b"):
        left.note()
        yield piece


class Closing:
    """A body that notes its callers in each of its three methods."""

    def __init__(self, left: Left) -> None:
        self.left = left

    def __iter__(self) -> Iterator[bytes]:
        self.left.note()
        return iter([b"a"])

    def close(self) -> None:
        self.left.note()


BODIES: dict[str, tuple[Body, int]] = {
    "a list": (lambda left: [b"a"], 0),
    "a generator": (generated, 2),
    "an object that is closed": (Closing, 2),
}


def wsgi(body: Body, left: Left) -> JWTWSGIMiddleware:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [])
        left.note()
        return body(left)

    return JWTWSGIMiddleware(app, guard=guard)


@pytest.mark.parametrize("kind", BODIES)
def test_a_body_runs_for_its_caller_until_it_is_closed(kind: str) -> None:
    """And nothing that was left by it runs for it afterwards."""
    left = Left()
    body, steps = BODIES[kind]
    through_wsgi(wsgi(body, left), wsgi_environ("GET", "/", sent("alice").items()))

    left.assert_ended(*["alice"] * (1 + steps))


def test_what_is_left_sees_the_caller_until_the_body_is_closed() -> None:
    """A thread that works for a body under way."""
    left = Left()
    app = wsgi(generated, left)
    body: Any = app(wsgi_environ("GET", "/", sent("alice").items()), lambda *_: lambda _: None)

    assert left.contexts[0].run(who) == "alice"
    assert next(iter(body)) == b"a"
    assert left.contexts[1].run(who) == "alice"
    body.close()
    left.assert_ended("alice", "alice")


def test_two_bodies_on_one_thread_keep_their_callers() -> None:
    """A server may ask them in turns, and close them in any order."""
    left = Left()
    app = wsgi(generated, left)
    bodies: list[Any] = [
        app(wsgi_environ("GET", "/", sent(name).items()), lambda *_: lambda _: None)
        for name in ("alice", "bob")
    ]
    assert who() is None
    steps = [iter(each) for each in bodies]
    for each in (*steps, *steps):
        next(each)
    bodies[0].close()
    assert left.contexts[-1].run(who) == "bob"
    bodies[1].close()

    left.assert_ended("alice", "bob", "alice", "bob", "alice", "bob")


def test_a_body_on_another_thread_keeps_its_caller() -> None:
    """Each step may run on a thread of its own, which has a context of its own."""
    left = Left()
    app = wsgi(generated, left)
    body: Any = app(wsgi_environ("GET", "/", sent("alice").items()), lambda *_: lambda _: None)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(list, body).result() == [b"a", b"b"]
        assert pool.submit(who).result() is None
        pool.submit(body.close).result()

    left.assert_ended("alice", "alice", "alice")


def test_an_application_that_raises_leaves_no_caller_behind() -> None:
    """Before it returns a body, or while it makes one."""
    left = Left()

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        left.note()
        raise LookupError

    def body(left: Left) -> Iterator[bytes]:
        left.note()
        yield bytes([256])

    environ = wsgi_environ("GET", "/", sent("alice").items())
    with pytest.raises(LookupError):
        through_wsgi(JWTWSGIMiddleware(app, guard=guard), environ)
    raising: Any = wsgi(body, left)(environ, lambda *_: lambda _: None)
    with pytest.raises(ValueError, match="range"):
        next(raising)
    # PEP 3333: a server closes a body, whatever became of it.
    raising.close()

    left.assert_ended("alice", "alice", "alice")


def test_flask_leaves_no_caller_behind() -> None:
    """What runs when a response is closed belongs to it."""
    left = Left()
    app = Flask(__name__)

    @app.get("/")
    def view() -> Response:
        left.note()
        response = Response("x")
        response.call_on_close(left.note)
        return response

    JWT(app, guard)
    app.test_client().get("/", headers=sent("alice"), buffered=True)

    left.assert_ended("alice", "alice")


LEFT = Left()


def django_view(request: HttpRequest) -> HttpResponse:
    LEFT.note()
    if request.path == "/failing":
        raise LookupError
    return HttpResponse("x")


async def django_async(request: HttpRequest) -> HttpResponse:
    return django_view(request)


def django_stream(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(generated(LEFT))


async def django_async_stream(request: HttpRequest) -> StreamingHttpResponse:
    async def pieces() -> AsyncIterator[bytes]:
        for piece in generated(LEFT):
            yield piece

    return StreamingHttpResponse(pieces())


class Switching:
    """Sets another method, so that the guard decides again."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> Any:
        request.method = "POST"
        return self.get_response(request)


urlpatterns = [
    path("plain", django_view),
    path("failing", django_view),
    path("async", django_async),
    path("stream", django_stream),
    path("async-stream", django_async_stream),
]


@pytest.mark.parametrize("middleware", [[MIDDLEWARE], [MIDDLEWARE, f"{__name__}.Switching"]])
@pytest.mark.parametrize("place", ["plain", "failing", "async", "stream"])
def test_django_leaves_no_caller_behind(place: str, middleware: list[str]) -> None:
    """Also where the guard decided twice."""
    chosen = {"ROOT_URLCONF": __name__, "JWT_MIDDLEWARE": {"GUARD": guard}}
    LEFT.__init__()  # type: ignore[misc]
    with override_settings(MIDDLEWARE=middleware, **chosen):
        client = Client(raise_request_exception=False)
        b"".join(client.get(f"/{place}", headers=sent("alice")))

    LEFT.assert_ended(*["alice"] * (2 if place == "stream" else 1))


@pytest.mark.parametrize("place", ["plain", "failing", "async", "async-stream"])
async def test_django_leaves_no_caller_behind_in_a_loop(place: str) -> None:
    """See above."""
    chosen = {"ROOT_URLCONF": __name__, "JWT_MIDDLEWARE": {"GUARD": guard}}
    LEFT.__init__()  # type: ignore[misc]
    with override_settings(MIDDLEWARE=[MIDDLEWARE], **chosen):
        client = AsyncClient(raise_request_exception=False)
        response: Any = await client.get(f"/{place}", headers=sent("alice"))
        if response.streaming:
            assert [piece async for piece in response] == [b"a", b"b"]

    LEFT.assert_ended(*["alice"] * (2 if place == "async-stream" else 1))


async def test_djangos_middleware_leaves_no_caller_behind_when_it_raises() -> None:
    """Django turns most exceptions into responses, but not those of every middleware."""
    left = Left()

    def failing(request: HttpRequest) -> HttpResponse:
        left.note()
        raise LookupError

    async def failing_async(request: HttpRequest) -> HttpResponse:
        return failing(request)

    with override_settings(JWT_MIDDLEWARE={"GUARD": guard}):
        plain, in_loop = DjangoMiddleware(failing), DjangoMiddleware(failing_async)
        with pytest.raises(LookupError):
            plain(RequestFactory().get("/", headers=sent("alice")))
        answer: Any = in_loop(AsyncRequestFactory().get("/", headers=sent("alice")))
        with pytest.raises(LookupError):
            await answer

    left.assert_ended("alice", "alice")


def test_a_decision_after_the_end_names_no_caller() -> None:
    """A task that outlived its request may still set the method of the request."""

    def outlived() -> str | None:
        caller = Caller(Principal("alice"))
        caller.end()
        revise_current(Principal("mallory"))
        return who()

    assert copy_context().run(outlived) is None
