"""What is read of a body, under ASGI and WSGI."""

import asyncio
import io
from typing import Any

import pytest

from jwt_middleware import ConfigurationError
from jwt_middleware.endpoints import RefreshEndpoint, asgi_face
from jwt_middleware.endpoints.body import LONGEST
from jwt_middleware.endpoints.wsgi_face import read_body
from tests.endpoints.service import Service

FORM = b"application/x-www-form-urlencoded"
SCOPE: dict[str, Any] = {
    "type": "http",
    "method": "POST",
    "path": "/token",
    "headers": [(b"content-type", FORM)],
}


async def served(messages: list[dict[str, Any]], scope: dict[str, Any] = SCOPE) -> list[Any]:
    """Return what the endpoint sends for the messages of a server."""
    sent: list[Any] = []
    left = iter(messages)

    async def receive() -> dict[str, Any]:
        for message in left:
            return message
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(message)

    await RefreshEndpoint(Service().pairs).asgi(scope, receive, send)
    return sent


def part(body: bytes, *, more: bool) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


async def test_parts_are_put_together() -> None:
    start, _ = await served([part(b"refresh_", more=True), part(b"token=a", more=False)])
    assert start["status"] == 400
    assert b"invalid_grant" in _["body"]


async def test_a_body_without_an_end_is_given_up_at_the_limit() -> None:
    """Also one whose parts are empty, which has only the time."""
    start, _ = await served([part(b"x" * 1000, more=True)] * 70)
    assert start["status"] == 413


async def test_a_client_that_has_gone_gets_nothing() -> None:
    assert await served([part(b"x", more=True), {"type": "http.disconnect"}]) == []


async def test_a_body_that_is_late_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The patience is a constant, which a test may shorten."""
    monkeypatch.setattr(asgi_face, "PATIENCE", 0.01)
    start, body = await served([part(b"refresh_token=a", more=True)])
    assert start["status"] == 408
    assert b"body_too_slow" in body["body"]


async def test_nothing_is_read_for_a_method_that_is_not_allowed() -> None:
    start, _ = await served([], {**SCOPE, "method": "GET"})
    assert start["status"] == 405


async def test_a_repeated_content_type_is_refused() -> None:
    headers = [(b"content-type", FORM)] * 2
    start, body = await served(
        [part(b"refresh_token=a", more=False)], {**SCOPE, "headers": headers}
    )
    assert (start["status"], b"parameters_invalid" in body["body"]) == (400, True)


async def test_a_websocket_is_no_request() -> None:
    with pytest.raises(ConfigurationError, match="answers HTTP requests, not 'websocket'"):
        await served([], {"type": "websocket", "headers": []})


class Gone(io.BytesIO):
    """The input of a client that has gone."""

    def read(self, size: int | None = -1) -> bytes:
        raise ConnectionResetError


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({"CONTENT_LENGTH": "3", "wsgi.input": io.BytesIO(b"abcdef")}, b"abc"),
        ({"CONTENT_LENGTH": "", "wsgi.input": io.BytesIO(b"abc")}, b""),
        ({"wsgi.input": io.BytesIO(b"abc")}, b""),
        ({"wsgi.input": io.BytesIO(b"abc"), "wsgi.input_terminated": True}, b"abc"),
        (
            {"wsgi.input": io.BytesIO(b"x" * (LONGEST + 1)), "wsgi.input_terminated": True},
            "body_too_large",
        ),
        ({"CONTENT_LENGTH": str(LONGEST + 1), "wsgi.input": Gone()}, "body_too_large"),
        ({"CONTENT_LENGTH": "9" * 5000, "wsgi.input": Gone()}, "body_too_large"),
        ({"CONTENT_LENGTH": "-1", "wsgi.input": Gone()}, "parameters_invalid"),
        ({"CONTENT_LENGTH": "٣", "wsgi.input": Gone()}, "parameters_invalid"),
        ({"CONTENT_LENGTH": "9", "wsgi.input": io.BytesIO(b"abc")}, "parameters_invalid"),
        ({"CONTENT_LENGTH": "9", "wsgi.input": Gone()}, "parameters_invalid"),
        ({"wsgi.input": Gone(), "wsgi.input_terminated": True}, "parameters_invalid"),
    ],
)
def test_the_input_of_wsgi(environ: dict[str, Any], found: bytes | str) -> None:
    """PEP 3333: never more than the length, and no error of the server comes through."""
    body = read_body(environ)
    assert (body if isinstance(body, bytes) else body.code) == found
