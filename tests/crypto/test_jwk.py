"""JSON Web Keys read into verification keys, or refused with one word."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from jwt_middleware.crypto import jwk
from jwt_middleware.crypto.algorithms import ALGORITHMS
from jwt_middleware.crypto.jwk import UnusableKey, VerificationKey, import_jwk
from jwt_middleware.formats import base64url
from jwt_middleware.testing.keys import KeyPair

RSA = KeyPair.generate("RS256", "r").jwk
EC = KeyPair.generate("ES256", "e").jwk
OKP = KeyPair.generate("EdDSA", "o").jwk
OCT = KeyPair.generate("HS256", "s").jwk


def text(data: bytes) -> str:
    return base64url.encode(data).decode()


def number(bits: int) -> str:
    return text(((1 << (bits - 1)) + 1).to_bytes((bits + 7) // 8, "big"))


def reason(value: object, *, published: bool = True) -> str:
    with pytest.raises(UnusableKey) as caught:
        import_jwk(value, published=published)
    return caught.value.reason


def without(base: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in base.items() if name not in names}


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_key_of_each_algorithm_is_imported(name: str) -> None:
    """Its name, its algorithm and its issuer come with it; the material shows in no repr."""
    pair = KeyPair.generate(name)
    key = import_jwk({**pair.jwk, "issuer": "https://a/"}, published=False)
    assert (key.kid, key.alg, key.issuer) == (pair.kid, name, "https://a/")
    assert (key.kty, key.crv) == (pair.jwk["kty"], pair.jwk.get("crv"))
    assert "material" not in repr(key)
    assert key.may_serve(ALGORITHMS[name])


def test_everything_but_the_key_itself_may_be_left_out() -> None:
    """No kid, no alg, no use: the key serves all algorithms of its type."""
    key = import_jwk(without(RSA, "kid", "alg", "use"))
    assert (key.kid, key.alg, key.issuer) == (None, None, None)
    assert key.may_serve(ALGORITHMS["RS256"])
    assert key.may_serve(ALGORITHMS["PS512"])
    assert not key.may_serve(ALGORITHMS["ES256"])


def test_a_declared_algorithm_is_the_only_one() -> None:
    """A key for RS256 does not serve PS256."""
    assert not import_jwk(RSA).may_serve(ALGORITHMS["PS256"])


@pytest.mark.parametrize(("alg", "also"), [("EdDSA", "Ed25519"), ("Ed25519", "EdDSA")])
def test_eddsa_and_the_name_of_the_curve_mean_the_same(alg: str, also: str) -> None:
    """A key declared under one of the two names serves the other, and no other curve."""
    key = import_jwk({**OKP, "alg": alg})
    assert key.may_serve(ALGORITHMS[also])
    assert not key.may_serve(ALGORITHMS["Ed448"])


def test_two_imports_of_one_key_are_two_keys() -> None:
    """Identity, not equality."""
    assert import_jwk(EC) != import_jwk(EC)


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("text", "not_an_object"),
        (None, "not_an_object"),
        ({**RSA, "kid": None}, "kid_malformed"),
        ({**RSA, "kid": 1}, "kid_malformed"),
        ({**RSA, "kid": "k" * (jwk.MAX_KID_LENGTH + 1)}, "kid_malformed"),
        ({**RSA, "use": "enc"}, "use_not_sig"),
        ({**RSA, "use": None}, "use_not_sig"),
        ({**RSA, "key_ops": "verify"}, "key_ops_malformed"),
        ({**RSA, "key_ops": ["verify", 1]}, "key_ops_malformed"),
        ({**RSA, "key_ops": ["sign"]}, "key_ops_without_verify"),
        ({**RSA, "key_ops": ["verify", "verify"]}, "key_ops_without_verify"),
        ({**RSA, "kty": "XYZ"}, "kty_unknown"),
        ({**RSA, "kty": ["RSA"]}, "kty_unknown"),
        (without(RSA, "kty"), "kty_unknown"),
        (OCT, "private_material"),
        ({**RSA, "d": "AQAB"}, "private_material"),
        ({**EC, "d": "AQAB"}, "private_material"),
        ({**RSA, "alg": "RSA-OAEP"}, "alg_not_for_signatures"),
        ({**RSA, "alg": None}, "alg_not_for_signatures"),
        ({**RSA, "alg": 1}, "alg_not_for_signatures"),
        ({**RSA, "alg": "ES256"}, "alg_contradicts_key"),
        ({**EC, "alg": "ES384"}, "alg_contradicts_key"),
        (without(RSA, "n"), "member_missing"),
        ({**RSA, "e": 65537}, "member_malformed"),
        ({**RSA, "e": "AQAB="}, "member_padded"),
        ({**EC, "x": f"{EC['x']}="}, "member_padded"),
        ({**OKP, "x": f"{OKP['x']}="}, "member_padded"),
        ({**RSA, "e": "AQ=AB"}, "member_malformed"),
        ({**RSA, "e": "é"}, "member_malformed"),
        ({**RSA, "n": number(2047)}, "rsa_too_small"),
        ({**RSA, "n": number(8193)}, "rsa_too_large"),
        ({**RSA, "e": "AQ"}, "rsa_numbers_invalid"),
        ({**RSA, "e": number(65)}, "rsa_too_large"),
        ({**EC, "crv": "P-1"}, "crv_unknown"),
        ({**EC, "crv": ["P-256"]}, "crv_unknown"),
        ({**EC, "x": text(b"1" * 31)}, "coordinate_size"),
        ({**EC, "y": text(b"1" * 33)}, "coordinate_size"),
        ({**EC, "x": text(b"\xff" * 32)}, "point_not_on_curve"),
        ({**OKP, "crv": "X25519"}, "crv_unknown"),
        ({**OKP, "crv": 1}, "crv_unknown"),
        ({**OKP, "x": text(b"1" * 31)}, "point_not_on_curve"),
        (without(OKP, "x"), "member_missing"),
    ],
)
def test_an_unusable_key_is_refused_with_one_word(value: object, word: str) -> None:
    """Each fault has its own word."""
    assert reason(value) == word


def test_the_refusal_carries_the_name_of_the_key() -> None:
    """So that an operator can tell which member of a set it is."""
    with pytest.raises(UnusableKey) as caught:
        import_jwk({**RSA, "use": "enc"})
    assert caught.value.kid == "r"


@pytest.mark.parametrize("bits", [2048, 8192])
def test_the_limits_of_rsa_are_within(bits: int) -> None:
    """Both ends of the range are accepted."""
    assert import_jwk({**RSA, "n": number(bits)}).material.key_size == bits
    assert len(range(jwk.RSA_BITS.start, jwk.RSA_BITS.stop)) == 6145
    assert import_jwk({**RSA, "e": number(64)}).material.public_numbers().e == 2**63 + 1


def test_of_a_configured_key_pair_only_the_public_half_is_taken() -> None:
    """Private members are accepted where nobody else reads them, and not used."""
    key = import_jwk({**EC, "d": "AQAB"}, published=False)
    assert isinstance(key.material, ec.EllipticCurvePublicKey)
    assert isinstance(import_jwk(RSA).material, rsa.RSAPublicKey)
    assert isinstance(import_jwk(OKP).material, ed25519.Ed25519PublicKey)


def test_a_short_secret_is_refused() -> None:
    """Fewer bytes than the smallest hash, an empty secret above all, can be guessed."""
    for size in (0, 31):
        assert reason({"kty": "oct", "k": text(b"k" * size)}, published=False) == "secret_too_short"
    key = import_jwk({"kty": "oct", "k": text(b"k" * 32)}, published=False)
    assert key.material == b"k" * 32


def test_a_secret_serves_the_hashes_that_it_is_long_enough_for() -> None:
    """Bytes beyond the output of the hash are welcome, missing ones are not."""
    key = VerificationKey("oct", None, b"k" * 48)
    served = [name for name in ("HS256", "HS384", "HS512") if key.may_serve(ALGORITHMS[name])]
    assert served == ["HS256", "HS384"]
    too_short = {"kty": "oct", "k": text(b"k" * 48), "alg": "HS512"}
    assert reason(too_short, published=False) == "alg_contradicts_key"


odd: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, -1, 1.5, "", "AQAB", "sig", "RSA", "é", [], ["verify"], {}]
)
names = st.sampled_from(["kty", "crv", "n", "e", "x", "y", "k", "d", "alg", "use", "key_ops"])


@given(st.sampled_from([RSA, EC, OKP, OCT]), st.dictionaries(names, odd, max_size=3), st.booleans())
def test_any_mapping_gives_a_key_or_a_reason(
    base: dict[str, Any], changes: dict[str, Any], published: bool
) -> None:
    """Whatever a key set holds, nothing else comes out."""
    try:
        key = import_jwk({**base, **changes}, published=published)
    except UnusableKey:
        return
    assert any(key.may_serve(algorithm) for algorithm in ALGORITHMS.values())
