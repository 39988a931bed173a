"""What an application shows of where a guard is: nowhere, elsewhere, or in front of a part."""

import gc
from collections.abc import Callable
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.test import override_settings
from fastapi import APIRouter, FastAPI
from flask import Flask
from litestar import Litestar, get
from litestar.middleware import DefineMiddleware
from quart import Quart
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

from jwt_middleware import (
    ConfigurationError,
    Guard,
    JWTMiddleware,
    JWTWSGIMiddleware,
    public,
)
from jwt_middleware.integrations import coverage
from jwt_middleware.integrations.django_settings import MIDDLEWARE
from jwt_middleware.integrations.fastapi import secure_openapi
from jwt_middleware.integrations.flask import JWT

OPTIONS: Any = {
    "key": b"0123456789abcdefghijklmnopqrstuv",
    "algorithms": ["HS256"],
    "issuer": "https://a/",
}


def guard(**options: Any) -> Guard:
    return Guard(**OPTIONS, **options)


async def endpoint(request: Request) -> Response:
    return Response()


def starlette(*middleware: Any) -> Starlette:
    return Starlette(routes=[Route("/", endpoint)], middleware=list(middleware))


def flask(name: str = "shop") -> Flask:
    return Flask(name, static_folder=None)


def wsgi_wrapped(guard: Guard) -> Any:
    app: Any = flask()
    app.wsgi_app = ProxyFix(JWTWSGIMiddleware(app.wsgi_app, guard=guard))
    return app


def quart(guard: Guard) -> Any:
    app: Any = Quart("shop", static_folder=None)
    app.asgi_app = JWTMiddleware(app.asgi_app, guard=guard)
    return app


def with_extension(guard: Guard) -> Any:
    app = flask()
    JWT(app, guard)
    return app


def fastapi(guard: Guard) -> Any:
    app = FastAPI()
    app.add_middleware(JWTMiddleware, guard=guard)
    return app


def litestar(guard: Guard) -> Any:
    @get("/")
    async def index() -> None: ...

    face: Any = JWTMiddleware
    return Litestar([index], middleware=[DefineMiddleware(face, guard=guard)])


def litestar_by_a_function(guard: Guard) -> Any:
    @get("/")
    async def index() -> None: ...

    made: Any = lambda app: JWTMiddleware(app, guard=guard)  # noqa: E731 - as people write it
    return Litestar([index], middleware=[made])


def in_a_closure(guard: Guard) -> Any:
    app = quart(guard)
    inner = app.asgi_app

    async def timed(scope: Any, receive: Any, send: Any) -> None:
        await inner(scope, receive, send)

    app.asgi_app = timed
    return app


def in_a_closure_of_wsgi(guard: Guard) -> Any:
    app: Any = flask()
    inner = JWTWSGIMiddleware(app.wsgi_app, guard=guard)

    def timed(environ: Any, start_response: Any) -> Any:
        return inner(environ, start_response)

    app.wsgi_app = timed
    return app


def served_elsewhere(guard: Guard) -> Any:
    """Wrapped where it is served, and given to ``coverage`` without that."""
    app = starlette()
    KEPT.append(JWTMiddleware(app, guard=guard))
    return app


def mounted_in_a_guarded_one(guard: Guard) -> Any:
    app = starlette()
    KEPT.append(JWTMiddleware(Starlette(routes=[Mount("/shop", app)]), guard=guard))
    return app


def served_as_a_method(guard: Guard) -> Any:
    app = Quart("shop", static_folder=None)
    KEPT.append(JWTMiddleware(app.asgi_app, guard=guard))
    return app


def by_options(guard: Guard) -> Any:
    return starlette(Middleware(JWTMiddleware, **OPTIONS))


def twice(guard: Guard) -> Any:
    other = Guard(**OPTIONS)
    return JWTMiddleware(starlette(Middleware(JWTMiddleware, guard=guard)), guard=other)


KEPT: list[Any] = []

RIGHT: list[Callable[[Guard], Any]] = [
    lambda guard: JWTMiddleware(starlette(), guard=guard),
    lambda guard: starlette(Middleware(JWTMiddleware, guard=guard)),
    lambda guard: starlette(Middleware(JWTMiddleware, guard)),
    with_extension,
    wsgi_wrapped,
    quart,
    fastapi,
    litestar,
    litestar_by_a_function,
    in_a_closure,
    in_a_closure_of_wsgi,
    served_elsewhere,
    mounted_in_a_guarded_one,
    served_as_a_method,
    by_options,
    twice,
]


@pytest.mark.parametrize("build", RIGHT)
def test_nothing_is_said_where_the_guard_is_in_front(
    build: Callable[[Guard], Any], caplog: pytest.LogCaptureFixture
) -> None:
    """In each place where people put it."""
    made = guard()

    assert coverage(made, build(made)).warnings == ()
    assert not caplog.records


def another_guard(guard: Guard) -> Any:
    return with_extension(Guard(**OPTIONS))


def another_application(guard: Guard) -> Any:
    KEPT.append(with_extension(guard))
    return flask("other")


def another_starlette(guard: Guard) -> Any:
    KEPT.append(JWTMiddleware(starlette(), guard=guard))
    return starlette()


def mounted_beside(guard: Guard) -> Any:
    api = JWTMiddleware(starlette(), guard=guard)
    return Starlette(routes=[Mount("/api", api), Mount("/admin", starlette())])


def guarded_below(guard: Guard) -> Any:
    app, api = FastAPI(openapi_url=None), fastapi(guard)
    app.mount("/api", api)
    admin = APIRouter(prefix="/admin")
    for number in range(7):
        admin.add_api_route(f"/{number}", endpoint, response_model=None)
    app.include_router(admin, prefix="/in")
    return app


def dispatched_in_front(guard: Guard) -> Any:
    app: Any = with_extension(guard)
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/admin": flask("admin")})
    return app


def replaced_wsgi(guard: Guard) -> Any:
    app: Any = with_extension(guard)
    app.wsgi_app = ProxyFix(lambda environ, start_response: [])
    return app


def replaced_asgi(guard: Guard) -> Any:
    app = quart(guard)

    async def other(scope: Any, receive: Any, send: Any) -> None: ...

    app.asgi_app = other
    return app


WRONG = [
    (another_guard, "another guard is in front"),
    (another_application, "in front of Flask and not of the application given, Flask"),
    (another_starlette, "in front of Starlette and not of the application given, Starlette"),
    (mounted_beside, "never sees requests to /admin/:"),
    (guarded_below, "/in/admin/0, /in/admin/1, /in/admin/2, /in/admin/3, /in/admin/4 and 2 more:"),
    (dispatched_in_front, "/admin is mounted in front of the guard"),
    (replaced_wsgi, "wsgi_app of the application was replaced"),
    (replaced_asgi, "asgi_app of the application was replaced"),
]


@pytest.mark.parametrize(("build", "said"), WRONG, ids=[build.__name__ for build, _ in WRONG])
def test_coverage_says_where_the_guard_is_not(
    build: Callable[[Guard], Any], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The table would say of an open route that it is protected."""
    made = guard()

    (warning,) = coverage(made, build(made)).warnings
    assert said in warning
    assert said in caplog.text


def test_a_guard_that_no_middleware_has_is_told_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Not in the table, because rules may be looked at alone."""
    assert coverage(guard(), starlette()).warnings == ()
    assert "no middleware has put the guard in front of Starlette yet" in caplog.text


def test_a_guard_that_verifies_alone_is_not_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """Tests and workers build such guards."""
    made = guard(rules=[public("/health")])
    made.explain("GET", "/health")
    with pytest.raises(Exception, match="three segments"):
        made.verify("no token")

    assert not caplog.records


@override_settings(MIDDLEWARE=[MIDDLEWARE], JWT_MIDDLEWARE={"GUARD": guard()})
def test_the_guard_of_a_django_project_is_that_of_its_settings() -> None:
    """Where the middleware is listed."""
    from jwt_middleware.integrations.django_settings import configured

    app = WSGIHandler()
    assert coverage(configured().guard, app).warnings == ()
    (warning,) = coverage(guard(), app).warnings
    assert "another guard is in front" in warning


def test_an_application_that_is_gone_is_forgotten() -> None:
    """A guard outlives the applications of a test."""
    made = guard()
    app = starlette()
    JWTMiddleware(app, guard=made)
    assert made.integration.applications == [app]

    del app
    gc.collect()
    assert made.integration.applications == []


def test_a_replaced_wsgi_app_is_refused_at_each_request() -> None:
    """The guard would decide nothing, and every page would be open."""
    app: Any = with_extension(guard())
    app.add_url_rule("/", view_func=lambda: "open")
    app.wsgi_app = ProxyFix(Flask.wsgi_app.__get__(app))
    app.testing = True

    for _ in range(2):
        with pytest.raises(ConfigurationError, match=r"app\.wsgi_app was replaced"):
            app.test_client().get("/")


def test_what_is_mounted_in_front_is_told_with_the_first_request(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Once, and not where the guard is around the dispatcher."""
    made = guard(rules=[public("/**")])
    app: Any = dispatched_in_front(made)
    for _ in range(2):
        app.test_client().get("/")
    assert caplog.text.count("/admin is mounted in front of the guard") == 1

    caplog.clear()
    around: Any = flask()
    around.wsgi_app = DispatcherMiddleware(around.wsgi_app, {"/admin": flask("admin")})
    JWT(around, made)
    around.test_client().get("/")
    assert "mounted in front" not in caplog.text


def test_the_document_says_where_the_guard_is_not(caplog: pytest.LogCaptureFixture) -> None:
    """Its locks would be promises that nobody keeps."""
    app = fastapi(Guard(**OPTIONS))
    secure_openapi(app, guard())
    app.openapi()
    app.openapi()
    assert caplog.text.count("another guard is in front of the application") == 1

    caplog.clear()
    made = guard()
    right, below = fastapi(made), FastAPI()
    secure_openapi(right, made)
    secure_openapi(below, made, mounted_at="/v1")
    right.openapi()
    below.openapi()
    assert not caplog.records
