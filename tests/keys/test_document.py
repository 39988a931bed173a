"""Documents with one good key and something bad beside it, and which key a token may have."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from jwt_middleware.crypto import pem
from jwt_middleware.crypto.algorithms import ALGORITHMS
from jwt_middleware.errors import KeyUnknown
from jwt_middleware.events import KeySkipped, UnknownKidSuppressed
from jwt_middleware.keys.document import MAX_SKIPPED, Rejected, read_key_set
from jwt_middleware.keys.remote.http import FetchResponse
from jwt_middleware.keys.remote.resolver import JWKSResolver
from jwt_middleware.keys.remote.state import shown
from jwt_middleware.testing.clock import Clock
from jwt_middleware.testing.keys import KeyPair
from tests.keys.publisher import (
    ES256,
    Publisher,
    Record,
    outcome,
    pair,
    resolve,
    resolver_of,
    without_kid,
)

RS256, PS512 = ALGORITHMS["RS256"], ALGORITHMS["PS512"]
RSA = KeyPair.generate("RS256", "rsa").jwk
EC = pair("ec").jwk


def number(value: int, size: int) -> str:
    return base64.urlsafe_b64encode(value.to_bytes(size, "big")).rstrip(b"=").decode()


def small_rsa() -> dict[str, Any]:
    n = rsa.generate_private_key(65537, 1024).public_key().public_numbers().n
    return {"kty": "RSA", "kid": "bad", "n": number(n, 128), "e": "AQAB"}


BAD_MEMBERS: dict[str, tuple[Any, str]] = {
    "an unknown kty": ({"kty": "XYZ", "kid": "bad"}, "kty_unknown"),
    "a kty that is no text": ({"kty": 1, "kid": "bad"}, "kty_unknown"),
    "post-quantum": ({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA", "kid": "bad"}, "kty_unknown"),
    "an unknown crv": ({**EC, "kid": "bad", "crv": "P-999"}, "crv_unknown"),
    "n that is a number": ({**RSA, "kid": "bad", "n": 5}, "member_malformed"),
    "n that is null": ({**RSA, "kid": "bad", "n": None}, "member_missing"),
    "bad base64": ({**RSA, "kid": "bad", "n": "!!!"}, "member_malformed"),
    "padded base64": ({**RSA, "kid": "bad", "n": RSA["n"] + "=="}, "member_padded"),
    "n that is not ASCII": ({**RSA, "kid": "bad", "n": "\u00fc"}, "member_malformed"),
    "no y": ({k: v for k, v in EC.items() if k != "y"} | {"kid": "bad"}, "member_missing"),
    "a point off the curve": ({**EC, "kid": "bad", "y": EC["x"]}, "point_not_on_curve"),
    "an unknown alg": ({**RSA, "kid": "bad", "alg": "RS1"}, "alg_not_for_signatures"),
    "RSA-OAEP": ({**RSA, "kid": "bad", "alg": "RSA-OAEP"}, "alg_not_for_signatures"),
    "alg none": ({**RSA, "kid": "bad", "alg": "none"}, "alg_not_for_signatures"),
    "alg of another kty": ({**RSA, "kid": "bad", "alg": "ES256"}, "alg_contradicts_key"),
    "for encryption": ({**RSA, "kid": "bad", "use": "enc"}, "use_not_sig"),
    "for signing only": ({**RSA, "kid": "bad", "key_ops": ["sign"]}, "key_ops_without_verify"),
    "key_ops twice": ({**RSA, "kid": "bad", "key_ops": ["verify"] * 2}, "key_ops_without_verify"),
    "key_ops as text": ({**RSA, "kid": "bad", "key_ops": "verify"}, "key_ops_malformed"),
    "small RSA": (small_rsa(), "rsa_too_small"),
    "large RSA": ({**RSA, "kid": "bad", "n": number((1 << 16384) - 1, 2048)}, "rsa_too_large"),
    "e of one": ({**RSA, "kid": "bad", "e": "AQ"}, "rsa_numbers_invalid"),
    "a shared secret": ({"kty": "oct", "k": "c2VjcmV0", "kid": "bad"}, "private_material"),
    "a private key": ({**RSA, "kid": "bad", "d": "AQAB"}, "private_material"),
    "a kid that is a number": ({**RSA, "kid": 7}, "kid_malformed"),
    "a kid that is null": ({**RSA, "kid": None}, "kid_malformed"),
    "a long kid": ({**RSA, "kid": "k" * 257}, "kid_malformed"),
    "null": (None, "not_an_object"),
    "text": ("key", "not_an_object"),
    "a list": ([], "not_an_object"),
}


@pytest.mark.parametrize("kind", BAD_MEMBERS)
def test_a_bad_member_leaves_the_good_key_usable(
    kind: str, source: JWKSResolver, publisher: Publisher, record: Record
) -> None:
    """Each kind of bad member is skipped with one event and its reason; the good key serves (P34).
    Private material among them never verifies (P35)."""
    member, reason = BAD_MEMBERS[kind]
    publisher.extra = [member]

    assert outcome(source, "a") == "found"
    (skipped,) = record.of(KeySkipped)
    assert skipped.reason == reason
    assert skipped.kid == (
        "bad" if isinstance(member, dict) and member.get("kid") == "bad" else None
    )
    assert outcome(source, "bad") == "key_unknown"


ODD_MEMBERS: dict[str, dict[str, Any]] = {
    "n with a leading zero": {
        **RSA,
        "n": number(int.from_bytes(base64.urlsafe_b64decode(RSA["n"] + "=="), "big"), 257),
    },
    "a broken x5c": {**RSA, "x5c": ["!!!"]},
    "x5c as text": {**RSA, "x5c": "MIIB"},
    "x5c as PEM": {**RSA, "x5c": ["-----BEGIN CERTIFICATE-----"]},
    "an x5u": {**RSA, "x5u": "https://evil.example/cert"},
    "members of somebody's own": {**RSA, "exp": 1, "nbf": 9e99, "cloud": {"a": [1]}},
    "no alg": {k: v for k, v in RSA.items() if k != "alg"},
    "no use": {k: v for k, v in RSA.items() if k != "use"},
    "key_ops with verify": {**RSA, "key_ops": ["verify", "sign"]},
}


@pytest.mark.parametrize("kind", ODD_MEMBERS)
def test_an_odd_member_is_used_all_the_same(
    kind: str, source: JWKSResolver, publisher: Publisher
) -> None:
    """What does not concern the key's numbers does not spoil it, and no certificate or address in
    it is ever read (P34, P59)."""
    publisher.extra = [ODD_MEMBERS[kind]]

    assert resolve(source, "rsa", RS256)
    assert publisher.fetches == 1


def test_a_key_without_kid_does_not_disturb_the_others(
    source: JWKSResolver, publisher: Publisher
) -> None:
    """A kid-less member leaves named keys as they are (P34)."""
    publisher.extra = [without_kid(pair("x")).jwk]

    assert [key.kid for key in resolve(source, "a")] == ["a"]


def test_ten_thousand_members_leave_the_good_key_usable(
    publisher: Publisher, record: Record
) -> None:
    """A flood of useless members neither hides the good key nor floods the log (P34)."""
    source = resolver_of(publisher, observers=[record])
    publisher.extra = [{}] * 10_000

    assert outcome(source, "a") == "found"
    assert len(record.of(KeySkipped)) == MAX_SKIPPED


def test_no_more_than_so_many_keys_are_kept(publisher: Publisher, record: Record) -> None:
    """Usable keys beyond ``max_keys`` are skipped; those before them serve (P34)."""
    publisher.publish(*(f"k{index}" for index in range(5)))
    source = resolver_of(publisher, observers=[record], max_keys=3)

    assert outcome(source, "k2") == "found"
    assert [event.kid for event in record.of(KeySkipped)] == ["k3", "k4"]


@pytest.mark.parametrize("opening", [b"[", b'{"keys":', b'{"keys":[{"a":', b'"\\', b'["', b'"['])
def test_a_bomb_that_never_ends_is_refused(opening: bytes) -> None:
    """Brackets or quotes without end are refused, at once and without recursion (P34)."""
    with pytest.raises(Rejected, match="not JSON"):
        read_key_set(opening * 20_000, 100)


@pytest.mark.parametrize(
    ("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"]":"\\"}","a":', "}]")]
)
def test_a_depth_bomb_leaves_the_good_key_usable(opening: str, closing: str) -> None:
    """A member that nests five thousand deep spoils neither the reader nor the key beside it (P34)."""
    bomb = opening * 5_000 + "0" + closing * 5_000
    good = json.dumps(EC | {"note": '}]"[{\\'})
    read = read_key_set(f'{{"keys": [{bomb}, {{"kty": {bomb}}}, {good}]}}'.encode(), 100)

    assert [key.kid for key in read.keys] == ["ec"]
    assert [skipped.reason for skipped in read.skipped][-1] == "kty_unknown"


def test_a_byte_order_mark_is_forgiven() -> None:
    """A document may begin with a byte order mark, as some servers write it (P34)."""
    body = b"\xef\xbb\xbf" + json.dumps({"keys": [EC]}).encode()

    assert read_key_set(body, 100).keys[0].kid == "ec"


def certificate(kid: str) -> tuple[KeyPair, str]:
    key = KeyPair.generate("RS256", kid)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "securetoken")])
    long_ago = datetime(2001, 1, 1, tzinfo=UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.private.public_key())
        .serial_number(1)
        .not_valid_before(long_ago)
        .not_valid_after(long_ago + timedelta(days=1))
        .sign(key.private, hashes.SHA256())
    )
    return key, signed.public_bytes(Encoding.PEM).decode()


def test_a_map_of_certificates_is_a_key_set(publisher: Publisher, record: Record) -> None:
    """Firebase's form, a map from kid to certificate, is read; a certificate's dates play no part,
    and a broken one spoils nothing (P34)."""
    key, pem = certificate("one")
    broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    publisher.response = FetchResponse(200, {}, json.dumps({"one": pem, "two": broken}).encode())
    source = resolver_of(publisher, observers=[record])

    (found,) = resolve(source, "one", RS256)
    assert found.material.public_numbers() == key.private.public_key().public_numbers()
    assert [(event.kid, event.reason) for event in record.of(KeySkipped)] == [
        ("two", "pem_unreadable")
    ]


def test_an_algorithm_must_fit_the_key(publisher: Publisher) -> None:
    """Header, key type, curve and the key's own alg must agree; each pair is pinned (P36)."""
    publisher.pairs = [KeyPair.generate("RS256", "r"), pair("e"), KeyPair.generate("EdDSA", "d")]
    source = resolver_of(publisher)
    fits = {
        (kid, name)
        for kid in "red"
        for name in ("RS256", "RS512", "PS256", "ES256", "ES384", "EdDSA", "Ed25519", "Ed448")
        if _found(source, kid, name)
    }

    # RFC 9864 §2.2: on that curve EdDSA and Ed25519 are two names of one thing.
    assert fits == {("r", "RS256"), ("e", "ES256"), ("d", "EdDSA"), ("d", "Ed25519")}


def _found(source: JWKSResolver, kid: str, name: str) -> bool:
    try:
        return bool(resolve(source, kid, ALGORITHMS[name]))
    except KeyUnknown:
        return False


def test_only_configured_algorithms_verify(publisher: Publisher) -> None:
    """The configuration decides which algorithms there are, whatever the key set offers (P36)."""
    publisher.pairs = [KeyPair.generate("RS256", "r"), pair("e")]
    source = JWKSResolver("https://id.example/", fetcher=publisher, algorithms=["ES256"])

    assert _found(source, "e", "ES256")
    assert not _found(source, "r", "RS256")


def test_a_key_without_alg_serves_its_whole_family(publisher: Publisher) -> None:
    """An RSA key without alg verifies each RS and PS algorithm that is configured (P37)."""
    publisher.extra = [ODD_MEMBERS["no alg"]]
    source = resolver_of(publisher)

    for name in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"):
        assert _found(source, "rsa", name)
    assert not _found(source, "rsa", "ES256")


def test_equal_kids_of_different_kinds_are_told_apart(publisher: Publisher) -> None:
    """Of keys that share a kid, the one that fits the algorithm serves (P38)."""
    publisher.pairs = [KeyPair.generate("RS256", "same"), pair("same")]
    source = resolver_of(publisher)

    assert [key.kty for key in resolve(source, "same")] == ["EC"]
    assert [key.kty for key in resolve(source, "same", RS256)] == ["RSA"]


def test_equal_kids_of_one_kind_are_tried_in_turn(publisher: Publisher) -> None:
    """Keys that share kid and kind are all tried, up to four (P38)."""
    publisher.pairs = [pair("same") for _ in range(6)]
    source = resolver_of(publisher)

    assert len(resolve(source, "same")) == 4


def test_a_token_without_kid_is_served_where_there_is_no_choice(
    source: JWKSResolver, publisher: Publisher
) -> None:
    """By default a token without kid needs the only key that fits (P39)."""
    publisher.pairs = [pair("only"), KeyPair.generate("RS256", "other")]

    assert [key.kid for key in resolve(source, None)] == ["only"]


def test_a_token_without_kid_is_unknown_where_there_is_a_choice(
    warm: JWKSResolver, publisher: Publisher
) -> None:
    """Two keys that fit leave a choice that nobody makes, and nothing is fetched for it (P39)."""
    assert outcome(warm, None) == "key_unknown"
    assert publisher.fetches == 0


def test_a_token_without_kid_may_try_a_few_keys(publisher: Publisher) -> None:
    """With ``kidless="try"`` up to four keys are tried (P39)."""
    publisher.publish(*"abcdef")
    source = resolver_of(publisher, kidless="try")

    assert len(resolve(source, None)) == 4


def test_a_token_without_kid_may_be_refused_outright(publisher: Publisher) -> None:
    """With ``kidless="reject"`` it is refused without a fetch (P39)."""
    publisher.publish("only")
    source = resolver_of(publisher, kidless="reject")

    assert outcome(source, None) == "key_unknown"
    assert publisher.fetches == 0
    source.warm()
    assert outcome(source, None) == "key_unknown"


def test_an_empty_kid_is_a_kid(publisher: Publisher, clock: Clock) -> None:
    """The empty name is a name, and not the absence of one (P39)."""
    publisher.pairs = [pair(""), without_kid(pair("x"))]
    source = resolver_of(publisher, clock)

    (named,) = resolve(source, "")
    assert named.kid == ""
    assert outcome(source, None) == "key_unknown"
    publisher.pairs = [pair("other")]
    clock.tick(601)
    assert outcome(source, "") == "key_unknown"
    assert outcome(source, None) == "found"


def test_kids_are_compared_exactly_and_within_bounds(
    warm: JWKSResolver, publisher: Publisher
) -> None:
    """Kids are case-sensitive, taken as they are, and bounded in length (P40)."""
    for kid in ("A", "a ", "a\x00", "\u0430"):
        assert outcome(warm, kid) == "key_unknown"
    before = publisher.fetches
    assert outcome(warm, "k" * 257) == "key_unknown"
    assert publisher.fetches == before


def test_a_kid_with_odd_characters_is_found(publisher: Publisher) -> None:
    """Slashes, equals signs, spaces and emoji are part of the name (P40)."""
    kids = ("a/b=c d", "https://id.example/keys#1", "\U0001f511", "k" * 256)
    publisher.publish(*kids)
    source = resolver_of(publisher)

    for kid in kids:
        assert resolve(source, kid)[0].kid == kid


def test_a_tokens_kid_is_in_no_event_and_no_error(warm: JWKSResolver, record: Record) -> None:
    """A kid that a token names reaches neither events nor messages (P40)."""
    told = []
    for kid in ("secret\r\nINJECTED", "x", "y", "secret too"):
        with pytest.raises(KeyUnknown) as refused:
            resolve(warm, kid)
        told.append(str(refused.value) + refused.value.detail)

    assert record.of(UnknownKidSuppressed)
    assert "secret" not in repr(record.events) + "".join(told)
    assert shown("a\r\nb\u202e" + "k" * 300) == ("a\\r\\nb\\u202e" + "k" * 300)[:64]


def test_replace_makes_a_key_kidless() -> None:
    """A pair without a name publishes none."""
    assert "kid" not in replace(pair("x"), kid=None).jwk
    assert ES256.name == "ES256"
    assert PS512.fits("RSA", None)


@pytest.mark.parametrize("mark", ["PUBLIC KEY", "CERTIFICATE"])
def test_a_published_private_key_is_refused_unread(
    mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenSSL would check its primes, and a set of them would stop the process for seconds."""
    private = KeyPair.generate("ES256", "k").private_pem
    text = f"-----BEGIN {mark}-----\n{private}"
    monkeypatch.setattr(pem, "load_pem_private_key", lambda *_: pytest.fail("it was read"))
    monkeypatch.setattr(pem, "load_ssh_public_key", lambda *_: pytest.fail("it was read"))

    with pytest.raises(Rejected, match="pem_unreadable"):
        read_key_set(json.dumps({"k": text}).encode(), 10)
