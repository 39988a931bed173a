"""Where a token may be: each source alone, and several in their order."""

from collections.abc import Callable
from contextlib import suppress

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
from jwt_middleware.request.sources import TokenSource, check_form, without_token
from tests.request.views import TOKEN, View, authorized, cookies, sockets


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
        ("Bearer", "Basic YTpi"),
        ("Bearer,Basic YTpi",),
        ("", "Bearer a"),
        (", Bearer a",),
        ("Bearer a,",),
    ],
)
def test_two_headers_are_too_many_also_when_joined(values: tuple[str, ...]) -> None:
    """A server below WSGI puts a comma between them."""
    with pytest.raises(TokenRepeated):
        BearerHeader().read(authorized(*values))


@pytest.mark.parametrize(
    ("source", "values"),
    [
        (HeaderToken("X-Token", scheme="JWT"), ("JWT", f"JWT {TOKEN}")),
        (HeaderToken("X-Token", scheme="JWT"), (f"JWT {TOKEN}", "JWT")),
        (HeaderToken("X-Token", scheme="JWT"), ("JWT", "Basic YTpi")),
        (HeaderToken("X-Token", scheme="JWT"), ("", f"jwt {TOKEN}")),
        (HeaderToken("X-Token", scheme="a.c"), ("other", f"A.C {TOKEN}")),
        (HeaderToken("X-Token"), (TOKEN, TOKEN)),
        (HeaderToken("X-Token"), ("", TOKEN)),
        (HeaderToken("X-Token"), ("no token", "Bearer x")),
    ],
)
@pytest.mark.parametrize("comma", [",", ", "])
def test_two_headers_are_the_same_on_each_server(
    source: HeaderToken, values: tuple[str, ...], comma: str
) -> None:
    """Two headers for a server of ASGI are one joined header for a server of WSGI."""
    for sent in (values, (comma.join(values),)):
        with pytest.raises(TokenRepeated):
            source.read(View({"x-token": sent}))


def test_commas_of_other_schemes_are_theirs() -> None:
    """A scheme with parameters has several in one header, also where a name begins like ours."""
    source = HeaderToken("X-Token", scheme="a.c")

    for value in ('Digest username="a", realm="b"', "Digest abc=1, axc b", "Digest abc=1, a.cd b"):
        assert source.read(View({"x-token": [value]})) is None


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
    for sent in (("session=a", "session=b"), ("session=a,session=b",), ("session=a, session=b",)):
        with pytest.raises(TokenRepeated):
            source.read(cookies(*sent))


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


MISTAKES: dict[str, tuple[Callable[[], object], str]] = {
    "a cookie name with a space": (lambda: CookieToken("a b"), "name='a b'"),
    "a cookie name that is none": (lambda: CookieToken(""), "must be a name"),
    "a cookie name that is no text": (lambda: CookieToken(7), "name=7"),  # type: ignore[arg-type]
    "a parameter that is no text": (lambda: QueryToken(7), "QueryToken(7)"),  # type: ignore[arg-type]
    "a __Host- cookie with both": (lambda: CookieToken(path="/a", domain="a.b"), "no domain"),
    "a header name that is no text": (lambda: HeaderToken(7), "HeaderToken(7)"),  # type: ignore[arg-type]
    "a scheme that is none": (lambda: HeaderToken("X-A", scheme=None), "leave it out"),  # type: ignore[arg-type]
    "a scheme with a space": (lambda: HeaderToken("X-A", scheme="JWT "), "scheme='JWT '"),
    "a path that is no text": (lambda: CookieToken("a", path=None), "such as '/'"),  # type: ignore[arg-type]
    "a domain that is no text": (lambda: CookieToken("a", domain=7), "a host name"),  # type: ignore[arg-type]
    "a CSRF header that is none": (lambda: CookieToken(csrf_header="a:"), "csrf_header='a:'"),
    "a __Host- cookie with a domain": (lambda: CookieToken(domain="a.example"), "no domain"),
    "a __Host- cookie with a path": (lambda: CookieToken(path="/a"), "path='/'"),
    "a path that is none": (lambda: CookieToken("a", path="a"), "such as '/'"),
    "a path that ends the attribute": (lambda: CookieToken("a", path="/;x"), "such as '/'"),
    "a domain that is none": (lambda: CookieToken("a", domain="a;b"), "a host name"),
    "a parameter that is none": (lambda: QueryToken("a b"), "QueryToken('a b')"),
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
