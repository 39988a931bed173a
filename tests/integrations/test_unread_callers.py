"""A view that asks for a caller under a rule that reads no token."""

from types import ModuleType
from typing import Annotated, Any, ClassVar

import pytest
from django.core.checks import run_checks
from django.test import Client, override_settings
from django.urls import path
from fastapi import APIRouter, Depends, FastAPI
from flask import Flask
from flask.views import MethodView
from rest_framework.authentication import SessionAuthentication
from rest_framework.decorators import action
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.response import Response as RestResponse
from rest_framework.routers import SimpleRouter
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from jwt_middleware import (
    Guard,
    JWTMiddleware,
    Principal,
    Rule,
    has_scope,
    optional,
    protect,
    public,
)
from jwt_middleware.integrations import coverage
from jwt_middleware.integrations import flask as flask_
from jwt_middleware.integrations import starlette as starlette_
from jwt_middleware.integrations.django_settings import MIDDLEWARE
from jwt_middleware.integrations.drf import HasScopes, JWTAuthentication
from jwt_middleware.integrations.drf import requires as drf_requires
from jwt_middleware.integrations.fastapi import (
    CurrentPrincipal,
    OptionalPrincipal,
    optional_principal,
    requires,
    secure_openapi,
)
from jwt_middleware.testing import KeyPair

PAIR = KeyPair(b"0123456789abcdefghijklmnopqrstuv", "HS256", None)
TOKEN = {
    "Authorization": f"Bearer {PAIR.sign({'iss': 'https://a/', 'sub': 'a', 'exp': 4_000_000_000})}"
}
REFUSED = "every caller is refused: write optional(...) in place of public(...)"


def guard(*rules: Rule) -> Guard:
    chosen = list(rules) or [public("/me", "/in/me", "/shop/me")]
    return Guard(key=PAIR.private, algorithms=["HS256"], issuer="https://a/", rules=chosen)


async def plain(request: Request) -> Response:
    return Response()


@starlette_.requires(has_scope("a"))
async def asks(request: Request) -> Response:
    return Response()


@starlette_.requires(has_scope("a"))
async def socket(websocket: WebSocket) -> None: ...


class Asks(HTTPEndpoint):
    @starlette_.requires(has_scope("a"))
    async def get(self, request: Request) -> Response:
        return Response()

    async def post(self, request: Request) -> Response:
        return Response()


def fastapi(*, dependency: Any = None, annotation: Any = None) -> FastAPI:
    app, router = FastAPI(openapi_url="/openapi.json"), APIRouter()

    async def me(caller: Any) -> str:
        return "me"

    async def nobody() -> str:
        return "nobody"

    me.__annotations__["caller"] = annotation
    router.add_api_route(
        "/me", me if annotation is not None else nobody, dependencies=dependency or []
    )
    app.include_router(router, prefix="/in")
    return app


CALLERS = {
    "a parameter": ({"annotation": CurrentPrincipal}, REFUSED),
    "a dependency": ({"dependency": [requires(has_scope("a"))]}, REFUSED),
    "a dependency of a dependency": ({"annotation": Annotated[Any, Depends(lambda: 0)]}, ""),
    "an optional parameter": ({"annotation": OptionalPrincipal}, "its caller is always anonymous"),
    "an optional dependency": ({"dependency": [Depends(optional_principal)]}, ""),
    "none": ({}, ""),
}


async def below(caller: CurrentPrincipal) -> Principal[Any]:
    return caller


CALLERS["a dependency of a dependency"] = ({"annotation": Annotated[Any, Depends(below)]}, REFUSED)


@pytest.mark.parametrize(("build", "said"), CALLERS.values(), ids=CALLERS)
def test_an_operation_of_fastapi_that_asks_for_a_caller(
    build: dict[str, Any], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    """By coverage, and with the document, whose lock would be a promise."""
    made, app = guard(), fastapi(**build)
    app.add_middleware(JWTMiddleware, guard=made)
    secure_openapi(app, made)
    app.openapi()
    in_the_document = caplog.text
    warnings = coverage(made, app).warnings

    if not said:
        assert (warnings, in_the_document) == ((), "")
        return
    (warning,) = warnings
    assert warning.startswith("GET /in/me asks for a caller, and public('/me', '/in/me'")
    assert said in warning
    assert said in in_the_document


@pytest.mark.parametrize(
    "rules",
    [
        [optional("/in/me")],
        [protect("/in/**"), public("/**")],
        [public("/in/me", methods=["OPTIONS"]), optional("/**")],
    ],
)
def test_a_rule_that_reads_tokens_is_fine(rules: list[Rule]) -> None:
    made, app = guard(*rules), fastapi(annotation=CurrentPrincipal)
    app.add_middleware(JWTMiddleware, guard=made)

    assert coverage(made, app).warnings == ()


def test_starlette_with_functions_classes_and_sockets() -> None:
    """Each by the method that asks."""
    made = guard(public("/**"))
    routes = [
        Route("/asks", asks),
        Route("/class", Asks),
        Route("/plain", plain),
        WebSocketRoute("/live", socket),
    ]
    warnings = coverage(made, JWTMiddleware(Starlette(routes=routes), guard=made)).warnings

    assert [each.partition(" asks")[0] for each in warnings] == [
        "GET, HEAD /asks",
        "GET, HEAD /class",
        "WEBSOCKET /live",
    ]


class FlaskView(MethodView):
    def get(self) -> str:
        return ""

    @flask_.requires(has_scope("a"))
    def post(self) -> str:
        return ""


def test_flask_says_it_as_early_as_its_routes_are_known(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Once: at ``init_app``, and with the first request for routes that came later."""
    app = Flask("shop", static_folder=None)
    app.add_url_rule("/me", "me", flask_.requires(has_scope("a"))(lambda: ""))
    flask_.JWT(app, guard(public("/**")))
    assert (
        f"GET, HEAD /me asks for a caller, and public('/**') reads no token, so that {REFUSED}"
        in (caplog.text.replace("HEAD, GET", "GET, HEAD"))
    )

    app.add_url_rule("/class", view_func=FlaskView.as_view("class"))
    for _ in range(2):
        app.test_client().get("/other")
    assert caplog.text.count("asks for a caller") == 2
    assert "POST /class asks for a caller" in caplog.text


def test_the_first_refusal_of_a_view_says_why_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Once for each view, with a good token too; also below a mount and for a socket."""
    app = Starlette(
        routes=[
            Mount("/shop", routes=[Route("/me", asks), Route("/{other}", plain)]),
            Route("/optional", asks),
            WebSocketRoute("/me", socket),
        ]
    )
    made = guard(public("/shop/me", "/me"), optional("/**"))
    client = TestClient(JWTMiddleware(app, guard=made))

    assert client.get("/optional").status_code == 401
    assert "asks for a caller" not in caplog.text
    assert [client.get("/shop/me", headers=TOKEN).status_code for _ in range(2)] == [401, 401]
    assert caplog.text.count("test_unread_callers.asks asks for a caller, and public(") == 1
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/me"):
        pass
    assert "test_unread_callers.socket asks for a caller" in caplog.text


def test_the_first_refusal_in_flask_says_why_below_a_mount(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """By the path that the guard judged."""
    app: Any = Flask("shop", static_folder=None)
    flask_.JWT(app, guard(public("/me"), optional("/**")))
    app.add_url_rule("/me", "my page", flask_.requires()(lambda: ""))
    app.add_url_rule("/other", "other", flask_.requires()(lambda: ""))

    assert app.test_client().get("/other").status_code == 401
    assert "my page asks for a caller" not in caplog.text
    assert "other asks for a caller" not in caplog.text
    assert app.test_client().get("/me", headers=TOKEN).status_code == 401
    assert "my page asks for a caller, and public('/me') reads no token" in caplog.text


def test_a_flood_of_views_is_not_remembered(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever calls itself a view."""
    integration = guard(public("/**")).integration
    for number in range(2_000):
        integration.warn_if_unread(f"view {number}", "GET", "/me")
    integration.warn_if_unread("odd", "G(T", "/me")

    assert len(caplog.records) == 1_000


class Ours(APIView):  # type: ignore[misc]
    authentication_classes: ClassVar[Any] = [JWTAuthentication]

    def get(self, request: Any) -> RestResponse:
        return RestResponse()


class Known(Ours):
    permission_classes: ClassVar[Any] = [IsAuthenticated]


class Both(Ours):
    permission_classes: ClassVar[Any] = [AllowAny & drf_requires(has_scope("a"))]


class Either(Ours):
    permission_classes: ClassVar[Any] = [AllowAny | drf_requires(has_scope("a"))]


class Scopes(Ours):
    permission_classes: ClassVar[Any] = [HasScopes]
    required_scopes: ClassVar[Any] = ["a"]


class Session(Known):
    authentication_classes: ClassVar[Any] = [JWTAuthentication, SessionAuthentication]


class Chosen(Scopes):
    def get_permissions(self) -> list[Any]:
        return []


class Open(Ours):
    permission_classes: ClassVar[Any] = []


class Mixed(Known, ViewSet):  # type: ignore[misc]
    def list(self, request: Any) -> RestResponse:
        return RestResponse()

    @action(detail=False, permission_classes=[AllowAny])
    def open_to_all(self, request: Any) -> RestResponse:
        return RestResponse()

    @action(detail=False, authentication_classes=[SessionAuthentication])
    def by_session(self, request: Any) -> RestResponse:
        return RestResponse()


ROUTER = SimpleRouter(trailing_slash=False, use_regex_path=False)
ROUTER.register("mixed", Mixed, basename="mixed")

ADDRESSES = ModuleType("addresses_of_unread_callers")
VIEWS = (Known, Both, Either, Scopes, Session, Chosen, Open)
ADDRESSES.urlpatterns = [  # type: ignore[attr-defined]
    *(path(view.__name__.lower(), view.as_view()) for view in VIEWS),
    path("opened", Known.as_view(permission_classes=[])),
    path("closed", Open.as_view(permission_classes=[IsAuthenticated])),
    *ROUTER.urls,
]
ASKING = {"/known", "/both", "/scopes", "/closed", "/mixed"}


def test_views_of_django_rest_framework_by_check_and_coverage() -> None:
    """Only those that surely refuse everybody."""
    made = guard(public("/**"))
    chosen = {"ROOT_URLCONF": ADDRESSES, "JWT_MIDDLEWARE": {"GUARD": made}}
    with override_settings(MIDDLEWARE=[MIDDLEWARE], **chosen):
        found = [each for each in run_checks() if each.id == "jwt_middleware.W007"]
        warnings = coverage(made, ADDRESSES).warnings

    assert {each.msg.split(" asks")[0].split()[-1] for each in found} == ASKING
    assert {each.split(" asks")[0].split()[-1] for each in warnings} == ASKING
    assert all(each.hint for each in found)


@pytest.mark.parametrize("page", ["/known", "/scopes"])
def test_the_first_refusal_of_a_view_of_rest_framework(
    page: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Of its permission as of ours."""
    made = guard(public("/**"))
    chosen = {"ROOT_URLCONF": ADDRESSES, "JWT_MIDDLEWARE": {"GUARD": made}}
    with override_settings(MIDDLEWARE=[MIDDLEWARE], **chosen):
        for _ in range(2):
            assert Client().get(page, headers=TOKEN).status_code == 401

    assert caplog.text.count(f".{page[1:].title()} asks for a caller, and public('/**')") == 1


def test_a_caller_who_lacks_a_scope_is_no_mistake(caplog: pytest.LogCaptureFixture) -> None:
    made = guard(optional("/**"))
    chosen = {"ROOT_URLCONF": ADDRESSES, "JWT_MIDDLEWARE": {"GUARD": made}}
    with override_settings(MIDDLEWARE=[MIDDLEWARE], **chosen):
        assert Client().get("/scopes", headers=TOKEN).status_code == 403
        assert Client().get("/scopes").status_code == 401

    assert "asks for a caller" not in caplog.text


def test_the_check_tells_of_a_view_without_its_requirement() -> None:
    """As it may be where a view of another framework is used."""
    bare = ModuleType("shop")
    code = "from jwt_middleware import has_scope\n"
    code += "from jwt_middleware.integrations.starlette import requires\n"
    code += "def orders(request): ...\nbare = orders\norders = requires(has_scope('a'))(orders)\n"
    exec(code, vars(bare))
    addresses = ModuleType("addresses_of_a_bare_view")
    addresses.urlpatterns = [path("orders", bare.bare)]  # type: ignore[attr-defined]
    chosen = {"ROOT_URLCONF": addresses, "JWT_MIDDLEWARE": {"GUARD": guard()}}
    with override_settings(MIDDLEWARE=[MIDDLEWARE], **chosen):
        (found,) = [each for each in run_checks() if each.id == "jwt_middleware.E004"]

    assert found.msg.startswith("shop.orders is registered without its requires(...)")
