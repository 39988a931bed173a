"""Options that have no effect where a face is mounted: they act there all the same, or it is told."""

import logging
from collections.abc import Callable
from threading import Event
from typing import Any

import pytest
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, override_settings
from django.urls import path
from flask import Flask
from litestar import Litestar, get
from litestar.testing import TestClient as LitestarClient
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.testclient import TestClient
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client as WerkzeugClient

from jwt_middleware import (
    BearerHeader,
    CookieToken,
    Guard,
    Issuer,
    JWTMiddleware,
    JWTWSGIMiddleware,
    KeysUnavailable,
    QueryToken,
    SubprotocolToken,
    public,
)
from jwt_middleware.guard.options import WarmUp
from jwt_middleware.integrations.django_settings import MIDDLEWARE
from jwt_middleware.revocation import RevocationList
from jwt_middleware.stores.memory import MemoryStore
from jwt_middleware.testing import Clock, FakeIssuer
from jwt_middleware.testing.issuer import JWKS_PATH
from tests.support import django_project

django_project.ready()

BOTH_CALLS = 2


def guard(**options: Any) -> Guard:
    return Guard(
        key=b"0123456789abcdefghijklmnopqrstuv",
        algorithms=["HS256"],
        issuer="https://a/",
        **{"rules": [public("/**")], **options},
    )


async def endpoint(request: Request) -> Response:
    return Response()


def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


async def async_page(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


urlpatterns = [path("page", page), path("async", async_page)]


def mounted(guard: Guard) -> Callable[[], int]:
    """Return a call through a middleware that a router has mounted, which gets no lifespan."""
    inner = Starlette(routes=[Route("/page", endpoint)])
    app = Starlette(routes=[Mount("/api", JWTMiddleware(inner, guard=guard))])

    def call() -> int:
        with TestClient(app) as client:
            return int(client.get("/api/page").status_code)

    return call


@pytest.mark.parametrize(("warm_up", "fetches"), [("lazy", 0), ("require", 1)])
def test_keys_are_fetched_with_the_first_request_below_a_mount(
    warm_up: WarmUp, fetches: int
) -> None:
    """Once, though the request is public."""
    with FakeIssuer(["ES256"]) as issuer:
        trusted = Issuer(issuer.url, audience="me")
        call = mounted(Guard(issuers=trusted, warm_up=warm_up, rules=[public("/**")]))

        assert [call() for _ in range(BOTH_CALLS)] == [200, 200]
        assert issuer.requests[JWKS_PATH] == fetches


class Held:
    """A fetcher that answers when it may."""

    def __init__(self) -> None:
        self.is_asked = Event()
        self.may_answer = Event()

    def fetch(self, request: Any) -> Any:
        self.is_asked.set()
        self.may_answer.wait(10)
        raise OSError("no network")


def test_keys_that_are_tried_hold_no_request_up() -> None:
    """The fetch is started, and the request goes on: the issuer does not even answer."""
    fetcher = Held()
    trusted = Issuer("https://a/", audience="me", fetcher=fetcher)
    wanted = Guard(issuers=trusted, warm_up="try", rules=[public("/**")])

    assert mounted(wanted)() == 200
    assert fetcher.is_asked.wait(10)
    fetcher.may_answer.set()


def test_without_required_keys_each_request_is_refused_until_they_are_there(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With 503 and the reason in the log, public pages too, as if the server had not started."""
    clock = Clock()
    with FakeIssuer(["ES256"]) as issuer, caplog.at_level(logging.INFO):
        issuer.outage()
        trusted = Issuer(issuer.url, audience="me")
        call = mounted(
            Guard(issuers=trusted, warm_up="require", rules=[public("/**")], clock=clock)
        )
        assert [call() for _ in range(BOTH_CALLS)] == [503, 503]
        assert "refused 503 keys_unavailable; under warm_up='require'" in caplog.text

        issuer.outage(False)
        clock.tick(3_600)
        assert [call() for _ in range(BOTH_CALLS)] == [200, 200]


def test_a_lifespan_is_enough(caplog: pytest.LogCaptureFixture) -> None:
    """The first request then fetches nothing again, though keys were withdrawn meanwhile."""
    with FakeIssuer(["ES256"]) as issuer:
        trusted = Issuer(issuer.url, audience="me")
        wanted = Guard(issuers=trusted, warm_up="require", rules=[public("/**")])
        app = Starlette(routes=[Route("/page", endpoint)])
        with TestClient(JWTMiddleware(app, guard=wanted)) as client:
            issuer.outage()
            wanted.close()
            assert client.get("/page").status_code == 200
        assert issuer.requests[JWKS_PATH] == 1


PROJECT: dict[str, Any] = {"MIDDLEWARE": [MIDDLEWARE], "ROOT_URLCONF": __name__}


@pytest.mark.parametrize(("warm_up", "fetches"), [("lazy", 0), ("try", 1), ("require", 1)])
def test_django_fetches_keys_when_it_loads_the_middleware(warm_up: WarmUp, fetches: int) -> None:
    """As the plain WSGI middleware does."""
    with FakeIssuer(["ES256"]) as issuer:
        trusted = Issuer(issuer.url, audience="me")
        chosen = {"GUARD": Guard(issuers=trusted, warm_up=warm_up, rules=[public("/**")])}
        with override_settings(JWT_MIDDLEWARE=chosen, **PROJECT):
            WSGIHandler()
            assert issuer.requests[JWKS_PATH] == fetches
            assert Client().get("/page").status_code == 200


def test_django_does_not_start_without_required_keys() -> None:
    with FakeIssuer(["ES256"]) as issuer:
        issuer.outage()
        trusted = Issuer(issuer.url, audience="me")
        for warm_up in ("try", "require"):
            chosen = {"GUARD": Guard(issuers=trusted, warm_up=warm_up)}
            with override_settings(JWT_MIDDLEWARE=chosen, **PROJECT):
                if warm_up == "try":
                    WSGIHandler()
                    continue
                with pytest.raises(KeysUnavailable, match=issuer.url):
                    WSGIHandler()


async def test_django_loaded_in_a_loop_fetches_with_the_first_request() -> None:
    """As servers of ASGI load it; each request is refused until there are keys."""
    clock = Clock()
    with FakeIssuer(["ES256"]) as issuer:
        issuer.outage()
        trusted = Issuer(issuer.url, audience="me")
        wanted = Guard(issuers=trusted, warm_up="require", rules=[public("/**")], clock=clock)
        with override_settings(JWT_MIDDLEWARE={"GUARD": wanted}, **PROJECT):
            ASGIHandler()
            client = AsyncClient()
            assert [(await client.get("/async")).status_code for _ in range(2)] == [503, 503]
            issuer.outage(False)
            clock.tick(3_600)
            assert [(await client.get("/async")).status_code for _ in range(2)] == [200, 200]


@pytest.mark.parametrize("warm_up", ["try", "require"])
async def test_a_plain_middleware_that_a_loop_has_made_fetches_on_its_thread(
    warm_up: WarmUp,
) -> None:
    """Django makes it so between a synchronous middleware and the server."""
    from asyncio import to_thread

    from django.test import RequestFactory

    from jwt_middleware.integrations.django import JWTMiddleware as DjangoMiddleware

    clock = Clock()
    with FakeIssuer(["ES256"]) as issuer:
        issuer.outage()
        trusted = Issuer(issuer.url, audience="me")
        wanted = Guard(issuers=trusted, warm_up=warm_up, rules=[public("/**")], clock=clock)
        with override_settings(JWT_MIDDLEWARE={"GUARD": wanted}, **PROJECT):
            middleware: Any = DjangoMiddleware(page)
            request = RequestFactory().get("/page")
            first = await to_thread(middleware, request)
            issuer.outage(False)
            clock.tick(3_600)
            second = await to_thread(middleware, request)

    assert (first.status_code, second.status_code) == (200 if warm_up == "try" else 503, 200)


def flask_of(guard: Guard) -> Any:
    app: Any = Flask("shop", static_folder=None)
    app.wsgi_app = JWTWSGIMiddleware(app.wsgi_app, guard=guard)
    return app


def call_wsgi(guard: Guard) -> None:
    flask_of(guard).test_client().get("/")


def call_django(guard: Guard) -> None:
    with override_settings(JWT_MIDDLEWARE={"GUARD": guard}, **PROJECT):
        for _ in range(BOTH_CALLS):
            Client().get("/page")


SOCKETS = [
    ({"close_on_expiry": True}, "close_on_expiry=True has no effect under"),
    (
        {
            "close_on_revocation": True,
            "revocation": RevocationList(MemoryStore(), on_lag="refuse"),
        },
        "close_on_revocation=True has no effect under",
    ),
    ({"token_sources": [BearerHeader(), SubprotocolToken()]}, "SubprotocolToken() has no effect"),
    (
        {"token_sources": [BearerHeader(), QueryToken("token")]},
        "QueryToken('token') without http=True has no effect under",
    ),
    ({"token_sources": [BearerHeader(), QueryToken("token", http=True)]}, ""),
    ({}, ""),
]


@pytest.mark.parametrize("call", [call_wsgi, call_django])
@pytest.mark.parametrize(("options", "said"), SOCKETS)
def test_what_only_sockets_have_is_told_of_where_there_are_none(
    options: dict[str, Any],
    said: str,
    call: Callable[[Guard], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Once, and not where the same guard is in front of sockets as well."""
    call(guard(**options))
    told = [each for each in caplog.messages if "no effect" in each]
    assert len(told) == bool(said)
    assert not said or said in told[0]

    caplog.clear()
    shared = guard(**options)
    JWTMiddleware(Starlette(), guard=shared)
    call(shared)
    assert not [each for each in caplog.messages if "no effect" in each]


RESOURCE = {"resource": "https://shop.example/api"}


def get_below_starlette(guard: Guard) -> None:
    mounted(guard)()


def get_below_a_dispatcher(guard: Guard) -> None:
    app = DispatcherMiddleware(Flask("front"), {"/api": flask_of(guard)})
    WerkzeugClient(app).get("/api/page")


def get_below_django(guard: Guard) -> None:
    with override_settings(JWT_MIDDLEWARE={"GUARD": guard}, **PROJECT):
        Client(SCRIPT_NAME="/api").get("/api/page")


@pytest.mark.parametrize("call", [get_below_starlette, get_below_a_dispatcher, get_below_django])
def test_metadata_below_a_mount_is_out_of_reach(
    call: Callable[[Guard], None], caplog: pytest.LogCaptureFixture
) -> None:
    """The address that each challenge names would be answered by another application."""
    call(guard(**RESOURCE))
    assert "resource= has no effect below '/api': its metadata is at '/.well-known/" in caplog.text

    caplog.clear()
    call(guard())
    assert "no effect" not in caplog.text


def get_at_the_root(guard: Guard) -> None:
    app = Starlette(routes=[Mount("/api", Starlette(routes=[Route("/page", endpoint)]))])
    TestClient(JWTMiddleware(app, guard=guard)).get("/api/page")


def get_behind_a_proxy(guard: Guard) -> None:
    app = Starlette(routes=[Route("/page", endpoint)])
    TestClient(JWTMiddleware(app, guard=guard), root_path="/api").get("/api/page")


@pytest.mark.parametrize("call", [get_at_the_root, get_behind_a_proxy, call_wsgi, call_django])
def test_metadata_at_the_root_is_not_warned_of(
    call: Callable[[Guard], None], caplog: pytest.LogCaptureFixture
) -> None:
    """Nor where only a proxy removes a part of the path, because it may pass the metadata on."""
    call(guard(**RESOURCE))
    assert "no effect" not in caplog.text


def get_behind_a_route(guard: Guard) -> None:
    middleware = [Middleware(JWTMiddleware, guard=guard)]
    app = Starlette(routes=[Route("/page", endpoint, middleware=middleware)])
    TestClient(app).get("/page")


def get_behind_litestar(guard: Guard) -> None:
    from litestar.middleware import DefineMiddleware

    face: Any = JWTMiddleware

    @get("/page")
    async def page() -> None: ...

    with LitestarClient(
        Litestar([page], middleware=[DefineMiddleware(face, guard=guard)], logging_config=None)
    ) as one:
        one.get("/page")


@pytest.mark.parametrize(
    ("call", "gets_preflights"), [(get_behind_a_route, False), (get_behind_litestar, True)]
)
def test_behind_a_route_comes_neither_a_preflight_nor_a_request_for_metadata(
    call: Callable[[Guard], None], gets_preflights: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """The router answers them itself, but Litestar has a route for preflights."""
    options = {"cors_preflight": True, "trusted_origins": ["https://app.example"]}
    call(guard(**RESOURCE, **options))
    assert "resource= has no effect behind a route" in caplog.text
    told = "cors_preflight=True has no effect behind a route" in caplog.text
    assert told is not gets_preflights

    caplog.clear()
    call(guard())
    assert "no effect" not in caplog.text


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({}, 1),
        ({"cors_preflight": True}, 0),
        ({"token_sources": [CookieToken()]}, 0),
    ],
)
def test_trusted_origins_that_nothing_compares_are_told_of(
    options: dict[str, Any], count: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A token in a header proves its origin by itself."""
    wanted = guard(trusted_origins=["https://app.example"], **options)
    for _ in range(BOTH_CALLS):
        JWTMiddleware(Starlette(), guard=wanted)

    assert caplog.text.count("trusted_origins= has no effect") == count
