"""Rules for one path that leave the routes below it to weaker rules: who says so, and where."""

import logging
from typing import Any

import pytest
from django.core.checks import run_checks
from django.http import HttpResponse
from django.test import override_settings
from django.urls import path
from fastapi import FastAPI
from flask import Flask

from jwt_middleware import Guard, has_role, protect, public
from jwt_middleware.integrations.django_settings import MIDDLEWARE
from jwt_middleware.integrations.fastapi import secure_openapi
from jwt_middleware.integrations.flask import JWT
from tests.support import django_project  # noqa: F401 - it configures Django

READER = has_role("reader")
EXACT = [protect("/reports", requires=READER)]
MEANT = [protect("/reports", requires=READER, exact=True)]


def guard_of(rules: list[Any]) -> Guard:
    key = b"0123456789abcdefghijklmnopqrstuv"
    return Guard(key=key, algorithms=["HS256"], issuer="https://a/", rules=rules)


def said_in(texts: list[str]) -> list[str]:
    return [text for text in texts if "the routes below it, " in text]


@pytest.mark.parametrize(("rules", "count"), [(EXACT, 1), (MEANT, 0)])
def test_flask_says_so_once_its_routes_are_known(
    rules: list[Any], count: int, caplog: pytest.LogCaptureFixture
) -> None:
    """With the first request, and not again with the next."""
    app = Flask(__name__)
    JWT(app, guard_of([public("/open"), *rules]))
    app.add_url_rule("/reports/<name>", "one", lambda name: name)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            app.test_client().get("/open")

    assert len(said_in(caplog.messages)) == count
    assert all("/reports/<name>, require less" in text for text in said_in(caplog.messages))


@pytest.mark.parametrize(("rules", "count"), [(EXACT, 1), (MEANT, 0)])
def test_the_document_of_fastapi_says_so(
    rules: list[Any], count: int, caplog: pytest.LogCaptureFixture
) -> None:
    """When it is made."""
    app = FastAPI()
    secure_openapi(app, guard_of(rules))

    @app.get("/reports/{name}")
    def one(name: str) -> str:
        return name

    with caplog.at_level(logging.WARNING):
        app.openapi()

    assert len(said_in(caplog.messages)) == count


def one(request: Any, name: str) -> HttpResponse:
    return HttpResponse(name)


urlpatterns = [path("reports/<name>", one)]


@pytest.mark.parametrize(("rules", "count"), [(EXACT, 1), (MEANT, 0)])
def test_the_check_of_django_says_so(rules: list[Any], count: int) -> None:
    """Beside its other checks."""
    settings: dict[str, Any] = {"JWT_MIDDLEWARE": {"GUARD": guard_of(rules)}}
    with override_settings(MIDDLEWARE=[MIDDLEWARE], ROOT_URLCONF=__name__, **settings):
        found = [each for each in run_checks() if each.id == "jwt_middleware.W008"]

    assert len(said_in([each.msg for each in found])) == len(found) == count
