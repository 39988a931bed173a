"""What the guard may see: the same questions on both faces, and the same answers."""

from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwt_middleware import ConfigurationError, HeaderToken
from jwt_middleware.guard.explain import SampleRequest
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


@pytest.mark.parametrize(
    ("sent", "root_path", "path"),
    [
        ("/x", "", "/x"),
        ("/x", None, "/x"),
        ("/x", "/", "/x"),
        ("/api/x", "/api", "/x"),
        ("/api/x", "/api/", "/x"),
        ("/api", "/api", "/"),
        ("/x", "/api", "/x"),
        ("/x", "/api/", "/x"),
        ("/apix", "/api", "/apix"),
    ],
)
def test_a_mount_point_comes_off_at_the_boundary_of_a_segment(
    sent: str, root_path: str | None, path: str
) -> None:
    """A path that does not begin with it stays whole, and what the server said is kept beside."""
    view = ASGIView({"type": "http", "method": "GET", "path": sent, "root_path": root_path})

    assert (view.path, view.sent) == (path, (sent, root_path or "", None))


def test_a_socket_offers_what_the_application_will_see() -> None:
    """Not what the header says; its other headers are read as ever, and so is a plain request's."""
    offering = [(b"sec-websocket-protocol", b"a, b"), (b"origin", b"https://a")]
    scope = {"type": "websocket", "path": "/", "headers": offering}
    socket = ASGIView({**scope, "subprotocols": ["c", "d"]})
    plain = ASGIView({**scope, "type": "http", "method": "GET", "subprotocols": ["c", "d"]})

    assert (socket.method, socket.is_websocket) == ("WEBSOCKET", True)
    assert socket.headers("sec-websocket-protocol") == ["c, d"]
    assert socket.headers("origin") == ["https://a"]
    assert ASGIView(scope).headers("sec-websocket-protocol") == []
    assert plain.headers("sec-websocket-protocol") == ["a, b"]


def test_a_header_sent_twice_is_seen_twice() -> None:
    """Below ASGI; a longer or a shorter name is another header."""
    fields = [(b"x-a", b"1"), (b"X-A", b"\xe9"), (b"x-ab", b"2"), (b"x-", b"3"), (b"x-b", b"4")]
    scope = {"type": "http", "method": "GET", "path": "/", "headers": fields}

    assert ASGIView(scope).headers("x-a") == ["1", "\xe9"]


def test_an_empty_parameter_is_there() -> None:
    """Its name may be escaped, and stand among others."""
    assert query_values("a=&b=2&%61=1&a", "a") == ["", "1", ""]


def test_a_path_that_is_no_latin_1_cannot_be_read() -> None:
    """PEP 3333 has bytes there that look like latin-1; anything else is a server's mistake."""
    assert WSGIView({"REQUEST_METHOD": "GET", "PATH_INFO": "/\u0100"}).path == "\ufffd"


@pytest.mark.parametrize(
    ("raw", "path"),
    [("/a", "/a"), ("/caf\xc3\xa9", "/caf\xe9"), ("/\xff", "/\ufffd"), ("/\xc3", "/\ufffd")],
)
def test_a_path_below_wsgi_is_utf_8_in_disguise(raw: str, path: str) -> None:
    """What is no UTF-8 becomes the character that no rule reads."""
    assert WSGIView({"REQUEST_METHOD": "GET", "PATH_INFO": raw}).path == path


def test_an_empty_address_is_none() -> None:
    """A server on a Unix socket has no other."""
    assert WSGIView({"REQUEST_METHOD": "GET", "REMOTE_ADDR": ""}).client is None


def test_only_what_is_asked_for_is_parsed() -> None:
    """A name that the query does not hold costs one search."""
    assert query_values("a=1", "b") == []
    assert query_values("ab=1", "b") == []


@pytest.mark.parametrize("name", ["%74oken", "t%6Fken", "%74%6f%6b%65%6e", "to%6ben"])
def test_a_name_that_is_escaped_throughout_is_that_name(name: str) -> None:
    """To every framework it is: what nobody here looked at would be read there."""
    scope = http_scope("GET", "/x", query_string=f"a=1&{name}=x".encode())
    asgi, wsgi = ASGIView(scope), WSGIView(wsgi_environ("GET", "/x", QUERY_STRING=f"{name}=x"))

    assert asgi.query("token") == wsgi.query("token") == ["x"]
    assert query_values(f"token=a&{name}=b", "token") == ["a", "b"]
    assert query_values(f"%2574oken=a&{name}s=b", "token") == []


def test_a_question_has_no_query_and_comes_from_our_own_page() -> None:
    """It is what an honest page would send."""
    question = SampleRequest("POST", "/", "a.b.c")

    assert question.query("token") == []
    assert question.headers("sec-fetch-site") == ["same-origin"]
    assert question.headers("authorization") == ["Bearer a.b.c"]
    assert question.headers("x-token") == []


@pytest.mark.parametrize("name", ["X Token", "", "X_Token", "X-Tök"])
def test_a_header_name_that_is_none_is_a_sentence(name: str) -> None:
    """An underscore is the same as a hyphen to WSGI servers, which is how tokens are smuggled."""
    with pytest.raises(ConfigurationError, match="HeaderToken"):
        HeaderToken(name)


@given(st.text(alphabet="at&=+%61;\xe9\x00", max_size=12), st.sampled_from(["a", "t", "at", "a;"]))
def test_a_query_is_read_as_pythons_library_reads_it(query: str, name: str) -> None:
    """Names and values are unescaped, and neither a blank value nor a missing one is left out."""
    pairs = parse_qsl(query, keep_blank_values=True)

    assert query_values(query, name) == [value for key, value in pairs if key == name]


def test_the_type_and_length_of_a_body_have_variables_without_a_prefix() -> None:
    """RFC 3875 §4.1."""
    view = WSGIView({"REQUEST_METHOD": "POST", "CONTENT_TYPE": "a/b", "CONTENT_LENGTH": "3"})
    assert (view.headers("content-type"), view.headers("content-length")) == (["a/b"], ["3"])
