"""Which rule decides each real route, in five frameworks."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.urls import include, path, re_path
from django.views import View
from fastapi import APIRouter, FastAPI, WebSocket
from flask import Blueprint, Flask
from flask.views import MethodView
from litestar import Controller, Litestar, asgi, get, post, websocket
from litestar import Router as LitestarRouter
from litestar import WebSocket as LitestarSocket
from litestar.types import Receive, Scope, Send
from quart import Quart
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Host, Mount, Route, Router, WebSocketRoute
from starlette.staticfiles import StaticFiles
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from jwt_middleware import (
    ConfigurationError,
    Guard,
    JWTMiddleware,
    JWTWSGIMiddleware,
    has_role,
    has_scope,
    optional,
    protect,
    public,
)
from jwt_middleware.integrations import coverage
from jwt_middleware.integrations.coverage import assert_no_public_routes_except
from jwt_middleware.integrations.routes.route import hole_of

RULES = [
    public("/health"),
    public("/users/me", methods=["GET"]),
    optional("/feed"),
    protect("/users/{id}", requires=has_scope("users:read"), methods=["GET"]),
    protect("/users/**", requires=has_role("admin")),
    public("/assets/**"),
    protect("/gone/**", requires=has_role("ghost")),
]


def guard() -> Guard:
    key = b"0123456789abcdefghijklmnopqrstuv"
    return Guard(key=key, algorithms=["HS256"], issuer="https://a/", rules=RULES)


async def endpoint(request: Request) -> Response:
    return Response()


async def socket(websocket: Any) -> None: ...


class Users(HTTPEndpoint):
    async def get(self, request: Request) -> Response:
        return Response()

    async def delete(self, request: Request) -> Response:
        return Response()


def starlette_app() -> Any:
    users = [Route("/", endpoint), Route("/{id:int}", Users), Route("/{name}", endpoint)]
    return Starlette(
        routes=[
            Route("/health", endpoint),
            Route("/feed", endpoint, methods=["POST"]),
            Mount("/users", routes=users),
            Mount("/assets", StaticFiles(directory=".")),
            WebSocketRoute("/live", socket),
            Host("api.example", Router([Route("/v{version}.json", endpoint)])),
        ]
    )


EXPECTED = {
    "starlette": {
        "GET, HEAD /health": ["public('/health')"],
        "POST /feed": ["optional('/feed')"],
        "GET, HEAD /users/": ["protect('/users/**', requires role admin)"],
        "DELETE /users/{id:int}": ["protect('/users/**', requires role admin)"],
        "GET, HEAD /users/{id:int}": [
            "protect('/users/{id}', requires scope users:read, methods=['GET'])"
        ],
        "GET, HEAD /users/{name}": [
            "public('/users/me', methods=['GET'])",
            "protect('/users/{id}', requires scope users:read, methods=['GET'])",
        ],
        "GET, HEAD /assets/**": ["public('/assets/**')"],
        "WEBSOCKET /live": ["no rule: a valid token"],
        "GET, HEAD //api.example/v{version}.json": ["no rule: a valid token"],
    }
}


def told(app: Any) -> dict[str, list[str]]:
    lines = coverage(guard(), app).routes
    return {f"{', '.join(e.methods)} {e.path}": [str(rule) for rule in e.rules] for e in lines}


def test_starlette_is_read_with_mounts_hosts_classes_and_sockets() -> None:
    """A hole for numbers is no name; a hole for names may be one of a rule."""
    assert told(starlette_app()) == EXPECTED["starlette"]


def fastapi_app() -> FastAPI:
    app = FastAPI(openapi_url=None)
    inner = APIRouter()
    outer = APIRouter(prefix="/users")
    sub = FastAPI(openapi_url=None)

    @inner.get("/{number}")
    async def user(number: int) -> None: ...

    @sub.get("/deep/{rest:path}")
    async def deep(rest: str) -> None: ...

    @app.websocket("/live")
    async def live(websocket: WebSocket) -> None: ...

    outer.include_router(inner, prefix="/of")
    app.include_router(outer)
    app.mount("/users", sub)
    return app


def test_the_files_that_fastapi_serves_last_are_a_route(tmp_path: Path) -> None:
    """Wherever no other matches."""
    app = FastAPI(openapi_url=None)
    app.frontend("/", directory=str(tmp_path))

    assert "public('/health')" in told(app)["GET, HEAD /**"]


def test_fastapi_is_read_with_includes_and_mounts() -> None:
    """As deep as they go."""
    admin = "protect('/users/**', requires role admin)"
    # What a mount has below a mount may be a name of the rules, as the rest may.
    assert told(fastapi_app()) == {
        "GET /users/of/{number}": [admin],
        "GET /users/deep/{rest:path}": [
            "protect('/users/{id}', requires scope users:read, methods=['GET'])",
            admin,
        ],
        "WEBSOCKET /live": ["no rule: a valid token"],
    }


def test_the_pages_of_fastapi_are_routes_too() -> None:
    """The schema and the documentation, which are there unless they are turned off."""
    assert {"GET, HEAD /openapi.json", "GET, HEAD /docs", "GET, HEAD /redoc"} <= set(
        told(FastAPI())
    )


def flask_app() -> Flask:
    app = Flask(__name__, static_folder=None)
    users, deep = Blueprint("users", __name__), Blueprint("deep", __name__)

    class Item(MethodView):
        def get(self, **_: Any) -> str:
            return ""

        def put(self, **_: Any) -> str:
            return ""

    users.add_url_rule("/<int:id>", view_func=Item.as_view("item"))
    users.add_url_rule("/<name>", view_func=lambda name: "", endpoint="name")
    deep.add_url_rule("/<path:rest>/end", view_func=lambda rest: "", endpoint="end")
    users.register_blueprint(deep, url_prefix="/deep")
    app.register_blueprint(users, url_prefix="/users")
    app.add_url_rule("/<any(health, feed):page>", view_func=lambda page: "", endpoint="page")
    return app


def test_flask_is_read_with_nested_blueprints_and_class_views() -> None:
    """Each converter takes what it takes; OPTIONS, which Flask adds, is a method too."""
    admin = "protect('/users/**', requires role admin)"
    reads = "protect('/users/{id}', requires scope users:read, methods=['GET'])"
    assert told(flask_app()) == {
        "GET, HEAD /users/<int:id>": [reads],
        "OPTIONS, PUT /users/<int:id>": [admin],
        "GET, HEAD /users/<name>": ["public('/users/me', methods=['GET'])", reads],
        "OPTIONS /users/<name>": [admin],
        "GET, HEAD, OPTIONS /users/deep/<path:rest>/end": [admin],
        "GET, HEAD, OPTIONS /<any(health, feed):page>": [
            "public('/health')",
            "optional('/feed')",
            "no rule: a valid token",
        ],
    }


def test_quart_is_read_as_flask_is() -> None:
    """With its sockets."""
    app = Quart(__name__, static_folder=None)
    app.add_url_rule("/health", "health", lambda: "")
    app.add_websocket("/live/<id>", "live", lambda **_: None)

    assert told(app) == {
        "GET, HEAD, OPTIONS /health": ["public('/health')"],
        "WEBSOCKET /live/<id>": ["no rule: a valid token"],
    }


def function_view(request: HttpRequest, **_: Any) -> HttpResponse:
    return HttpResponse()


class ClassView(View):
    def get(self, request: HttpRequest, **_: Any) -> HttpResponse:
        return HttpResponse()


def django_addresses() -> ModuleType:
    module = ModuleType("addresses_of_a_test")
    nested: Any = [
        path("me", ClassView.as_view()),
        path("<int:id>", ClassView.as_view()),
        re_path(r"^by/(?P<name>[a-z]+)/$", ClassView.as_view()),
        re_path(r"^odd.*$", ClassView.as_view()),
        re_path(r"^open", ClassView.as_view()),
    ]
    users: Any = ([path("", include(nested))], "users")
    module.urlpatterns = [  # type: ignore[attr-defined]
        path("health", function_view),
        path("users/", include(users)),
        path("assets/<path:rest>", ClassView.as_view()),
    ]
    return module


def test_django_is_read_with_nested_includes_and_class_views() -> None:
    """What an expression could match beyond its groups counts as anything."""
    admin = "protect('/users/**', requires role admin)"
    reads = "protect('/users/{id}', requires scope users:read, methods=['GET'])"
    me = "public('/users/me', methods=['GET'])"
    assert told(django_addresses()) == {
        "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT /health": ["public('/health')"],
        "GET, HEAD /users/me": [me],
        "OPTIONS /users/me": [admin],
        "GET, HEAD /users/<int:id>": [reads],
        "OPTIONS /users/<int:id>": [admin],
        r"GET, HEAD, OPTIONS /users/^by/(?P<name>[a-z]+)/$": [admin],
        "GET, HEAD /users/^odd.*$": [me, reads, admin],
        "OPTIONS /users/^odd.*$": [admin],
        "GET, HEAD /users/^open": [me, reads, admin],
        "OPTIONS /users/^open": [admin],
        "GET, HEAD, OPTIONS /assets/<path:rest>": ["public('/assets/**')"],
    }


def test_django_is_read_with_view_sets_and_odd_expressions() -> None:
    """What is not sure to be in one place may be in any."""

    def view_set(request: HttpRequest, **_: Any) -> HttpResponse:
        return HttpResponse()

    view_set.actions = {"get": "list", "post": "create"}  # type: ignore[attr-defined]
    odd = [r"^assets/(\d+)?$", r"^assets/x+$", r"^assets/\w$", r"^assets/v1\.0/(?P<n>[^/]+)\Z"]
    module = ModuleType("addresses_of_another_test")
    module.urlpatterns = [  # type: ignore[attr-defined]
        path("users/", view_set),
        re_path(r"^health$|^feed$", ClassView.as_view()),
        *(re_path(each, ClassView.as_view()) for each in odd),
    ]
    found = told(module)

    assert found.pop("GET, OPTIONS, POST /users/") == ["protect('/users/**', requires role admin)"]
    anywhere = found.pop("GET, HEAD /^health$|^feed$")
    assert anywhere == [*map(str, RULES), "no rule: a valid token"]
    assert "public('/health')" in found.pop("OPTIONS /^health$|^feed$")
    assert found == {f"GET, HEAD, OPTIONS /{each}": ["public('/assets/**')"] for each in odd}


@pytest.mark.parametrize("group", ["[^/].*", "[^/]+/?[^/]*", "[!-~]+", "[+-9]+", r"[\x20-\x7e]+"])
def test_an_expression_that_takes_a_slash_somewhere_counts_as_any_path(group: str) -> None:
    """Though a part of it takes none, or its range only surrounds the slash."""
    module = ModuleType("addresses_of_a_third_test")
    module.urlpatterns = [  # type: ignore[attr-defined]
        re_path(f"^users/({group})$", ClassView.as_view())
    ]

    assert "public('/users/me', methods=['GET'])" in told(module)[f"GET, HEAD /^users/({group})$"]
    assert (
        "protect('/users/**', requires role admin)" in told(module)[f"GET, HEAD /^users/({group})$"]
    )


@pytest.mark.parametrize("group", ["[^/]+", "[-a-zA-Z0-9_]+", "[a-z][^/]*", r"\d+\.\d+"])
def test_an_expression_that_takes_no_slash_is_one_segment(group: str) -> None:
    assert not hole_of(group).spans


@pytest.mark.parametrize("place", ["in front", "inside"])
def test_what_a_dispatcher_mounts_beside_flask_is_a_route(place: str) -> None:
    """It may be anything, so that it is public where some path below it is."""
    app: Any = Flask("x")
    mounts: Any = {"/assets/old": Flask("old"), "/gone": Flask("old")}
    if place == "inside":
        app.wsgi_app = DispatcherMiddleware(app.wsgi_app, mounts)
    else:
        app = DispatcherMiddleware(app, mounts)
    found = told(JWTWSGIMiddleware(app, guard=guard()))

    every = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
    assert found[f"{every} /assets/old/**"] == ["public('/assets/**')"]
    assert found[f"{every} /gone/**"] == ["protect('/gone/**', requires role ghost)"]
    with pytest.raises(AssertionError, match="/assets/old/"):
        assert_no_public_routes_except(coverage(guard(), app), "/static/<path:filename>")


def litestar_app() -> Litestar:
    class UserController(Controller):
        path = "/users"

        @get("/{name:str}")
        async def one(self) -> None: ...

        @post("/{id:int}", status_code=200)
        async def change(self) -> None: ...

    @get("/{rest:path}")
    async def assets() -> None: ...

    @websocket("/live")
    async def live(socket: LitestarSocket) -> None: ...

    @asgi("/assets/mounted", is_mount=True, copy_scope=True)
    async def mounted(scope: Scope, receive: Receive, send: Send) -> None: ...

    files = LitestarRouter("/assets", route_handlers=[assets])
    return Litestar([UserController, files, live, mounted], openapi_config=None)


def test_litestar_is_read_with_routers_and_controllers() -> None:
    """And OPTIONS, which it adds."""
    admin = "protect('/users/**', requires role admin)"
    reads = "protect('/users/{id}', requires scope users:read, methods=['GET'])"
    assert told(litestar_app()) == {
        "GET /users/{name:str}": ["public('/users/me', methods=['GET'])", reads],
        "OPTIONS /users/{name:str}": [admin],
        "OPTIONS, POST /users/{id:int}": [admin],
        "GET, OPTIONS /assets/{rest:path}": ["public('/assets/**')"],
        "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT, WEBSOCKET /assets/mounted": [
            "public('/assets/**')"
        ],
        "WEBSOCKET /live": ["no rule: a valid token"],
    }


def test_the_rules_that_decide_no_route_are_told() -> None:
    """In words that say which."""
    covered = coverage(guard(), starlette_app())

    assert [str(rule) for rule in covered.unused] == [
        "protect('/gone/**', requires role ghost)",
    ]


def test_it_prints_a_table() -> None:
    """Aligned; a further rule of a route stands below the first."""
    app = Starlette(routes=[Route("/health", endpoint), Route("/users/{name}", endpoint)])

    assert (
        str(coverage(guard(), app))
        == """\
methods    path           falls under                                                         asks for
GET, HEAD  /health        public('/health')                                                   nothing
GET, HEAD  /users/{name}  public('/users/me', methods=['GET'])                                nothing
                          protect('/users/{id}', requires scope users:read, methods=['GET'])  scope users:read

rules that decide no route:
  optional('/feed')
  protect('/users/**', requires role admin)
  public('/assets/**')
  protect('/gone/**', requires role ghost)"""
    )


def test_a_public_route_must_be_an_exception() -> None:
    """By its own spelling, or below a pattern; the message speaks as ``explain`` does."""
    covered = coverage(guard(), starlette_app())

    assert_no_public_routes_except(covered, "/health", "/assets/**", "/users/{name}")
    assert_no_public_routes_except(covered, "/health", "/assets/**", "/users/{other}")
    with pytest.raises(AssertionError) as failure:
        assert_no_public_routes_except(covered, "/health", "/users/{name}")

    assert (
        str(failure.value)
        == """\
these routes are public, and not among the exceptions:
GET, HEAD /assets/**
  falls under  public('/assets/**')
  asks for     nothing"""
    )
    explained = str(guard().explain("GET", "/assets/x"))
    assert "  falls under  public('/assets/**')" in explained.splitlines()


@pytest.mark.parametrize("exception", ["/assets", "/{x}", "/assets/x", "/other/**"])
def test_an_exception_must_cover_the_whole_route(exception: str) -> None:
    """Not one path of it."""
    app = Starlette(routes=[Mount("/assets", StaticFiles(directory="."))])

    with pytest.raises(AssertionError, match="these routes are public"):
        assert_no_public_routes_except(coverage(guard(), app), exception)


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda: JWTMiddleware(CORSMiddleware(starlette_app()), guard=guard()),
        lambda: JWTWSGIMiddleware(flask_app(), guard=guard()),
    ],
)
def test_middleware_around_the_application_is_looked_through(wrapped: Callable[[], Any]) -> None:
    """Ours, and that of others which says what it wraps."""
    assert coverage(guard(), wrapped()).routes


@pytest.mark.parametrize("app", [object(), lambda environ, start: [], StaticFiles(directory=".")])
def test_an_application_that_cannot_be_read_is_a_sentence(app: Any) -> None:
    """Instead of a table without routes."""
    with pytest.raises(ConfigurationError, match="coverage cannot read the routes of"):
        coverage(guard(), app)


def test_what_is_of_unknown_kind_could_be_anything() -> None:
    """An application that is mounted, a route of somebody's own, a class that serves itself."""

    class Own(BaseRoute):
        pass

    class Endpoint:
        def __init__(self, *_: Any) -> None: ...

    async def asgi_app(scope: Any, receive: Any, send: Any) -> None: ...

    below_users = {str(RULES[1]), str(RULES[3]), str(RULES[4])}
    mounted = told(Starlette(routes=[Mount("/users", asgi_app)]))
    own = told(Starlette(routes=[Own()]))
    every_method = coverage(guard(), Starlette(routes=[Route("/other", Endpoint)]))

    assert {rule for rules in mounted.values() for rule in rules} == below_users
    assert {rule for rules in own.values() for rule in rules} >= set(map(str, RULES))
    assert {"POST", "DELETE"} < set(every_method.routes[0].methods)


@pytest.mark.parametrize("framework", ["starlette", "flask"])
def test_no_framework_is_imported_but_that_of_the_application(framework: str) -> None:
    """Nobody has all of them."""
    make = {
        "starlette": "from starlette.applications import Starlette; app = Starlette()",
        "flask": "from flask import Flask; app = Flask('x')",
    }[framework]
    code = f"""
import sys
from jwt_middleware import Guard
from jwt_middleware.integrations import coverage
assert not set({["starlette", "fastapi", "flask", "django", "litestar"]}) & set(sys.modules)
{make}
coverage(Guard(key=b"0123456789abcdefghijklmnopqrstuv", algorithms=["HS256"]), app)
print(*set({["starlette", "fastapi", "flask", "django", "litestar"]}) & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == [framework]


@pytest.mark.parametrize("face", ["asgi", "wsgi"])
def test_a_handler_of_django_has_the_addresses_of_the_settings(face: str) -> None:
    """What ``get_asgi_application()`` and its twin return."""
    code = f"""
from django.conf import settings
settings.configure(ROOT_URLCONF=__name__, SECRET_KEY="x")
from django.core.{face} import get_{face}_application
from django.conf.urls.i18n import i18n_patterns
from django.urls import path
from jwt_middleware import Guard
from jwt_middleware.integrations import coverage
def view(request, id): ...
urlpatterns = [path("orders/<int:id>/", view), *i18n_patterns(path("<int:id>", view))]
app = get_{face}_application()
found = coverage(Guard(key=b"0123456789abcdefghijklmnopqrstuv", algorithms=["HS256"]), app)
print(*[route.path for route in found.routes])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["/orders/<int:id>/", "/en-us/<int:id>"]


def test_the_table_of_the_documentation_is_what_its_program_prints() -> None:
    """To the letter."""
    page = (Path(__file__).parents[2] / "docs/coverage.md").read_text(encoding="utf-8")
    program, _, rest = page.partition("```python\n")[2].partition("```")
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout == rest.partition("```\n")[2].partition("```")[0]


def test_a_mounted_application_falls_under_the_rules_of_both_its_paths() -> None:
    """As FastAPI(root_path=...) gets its requests, behind a proxy that strips nothing or all."""
    app = FastAPI()
    app.root_path = "/v1"
    app.get("/orders")(endpoint)
    rules = [protect("/v1/orders", requires=has_role("admin")), public("/orders")]
    key = b"0123456789abcdefghijklmnopqrstuv"
    both = Guard(key=key, algorithms=["HS256"], issuer="https://a/", rules=rules)

    found = {route.path: route for route in coverage(both, app).routes}["/orders"]

    assert found.rules == tuple(rules)
    assert found.is_public
    JWTMiddleware(app, both)
    assert both.explain("GET", "/orders").outcome == "passes as anonymous"
    assert set(both.explain("GET", "/v1/orders").rules) == set(map(str, rules))


REPORTS = Starlette(
    routes=[
        Route(path, endpoint) for path in ("/reports", "/reports/{id}", "/reports/{id}/raw", "/x")
    ]
)
READER = has_role("reader")


@pytest.mark.parametrize(
    ("rules", "below"),
    [
        ([protect("/reports", requires=READER)], "/reports/{id}, /reports/{id}/raw"),
        ([protect("/reports", requires=READER), public("/reports/{id}")], "/reports/{id}, /repo"),
        (
            [protect("/reports", requires=READER), protect("/reports/{id}", requires=READER)],
            "/reports/{id}/raw, require",
        ),
        ([protect("/reports/{id}", requires=READER)], "/reports/{id}/raw, require"),
    ],
)
def test_routes_below_an_exact_rule_that_require_less_are_named(
    rules: list[Any], below: str, caplog: pytest.LogCaptureFixture
) -> None:
    """In the table and in the log; the way out is in the sentence."""
    given: Any = {"key": b"0123456789abcdefghijklmnopqrstuv", "algorithms": ["HS256"]}
    covered = coverage(Guard(issuer="https://a/", rules=rules, **given), REPORTS)

    warning = covered.warnings[0]
    assert below in warning
    assert "/**' to cover them, or exact=True if that is meant" in warning
    assert warning in caplog.messages
    assert f"warnings:\n  {warning}" in str(covered)


@pytest.mark.parametrize(
    "rules",
    [
        [protect("/reports/**", requires=READER)],
        [protect("/reports", requires=READER, exact=True)],
        [protect("/reports", requires=READER), protect("/reports/**", requires=has_role("other"))],
        [protect("/x", requires=READER)],
        [protect("/reports")],
    ],
)
def test_an_exact_rule_that_is_meant_is_not_warned_of(rules: list[Any]) -> None:
    """Nothing lies below, it asks for as much, or somebody said so."""
    given: Any = {"key": b"0123456789abcdefghijklmnopqrstuv", "algorithms": ["HS256"]}

    assert coverage(Guard(issuer="https://a/", rules=rules, **given), REPORTS).warnings == ()
