"""Keys in the formats of files."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from jwt_middleware.crypto.algorithms import ALGORITHMS, ASYMMETRIC
from jwt_middleware.crypto.jwk import UnusableKey
from jwt_middleware.crypto.pem import import_key_object, import_pem
from jwt_middleware.testing.keys import KeyPair

PAIR = KeyPair.generate("ES256")
LOCKED = PAIR.private.private_bytes(
    Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word")
)


@pytest.mark.parametrize("name", [*ASYMMETRIC, "ES256K"])
def test_either_half_in_pem_verifies_what_the_pair_signs(name: str) -> None:
    """Of a private key the public half is kept, and blanks around the text do not matter."""
    pair = KeyPair.generate(name)
    signature = ALGORITHMS[name].implementation.sign(b"text", pair.private)
    for text in (pair.public_pem, pair.private_pem):
        key = import_pem(b"\n " + text.encode() + b"\n\n", kid="named")
        assert (key.kid, key.kty, key.crv) == ("named", pair.jwk["kty"], pair.jwk.get("crv"))
        assert ALGORITHMS[name].verifies(key.material, b"text", signature)
        assert not hasattr(key.material, "sign")


@pytest.mark.parametrize("name", ["RS256", "ES384", "Ed25519"])
def test_an_openssh_key_is_read(name: str) -> None:
    """One line, as it stands in authorized_keys."""
    pair = KeyPair.generate(name)
    public = pair.private.public_key()
    key = import_pem(public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH))
    assert key.material == public


def test_a_locked_key_opens_with_its_password_alone() -> None:
    """Without it, with another, or where none is needed, the text is unreadable."""
    assert import_pem(LOCKED, b"word").crv == "P-256"
    for data, password in ((LOCKED, None), (LOCKED, b"w"), (PAIR.private_pem.encode(), b"word")):
        with pytest.raises(UnusableKey) as caught:
            import_pem(data, password, kid="k")
        assert (caught.value.reason, caught.value.kid) == ("pem_unreadable", "k")


@given(
    st.binary(max_size=60)
    | st.sampled_from([b"ssh-rsa AAAA", b"-----BEGIN CERTIFICATE-----", b"-----BEGIN PUBLIC KEY"])
)
def test_any_bytes_are_unreadable_at_worst(data: bytes) -> None:
    """Nothing foreign escapes."""
    with pytest.raises(UnusableKey, match=r"^pem_unreadable$"):
        import_pem(data)


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (x25519.X25519PrivateKey.generate(), "kind_of_key_unknown"),
        (ec.generate_private_key(ec.BrainpoolP256R1()), "kind_of_key_unknown"),
        (object(), "kind_of_key_unknown"),
        (rsa.generate_private_key(65537, 1024), "rsa_too_small"),
        (rsa.RSAPublicNumbers(2**64 + 1, 2**2047 + 1).public_key(), "rsa_too_large"),
    ],
)
def test_an_object_that_signs_no_tokens_is_refused(key: object, reason: str) -> None:
    """Key exchange, foreign curves, anything else, and RSA that is too small or takes too long."""
    with pytest.raises(UnusableKey) as caught:
        import_key_object(key)
    assert caught.value.reason == reason
