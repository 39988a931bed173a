"""JSON Web Keys: what becomes a key, and why the rest does not."""

from typing import Any

import pytest

from jwt_middleware.crypto import base64url
from jwt_middleware.crypto.algorithms import ALGORITHMS, ASYMMETRIC
from jwt_middleware.crypto.jwk import UnusableKey, import_jwk
from jwt_middleware.testing import KeyPair

RSA = KeyPair.generate("RS256", kid="r").jwk
EC = KeyPair.generate("ES256", kid="e").jwk
OKP = KeyPair.generate("EdDSA", kid="o").jwk
SHARED = KeyPair.generate("HS256", kid="s").jwk
EVERY = sorted(ALGORITHMS)


def number(value: int) -> str:
    return base64url.encode(value.to_bytes((value.bit_length() + 7) // 8, "big")).decode()


def without(jwk: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in jwk.items() if key != name}


UNUSABLE: dict[str, tuple[object, str]] = {
    "null": (None, "not_an_object"),
    "text": ("key", "not_an_object"),
    "unknown kty": ({"kty": "AKP"}, "kty_unknown"),
    "kty as number": ({"kty": 1}, "kty_unknown"),
    "kid as number": ({**RSA, "kid": 1}, "kid_malformed"),
    "kid too long": ({**RSA, "kid": "k" * 257}, "kid_malformed"),
    "for encryption": ({**RSA, "use": "enc"}, "use_not_sig"),
    "operations as text": ({**RSA, "key_ops": "verify"}, "key_ops_malformed"),
    "operations as numbers": ({**RSA, "key_ops": [1]}, "key_ops_malformed"),
    "may only sign": ({**RSA, "key_ops": ["sign"]}, "key_ops_without_verify"),
    "may verify twice": ({**RSA, "key_ops": ["verify", "verify"]}, "key_ops_without_verify"),
    "a shared secret": (SHARED, "private_material"),
    "a private member": ({**RSA, "d": "AQAB"}, "private_material"),
    "an algorithm for encryption": ({**RSA, "alg": "RSA-OAEP"}, "alg_not_for_signatures"),
    "an algorithm as number": ({**RSA, "alg": 1}, "alg_not_for_signatures"),
    "an algorithm of another type": ({**RSA, "alg": "ES256"}, "alg_contradicts_key"),
    "n missing": (without(RSA, "n"), "member_missing"),
    "n as number": ({**RSA, "n": 5}, "member_malformed"),
    "n padded": ({**RSA, "n": RSA["n"] + "="}, "member_malformed"),
    "n not ASCII": ({**RSA, "n": "\u00e9"}, "member_malformed"),
    "RSA too small": ({**RSA, "n": number(2**1023 + 1)}, "rsa_too_small"),
    "RSA too large": ({**RSA, "n": number(2**8192 + 1)}, "rsa_too_large"),
    "an even exponent": ({**RSA, "e": number(4)}, "rsa_numbers_invalid"),
    "an exponent of one": ({**RSA, "e": number(1)}, "rsa_numbers_invalid"),
    "an unknown curve": ({**EC, "crv": "P-192"}, "crv_unknown"),
    "a curve as number": ({**EC, "crv": 1}, "crv_unknown"),
    "a coordinate cut short": ({**EC, "x": number(7)}, "coordinate_size"),
    "a point off the curve": ({**EC, "y": EC["x"]}, "point_not_on_curve"),
    "an unknown Edwards curve": ({**OKP, "crv": "X25519"}, "crv_unknown"),
    "an Edwards point cut short": ({**OKP, "x": "AQAB"}, "point_not_on_curve"),
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_a_key_that_must_not_verify_is_refused_with_a_reason(kind: str) -> None:
    """One word of a fixed vocabulary."""
    jwk, reason = UNUSABLE[kind]

    with pytest.raises(UnusableKey) as unusable:
        import_jwk(jwk)

    assert unusable.value.reason == reason


@pytest.mark.parametrize("alg", EVERY)
def test_every_algorithm_verifies_its_own_and_nothing_else(alg: str) -> None:
    """A signature of the pair is good, a changed one is not, and neither is an impossible one."""
    pair = KeyPair.generate(alg)
    key = import_jwk(pair.jwk, published=False)
    signing_input, _, signature = pair.sign({"a": 1}).encode().rpartition(b".")
    decoded = base64url.decode(signature)
    algorithm = ALGORITHMS[alg]

    assert key.may_serve(algorithm)
    assert algorithm.verifies(key.material, signing_input, decoded)
    assert not algorithm.verifies(key.material, signing_input + b"x", decoded)
    assert not algorithm.verifies(key.material, signing_input, b"x")
    stranger = import_jwk(RSA if algorithm.kty == "OKP" else OKP).material
    assert not algorithm.verifies(stranger, signing_input, decoded)


def test_a_key_serves_its_declared_algorithm_only() -> None:
    """Without one it serves every algorithm of its type and curve."""
    declared, free = import_jwk(RSA), import_jwk(without(RSA, "alg"))

    serving = {alg for alg in EVERY if free.may_serve(ALGORITHMS[alg])}

    assert serving == {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
    assert [alg for alg in EVERY if declared.may_serve(ALGORITHMS[alg])] == ["RS256"]


def test_eddsa_and_its_new_names_are_one() -> None:
    """RFC 9864: Ed25519 is EdDSA on that curve, and Ed448 is not."""
    key = import_jwk(OKP)

    assert [alg for alg in EVERY if key.may_serve(ALGORITHMS[alg])] == ["Ed25519", "EdDSA"]


def test_what_a_key_does_not_need_is_ignored() -> None:
    """Certificates, addresses and unknown members are never read; leading zeros are tolerated."""
    padded = base64url.encode(b"\0" + base64url.decode(RSA["n"].encode())).decode()

    key = import_jwk({**RSA, "n": padded, "x5c": 1, "x5u": "https://x/", "issuer": "https://i/"})

    assert key.issuer == "https://i/"
    assert "AQAB" not in repr(key)


def test_the_default_algorithms_are_asymmetric_and_usual() -> None:
    """No shared secret, and not the curve of currencies."""
    assert "ES256K" not in ASYMMETRIC
    assert not [name for name in ASYMMETRIC if name.startswith("HS")]
