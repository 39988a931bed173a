"""The compact form, read strictly."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwt_middleware.crypto.jwk import MAX_KID_LENGTH
from jwt_middleware.errors import TokenError, TokenMalformed, TokenTooLarge
from jwt_middleware.formats import base64url
from jwt_middleware.testing.keys import KeyPair
from jwt_middleware.tokens.compact import (
    MAX_KNOWN_HEADERS,
    Header,
    KnownHeaders,
    check_padding,
    normal_type,
    parse,
)

PAIR = KeyPair.generate("ES256", "k")


def token(header: bytes, payload: bytes = b"{}") -> str:
    return b".".join(base64url.encode(part) for part in (header, payload, b"sign")).decode()


def test_a_token_is_taken_apart() -> None:
    """Header facts, payload, signed text and signature."""
    text = PAIR.sign({"sub": "alice"}, {"typ": "application/AT+JWT"})
    parts = parse(text, 1_000, KnownHeaders())
    assert parts.header == Header("ES256", "k", "at+jwt")
    assert parts.claims() == {"sub": "alice"}
    assert parts.signing_input.decode() == text.rpartition(".")[0]
    assert parts.signing_input == parts.header_segment + b"." + base64url.encode(parts.payload)
    assert base64url.encode(parts.signature).decode() == text.rpartition(".")[2]


def test_kid_and_typ_may_be_absent() -> None:
    """Then they are ``None``."""
    header = parse(token(b'{"alg":"X","b64":true}'), 1_000, KnownHeaders()).header
    assert header == Header("X", None, None)


def test_size_is_checked_first() -> None:
    """At the limit it is read, above it is not, whatever it holds."""
    text = token(b'{"alg":"X"}')
    assert parse(text, len(text), KnownHeaders()).signature == b"sign"
    with pytest.raises(TokenTooLarge):
        parse(text, len(text) - 1, KnownHeaders())
    with pytest.raises(TokenTooLarge):
        parse("é" * 20, 19, KnownHeaders())


@pytest.mark.parametrize(
    "text",
    ["", "a.b", "a.b.c.d", "a b.c.d", "é.a.b", "e30=.e30.AA", "e30.e30.A", "eyJhbGciOiJYIn0.AAAA"],
)
def test_what_is_not_three_segments_is_malformed(text: str) -> None:
    """Neither fewer nor more, and only characters of the alphabet."""
    with pytest.raises(TokenMalformed):
        parse(text, 1_000, KnownHeaders())


@pytest.mark.parametrize(
    "header",
    [
        b'{"alg":"X","kid":1}',
        b'{"alg":"X","typ":null}',
        b'{"alg":null}',
        b"1",
        b"{",
        b'{"alg":"X","b64":1}',
        b'{"alg":"X","b64":false}',
        b'{"alg":"X","crit":["exp"]}',
        b'{"alg":"X","crit":[]}',
        b'{"alg":"X","kid":null}',
    ],
)
def test_a_header_of_wrong_types_is_malformed(header: bytes) -> None:
    """Each member that matters has one type."""
    with pytest.raises(TokenMalformed, match=r"^header: "):
        parse(token(header), 1_000, KnownHeaders())


def test_a_kid_is_read_up_to_its_greatest_length() -> None:
    """One character more is malformed."""
    kid = "k" * MAX_KID_LENGTH
    header = parse(token(b'{"alg":"X","kid":"%s"}' % kid.encode()), 1_000, KnownHeaders()).header
    assert (header.kid, len(kid)) == (kid, 256)
    with pytest.raises(TokenMalformed, match="short string"):
        parse(token(b'{"alg":"X","kid":"%s"}' % (kid + "k").encode()), 1_000, KnownHeaders())


def test_a_key_in_the_header_is_not_looked_at() -> None:
    """A token does not choose its own key, so these members may hold anything."""
    header = b'{"alg":"X","jku":1,"x5u":2,"jwk":3,"x5c":4}'
    assert parse(token(header), 1_000, KnownHeaders()).header == Header("X", None, None)


@pytest.mark.parametrize("payload", [b"[]", b"", b'{"a":1,"a":2}', b'{"a":NaN}', b"\xff"])
def test_a_payload_that_is_no_object_has_no_claims(payload: bytes) -> None:
    """Its bytes can be had nevertheless."""
    parts = parse(token(b'{"alg":"X"}', payload), 1_000, KnownHeaders())
    assert parts.payload == payload
    with pytest.raises(TokenMalformed, match=r"^payload: "):
        parts.claims()


def test_a_payload_in_another_spelling_is_malformed() -> None:
    """One text, one token: ``e31`` would decode to the same bytes as ``e30``."""
    with pytest.raises(TokenMalformed, match="canonical"):
        parse("eyJhbGciOiJYIn0.e31.AAAA", 1_000, KnownHeaders())


def test_a_learnt_header_is_not_read_again() -> None:
    """The segment answers for itself; an unknown one is read."""
    known = KnownHeaders()
    known.learn(b"not base64url", Header("X", None, None))
    assert parse("not base64url.e30.AAAA", 100, known).header is known[b"not base64url"]
    with pytest.raises(TokenMalformed):
        parse("****.e30.AAAA", 100, known)


def test_no_more_headers_are_known_than_fit() -> None:
    """The memory fills, is emptied, and begins again with the newest."""
    known, header = KnownHeaders(), Header("X", None, None)
    for number in range(MAX_KNOWN_HEADERS):
        known.learn(b"%d" % number, header)
    assert len(known) == MAX_KNOWN_HEADERS == 256
    known.learn(b"newest", header)
    assert list(known) == [b"newest"]


@pytest.mark.parametrize("typ", ["JWT", "jwt", "application/JWT", "Application/jwt"])
def test_types_have_one_normal_form(typ: str) -> None:
    """Without case and without the prefix."""
    assert normal_type(typ) == "jwt"


raw = st.binary(max_size=40)
segments = raw.map(lambda data: base64url.encode(data).decode()) | raw.map(
    lambda data: data.decode("latin-1")
)


@given(st.lists(segments, max_size=4).map(".".join))
def test_any_text_is_parsed_or_refused_with_an_error_of_ours(text: str) -> None:
    """Nothing but the errors of tokens comes out."""
    with suppress(TokenError):
        assert isinstance(parse(text, 100, KnownHeaders()).claims(), dict)


def test_padding_is_read_only_where_it_may_be() -> None:
    """The caller learns of it, and the signed text is the one that was sent."""
    text = "eyJhbGciOiJYIn0=.e30=.AA=="
    with pytest.raises(TokenMalformed):
        parse(text, 1_000, KnownHeaders())
    parts = parse(text, 1_000, KnownHeaders(), may_be_padded=True)
    assert (parts.is_padded, parts.signing_input) == (True, b"eyJhbGciOiJYIn0=.e30=")
    plain = parse(text.replace("=", ""), 1_000, KnownHeaders(), may_be_padded=True)
    assert (plain.is_padded, plain.claims()) == (False, {})


def test_a_known_header_is_no_padded_one() -> None:
    """One that was learnt from another issuer has no padding."""
    headers = KnownHeaders()
    plain = parse("eyJhbGciOiJYIn0.e30.AA", 1_000, headers)
    headers.learn(plain.header_segment, plain.header)

    assert parse("eyJhbGciOiJYIn0.e30.AA", 1_000, headers, may_be_padded=True).is_padded is False
    with pytest.raises(TokenMalformed):
        parse("eyJhbGciOiJYIn0.e30=.AA==", 1_000, headers, may_be_padded=True)


@pytest.mark.parametrize("padded", [True, False])
def test_segments_that_need_no_padding_are_spelt_alike_everywhere(padded: bool) -> None:
    """An issuer that pads writes them as any other does."""
    text = b".".join(map(base64url.encode, (b'{"alg":"X" }', b"{} ", b"abc"))).decode()
    parts = parse(text, 1_000, KnownHeaders(), may_be_padded=True)

    assert parts.is_padded is None
    check_padding(parts, padded=padded)
