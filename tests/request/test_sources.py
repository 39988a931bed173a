"""Where a token may be: each source alone, and several in their order."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
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
from jwt_middleware.errors import HeaderMalformed, RequestError, TokenRepeated
from jwt_middleware.request.sources import Sources, TokenSource, check_form, without_token
from jwt_middleware.request.view import RequestView, Sent, cookie_values

TOKEN = "eyJ.eyJ.c2ln"


@dataclass(frozen=True)
class View:
    """A request, as far as a source looks at it."""

    fields: Mapping[str, Sequence[str]] = field(default_factory=dict)
    parameters: Mapping[str, Sequence[str]] = field(default_factory=dict)
    is_websocket: bool = False
    method: str = "GET"
    path: str = "/"
    scheme: str = "https"
    host: str | None = None
    client: str | None = None
    sent: Sent = ("/", "", None)
    may_tunnel: bool = False

    def headers(self, name: str) -> list[str]:
        return list(self.fields.get(name, ()))

    def cookies(self, name: str) -> list[str]:
        return cookie_values(self.headers("cookie"), name)

    def query(self, name: str) -> list[str]:
        return list(self.parameters.get(name, ()))


def authorized(*headers: str) -> View:
    return View({"authorization": headers})


def cookies(*headers: str) -> View:
    return View({"cookie": headers})


def sockets(*headers: str) -> View:
    return View({"sec-websocket-protocol": headers}, is_websocket=True)


@pytest.mark.parametrize(
    ("value", "token"),
    [
        (f"Bearer {TOKEN}", TOKEN),
        (f" bEARER   {TOKEN}\t", TOKEN),
        ("Bearer", ""),
        ("Bearer a b", "a b"),
        (f"Bearer\t{TOKEN}", None),
        ("Basic YTpi", None),
        ('Digest username="a", realm="b"', None),
        ("Bearers a", None),
        ("", None),
    ],
)
def test_a_bearer_header_is_known_by_its_scheme(value: str, token: str | None) -> None:
    """In any case of letters, behind spaces; another scheme is no token, nothing is a bad one."""
    assert BearerHeader().read(authorized(value)) == token


@pytest.mark.parametrize(
    "values",
    [
        ("Bearer a", "Bearer a"),
        ("Basic YTpi", "Bearer a"),
        ("Bearer a, Bearer b",),
        ("Basic YTpi==,Bearer a",),
        ("Bearer a ,x",),
        ('Digest username="a", bearer',),
        ('Digest username="a",BEARER b',),
    ],
)
def test_two_headers_are_too_many_also_when_joined(values: tuple[str, ...]) -> None:
    """A server below WSGI puts a comma between them."""
    with pytest.raises(TokenRepeated):
        BearerHeader().read(authorized(*values))


def test_a_header_of_another_name_has_a_scheme_or_none() -> None:
    """With one, what stands behind another is no token; without, all of it is the token."""
    behind, alone = HeaderToken("X-Token", scheme="JWT"), HeaderToken("X-Token")

    assert behind.read(View({"x-token": [f"jwt {TOKEN}"]})) == TOKEN
    assert behind.read(View({"x-token": [f"Bearer {TOKEN}"]})) is None
    assert behind.read(View({"x-token": [TOKEN]})) is None
    assert alone.read(View({"x-token": [f" {TOKEN}\t"]})) == TOKEN
    assert alone.read(View({"x-token": ["Bearer x"]})) == "Bearer x"
    assert alone.read(authorized(f"Bearer {TOKEN}")) is None
    with pytest.raises(TokenRepeated):
        alone.read(View({"x-token": [TOKEN, TOKEN]}))


def test_a_cookie_is_taken_as_it_is() -> None:
    """Split on semicolons, trimmed, cut at the first equals sign; others do not matter."""
    source = CookieToken("session")

    assert source.read(cookies(f"a=b; session={TOKEN} ;c")) == TOKEN
    assert source.read(cookies("a=b", f"session={TOKEN}")) == TOKEN
    assert source.read(cookies(f"xsession={TOKEN}; session2={TOKEN}")) is None
    assert source.read(cookies("session")) is None
    assert source.read(cookies(f"session; session={TOKEN}")) == TOKEN
    assert source.read(View()) is None


@pytest.mark.parametrize("blank", ["\xa0", "\x85", "\x0b", "\x0c", "\x1c", "\x1f", "\u2000", "\n"])
def test_a_name_that_only_looks_like_the_cookies_is_another(blank: str) -> None:
    """A neighbouring host may set it, since to a browser it does not begin with ``__Host-``."""
    for planted in (f"{blank}__Host-token=evil", f"__Host-token{blank}=evil"):
        assert CookieToken().read(cookies(planted)) is None
        assert CookieToken().read(cookies(f"{planted}; __Host-token={TOKEN}")) == TOKEN
    assert CookieToken().read(cookies(f"a=b;\t __Host-token \t=\t{TOKEN} \t")) == TOKEN
    assert CookieToken().read(cookies(f"__Host-token={TOKEN}{blank}")) == TOKEN + blank


def test_an_empty_cookie_is_no_token() -> None:
    """A logout leaves one behind."""
    assert CookieToken("session").read(cookies("session=")) is None


def test_equal_cookies_are_one_and_differing_ones_are_too_many() -> None:
    """Of two different ones, who knows which a page meant."""
    source = CookieToken("session")

    assert source.read(cookies(f"session={TOKEN}; session={TOKEN}")) == TOKEN
    with pytest.raises(TokenRepeated):
        source.read(cookies(f"session={TOKEN}; session=other"))
    with pytest.raises(TokenRepeated):
        source.read(cookies(f"session={TOKEN}; session="))


@pytest.mark.parametrize("value", [f'"{TOKEN}"', "a b", "%61", "a,b", "\xe9"])
def test_a_cookie_that_is_no_token_is_malformed(value: str) -> None:
    """Quotes and escapes are never undone."""
    found = CookieToken("session").read(cookies(f"session={value}"))
    assert found == value
    with pytest.raises(HeaderMalformed):
        check_form(value)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [(TOKEN, True), ("aZ09-._~+/", True), ("a==", True), ("a=b", False), ("=", False)],
)
def test_the_form_of_a_token_is_that_of_rfc_6750(text: str, is_one: bool) -> None:
    """Equals signs stand at the end only; alone and with an end of line it is none."""
    if is_one:
        check_form(text)
    for wrong in [f"{text}\n", f"{text} ", f" {text}"] + [text] * (not is_one):
        with pytest.raises(HeaderMalformed):
            check_form(wrong)


def test_a_cookie_is_expired_as_it_was_set() -> None:
    """Same name, path and domain, or a browser would keep it."""
    host = CookieToken()
    wide = CookieToken("token", path="/api", domain="example.org")

    assert host.expiry == "__Host-token=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax"
    assert wide.expiry.startswith("token=; Path=/api; Domain=example.org; Max-Age=0;")


def test_a_subprotocol_brings_the_token_that_follows_bearer() -> None:
    """Wherever the two stand among the others, and in however many headers."""
    source = SubprotocolToken()

    assert source.read(sockets(f"chat, bearer, {TOKEN}, other")) == TOKEN
    assert source.read(sockets("chat,bearer", TOKEN)) == TOKEN
    assert source.read(sockets(f",bearer, ,{TOKEN},")) == TOKEN
    assert source.read(sockets("chat")) is None
    assert source.read(sockets()) is None
    assert source.read(View({"sec-websocket-protocol": [f"bearer, {TOKEN}"]})) is None


def test_a_subprotocol_without_one_token_is_refused() -> None:
    """Nothing behind ``bearer``, or ``bearer`` twice."""
    assert SubprotocolToken().read(sockets("chat, bearer")) == ""
    with pytest.raises(HeaderMalformed):
        check_form("")
    with pytest.raises(TokenRepeated):
        SubprotocolToken().read(sockets(f"bearer, {TOKEN}, bearer, {TOKEN}"))


def test_the_application_sees_neither_bearer_nor_token() -> None:
    """Nor a second of each."""
    assert without_token(["chat", "bearer", TOKEN, "v2"]) == ["chat", "v2"]
    assert without_token(["bearer", TOKEN, "bearer", "other"]) == []
    assert without_token(["bearer", "bearer", TOKEN, "chat"]) == ["chat"]
    assert without_token(["chat", "bearer"]) == ["chat"]
    assert without_token([TOKEN, "bearer", TOKEN, "chat", TOKEN]) == ["chat"]


def test_a_query_token_is_for_sockets_unless_allowed_elsewhere() -> None:
    """Logs and histories keep an address."""
    plain = View(parameters={"access_token": [TOKEN]})
    socket = View(parameters={"access_token": [TOKEN]}, is_websocket=True)

    assert QueryToken("access_token").read(plain) is None
    assert QueryToken("access_token").read(socket) == TOKEN
    assert QueryToken("access_token", http=True).read(plain) == TOKEN
    assert QueryToken("access_token", http=True).read(View()) is None


def test_a_query_token_is_one_token() -> None:
    """RFC 6750 §3.1: a repeated parameter is refused, also where both say the same."""
    source = QueryToken("t", http=True)

    for repeated in ([TOKEN, "x"], [TOKEN, TOKEN], ["", ""]):
        for is_websocket in (False, True):
            with pytest.raises(TokenRepeated):
                source.read(View(parameters={"t": repeated}, is_websocket=is_websocket))
    assert QueryToken("t").read(View(parameters={"t": [TOKEN, TOKEN]})) is None
    assert source.read(View(parameters={"t": [""]})) == ""


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
    "a cookie name with a space": (lambda: CookieToken("a b"), "name='a b'"),
    "a cookie name that is none": (lambda: CookieToken(""), "must be a name"),
    "a cookie name that is no text": (lambda: CookieToken(7), "name=7"),  # type: ignore[arg-type]
    "a parameter that is no text": (lambda: QueryToken(7), "QueryToken(7)"),  # type: ignore[arg-type]
    "a __Host- cookie with both": (lambda: CookieToken(path="/a", domain="a.b"), "no domain"),
    "a source without a reader": (lambda: Sources(["X-Token"]), "write BearerHeader()"),  # type: ignore[list-item]
    "a header name that is no text": (lambda: HeaderToken(7), "HeaderToken(7)"),  # type: ignore[arg-type]
    "a scheme that is none": (lambda: HeaderToken("X-A", scheme=None), "leave it out"),  # type: ignore[arg-type]
    "a scheme with a space": (lambda: HeaderToken("X-A", scheme="JWT "), "scheme='JWT '"),
    "a path that is no text": (lambda: CookieToken("a", path=None), "such as '/'"),  # type: ignore[arg-type]
    "a domain that is no text": (lambda: CookieToken("a", domain=7), "a host name"),  # type: ignore[arg-type]
    "a source without its list": (lambda: Sources(QueryToken("t")), "must be a list"),  # type: ignore[arg-type]
    "a CSRF header that is none": (lambda: CookieToken(csrf_header="a:"), "csrf_header='a:'"),
    "a __Host- cookie with a domain": (lambda: CookieToken(domain="a.example"), "no domain"),
    "a __Host- cookie with a path": (lambda: CookieToken(path="/a"), "path='/'"),
    "a path that is none": (lambda: CookieToken("a", path="a"), "such as '/'"),
    "a path that ends the attribute": (lambda: CookieToken("a", path="/;x"), "such as '/'"),
    "a domain that is none": (lambda: CookieToken("a", domain="a;b"), "a host name"),
    "a parameter that is none": (lambda: QueryToken("a b"), "QueryToken('a b')"),
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


@pytest.mark.parametrize(
    "source", [BearerHeader(), CookieToken("t"), HeaderToken("X-T"), QueryToken("t", http=True)]
)
@pytest.mark.parametrize("text", ["", " ", ",", "\x00", "=" * 9, "\ud800", "a b", "é" * 99])
def test_rubbish_is_refused_or_no_token(source: TokenSource, text: str) -> None:
    """Nothing but a refusal of ours comes out."""
    view = View(
        {"authorization": [f"Bearer {text}"], "cookie": [f"t={text}"], "x-t": [text]}, {"t": [text]}
    )
    found = None
    with suppress(RequestError):
        found = source.read(view)
    if found is not None:
        with pytest.raises(HeaderMalformed):
            check_form(found)


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
