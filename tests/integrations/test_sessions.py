"""Sessions beside tokens: whom a framework knows stays, where the guard judged no token."""

from collections.abc import Iterator
from importlib import import_module
from typing import Any, ClassVar

import pytest
from asgiref.sync import async_to_sync, iscoroutinefunction
from django.contrib.auth import get_user_model
from django.contrib.auth.decorators import login_not_required
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import AsyncClient, Client, override_settings
from django.urls import path
from django.utils.decorators import method_decorator, sync_and_async_middleware
from django.utils.functional import SimpleLazyObject
from django.views.decorators.cache import cache_page
from flask import Flask
from litestar import Litestar, get
from litestar import Request as LitestarRequest
from litestar.connection import ASGIConnection
from litestar.middleware import AbstractAuthenticationMiddleware, AuthenticationResult
from litestar.middleware.base import DefineMiddleware
from litestar.testing import TestClient as LitestarClient
from rest_framework.authentication import SessionAuthentication
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response as APIResponse
from rest_framework.views import APIView
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from jwt_middleware import (
    Guard,
    JWTMiddleware,
    authenticated,
    current_principal,
    optional,
    protect,
    public,
)
from jwt_middleware.integrations import drf
from jwt_middleware.integrations.django import principal_of, vary_on_caller
from jwt_middleware.integrations.django_settings import MIDDLEWARE, SESSIONS
from jwt_middleware.integrations.flask import JWT
from jwt_middleware.integrations.starlette import principal_of as principal_in
from jwt_middleware.testing import KeyPair
from tests.support import django_project

# It has no types.
flask_login: Any = import_module("flask_login")
middleware: Any = JWTMiddleware

PAIR = KeyPair(b"0123456789abcdefghijklmnopqrstuv", "HS256", None)
SESSION = "django.contrib.sessions.middleware.SessionMiddleware"
LOGIN = "django.contrib.auth.middleware.LoginRequiredMiddleware"
RULES = [
    public("/open/**"),
    optional("/feed/**"),
    optional("/lenient/**", on_invalid="anonymous"),
    protect("/api/**"),
]
guard = Guard(key=PAIR.private, algorithms=["HS256"], issuer="https://a/", rules=RULES)


def bearer(**claims: Any) -> dict[str, str]:
    text = PAIR.sign({"iss": "https://a/", "sub": "alice", "exp": 4_000_000_000, **claims})
    return {"Authorization": f"Bearer {text}"}


GOOD, EXPIRED = bearer(), bearer(exp=1)


def told(request: HttpRequest, **_: Any) -> HttpResponse:
    assert principal_of(request) == current_principal()
    found = {"user": request.user.get_username(), "subject": principal_of(request).subject}
    return JsonResponse(found)


@login_not_required
def exempt(request: HttpRequest) -> HttpResponse:
    return told(request)


async def told_async(request: Any) -> HttpResponse:
    user = await request.auser()
    return JsonResponse({"user": user.get_username(), "subject": principal_of(request).subject})


class Known(APIView):  # type: ignore[misc]
    authentication_classes: ClassVar[Any] = [drf.JWTAuthentication, SessionAuthentication]
    permission_classes: ClassVar[Any] = [IsAuthenticated]

    def get(self, request: Any) -> APIResponse:
        subject = getattr(request.auth, "subject", None)
        return APIResponse({"user": request.user.get_username(), "subject": subject})


class Asked(Known):
    permission_classes: ClassVar[Any] = [drf.requires(authenticated())]


class KeptBelow(Known):
    """The cache is below the framework's own request."""

    authentication_classes: ClassVar[Any] = [SessionAuthentication]
    permission_classes: ClassVar[Any] = []

    @method_decorator(cache_page(60))
    def get(self, request: Any) -> APIResponse:
        return APIResponse({"user": request._request.user.get_username()})


PLACES = ["open", "feed", "lenient", "api"]
urlpatterns = [
    *(path(f"{place}/view", told) for place in PLACES),
    *(path(f"{place}/async", told_async) for place in PLACES),
    *(path(f"{place}/drf", Known.as_view()) for place in PLACES),
    path("feed/asked", Asked.as_view()),
    path("feed/kept", cache_page(60)(vary_on_caller(told))),
    path("open/kept", cache_page(60)(vary_on_caller(told))),
    path("feed/drf-kept", KeptBelow.as_view()),
    path("exempt", exempt),
]

ORDERS = {
    "sessions in front": [SESSION, SESSIONS, MIDDLEWARE],
    "sessions behind": [MIDDLEWARE, SESSION, SESSIONS],
}


@pytest.fixture(autouse=True)
def project() -> Iterator[None]:
    chosen = {"ROOT_URLCONF": __name__, "JWT_MIDDLEWARE": {"GUARD": guard}}
    with override_settings(MIDDLEWARE=ORDERS["sessions in front"], **chosen):
        yield


def logged_in(name: str = "bob", kind: Any = Client) -> Any:
    django_project.migrated()
    user, _ = get_user_model().objects.get_or_create(username=name)
    client = kind()
    client.force_login(user)
    return client


BOB = {"user": "bob", "subject": None}
ALICE = {"user": "alice", "subject": "alice"}
NOBODY = {"user": "", "subject": None}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("view", ["view", "async"])
@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_djangos_user_stays_where_no_token_was_judged(order: str, view: str, kind: Any) -> None:
    """A good token names the user; a refused one hides the session, and opens nothing."""
    client = logged_in(kind=kind)

    def answer(where: str, headers: dict[str, str] | None = None) -> Any:
        ask = client.get if kind is Client else async_to_sync(client.get)
        found = ask(f"{where}/{view}", headers=headers or {})
        return found.json() if found.status_code == 200 else found.status_code

    with override_settings(MIDDLEWARE=ORDERS[order]):
        assert [answer("/open"), answer("/feed"), answer("/lenient")] == [BOB, BOB, BOB]
        assert [answer("/open", GOOD), answer("/open", EXPIRED)] == [BOB, BOB]
        assert [answer("/feed", GOOD), answer("/lenient", GOOD), answer("/api", GOOD)] == [
            ALICE
        ] * 3
        assert answer("/lenient", EXPIRED) == NOBODY
        assert [answer("/feed", EXPIRED), answer("/api", EXPIRED), answer("/api")] == [401] * 3


@pytest.mark.parametrize("order", ORDERS)
def test_the_session_authentication_of_rest_framework_follows(order: str) -> None:
    """``[JWTAuthentication, SessionAuthentication]``, and a requirement that only tokens meet."""
    client = logged_in()
    with override_settings(MIDDLEWARE=ORDERS[order]):
        assert client.get("/open/drf").json() == BOB
        assert client.get("/feed/drf").json() == BOB
        assert client.get("/lenient/drf", headers=GOOD).json() == ALICE
        refused = client.get("/lenient/drf", headers=EXPIRED)
        assert (refused.status_code, refused["WWW-Authenticate"]) == (401, 'Bearer realm="api"')
        assert client.get("/api/drf").status_code == 401
        assert client.get("/feed/asked").status_code == 401
        assert Client().get("/feed/drf").status_code == 401


def test_a_view_that_needs_no_login_shows_the_session_or_nobody() -> None:
    """Where no rule matches: a refused token hides the session there too."""
    chosen = Guard(key=PAIR.private, algorithms=["HS256"], issuer="https://a/")
    client = logged_in()
    with override_settings(
        MIDDLEWARE=[SESSION, SESSIONS, MIDDLEWARE, LOGIN], JWT_MIDDLEWARE={"GUARD": chosen}
    ):
        assert client.get("/exempt").json() == BOB
        assert client.get("/exempt", headers=EXPIRED).json() == NOBODY
        assert client.get("/open/view").status_code == 401


class ToOpen:
    """Leads from a page that needs a token to one that needs none, behind the guard."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> Any:
        assert request.user.get_username() == "alice"
        request.path_info = "/open/view"
        return self.get_response(request)


@pytest.mark.parametrize("order", ORDERS)
def test_a_request_that_is_decided_again_gets_its_session_back(order: str) -> None:
    """The token that was good for the first page does not count on the second."""
    with override_settings(MIDDLEWARE=[*ORDERS[order], f"{__name__}.ToOpen"]):
        assert logged_in().get("/api/view", headers=GOOD).json() == BOB


def test_a_request_that_is_decided_again_without_sessions_is_anonymous() -> None:
    """There is nobody to give it back to."""
    with override_settings(MIDDLEWARE=[MIDDLEWARE, f"{__name__}.ToOpen"]):
        assert Client().get("/api/view", headers=GOOD).json() == NOBODY


@pytest.mark.parametrize("where", ["/feed/kept", "/open/kept", "/feed/drf-kept"])
@pytest.mark.parametrize("order", ORDERS)
def test_kept_pages_of_two_sessions_are_apart(order: str, where: str) -> None:
    """And those of a session and of a stranger, also where a rule reads no token."""
    cache.clear()
    first, second = logged_in("bob"), logged_in("carol")

    with override_settings(MIDDLEWARE=ORDERS[order]):
        answers = [each.get(where).json()["user"] for each in (first, second, first, Client())]

    assert answers == ["bob", "carol", "bob", ""]


class ByBasic:
    """Stands for a middleware that names a user whom no session knows, at once or when asked."""

    def __init__(self, respond: Any) -> None:
        self.respond = respond

    def __call__(self, request: Any) -> Any:
        if name := request.headers.get("x-basic"):
            user = get_user_model()(username=name)
            request.user = SimpleLazyObject(lambda: user) if "x-lazy" in request.headers else user
        return self.respond(request)


@pytest.mark.parametrize("where", ["/feed/kept", "/open/kept", "/feed/drf-kept"])
@pytest.mark.parametrize("lazy", [{}, {"x-lazy": "1"}])
@pytest.mark.parametrize(
    "middlewares",
    [[f"{__name__}.ByBasic", MIDDLEWARE], [SESSION, SESSIONS, f"{__name__}.ByBasic", MIDDLEWARE]],
)
def test_the_page_of_a_user_whom_other_code_names_is_not_kept(
    middlewares: list[str], lazy: dict[str, str], where: str
) -> None:
    """Nothing tells two of them apart, so none gets the other's, nor a stranger's."""
    cache.clear()

    def page(**headers: str) -> str:
        return str(Client().get(where, headers=headers | lazy).json()["user"])

    with override_settings(MIDDLEWARE=middlewares):
        assert [page(**{"x-basic": name}) for name in ("bob", "carol")] == ["bob", "carol"]
        assert [page(), page(**{"x-basic": "bob"}), page()] == ["", "bob", ""]


@sync_and_async_middleware
def asking_early(respond: Any) -> Any:
    """Ask for the user before the view does."""

    async def ask_async(request: Any) -> Any:
        await request.auser()
        return await respond(request)

    def ask(request: Any) -> Any:
        request.user.is_authenticated  # noqa: B018 - it is looked up
        return respond(request)

    return ask_async if iscoroutinefunction(respond) else ask


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize("view", ["view", "async"])
def test_a_middleware_that_asks_for_the_user_changes_nothing(kind: Any, view: str) -> None:
    """Behind Django's own, which keeps what it found."""
    client = logged_in(kind=kind)
    ask = client.get if kind is Client else async_to_sync(client.get)
    order = [SESSION, MIDDLEWARE, SESSIONS, f"{__name__}.asking_early"]

    with override_settings(MIDDLEWARE=order):
        assert ask(f"/lenient/{view}", headers=GOOD).json() == ALICE
        assert ask(f"/lenient/{view}", headers=EXPIRED).json() == NOBODY
        assert ask(f"/lenient/{view}").json() == BOB


def test_a_user_without_its_awaitable_twin_is_enough() -> None:
    """Older middleware sets ``request.user`` alone."""
    with override_settings(MIDDLEWARE=[f"{__name__}.ByBasic", MIDDLEWARE]):
        assert Client().get("/feed/view", headers={"x-basic": "bob"}).json() == BOB


class BySession(AuthenticationBackend):
    """Stands for the sessions of an application."""

    async def authenticate(self, conn: HTTPConnection) -> Any:
        name = conn.headers.get("x-session")
        return None if name is None else (AuthCredentials(["authenticated"]), SimpleUser(name))


def asked(request: Request) -> Response:
    assert principal_in(request) == current_principal()
    found = {"user": request.user.display_name, "subject": principal_in(request).subject}
    return JSONResponse({**found, "scopes": request.auth.scopes})


def starlette_app() -> Starlette:
    return Starlette(
        routes=[Route("/{path:path}", asked)],
        middleware=[
            Middleware(AuthenticationMiddleware, backend=BySession()),
            Middleware(JWTMiddleware, guard=guard),
        ],
    )


def test_starlettes_user_stays_and_request_auth_is_the_guards() -> None:
    """The scopes are those of the token: a session has none there."""
    client = TestClient(starlette_app(), headers={"X-Session": "bob"})

    def answer(where: str, headers: dict[str, str] | None = None) -> Any:
        return client.get(where, headers=headers).json()

    assert answer("/open/x") == answer("/feed/x") == {**BOB, "scopes": []}
    assert answer("/feed/x", GOOD) == {**ALICE, "scopes": ["authenticated"]}
    assert answer("/lenient/x", EXPIRED) == {**NOBODY, "scopes": []}
    assert client.get("/api/x").status_code == 401


class LitestarSessions(AbstractAuthenticationMiddleware):
    """Stands for the sessions of a Litestar application."""

    async def authenticate_request(
        self, connection: ASGIConnection[Any, Any, Any, Any]
    ) -> AuthenticationResult:
        return AuthenticationResult(user=connection.headers.get("x-session"), auth="session")


@get("/feed/x")
async def litestar_view(request: LitestarRequest[Any, Any, Any]) -> dict[str, Any]:
    return {"user": str(request.user), "subject": current_principal().subject}


@pytest.mark.parametrize("guard_is_inside", [False, True])
def test_litestars_user_stays(guard_is_inside: bool) -> None:
    """Wherever the guard is: what it knows is told by ``current_principal()``."""
    layers: list[Any] = [DefineMiddleware(LitestarSessions)]
    if guard_is_inside:
        layers.append(DefineMiddleware(middleware, guard=guard))
    app: Any = Litestar([litestar_view], middleware=layers, openapi_config=None)
    client = LitestarClient(app if guard_is_inside else middleware(app, guard=guard))

    assert client.get("/feed/x", headers={"X-Session": "bob"}).json() == BOB
    both = client.get("/feed/x", headers={"X-Session": "bob", **GOOD}).json()
    assert both["subject"] == "alice"
    assert ("Principal" in both["user"]) is guard_is_inside


class Member(flask_login.UserMixin):  # type: ignore[misc]
    id = "bob"


def flask_app() -> Flask:
    app = Flask(__name__)
    app.secret_key = "x" * 32
    logins = flask_login.LoginManager(app)
    logins.user_loader(lambda _: Member())

    @app.get("/open/login")
    def login() -> dict[str, bool]:
        return {"done": flask_login.login_user(Member())}

    @app.get("/<place>/x")
    def view(place: str) -> dict[str, Any]:
        user = flask_login.current_user
        known = user.get_id() if user.is_authenticated else ""
        return {"user": known, "subject": current_principal().subject}

    JWT(app, guard)
    return app


def test_flask_login_and_the_guard_know_each_its_own() -> None:
    """The guard neither reads nor sets ``current_user``, and a session opens no protected path."""
    client = flask_app().test_client()
    client.get("/open/login")

    assert client.get("/open/x").json == client.get("/feed/x").json == BOB
    assert client.get("/feed/x", headers=GOOD).json == {"user": "bob", "subject": "alice"}
    assert client.get("/lenient/x", headers=EXPIRED).json == BOB
    assert client.get("/api/x").status_code == 401
