"""Key pairs for tests, of every algorithm."""

import json
from dataclasses import replace

import jwt
import pytest

from jwt_middleware.crypto.algorithms import ALGORITHMS
from jwt_middleware.crypto.pem import import_pem
from jwt_middleware.errors import ConfigurationError
from jwt_middleware.formats import base64url
from jwt_middleware.testing.keys import KeyPair


@pytest.mark.parametrize("alg", [name for name in ALGORITHMS if name not in {"Ed25519", "Ed448"}])
def test_a_token_of_each_algorithm_is_one_to_pyjwt_too(alg: str) -> None:
    """What a pair signs verifies with another library, from the pair's own JWK."""
    pair = KeyPair.generate(alg)
    token = pair.sign({"sub": "alice"})

    key = jwt.PyJWK(pair.jwk).key
    assert jwt.decode(token, key, algorithms=[alg]) == {"sub": "alice"}
    assert jwt.get_unverified_header(token) == {"alg": alg, "typ": "JWT", "kid": pair.kid}


def signature_of(pair: KeyPair, data: bytes) -> bytes:
    return ALGORITHMS[pair.alg].implementation.sign(data, pair.private)


@pytest.mark.parametrize("alg", ["RS256", "ES512", "EdDSA", "Ed448"])
def test_both_halves_are_pem_too(alg: str) -> None:
    """PEM of either half is the same key."""
    pair = KeyPair.generate(alg)
    for pem in (pair.public_pem, pair.private_pem):
        key = import_pem(pem.encode())
        assert key.may_serve(ALGORITHMS[alg])
        assert ALGORITHMS[alg].verifies(key.material, b"x", signature_of(pair, b"x"))


def test_no_two_pairs_are_alike() -> None:
    """Each generated key and each made-up kid is new."""
    pairs = [KeyPair.generate() for _ in range(40)]

    assert len({pair.jwk["n"] for pair in pairs}) == 40
    assert len({pair.kid for pair in pairs}) == 40


def test_headers_may_lie() -> None:
    """The header can say anything, and the payload need not be JSON."""
    pair = KeyPair.generate("ES256", "k")
    token = pair.sign(b"x", {"alg": "none", "kid": None, "typ": "at+jwt"})
    header = json.loads(base64url.decode(token.split(".")[0].encode()))

    assert header == {"alg": "none", "kid": None, "typ": "at+jwt"}


def test_a_token_may_be_unsigned() -> None:
    """``none`` leaves the signature empty."""
    assert KeyPair.generate("ES256").sign({}, alg="none").endswith(".")


def test_a_pair_may_be_without_name() -> None:
    """A pair without kid names none, in token and key set."""
    pair = replace(KeyPair.generate("ES256"), kid=None)

    assert "kid" not in pair.jwk
    assert "kid" not in jwt.get_unverified_header(pair.sign({}))


def test_an_unknown_algorithm_is_refused() -> None:
    """A mistyped algorithm is an error that names the right one."""
    with pytest.raises(ConfigurationError, match="RS256"):
        KeyPair.generate("RS2556")


def test_a_pair_does_not_show_its_private_half() -> None:
    """The repr of a pair has no key material."""
    assert repr(KeyPair.generate("HS256", "k")) == "KeyPair(alg='HS256', kid='k')"
