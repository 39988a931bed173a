"""What the guard may see: the same questions on both faces, and the same answers."""

from typing import Any

import pytest

from jwt_middleware import ConfigurationError, HeaderToken
from jwt_middleware.request.question import Question
from jwt_middleware.request.view import ASGIView, RequestView, WSGIView, query_values
from tests.faces.calls import http_scope, wsgi_environ

HEADERS = (("Host", "api.example"), ("Cookie", "a=1; b=2"), ("X-Two", "x"))


def views(**more: Any) -> list[RequestView]:
    scope = http_scope("GET", "/x", HEADERS, query_string=b"q=1&q=2&r=%20", **more)
    environ = wsgi_environ(
        "GET", "/x", HEADERS, QUERY_STRING="q=1&q=2&r=%20", REMOTE_ADDR="127.0.0.1"
    )
    return [ASGIView(scope), WSGIView(environ)]


@pytest.mark.parametrize("view", views(), ids=["asgi", "wsgi"])
def test_both_faces_answer_alike(view: RequestView) -> None:
    """Method, path, scheme, host, client, headers, cookies and query."""
    assert (view.method, view.path, view.scheme) == ("GET", "/x", "http")
    assert (view.host, view.client, view.is_websocket) == ("api.example", "127.0.0.1", False)
    assert view.headers("x-two") == ["x"]
    assert view.headers("x-none") == []
    assert (view.cookies("b"), view.cookies("c")) == (["2"], [])
    assert (view.query("q"), view.query("r"), view.query("s")) == (["1", "2"], [" "], [])


def test_what_a_server_does_not_say_is_nothing() -> None:
    """No host, no client, no scheme."""
    asgi = ASGIView({"type": "http", "method": "GET", "path": "/", "headers": []})
    wsgi = WSGIView({"REQUEST_METHOD": "GET"})

    for view in (asgi, wsgi):
        assert (view.host, view.client, view.scheme, view.query("q")) == (None, None, "http", [])
    assert ASGIView({"type": "websocket", "path": "/", "headers": []}).scheme == "ws"
    assert wsgi.path == ""


def test_a_header_that_a_server_left_in_capitals_is_found() -> None:
    """ASGI has names in lower case; one that forgets must not hide a token."""
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"X-Token", b"a")]}

    assert ASGIView(scope).headers("x-token") == ["a"]


def test_a_path_that_is_no_latin_1_cannot_be_read() -> None:
    """PEP 3333 has bytes there that look like latin-1; anything else is a server's mistake."""
    assert WSGIView({"REQUEST_METHOD": "GET", "PATH_INFO": "/\u0100"}).path == "\ufffd"


def test_only_what_is_asked_for_is_parsed() -> None:
    """A name that the query does not hold costs one search."""
    assert query_values("a=1", "b") == []
    assert query_values("ab=1", "b") == []


def test_a_question_has_no_query_and_comes_from_our_own_page() -> None:
    """It is what an honest page would send."""
    question = Question("POST", "/", "a.b.c")

    assert question.query("token") == []
    assert question.headers("sec-fetch-site") == ["same-origin"]
    assert question.headers("authorization") == ["Bearer a.b.c"]
    assert question.headers("x-token") == []


@pytest.mark.parametrize("name", ["X Token", "", "X_Token", "X-Tök"])
def test_a_header_name_that_is_none_is_a_sentence(name: str) -> None:
    """An underscore is the same as a hyphen to WSGI servers, which is how tokens are smuggled."""
    with pytest.raises(ConfigurationError, match="HeaderToken"):
        HeaderToken(name)
