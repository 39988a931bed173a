"""Logging that is configured wrongly, which must not change what a client gets."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from jwt_middleware import JWTMiddleware, JWTWSGIMiddleware, public
from jwt_middleware.logs import log_of
from tests.faces.calls import (
    asgi_app,
    http_scope,
    through_asgi,
    through_wsgi,
    wsgi_app,
    wsgi_environ,
)
from tests.support.short_form import short_guard

REQUESTS = logging.getLogger("jwt_middleware.requests")


def fail(*_: Any, **__: Any) -> Any:
    raise LookupError("no such field")


class Failing(logging.Handler):
    def handle(self, record: logging.LogRecord) -> bool:
        fail()
        return True


def by_a_filter(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(REQUESTS, "filters", [fail])


def by_a_handler(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(REQUESTS, "handlers", [Failing()])


def by_a_factory(patch: pytest.MonkeyPatch) -> None:
    known = logging.getLogRecordFactory()
    patch.setattr(logging, "_logRecordFactory", fail)
    assert logging.getLogRecordFactory() is not known


@pytest.fixture(autouse=True)
def level() -> Iterator[None]:
    before = REQUESTS.level
    REQUESTS.setLevel(logging.DEBUG)
    yield
    REQUESTS.setLevel(before)


@pytest.mark.parametrize("break_it", [by_a_filter, by_a_handler, by_a_factory])
async def test_a_refusal_stays_one(
    break_it: Callable[[pytest.MonkeyPatch], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """On both faces, and the operator sees what is wrong, as with handlers that fail."""
    guard = short_guard(rules=[public("/open")])
    asgi, wsgi = JWTMiddleware(asgi_app, guard=guard), JWTWSGIMiddleware(wsgi_app, guard=guard)
    break_it(monkeypatch)

    assert (await through_asgi(asgi, http_scope("GET", "/"))).status == 401
    assert through_wsgi(wsgi, wsgi_environ("GET", "/")).status == 401
    assert (await through_asgi(asgi, http_scope("GET", "/open"))).status == 200
    assert capsys.readouterr().err.count("LookupError: no such field") == 2

    monkeypatch.setattr(logging, "raiseExceptions", False)
    assert through_wsgi(wsgi, wsgi_environ("GET", "/")).status == 401
    assert capsys.readouterr().err == ""


def test_a_line_names_the_place_that_wrote_it(caplog: pytest.LogCaptureFixture) -> None:
    """And carries what it was given for programs."""
    with caplog.at_level(logging.INFO, REQUESTS.name):
        log_of(REQUESTS.name).info("seen %d", 3, extra={"refusal": "x"})

    (record,) = caplog.records
    assert (record.getMessage(), record.filename, vars(record)["refusal"]) == (
        "seen 3",
        "test_logs.py",
        "x",
    )
