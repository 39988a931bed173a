"""Compact tokens, claims and signatures, held beside PyJWT."""

import json
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwt_middleware import ANY_AUDIENCE, Guard, Issuer, TokenError
from jwt_middleware.errors import AlgorithmNotAllowed, KeyUnknown, SignatureInvalid, TokenMalformed
from jwt_middleware.formats import base64url
from jwt_middleware.testing import Clock, KeyPair
from jwt_middleware.tokens.compact import MAX_KNOWN_HEADERS, Header, KnownHeaders, parse
from jwt_middleware.tokens.verifier import verify_jws

RSA, EC = KeyPair.generate("RS256", kid="r"), KeyPair.generate("ES256", kid="e")
SET = {"keys": [RSA.jwk, EC.jwk, {"kty": "AKP"}]}
SECRET = KeyPair(b"0123456789abcdefghijklmnopqrstuv", "HS256", None)
CLOCK = Clock()
NOW = int(CLOCK.now())


def test_a_signed_payload_comes_back_as_it_was() -> None:
    """Whatever it holds: no claim is looked at."""
    assert verify_jws(RSA.sign(b"any bytes \xff"), SET, ["RS256"]) == b"any bytes \xff"
    assert verify_jws(EC.sign(b""), EC.jwk, ["ES256"]) == b""
    assert verify_jws(SECRET.sign(b"x"), SECRET.jwk, ["HS256"], published=False) == b"x"


@pytest.mark.parametrize(
    ("token", "jwks", "algorithms", "error"),
    [
        (RSA.sign(b"x"), SET, ["ES256"], AlgorithmNotAllowed),
        (RSA.sign(b"x", alg="none"), SET, ["RS256"], AlgorithmNotAllowed),
        (RSA.sign(b"x"), {"keys": [EC.jwk]}, ["RS256"], KeyUnknown),
        (RSA.sign(b"x", {"kid": "e"}), SET, ["RS256"], KeyUnknown),
        (SECRET.sign(b"x"), SECRET.jwk, ["HS256"], KeyUnknown),
        (RSA.sign(b"x").rpartition(".")[0] + ".", SET, ["RS256"], SignatureInvalid),
        (RSA.sign(b"x").rpartition(".")[0] + ".AAAA", SET, ["RS256"], SignatureInvalid),
        ("\u00e9.a.b", SET, ["RS256"], TokenMalformed),
    ],
)
def test_what_does_not_verify_says_why(
    token: str, jwks: Any, algorithms: list[str], error: type[TokenError]
) -> None:
    """The first check that fails."""
    with pytest.raises(error):
        verify_jws(token, jwks, algorithms)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"[]",
        b"{}",
        b'{"alg":1}',
        b'{"alg":"RS256","typ":1}',
        b'{"alg":"RS256","kid":null}',
        b'{"alg":"RS256","crit":[]}',
        b'{"alg":"RS256","b64":false}',
        b'{"alg":"RS256","alg":"none"}',
        b'{"alg":"RS256","kid":"' + b"k" * 257 + b'"}',
    ],
)
def test_a_header_that_is_none_is_malformed(header: bytes) -> None:
    """Types, repeated members and extensions."""
    token = base64url.encode(header).decode() + ".e30.AAAA"

    with pytest.raises(TokenMalformed):
        parse(token, 16_384, KnownHeaders())


def test_a_spelling_that_is_not_canonical_is_malformed() -> None:
    """One signature has one spelling."""
    good = RSA.sign(b"{}")

    with pytest.raises(TokenMalformed):
        parse(good[:-1] + "-"[: good[-1] != "-"] + "_"[: good[-1] == "-"], 16_384, KnownHeaders())


def test_known_headers_are_few() -> None:
    """The memory starts over when it is full, and maps a segment to its three facts."""
    known = KnownHeaders()
    for number in range(MAX_KNOWN_HEADERS + 1):
        known.learn(str(number).encode(), Header("RS256", None, None))

    assert len(known) == 1
    assert known[str(MAX_KNOWN_HEADERS).encode()] == Header("RS256", None, None)


def guard(**options: Any) -> Guard:
    given: dict[str, Any] = {"audience": "me", "keys": SECRET.private, "algorithms": ["HS256"]}
    return Guard(issuers=Issuer("https://a/", **{**given, **options}), clock=CLOCK)


def claims(**more: Any) -> dict[str, Any]:
    good = {"iss": "https://a/", "aud": "me", "exp": NOW + 60, "sub": "alice", **more}
    return {name: value for name, value in good.items() if value is not None}


@pytest.mark.parametrize(
    ("options", "more", "code"),
    [
        ({}, {"exp": NOW - 29}, None),
        ({}, {"exp": NOW - 30}, "token_expired"),
        ({}, {"exp": NOW - 29.5}, "token_expired"),
        ({"leeway": 0}, {"exp": NOW}, "token_expired"),
        ({"require_exp": False}, {"exp": None}, None),
        ({}, {"exp": -1}, "token_expired"),
        ({}, {"exp": 10**30}, "claim_invalid"),
        ({}, {"nbf": NOW + 30}, None),
        ({}, {"nbf": NOW + 30.5}, "token_not_yet_valid"),
        ({}, {"nbf": "1"}, "claim_invalid"),
        ({}, {"iat": NOW + 31}, "token_issued_in_future"),
        ({"max_lifetime": 60}, {"iat": NOW}, None),
        ({"max_lifetime": 59}, {"iat": NOW}, "lifetime_too_long"),
        ({"max_lifetime": 60}, {}, "claim_missing"),
        ({"max_lifetime": 60, "require_exp": False}, {"iat": NOW, "exp": None}, "claim_missing"),
        ({"audience": None}, {"aud": None}, None),
        ({"audience": None}, {}, "audience_mismatch"),
        ({"audience": None}, {"aud": []}, None),
        ({"audience": None}, {"aud": ""}, "audience_mismatch"),
        ({"audience": ["x", "me"]}, {"aud": ["me"]}, None),
        ({}, {"aud": []}, "audience_mismatch"),
        ({}, {"aud": ["me", 1]}, "claim_invalid"),
        ({"required_claims": ["a.b"]}, {"a": {"b": 0}}, None),
        ({"required_claims": ["a.b"]}, {"a": {"b": None}}, "claim_missing"),
        ({"required_claims": [("a.b",)]}, {"a.b": 1}, None),
        ({}, {"jti": 1}, "claim_invalid"),
        ({"accept_id_tokens": True}, {"c_hash": "x"}, None),
        ({}, {"c_hash": "x"}, "type_not_allowed"),
        ({"accept_bound_as_bearer": True}, {"cnf": {}}, None),
        ({}, {"cnf": {}}, "token_bound"),
    ],
)
def test_claims_are_held_against_the_policy(
    options: dict[str, Any], more: dict[str, Any], code: str | None
) -> None:
    """Each setting, on both sides of its border."""
    token = SECRET.sign(claims(**more))
    try:
        guard(**options).verify(token)
        refused = None
    except TokenError as error:
        refused = error.code

    assert refused == code


def test_any_audience_is_said_aloud() -> None:
    """And passes a token for anybody, or for nobody, as long as ``aud`` is well formed."""
    anybody = guard(audience=ANY_AUDIENCE)

    assert repr(ANY_AUDIENCE) == "ANY_AUDIENCE"
    assert anybody.verify(SECRET.sign(claims(aud=["x"]))).audience == ("x",)
    assert anybody.verify(SECRET.sign(claims(aud=None))).audience == ()
    with pytest.raises(TokenError):
        anybody.verify(SECRET.sign(claims(aud=1)))


@pytest.mark.parametrize(
    ("typ", "types", "passes"),
    [
        ("JWT", ("JWT",), True),
        ("application/at+JWT", ("at+jwt",), True),
        ("at+jwt", ("application/at+jwt",), True),
        ("JWT", ("at+jwt",), False),
    ],
)
def test_types_compare_as_media_types(typ: str, types: tuple[str, ...], passes: bool) -> None:
    """Without case and without ``application/``; a header without one is a type of its own."""
    checked = guard(token_types=types)
    token = SECRET.sign(claims(), {"typ": typ})
    bare = base64url.encode(b'{"alg":"HS256"}') + b"." + base64url.encode(b"{}") + b".AAAA"

    if passes:
        assert checked.verify(token).subject == "alice"
    else:
        with pytest.raises(TokenError):
            checked.verify(token)
    with pytest.raises(TokenError):
        checked.verify(bare.decode())


def test_names_are_read_where_the_issuer_puts_them() -> None:
    """Text, arrays, nested; a claim of another shape grants nothing."""
    principal = guard(
        scopes_claim="scp", roles_claim="realm.roles", permissions_claim=("https://x/can",)
    ).verify(
        SECRET.sign(
            claims(scp=["a", 1, ""], realm={"roles": "r s"}, **{"https://x/can": {"p": 1}}, jti="j")
        )
    )

    assert principal.scopes == {"a"}
    assert principal.roles == {"r s"}
    assert principal.permissions == frozenset()
    assert (principal.token_id, principal.expires_at) == ("j", NOW + 60)


TIMES = st.none() | st.integers(NOW - 100, NOW + 100) | st.floats(NOW - 100, NOW + 100)
ODD = st.none() | st.booleans() | st.text(max_size=3) | st.lists(st.text(max_size=2), max_size=2)


@given(
    exp=TIMES | ODD,
    nbf=TIMES | ODD,
    iat=TIMES,
    aud=st.sampled_from(["me", ["me"], ["x", "me"], "x", None, [], 1]),
    sub=st.sampled_from(["a", 1, None]),
)
def test_what_we_accept_the_library_accepts_too(
    exp: Any, nbf: Any, iat: Any, aud: Any, sub: Any
) -> None:
    """With the same settings, and whatever stands in the claims."""
    members = claims(exp=exp, nbf=nbf, iat=iat, aud=aud, sub=sub)
    token = SECRET.sign(members)
    try:
        guard().verify(token)
    except TokenError:
        return

    # The library takes no clock: what depends on time is compared through leeway-free borders.
    options: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}
    accepted = jwt.decode(
        token, SECRET.private, ["HS256"], options, audience="me", issuer="https://a/"
    )
    assert accepted == json.loads(json.dumps(members))


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda raw: raw.decode("latin-1")))
def test_any_text_is_refused_with_an_error_of_ours(text: str) -> None:
    """Nothing foreign escapes."""
    for token in (text, f"{text}.{text}.{text}", f"eyJhbGciOiJIUzI1NiJ9.{text}.AAAA"):
        with pytest.raises(TokenError):
            guard().verify(token)


@pytest.mark.parametrize("members", [None, 1, "text", {}, [], [None], [1]])
def test_a_set_without_usable_members_knows_no_key(members: Any) -> None:
    """Whatever stands where the list should be."""
    with pytest.raises(KeyUnknown):
        verify_jws(RSA.sign(b"x"), {"keys": members}, ["RS256"])


def test_a_short_secret_verifies_nothing() -> None:
    """Not even what was signed with it; an empty one would be known to everybody."""
    for size in (0, 31):
        short = KeyPair(b"k" * size, "HS256", None)
        with pytest.raises(KeyUnknown):
            verify_jws(short.sign(b"x"), short.jwk, ["HS256"], published=False)


SIGNERS = {alg: KeyPair.generate(alg) for alg in ("RS256", "PS384", "ES256", "EdDSA")}


@given(st.sampled_from(sorted(SIGNERS)), st.sampled_from(sorted(SIGNERS)), st.data())
def test_a_signature_that_we_accept_the_library_accepts_too(
    signer: str, allowed: str, data: st.DataObject
) -> None:
    """With the same key and algorithm, also after one character of the token was changed."""
    token = SIGNERS[signer].sign(b'{"sub":"alice"}')
    place = data.draw(st.integers(0, len(token) - 1))
    token = token[:place] + data.draw(st.sampled_from("Aw-_.=" + token[place])) + token[place + 1 :]
    key = SIGNERS[allowed]
    try:
        payload = verify_jws(token, key.jwk, [allowed])
    except TokenError:
        return

    assert jwt.decode(token, key.private.public_key(), [allowed]) == json.loads(payload)
