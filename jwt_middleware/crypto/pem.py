"""Imports PEM keys, PEM certificates, OpenSSH keys and key objects of ``cryptography``."""

from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    load_pem_private_key,
    load_pem_public_key,
    load_ssh_public_key,
)

from jwt_middleware.crypto.jwk import UnusableKey, VerificationKey, check_rsa_size

_EC_NAMES = {
    "secp256r1": "P-256",
    "secp384r1": "P-384",
    "secp521r1": "P-521",
    "secp256k1": "secp256k1",
}


def import_pem(
    data: bytes,
    password: bytes | None = None,
    kid: str | None = None,
    *,
    published: bool = False,
) -> VerificationKey:
    """Return the key of a PEM or OpenSSH text: a public key, a certificate, or a private key.

    Only the public half of a private key is kept. The dates of a certificate are not checked,
    because a key is trusted if the configuration or the issuer names it.

    :param password: decrypts an encrypted private key.
    :param published: whether the text is from a public key set, which has certificates and public
        keys. Others are refused unread: OpenSSL would check the primes of a private key, which
        takes seconds for a whole set of them.
    :raises UnusableKey: if the text cannot be read; with a reason.
    """
    try:
        return import_key_object(_load(data.strip(), password, published), kid)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UnusableKey("pem_unreadable", kid) from None


def _load(data: bytes, password: bytes | None, published: bool) -> Any:
    if b"-----BEGIN CERTIFICATE-----" in data:
        return x509.load_pem_x509_certificate(data).public_key()
    if published:
        return load_pem_public_key(data)
    if b"PRIVATE KEY-----" in data:
        return load_pem_private_key(data, password)
    if data.startswith((b"ssh-", b"ecdsa-sha2-")):
        return load_ssh_public_key(data)
    return load_pem_public_key(data)


def import_key_object(key: Any, kid: str | None = None) -> VerificationKey:
    """Return the verification key for a key object of ``cryptography``, public or private.

    :raises UnusableKey: for a type or size of key that cannot verify a JWS.
    """
    public = key.public_key() if hasattr(key, "public_key") else key
    match public:
        case rsa.RSAPublicKey():
            check_rsa_size(public.key_size, public.public_numbers().e)
            return VerificationKey("RSA", None, public, kid)
        case ec.EllipticCurvePublicKey() if public.curve.name in _EC_NAMES:
            return VerificationKey("EC", _EC_NAMES[public.curve.name], public, kid)
        case ed25519.Ed25519PublicKey():
            return VerificationKey("OKP", "Ed25519", public, kid)
        case ed448.Ed448PublicKey():
            return VerificationKey("OKP", "Ed448", public, kid)
        case _:
            raise UnusableKey("kind_of_key_unknown", kid)
