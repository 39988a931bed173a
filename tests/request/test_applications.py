"""What an application shows of itself: frameworks inside it, and mount points."""

import itertools
import logging
from collections import deque
from collections.abc import Iterator, Mapping
from functools import cached_property, partial
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock, MagicMock

import bottle
import pytest
from asgiref.wsgi import WsgiToAsgi as _Bridge
from cherrypy import _cpwsgi
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse
from django.test import override_settings
from django.urls import path as django_path
from fastapi import FastAPI
from flask import Flask
from litestar import Litestar
from litestar import asgi as litestar_asgi
from pyramid.config import Configurator
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Mount, Route
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

from jwt_middleware import (
    ConfigurationError,
    Guard,
    JWTMiddleware,
    JWTWSGIMiddleware,
    has_role,
    protect,
    public,
)
from jwt_middleware.integrations import coverage
from jwt_middleware.request.applications import described, reached, wrapped
from jwt_middleware.request.guarded_views import name_of
from jwt_middleware.rules.table import RuleTable
from tests.faces.calls import http_scope, through_asgi, through_wsgi, wsgi_environ
from tests.routers.asgi_apps import falcon_app
from tests.routers.object_apps import cherrypy_app, turbogears_app
from tests.routers.raw_apps import blacksheep_app, sanic_app
from tests.support import django_project
from tests.support.short_form import short_guard

# It has no types of its own.
WsgiToAsgi: Any = _Bridge

OPEN = [protect("/admin", requires=has_role("admin")), public("/**")]


async def plain(scope: Any, receive: Any, send: Any) -> None:
    """Be an application of nobody's."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def pyramid() -> Any:
    with Configurator() as config:
        return config.make_wsgi_app()


FRAMEWORKS: dict[str, Any] = {
    "starlette": Starlette,
    "fastapi": FastAPI,
    "flask": lambda: Flask("x").wsgi_app,
    "bottle": bottle.Bottle,
    "pyramid": pyramid,
    "cherrypy": cherrypy_app,
    "turbogears": turbogears_app,
    "sanic": sanic_app,
    "blacksheep": blacksheep_app,
}


WSGI = {"flask", "bottle", "pyramid", "cherrypy", "turbogears"}


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_framework_is_recognised(framework: str) -> None:
    """Bare, and below what wraps it."""
    app = FRAMEWORKS[framework]()

    assert described(app, paths_are_whole=True).is_measured
    assert described(partial(app), paths_are_whole=True).is_measured
    face: Any = JWTWSGIMiddleware if framework in WSGI else JWTMiddleware
    assert described(face(app, guard=short_guard()), paths_are_whole=True).is_measured
    assert described(GZipMiddleware(app), paths_are_whole=True).is_measured
    assert described(ProxyFix(app), paths_are_whole=True).is_measured


def test_what_is_mounted_is_recognised_too() -> None:
    """Its router reads what comes below the mount."""
    outer = Starlette(routes=[Mount("/old", app=sanic_app())])
    added = Starlette(middleware=[Middleware(GZipMiddleware)])
    added.mount("/old", blacksheep_app())
    below_wsgi = DispatcherMiddleware(Flask("x"), {"/old": cherrypy_app()})

    assert described(outer, paths_are_whole=True).matches_raw_path
    assert described(added, paths_are_whole=True).folds
    assert described(below_wsgi, paths_are_whole=False).folds


def test_a_mount_point_is_that_of_what_is_wrapped_and_not_of_what_is_mounted() -> None:
    """The first is stripped from every path, the second from its own."""
    own = FastAPI()
    own.root_path = "/api/"
    mounted = FastAPI()
    mounted.root_path = "/v2"
    own.mount("/sub", mounted)

    assert described(GZipMiddleware(own), paths_are_whole=True).mount_points == ("/api",)


def test_applications_that_wrap_each_other_end_the_search() -> None:
    """Also where what is wrapped is made anew each time it is looked at, or refuses to be."""

    class Endless:
        @property
        def app(self) -> Any:
            return Endless()

        def __call__(self) -> None: ...

    class Shy:
        @property
        def app(self) -> Any:
            raise RuntimeError("outside a request")

    class Shown:
        def __call__(self, environ: Any, start_response: Any) -> None: ...

        def __getattr__(self, name: str) -> Any:
            raise RuntimeError("outside a request")

    shown: Any = Shown()
    JWTWSGIMiddleware(shown, guard=short_guard())
    assert len(wrapped(Endless())) <= 21_000
    assert len(wrapped(Shy())) == 1
    assert not described(Endless(), paths_are_whole=True).is_measured
    assert not described(plain, paths_are_whole=True).is_measured


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [text for text in caplog.messages if "was not compared" in text]


def plain_wsgi(environ: Any, start_response: Any) -> list[bytes]:
    return []


@pytest.mark.parametrize(
    ("face", "unknown", "known"),
    [(JWTMiddleware, plain, "starlette"), (JWTWSGIMiddleware, plain_wsgi, "flask")],
)
def test_an_open_table_before_an_unknown_router_is_told_once(
    face: Any, unknown: Any, known: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Once a guard, however many faces it has; never where the rules protect by default."""
    shut = short_guard(rules=[public("/health")])
    wide = short_guard(rules=OPEN)
    with caplog.at_level(logging.WARNING):
        face(unknown, guard=shut)
        face(FRAMEWORKS[known](), guard=wide)
        assert not warnings_of(caplog)
        face(unknown, guard=wide)
        face(unknown, guard=wide)

    (told,) = warnings_of(caplog)
    assert "of function was not compared" in told


def test_the_short_form_is_open_too(caplog: pytest.LogCaptureFixture) -> None:
    """What ``protected=`` does not name is open."""
    JWTMiddleware(plain, guard=short_guard(protected=["/api"]))

    assert warnings_of(caplog)


async def test_what_was_mounted_after_the_guard_is_known_when_the_server_starts() -> None:
    """The lifespan comes after every route."""
    app = Starlette()
    middleware = JWTMiddleware(app, guard=short_guard(rules=OPEN))
    app.mount("/old", blacksheep_app())

    async def receive() -> Any:
        return {"type": "lifespan.shutdown"}

    async def send(message: Any) -> None: ...

    assert not middleware._application.folds
    await middleware({"type": "lifespan"}, receive, send)

    assert middleware._application.folds
    assert (await through_asgi(middleware, http_scope("GET", "/ADMIN"))).status == 401


async def test_what_was_mounted_after_the_guard_is_known_when_the_first_request_comes() -> None:
    """Below WSGI nothing tells of a start, and daphne has no lifespan."""
    outer, below = Starlette(), bottle.Bottle()
    asgi = JWTMiddleware(outer, guard=short_guard(rules=OPEN))
    wsgi = JWTWSGIMiddleware(below, guard=short_guard(rules=OPEN))
    outer.mount("/old", blacksheep_app())
    below.mount("/old/", turbogears_app())

    assert (await through_asgi(asgi, http_scope("GET", "/ADMIN"))).status == 401
    assert through_wsgi(wsgi, wsgi_environ("GET", "/admin.html")).status == 401


async def test_a_script_name_that_django_is_forced_to_is_its_mount_point() -> None:
    """Under ASGI it comes off the path, though no server speaks of it."""
    django_project.ready()
    urls = [django_path("admin/x", lambda request: HttpResponse(request.path_info))]
    rules = [protect("/admin/**", requires=has_role("admin")), public("/**")]
    chosen: Any = {"ROOT_URLCONF": tuple(urls), "MIDDLEWARE": [], "FORCE_SCRIPT_NAME": "/m"}
    with override_settings(**chosen):
        bare = ASGIHandler()
        guarded = JWTMiddleware(bare, guard=short_guard(rules=rules))
        asked = http_scope("GET", "/m/admin/x", [("Host", "a")])

        assert (await through_asgi(bare, asked)).body == b"/admin/x"
        assert (await through_asgi(guarded, asked)).status == 401
        assert described(WSGIHandler(), paths_are_whole=False).prefixes == ()


def test_explain_goes_by_the_application_that_the_guard_stands_before() -> None:
    """It tells what a request would really get."""
    guard = short_guard(rules=OPEN)
    before = str(guard.explain("GET", "/ADMIN"))
    JWTMiddleware(blacksheep_app(), guard=guard)

    assert "passes" in before
    assert "401 token_missing" in str(guard.explain("GET", "/ADMIN"))


@pytest.mark.parametrize("root", ["/admin", "admin", "/admin/", "//admin"])
def test_pyramid_puts_a_header_in_front_of_the_path(root: str) -> None:
    """Anybody can send it: both paths are judged."""
    app = JWTWSGIMiddleware(pyramid(), guard=short_guard(rules=OPEN))
    moved = wsgi_environ("GET", "/", [("X-Vhm-Root", root)])
    elsewhere = JWTWSGIMiddleware(Flask("x"), guard=short_guard(rules=OPEN))

    assert through_wsgi(app, moved).status == 401
    assert through_wsgi(app, wsgi_environ("GET", "/", [("X-Vhm-Root", "/")])).status == 404
    assert through_wsgi(app, wsgi_environ("GET", "/")).status == 404
    assert through_wsgi(elsewhere, moved).status == 404


@pytest.mark.parametrize("case_sensitive", [True, False])
async def test_case_is_told_apart_unless_the_guard_is_told_otherwise(case_sensitive: bool) -> None:
    """On both faces."""
    guard: Guard = short_guard(rules=OPEN, case_sensitive=case_sensitive)
    wsgi = through_wsgi(JWTWSGIMiddleware(Flask("x"), guard=guard), wsgi_environ("GET", "/ADMIN"))
    asgi = await through_asgi(JWTMiddleware(plain, guard=guard), http_scope("GET", "/ADMIN"))

    assert (wsgi.status, asgi.status) == ((404, 200) if case_sensitive else (401, 401))


def by_closure(app: Any) -> Any:
    def wrapper(*args: Any) -> Any:
        return app(*args)

    return wrapper


def by_inner_function(app: Any) -> Any:
    def outer(*args: Any) -> Any:
        async def inner() -> Any:
            return await app(*args)

        return inner()

    return outer


def by_an_empty_cell(app: Any) -> Any:
    before: Any = app

    def wrapper(*args: Any) -> Any:
        return before(*args) if app is None else app(*args)  # noqa: F821

    del before
    return wrapper


def by_default(app: Any) -> Any:
    def wrapper(*args: Any, inner: Any = app) -> Any:
        return inner(*args)

    return wrapper


class Keeping:
    """Keeps an application under a name that nobody knows."""

    def __init__(self, app: Any) -> None:
        self.what_comes_next = app

    def __call__(self, *args: Any) -> Any:
        return self.what_comes_next(*args)


class KeepingInASlot:
    """Keeps it where there is no dictionary."""

    __slots__ = ("__next", "empty")

    def __init__(self, app: Any) -> None:
        self.__next = app

    def __call__(self, *args: Any) -> Any:
        return self.__next(*args)


class Holder:
    """Holds a dispatcher and is none."""

    def __init__(self, app: Any) -> None:
        self.table = {"/a": [("x", app)]}


class Dispatching:
    """Has a table of applications, and something that holds another."""

    def __init__(self, app: Any) -> None:
        self.holder = Holder(app)

    def __call__(self, *args: Any) -> Any:
        return self.holder.table["/a"][0][1](*args)


in_this_module: Any = None


def by_name(*args: Any) -> Any:
    return in_this_module(*args)


class Naming:
    """Finds its application among the names of its module."""

    def __call__(self, *args: Any) -> Any:
        return self.hand_on(*args)

    def hand_on(self, *args: Any) -> Any:
        return by_name(*args)


def named(wrapper: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    def wrap(app: Any) -> Any:
        monkeypatch.setitem(globals(), "in_this_module", app)
        return wrapper

    return wrap


def in_wsgi_app(app: Any) -> Any:
    outer: Any = Flask("x")
    outer.wsgi_app = Keeping(DispatcherMiddleware(outer.wsgi_app, {"/old": app}))
    return outer


def below_bottle(app: Any) -> Any:
    outer = bottle.Bottle()
    outer.mount("/old/", app)
    return outer


def below_cherrypy(app: Any) -> Any:
    hosts: Any = _cpwsgi.VirtualHost(Flask("x"), {"old.example": app})
    return hosts


def below_starlette(app: Any) -> Any:
    return Starlette(routes=[Mount("/a", routes=[Mount("/b", app=WsgiToAsgi(app))])])


def as_starlettes_last_resort(app: Any) -> Any:
    outer = Starlette()
    outer.router.default = by_closure(app)
    return outer


# As Starlette makes one: what it wraps comes first, and the rest is its own.
dispatching: Any = lambda app, other: Dispatching([app, other])  # noqa: E731


def in_a_middleware(app: Any) -> Any:
    return Starlette(middleware=[Middleware(dispatching, app)])


def below_litestar(app: Any) -> Any:
    @litestar_asgi("/old", is_mount=True, copy_scope=True)
    async def old(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)

    return Litestar([old])


def below_blacksheep(app: Any) -> Any:
    outer = blacksheep_app()
    outer.mount("/old", app)
    return outer


def in_its_class(attribute: Any) -> Any:
    """Return an application that finds the one inside in an attribute of its class."""

    class Wrapper:
        what_comes_next = attribute

        def __call__(self, *args: Any) -> Any:
            return self.what_comes_next(*args)

    return Wrapper()


def in_a_class_that_a_function_names(app: Any) -> Any:
    class Settings:
        what_comes_next = app

    def wrapper(*args: Any) -> Any:
        return Settings.what_comes_next(*args)

    return wrapper


def in_a_module_that_a_function_names(app: Any) -> Any:
    outer, inner = ModuleType("outer"), ModuleType("inner")
    outer.below, inner.served = inner, app  # type: ignore[attr-defined]

    def wrapper(*args: Any) -> Any:
        return outer.below.served(*args)

    return wrapper


def in_a_namespace(app: Any) -> Any:
    apps = SimpleNamespace(old=app)

    def wrapper(*args: Any) -> Any:
        return apps.old(*args)

    return wrapper


WRAPPERS: dict[str, Any] = {
    "a closure": by_closure,
    "a closure of an inner function": by_inner_function,
    "a closure with an empty cell": by_an_empty_cell,
    "a default": by_default,
    "an attribute": Keeping,
    "a slot": KeepingInASlot,
    "a table in a holder": Dispatching,
    "a partial of a function": lambda app: partial(by_closure, app),
    "a keyword of a partial": lambda app: partial(by_closure, app=app),
    "several at once": lambda app: Keeping(by_closure(KeepingInASlot(partial(by_default(app))))),
    "an attribute of Flask": in_wsgi_app,
    "a mount of Bottle": below_bottle,
    "a dispatcher of CherryPy": below_cherrypy,
    "mounts of Starlette": below_starlette,
    "Starlette's default": as_starlettes_last_resort,
    "a middleware of Starlette": in_a_middleware,
    "a mount of Litestar": below_litestar,
    "a mount of BlackSheep": below_blacksheep,
    "a bridge": WsgiToAsgi,
    "an attribute of its class": in_its_class,
    "a table of its class": lambda app: in_its_class({"/old": app}),
    "a static method": lambda app: in_its_class(staticmethod(by_closure(app))),
    "a class method": lambda app: in_its_class(classmethod(by_closure(app))),
    "a property": lambda app: in_its_class(property(by_closure(app))),
    "a cached property": lambda app: in_its_class(cached_property(by_closure(app))),
    "a class that a function names": in_a_class_that_a_function_names,
    "a module that a function names": in_a_module_that_a_function_names,
    "a namespace": in_a_namespace,
    "a queue": lambda app: Keeping(deque([app])),
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_an_application_is_recognised_through_whatever_holds_it(wrapper: str) -> None:
    """TurboGears stands there for all whose router reads otherwise, Falcon for mount points."""
    around = WRAPPERS[wrapper]
    looked_through = described(around(turbogears_app()), paths_are_whole=True)

    assert looked_through.method_parameters == ("_method",)
    assert looked_through.folds
    assert described(around(falcon_app()), paths_are_whole=True).ignores_mount_point


@pytest.mark.parametrize("wrapper", [by_name, Naming()], ids=["function", "method"])
def test_an_application_is_recognised_by_the_name_that_a_wrapper_calls(
    wrapper: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A function of a module hands on to what the module names."""
    around = named(wrapper, monkeypatch)

    assert described(around(sanic_app()), paths_are_whole=True).matches_raw_path


def test_an_own_mount_point_is_found_through_wrappers_and_takes_no_rule_away() -> None:
    """What may not be reached adds a reading, and the whole path counts as before."""
    own = FastAPI()
    own.root_path = "/api"
    application = described(by_closure(own), paths_are_whole=True)
    table = RuleTable([protect("/users", requires=has_role("admin")), public("/**")])

    assert (application.mount_points, application.prefixes) == ((), ("/api",))
    assert not table.ruling("GET", "/api/users", application=application).is_public
    named = RuleTable([protect("/api/**", requires=has_role("admin")), public("/**")])
    assert not named.ruling("GET", "/api/x", "/api", application=application).is_public


@pytest.mark.parametrize("around", [by_closure, Keeping, Dispatching])
async def test_a_page_is_guarded_by_another_spelling_behind_wrappers(around: Any) -> None:
    """The same request as before a framework that stands there bare, on both faces."""
    asgi = JWTMiddleware(around(blacksheep_app()), guard=short_guard(rules=OPEN))
    wsgi = JWTWSGIMiddleware(around(turbogears_app()), guard=short_guard(rules=OPEN))

    assert (await through_asgi(asgi, http_scope("GET", "/ADMIN"))).status == 401
    assert through_wsgi(wsgi, wsgi_environ("GET", "/admin.html")).status == 401


def test_a_search_ends_where_everything_holds_everything() -> None:
    """Cycles, tables without end, cells that are empty, and what refuses to be looked at."""

    class Rude(Mapping[str, Any]):
        def __getitem__(self, name: str) -> Any:
            raise RuntimeError

        def __iter__(self) -> Iterator[str]:
            raise RuntimeError

        def __len__(self) -> int:
            return 1

    class Growing(Mapping[str, Any]):
        def __getitem__(self, name: str) -> Any:
            return Growing()

        def __iter__(self) -> Iterator[str]:
            return map(str, itertools.count())

        def __len__(self) -> int:
            return 1

    def refuse(self: Any) -> Any:
        raise RuntimeError

    masked: Any = type("Masked", (), {"__class__": property(refuse), "__call__": refuse})
    placeless: Any = type("Placeless", (), {"__module__": None, "__call__": lambda self: None})
    around = Keeping(None)
    JWTWSGIMiddleware(Keeping([masked(), placeless()]), guard=short_guard())
    assert described(
        Keeping([masked(), placeless(), Flask("x")]), paths_are_whole=False
    ).is_measured
    around.what_comes_next = [around, Rude(), Growing(), by_an_empty_cell(None), {"x": around}]

    assert not described(around, paths_are_whole=True).is_measured


def test_flask_has_a_folder_and_no_mount_point() -> None:
    """Taken for one, it shut public pages of a mounted application."""
    app = Flask("x")
    app.add_url_rule("/health", "health", lambda: "ok")
    guarded = JWTWSGIMiddleware(app, guard=short_guard(rules=[public("/health")]))
    asked = {**wsgi_environ("GET", "/health", SERVER_NAME="a", SERVER_PORT="80")}

    assert described(app, paths_are_whole=False).prefixes == ()
    assert through_wsgi(guarded, {**asked, "SCRIPT_NAME": "/m"}).status == 200


@pytest.mark.parametrize("routes", [1_500, 7_000])
def test_what_is_mounted_behind_many_routes_is_found_or_its_absence_is_told(
    routes: int, caplog: pytest.LogCaptureFixture
) -> None:
    def endpoint_of(number: int) -> Any:
        async def endpoint(request: Any) -> Any: ...

        return partial(endpoint, number)

    every: list[Any] = [Route(f"/{each}", endpoint_of(each)) for each in range(routes)]
    app = Starlette(routes=[*every, Mount("/old", app=WsgiToAsgi(pyramid()))])

    found = described(app, paths_are_whole=True).root_headers == ("x-vhm-root",)
    was_told = "too large to be searched" in caplog.text
    assert (found, was_told) == ((True, False) if routes == 1_500 else (False, True))


def test_a_mock_is_not_searched() -> None:
    """Each of its attributes is another mock, so that the search would not end."""
    for mock in (MagicMock(), AsyncMock()):
        assert len(reached(mock)) < 10


class Secretive(type):
    """The type of classes that do not say where they come from."""

    @property
    def __module__(cls) -> str:  # type: ignore[override]
        raise LookupError


class Unplaced(metaclass=Secretive):
    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b"x"]


def test_a_class_whose_module_cannot_be_read_is_an_application_like_others() -> None:
    """Of each framework, and in what is said of it."""
    assert (
        through_wsgi(
            JWTWSGIMiddleware(Unplaced(), guard=open_guard()), wsgi_environ("GET", "/")
        ).status
        == 200
    )
    app: Any = Flask("shop")
    odd = Unplaced()

    def view() -> str:
        return odd({}, lambda *_: None)[0].decode()

    app.add_url_rule("/", "odd", view)
    app.wsgi_app = JWTWSGIMiddleware(app.wsgi_app, guard=open_guard())
    assert app.test_client().get("/").text == "x"
    assert name_of(Unplaced()).endswith(".Unplaced")
    with pytest.raises(ConfigurationError, match="Unplaced: give it the application itself"):
        coverage(open_guard(), Unplaced())


def open_guard() -> Guard:
    return short_guard(rules=[public("/**")])
