"""What an application shows of itself: frameworks inside it, and mount points."""

import logging
from functools import partial
from typing import Any

import bottle
import pytest
from fastapi import FastAPI
from flask import Flask
from pyramid.config import Configurator
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Mount
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

from jwt_middleware import Guard, JWTMiddleware, JWTWSGIMiddleware, has_role, protect, public
from jwt_middleware.request.applications import described, wrapped
from tests.faces.calls import http_scope, through_asgi, through_wsgi, wsgi_environ
from tests.routers.object_apps import cherrypy_app, turbogears_app
from tests.routers.raw_apps import blacksheep_app, sanic_app
from tests.short_form import short_guard

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


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_framework_is_recognised(framework: str) -> None:
    """Bare, and below what wraps it."""
    app = FRAMEWORKS[framework]()

    assert described(app, paths_are_whole=True).is_measured
    assert described(partial(app), paths_are_whole=True).is_measured
    assert described(JWTMiddleware(app, guard=short_guard()), paths_are_whole=True).is_measured
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
        def __call__(self) -> None: ...

        def __getattr__(self, name: str) -> Any:
            raise RuntimeError("outside a request")

    shown: Any = Shown()
    JWTWSGIMiddleware(shown, guard=short_guard())
    assert len(wrapped(Endless())) <= 6_000
    assert len(wrapped(Shy())) == 1
    assert not described(Endless(), paths_are_whole=True).is_measured
    assert not described(plain, paths_are_whole=True).is_measured


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [text for text in caplog.messages if "was not compared" in text]


@pytest.mark.parametrize("face", [JWTMiddleware, JWTWSGIMiddleware])
def test_an_open_table_before_an_unknown_router_is_told_once(
    face: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Once a guard, however many faces it has; never where the rules protect by default."""
    shut = short_guard(rules=[public("/health")])
    wide = short_guard(rules=OPEN)
    with caplog.at_level(logging.WARNING):
        face(plain, guard=shut)
        face(FRAMEWORKS["starlette"](), guard=wide)
        assert not warnings_of(caplog)
        face(plain, guard=wide)
        face(plain, guard=wide)

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

    before = await through_asgi(middleware, http_scope("GET", "/ADMIN"))
    await middleware({"type": "lifespan"}, receive, send)
    after = await through_asgi(middleware, http_scope("GET", "/ADMIN"))

    assert (before.status, after.status) == (404, 401)


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
