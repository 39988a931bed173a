"""CORS preflights: the guard answers them or refuses them, and no view runs."""

import logging
from typing import Any

import bottle
import pytest
from django.http import HttpRequest, HttpResponse
from django.urls import path as django_path
from starlette.applications import Starlette
from starlette.routing import Mount

from jwt_middleware import Guard, JWTMiddleware, JWTWSGIMiddleware, protect
from tests.faces.calls import Answer, http_scope, through_asgi, through_wsgi, wsgi_environ
from tests.routers.django_apps import django_wsgi_app
from tests.support.short_form import short_guard

PAGE = "https://app.example"
ASKED = [("Origin", PAGE), ("Access-Control-Request-Method", "DELETE")]
ran: list[str] = []


async def any_method(scope: Any, receive: Any, send: Any) -> None:
    """Be a mounted application that answers whatever it is asked."""
    ran.append(scope["method"])
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"secret"})


def wsgi_any_method(environ: Any, start_response: Any) -> Any:
    ran.append(environ["REQUEST_METHOD"])
    start_response("200 OK", [])
    return [b"secret"]


def bottle_app() -> Any:
    app: Any = bottle.Bottle()

    def page(path: str) -> str:
        request: Any = bottle.request
        ran.append(request.method)
        return "secret"

    app.route("/<path:path>", method="ANY")(page)
    return app


def django_app() -> Any:
    """Return a function view, which Django runs for any method."""

    def page(request: HttpRequest, rest: str) -> HttpResponse:
        ran.append(request.method or "")
        return HttpResponse("secret")

    class Urlconf:
        urlpatterns = (django_path("<path:rest>", page),)

    handler = django_wsgi_app()
    handler.request_class = type("Request", (handler.request_class,), {"urlconf": Urlconf})
    return handler


APPLICATIONS: dict[str, Any] = {
    "Starlette, mounted": lambda: Starlette(routes=[Mount("/", app=any_method)]),
    "WSGI": lambda: wsgi_any_method,
    "Bottle": bottle_app,
    "Django": django_app,
}


async def asked(name: str, guard: Guard, headers: list[tuple[str, str]]) -> Answer:
    app = APPLICATIONS[name]()
    if name.startswith("Starlette"):
        return await through_asgi(
            JWTMiddleware(app, guard=guard), http_scope("OPTIONS", "/a", headers)
        )
    return through_wsgi(JWTWSGIMiddleware(app, guard=guard), wsgi_environ("OPTIONS", "/a", headers))


@pytest.mark.parametrize("name", APPLICATIONS)
async def test_no_view_runs_for_a_preflight(name: str) -> None:
    """Of a trusted page, of another, and of one that only looks like a preflight."""
    trusting = short_guard(cors_preflight=True, trusted_origins=[PAGE])
    trusting_nobody = short_guard(cors_preflight=True)
    foreign = [("Origin", "https://evil.example"), ASKED[1]]
    ran.clear()

    answers = [
        await asked(name, trusting, ASKED),
        await asked(name, trusting, foreign),
        await asked(name, trusting_nobody, ASKED),
        await asked(name, trusting, [ASKED[0]]),
    ]

    assert [answer.status for answer in answers] == [204, 401, 401, 401]
    assert answers[0].header("access-control-allow-origin") == PAGE
    assert answers[0].header("access-control-allow-methods") == "DELETE"
    assert "Origin" in (answers[0].header("vary") or "")
    assert all(answer.header("access-control-allow-origin") is None for answer in answers[1:])
    assert ran == []


async def test_a_rule_that_names_options_is_asked_as_ever() -> None:
    """Whoever writes such a rule wants their view to answer."""
    rules = [protect("/a", methods=["OPTIONS"])]
    guard = short_guard(cors_preflight=True, trusted_origins=[PAGE], rules=rules)

    assert (await asked("WSGI", guard, ASKED)).status == 401


def test_a_guard_that_could_answer_no_preflight_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """At start-up, with the setting that is missing."""
    with caplog.at_level(logging.WARNING):
        short_guard(cors_preflight=True)

    assert "trusted_origins=, which is empty" in caplog.text


@pytest.mark.parametrize(
    "names", ["x-a, authorization", "X-A", "x-a ,x-b"], ids=["two", "one", "spaces"]
)
async def test_the_headers_that_were_asked_for_are_allowed(names: str) -> None:
    """As they were written; two lines of them are one list."""
    guard = short_guard(cors_preflight=True, trusted_origins=[PAGE])
    more = [*ASKED, ("Access-Control-Request-Headers", names)]

    answer = await asked("WSGI", guard, more)

    assert answer.header("access-control-allow-headers") == names


@pytest.mark.parametrize("names", ["x-a: b", "x\na", "", ",", "x" * 3_000, "*, \x00"])
async def test_what_is_no_list_of_headers_is_not_repeated(names: str) -> None:
    """Nothing that a client wrote gets into our answer unchecked."""
    guard = short_guard(cors_preflight=True, trusted_origins=[PAGE])
    more = [*ASKED, ("Access-Control-Request-Headers", names)]

    answer = await asked("WSGI", guard, more)

    assert answer.status == 204
    assert answer.header("access-control-allow-headers") is None
