"""Private keys: generated, imported and exported without a loss, and their thumbprints."""

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from jwt_middleware import ConfigurationError
from jwt_middleware.crypto.algorithms import ALGORITHMS
from jwt_middleware.crypto.jwk import UnusableKey
from jwt_middleware.crypto.signing import (
    SigningKey,
    generate,
    import_private_jwk,
    load_private_pem,
    members_of,
    signing_key,
    thumbprint,
)

INPUT = b"e30.e30"


def verifies(key: SigningKey, signature: bytes) -> bool:
    return key.algorithm.verifies(key.verification_key.material, INPUT, signature)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_generated_key_signs_and_survives_as_a_jwk(name: str) -> None:
    """K9: what was exported and imported again is the same key, K11 under the same name."""
    key = generate(name)
    again = import_private_jwk(key.private_jwk())

    assert verifies(key, again.sign(INPUT))
    assert not verifies(generate(name), again.sign(INPUT))
    assert (again.kid, again.algorithm.name) == (key.kid, name)
    assert again.private_jwk() == key.private_jwk()


@pytest.mark.parametrize("name", [name for name in ALGORITHMS if not name.startswith("HS")])
@pytest.mark.parametrize("password", [None, b"a password"])
def test_a_private_key_survives_as_pem(name: str, password: bytes | None) -> None:
    """K9, K11: encrypted or not."""
    key = generate(name)
    encryption = NoEncryption() if password is None else BestAvailableEncryption(password)
    pem = key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)

    again = signing_key(load_private_pem(pem, password), key.algorithm)
    assert again.kid == key.kid
    with pytest.raises(UnusableKey, match="pem_unreadable"):
        load_private_pem(pem, b"another password")


def test_a_key_in_the_form_of_openssh_is_read() -> None:
    key = generate("Ed25519")
    text = key.private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    assert signing_key(load_private_pem(text, None), key.algorithm).kid == key.kid


def test_the_thumbprint_is_that_of_the_example() -> None:
    """RFC 7638 §3.1."""
    jwk = {
        "kty": "RSA",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6t"
        "SoOc_BVqjVP4cs8y9FN7YYQ7d2q7H7pQ4e0S3CgD7BMR3D4S0K4i3vUCNBwJpS8k0tZ3v3cAYd1p4",
        "e": "AQAB",
    }
    # The modulus of the RFC, which is too long for one line.
    jwk["n"] = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJEC"
        "PebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2Qvz"
        "qY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZ"
        "u0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    )

    assert thumbprint(jwk) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_only_the_public_half_is_published() -> None:
    """K10, K13: with its algorithm; a shared secret not at all."""
    jwk = generate("RS256").public_jwk
    assert jwk is not None
    assert set(jwk) == {"kty", "n", "e", "kid", "alg", "use"}
    assert generate("HS256").public_jwk is None


MISTAKES = {
    "no algorithm": ({"kty": "oct", "k": "A" * 43}, "alg_missing"),
    "a public key": (generate("ES256").public_jwk, "not_a_private_key"),
    "another public half": (
        {**generate("ES256").private_jwk(), "d": generate("ES256").private_jwk()["d"]},
        "private_members_invalid",
    ),
    "another public half on a curve of Edwards": (
        {**generate("Ed25519").private_jwk(), "d": generate("Ed25519").private_jwk()["d"]},
        "private_members_invalid",
    ),
    "rubbish": ({**generate("Ed25519").private_jwk(), "d": "A"}, "private_members_invalid"),
    "a key for encryption": ({**generate("ES256").private_jwk(), "use": "enc"}, "use_not_sig"),
    "a key that may not sign": (
        {**generate("ES256").private_jwk(), "key_ops": ["verify"]},
        "key_ops_without_sign",
    ),
    "a short secret": ({"kty": "oct", "k": "QUFB", "alg": "HS256"}, "secret_too_short"),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_what_cannot_sign_is_refused(kind: str) -> None:
    jwk, reason = MISTAKES[kind]
    with pytest.raises(UnusableKey, match=reason):
        import_private_jwk(jwk or {})


def test_operations_of_a_private_key_are_those_of_its_private_half() -> None:
    """RFC 7517 §4.3: as other libraries write it."""
    key = generate("RS256")
    again = import_private_jwk({**key.private_jwk(), "key_ops": ["sign"]})
    assert again.kid == key.kid


def test_a_key_of_another_type_or_size_is_refused() -> None:
    es256, rs256 = ALGORITHMS["ES256"], ALGORITHMS["RS256"]
    with pytest.raises(UnusableKey, match="alg_contradicts_key"):
        signing_key(generate("ES384").private, es256)
    with pytest.raises(UnusableKey, match="alg_contradicts_key"):
        signing_key(b"short", ALGORITHMS["HS256"])
    with pytest.raises(UnusableKey, match="rsa_too_small"):
        signing_key(rsa.generate_private_key(65537, 1024), rs256)
    with pytest.raises(UnusableKey, match="kind_of_key_unknown"):
        signing_key(dsa.generate_private_key(2048), rs256)
    with pytest.raises(ConfigurationError, match="not known"):
        generate("ES999")
    with pytest.raises(UnusableKey, match="not_a_private_key"):
        load_private_pem(b"-----BEGIN PUBLIC KEY-----", None)
    assert members_of(generate("Ed448").private)["crv"] == "Ed448"
