"""The scenario table through each framework: the same answers as from the bare faces."""

import io
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.test import override_settings

from jwt_middleware import Guard
from jwt_middleware.integrations.django_settings import MIDDLEWARE
from jwt_middleware.testing import FakeIssuer
from tests.faces import frameworks
from tests.faces.calls import Answer, http_scope, through_asgi, through_wsgi, wsgi_environ
from tests.faces.scenarios import GUARDS, Scenario, build_guard
from tests.faces.table import ROWS
from tests.faces.test_scenarios import Issuers, Sent, check, request_of


@pytest.fixture(scope="module")
def issuers() -> Iterator[Issuers]:
    with FakeIssuer() as own, FakeIssuer() as other:
        yield Issuers(own, other)


@pytest.fixture(scope="module")
def guards(issuers: Issuers) -> Mapping[str, Guard]:
    made = {name: build_guard(name, issuers.own.url, issuers.other.url) for name in GUARDS}
    for guard in made.values():
        guard.warm(required=True)
    return made


def scope_of(sent: Sent) -> dict[str, Any]:
    return http_scope(sent.method, sent.path, sent.headers, query_string=sent.query.encode())


def environ_of(sent: Sent) -> dict[str, Any]:
    served = {"SERVER_NAME": "testserver", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1"}
    streams = {"wsgi.input": io.BytesIO(), "wsgi.errors": io.StringIO()}
    headers = sent.headers if any(n == "Host" for n, _ in sent.headers) else [HOST, *sent.headers]
    return wsgi_environ(
        sent.method, sent.path, headers, QUERY_STRING=sent.query, **served, **streams
    )


HOST = ("Host", "testserver")


class Framework:
    """Applications of one framework, one for each guard."""

    def __init__(self, name: str, guards: Mapping[str, Guard]) -> None:
        self.name = name
        self._apps = {guard: self._built(made) for guard, made in guards.items()}
        self._guards = guards

    def _built(self, guard: Guard) -> Any:
        if self.name in frameworks.ASGI:
            return frameworks.ASGI[self.name](guard)
        if self.name == "Flask":
            return frameworks.flask_app(guard)
        with self._project(guard):
            return WSGIHandler() if self.name == "Django" else ASGIHandler()

    def _project(self, guard: Guard) -> Any:
        chosen = frameworks.view if self.name == "Django" else frameworks.async_view
        return override_settings(
            MIDDLEWARE=[MIDDLEWARE],
            JWT_MIDDLEWARE={"GUARD": guard},
            ROOT_URLCONF=frameworks.urls(chosen),
        )

    async def ask(self, guard: str, sent: Sent) -> Answer:
        app = self._apps[guard]
        if not self.name.startswith("Django"):
            if self.name in frameworks.ASGI:
                return await through_asgi(app, scope_of(sent))
            return through_wsgi(app, environ_of(sent))
        with self._project(self._guards[guard]):
            if self.name == "Django":
                return through_wsgi(app, environ_of(sent))
            return await through_asgi(app, scope_of(sent))


@pytest.fixture(scope="module", params=["Starlette", "FastAPI", "Flask", "Django", "Django async"])
def framework(request: pytest.FixtureRequest, guards: Mapping[str, Guard]) -> Framework:
    return Framework(request.param, guards)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_a_framework_answers_as_the_table_says(
    row: Scenario, framework: Framework, issuers: Issuers
) -> None:
    """Status, code, challenge, body and principal are those of the row."""
    answer = await framework.ask(row.guard, request_of(row, issuers))

    if framework.name.startswith("Django") and row.code is None:
        # Django's cache keeps callers apart by Vary, so there it names every source.
        row = replace(row, answers={n: v for n, v in row.answers.items() if n != "vary"})
    check(row, answer)
