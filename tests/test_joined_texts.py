"""Texts that are made of parts: no two sets of parts come to one text."""

from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from jwt_middleware import Claims, CookieToken, HeaderToken, Principal, QueryToken, caller_key
from jwt_middleware.integrations.fastapi import keyed_by_caller
from jwt_middleware.integrations.openapi import schemes_of
from jwt_middleware.principal import identity_of
from jwt_middleware.responses.render import Renderer
from jwt_middleware.wsgi import Environ, attach

texts = st.text() | st.text(alphabet="|%7C2 5,\\\"'[]{}:\u00e9\u0159")
names = st.frozensets(texts, max_size=3)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
principals = st.builds(
    lambda subject, issuer, scopes, roles, permissions, claims: Principal(
        subject, issuer, (), scopes, roles, permissions, Claims(claims)
    ),
    st.none() | texts,
    st.none() | texts,
    names,
    names,
    names,
    st.dictionaries(st.sampled_from(["sub", "tenant", "a"]) | texts, json_values, max_size=3),
)


def parts_of(principal: Principal) -> tuple[Any, ...]:
    own = {"exp", "iat", "nbf", "jti"}
    claims = {name: value for name, value in principal.claims.items() if name not in own}
    who = (principal.subject, principal.issuer, repr(sorted(claims.items())))
    return (*who, principal.scopes, principal.roles, principal.permissions)


@given(principals, principals)
def test_no_two_callers_have_one_key(one: Principal, other: Principal) -> None:
    """Issuer and subject, what is granted, and every claim but those of one token."""
    assert (caller_key(one) == caller_key(other)) is (parts_of(one) == parts_of(other))


@given(st.tuples(texts, texts), st.tuples(texts, texts))
def test_no_two_callers_have_one_remote_user(one: tuple[str, str], other: tuple[str, str]) -> None:
    """Where there is one at all."""

    def remote_user(issuer: str, subject: str) -> object:
        environ: Environ = {}
        attach(environ, Principal(subject, issuer, identity=identity_of(issuer, subject)))
        return environ.get("REMOTE_USER")

    user = remote_user(*one)
    assume(user is not None)
    assert (user == remote_user(*other)) is (one == other)


field_names = st.text(alphabet="!#$%&'*+.^`|~09AZaz-", min_size=1, max_size=4)
sources = (
    st.builds(HeaderToken, field_names)
    | st.builds(lambda scheme: HeaderToken("Authorization", scheme), field_names)
    | st.builds(HeaderToken, field_names, field_names)
    | st.builds(CookieToken, field_names)
    | st.builds(QueryToken, st.text(alphabet="aZ9-._~", min_size=1, max_size=4), st.just(True))
)


@given(
    st.lists(sources, min_size=1, max_size=4, unique=True), st.sampled_from(["JWT", "JWT-header"])
)
def test_no_two_sources_have_one_scheme(chosen: list[Any], name: str) -> None:
    """And each is named in the letters that OpenAPI has for names."""
    found = schemes_of(chosen, name)

    assert len(found) == len(chosen)
    assert all(letter.isalnum() or letter in "._-" for label in found for letter in label)


printable = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1)


@given(printable, printable)
def test_no_two_realms_have_one_challenge(one: str, other: str) -> None:
    """Quotes and backslashes are escaped (RFC 9110 §5.6.4)."""

    def challenge(realm: str) -> str:
        return dict(Renderer(realm).refuse_code("token_missing").headers)["WWW-Authenticate"]

    assert (challenge(one) == challenge(other)) is (one == other)


arguments = st.dictionaries(st.sampled_from(["a", "b", "a, b"]), st.integers() | texts, max_size=2)


@given(arguments, arguments)
def test_no_two_calls_of_an_endpoint_have_one_key(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    """Nor do two endpoints."""

    def key(kwargs: dict[str, Any], func: Any = identity_of) -> str:
        return keyed_by_caller(func, "a", args=(), kwargs=kwargs)

    assert (key(one) == key(other)) is (one == other)
    assert key(one) != key(one, attach)
