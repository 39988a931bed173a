"""Several token sources in their order: which decides, and what all of them have in common."""

from collections.abc import Callable
from typing import Any

import pytest

from jwt_middleware import (
    BearerHeader,
    ConfigurationError,
    CookieToken,
    HeaderToken,
    QueryToken,
    SubprotocolToken,
)
from jwt_middleware.errors import TokenRepeated
from jwt_middleware.request.token_search import Sources
from jwt_middleware.request.view import RequestView
from tests.request.views import TOKEN, View, cookies, sockets


def test_the_first_source_that_is_present_decides() -> None:
    """A bad token never falls through to the next."""
    sources = Sources([BearerHeader(), CookieToken("session")])
    both = View({"authorization": ["Bearer a"], "cookie": ["session=b"]})
    bad = View({"authorization": ["Bearer a b"], "cookie": ["session=b"]})

    assert sources.find(both) == ("a", BearerHeader())
    assert sources.find(cookies("session=b")) == ("b", CookieToken("session"))
    assert sources.find(View()) is None
    assert sources.find(bad) == ("a b", BearerHeader())


@pytest.mark.parametrize("query", [["a"], ["b"], ["a", "b"], [""]])
def test_a_token_in_two_ways_at_once_is_refused(query: list[str]) -> None:
    """RFC 6750 §2: header or query, never both, whatever they hold."""
    sources = Sources([BearerHeader(), QueryToken("t", http=True), CookieToken("session")])
    view = View({"authorization": ["Bearer a"]}, {"t": query})

    with pytest.raises(TokenRepeated):
        sources.find(view)
    assert sources.find(View({"cookie": ["session=c"]})) == ("c", CookieToken("session"))


def test_one_way_alone_is_never_two() -> None:
    """Of three ways any two are too many; a header of another name is none of RFC 6750's."""
    other, first, second = (
        HeaderToken("X-A"),
        QueryToken("t", http=True),
        QueryToken("u", http=True),
    )
    sources = Sources([other, BearerHeader(), first, second])
    bearer = {"authorization": ["Bearer a"]}

    assert sources.find(View(bearer)) == ("a", BearerHeader())
    assert sources.find(View({}, {"u": ["b"]})) == ("b", second)
    assert sources.find(View({**bearer, "x-a": ["c"]}, {"t": ["b"]})) == ("c", other)
    for both in (View(bearer, {"t": ["b"]}), View(bearer, {"u": ["b"]})):
        with pytest.raises(TokenRepeated):
            sources.find(both)
    with pytest.raises(TokenRepeated):
        sources.find(View({}, {"t": ["b"], "u": ["b"]}))


def test_an_answer_varies_with_every_source_that_is_a_header() -> None:
    """Each once, in the order of the sources."""
    sources = Sources([HeaderToken("X-A"), BearerHeader(), CookieToken("a"), CookieToken("b")])

    assert sources.vary == "X-A, Authorization, Cookie"
    assert Sources([QueryToken("t")]).vary == ""
    assert Sources([QueryToken("t"), BearerHeader(), SubprotocolToken()]).vary == "Authorization"


def test_the_methods_of_a_plain_request_are_named_once() -> None:
    """By RFC 9728 §2; a parameter only where a plain request may carry it."""
    socket_only, plain = QueryToken("s"), QueryToken("t", http=True)

    assert Sources([BearerHeader(), plain, socket_only, plain]).methods == ["header", "query"]
    assert Sources([HeaderToken("X-A"), CookieToken("a"), socket_only]).methods == []


def test_only_the_cookie_that_was_refused_expires() -> None:
    """And only where that is asked for."""
    clearing = CookieToken("a", clear_on_invalid=True)
    sources = Sources([BearerHeader(), clearing, CookieToken("b")])

    assert sources.expiry(cookies("a=x; b=y")) == clearing.expiry
    assert sources.expiry(cookies("a=x y; b=y")) == clearing.expiry
    assert sources.expiry(cookies("b=y")) is None
    assert sources.expiry(View({"authorization": ["Bearer x"], "cookie": ["a=x"]})) is None
    assert sources.expiry(View()) is None
    assert Sources([CookieToken("a")]).expiry(cookies("a=x")) is None


def test_bearer_is_answered_only_where_it_was_offered() -> None:
    """To a socket, by a guard that reads subprotocols."""
    sources = Sources([SubprotocolToken()])

    assert sources.subprotocol(sockets(f"bearer, {TOKEN}")) == "bearer"
    assert sources.subprotocol(sockets("chat")) is None
    assert sources.subprotocol(View({"sec-websocket-protocol": ["bearer"]})) is None
    assert Sources([BearerHeader()]).subprotocol(sockets(f"bearer, {TOKEN}")) is None
    among = Sources([BearerHeader(), SubprotocolToken()])
    assert among.subprotocol(sockets(f"bearer, {TOKEN}")) == "bearer"


MISTAKES: dict[str, tuple[Callable[[], object], str]] = {
    "a source without a reader": (lambda: Sources(["X-Token"]), "write BearerHeader()"),  # type: ignore[list-item]
    "a source without its list": (lambda: Sources(QueryToken("t")), "must be a list"),  # type: ignore[arg-type]
    "a cookie before a header": (
        lambda: Sources([CookieToken("a"), QueryToken("t"), BearerHeader()]),
        "put the header first",
    ),
    "a cookie before another header": (
        lambda: Sources([CookieToken("a"), CookieToken("b"), HeaderToken("X-A")]),
        "CookieToken(name='a'",
    ),
    "a class for a source": (lambda: Sources([CookieToken]), "write BearerHeader()"),  # type: ignore[list-item]
    "no source": (lambda: Sources([]), "cannot be empty"),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_a_mistake_is_a_sentence(kind: str) -> None:
    """At construction, with the way out."""
    build, sentence = MISTAKES[kind]
    with pytest.raises(ConfigurationError) as caught:
        build()
    assert sentence in str(caught.value)


class Own:
    """A source of the application's own."""

    def __init__(self, vary: Any) -> None:
        self.vary = vary

    def read(self, view: RequestView) -> str | None:
        return None


@pytest.mark.parametrize("vary", ["X-A", "X-A, Cookie", ""])
def test_a_source_of_ones_own_names_the_headers_that_it_reads(vary: str) -> None:
    """One, several or none."""
    assert Sources([Own(vary)]).vary == vary


@pytest.mark.parametrize("vary", [None, 7, "X A", "X-A,", "X-A\r\nSet-Cookie: a=b"])
def test_what_names_no_header_is_refused(vary: Any) -> None:
    """It would stand in each answer."""
    with pytest.raises(ConfigurationError, match="write the name of the header"):
        Sources([Own(vary)])
