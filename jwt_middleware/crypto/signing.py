"""Private keys that sign tokens: generated, imported, exported, and never shown.

A signing key has one algorithm, and its key id is its thumbprint (RFC 7638), so that a key that is
imported twice is one key.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, NoReturn

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    load_pem_private_key,
    load_ssh_private_key,
)
from jwt.exceptions import PyJWTError

from jwt_middleware.crypto.algorithms import ALGORITHMS, Algorithm, select
from jwt_middleware.crypto.jwk import UnusableKey, VerificationKey, import_jwk
from jwt_middleware.crypto.pem import import_key_object
from jwt_middleware.formats import base64url

# NIST SP 800-57: 2048 bits are enough until 2030; larger keys sign several times slower.
RSA_BITS = 2048

CURVES: dict[str, ec.EllipticCurve] = {
    "P-256": ec.SECP256R1(),
    "P-384": ec.SECP384R1(),
    "P-521": ec.SECP521R1(),
    "secp256k1": ec.SECP256K1(),
}
"""The curves of RFC 7518 §6.2.1.1 and RFC 8812 §3.1, by name."""

# RFC 7638 §3.2 and RFC 8037 §2: the members of a thumbprint, in order.
_OF_THUMBPRINT = {
    "RSA": ("e", "kty", "n"),
    "EC": ("crv", "kty", "x", "y"),
    "OKP": ("crv", "kty", "x"),
    "oct": ("k", "kty"),
}


@dataclass(frozen=True, slots=True, eq=False)
class SigningKey:
    """A private key, or a shared secret, with the one algorithm that it signs with."""

    algorithm: Algorithm
    private: Any = field(repr=False)
    """The key object for the algorithm's implementation; bytes for HMAC."""
    kid: str
    """The thumbprint of the public key, or of the secret."""

    def sign(self, signing_input: bytes) -> bytes:
        """Return the signature of a signing input (RFC 7515 §5.1)."""
        return self.algorithm.implementation.sign(signing_input, self.private)

    @property
    def verification_key(self) -> VerificationKey:
        """The key that verifies what this key signs."""
        jwk = {**self.verification_jwk, "kid": self.kid, "alg": self.algorithm.name}
        return import_jwk(jwk, published=False)

    @property
    def verification_jwk(self) -> dict[str, str]:
        """The members of a JWK that verifies. For HMAC that is the secret itself."""
        return members_of(self.private)

    @property
    def public_jwk(self) -> dict[str, str] | None:
        """The public key as a JWK with ``use``, ``alg`` and ``kid``; ``None`` for HMAC."""
        if self.algorithm.is_symmetric:
            return None
        named = {"kid": self.kid, "alg": self.algorithm.name, "use": "sig"}
        return {**self.verification_jwk, **named}

    def private_jwk(self) -> dict[str, str]:
        """Return the private key as a JWK, which must stay secret."""
        named = {"kid": self.kid, "alg": self.algorithm.name, "use": "sig"}
        return {**self.verification_jwk, **_private_members(self.private), **named}

    def __reduce__(self) -> NoReturn:
        # A pickle would carry the private key to wherever it is stored.
        raise TypeError("a SigningKey cannot be pickled or copied: use private_jwk()")


def signing_key(private: Any, algorithm: Algorithm) -> SigningKey:
    """Return the signing key of a private key object, or of the bytes of a secret.

    :raises UnusableKey: if the key does not fit the algorithm.
    """
    key = (
        VerificationKey("oct", None, private)
        if isinstance(private, bytes)
        else import_key_object(private)
    )
    if not key.may_serve(algorithm):
        raise UnusableKey("alg_contradicts_key")
    return SigningKey(algorithm, private, thumbprint(members_of(private)))


def generate(name: str) -> SigningKey:
    """Return a new key.

    :param name: the algorithm.
    :raises ConfigurationError: for an unknown algorithm.
    """
    (algorithm,) = select([name])
    return signing_key(_GENERATORS[algorithm.kty](algorithm), algorithm)


def _generate_rsa(_: Algorithm) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)


def _generate_ec(algorithm: Algorithm) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(CURVES[algorithm.curves[0]])


def _generate_okp(algorithm: Algorithm) -> ed448.Ed448PrivateKey | ed25519.Ed25519PrivateKey:
    is_448 = algorithm.name == "Ed448"
    return ed448.Ed448PrivateKey.generate() if is_448 else ed25519.Ed25519PrivateKey.generate()


def _generate_secret(algorithm: Algorithm) -> bytes:
    # RFC 7518 §3.2: at least as long as the output of the hash.
    return secrets.token_bytes(algorithm.hash_bits // 8)


_GENERATORS: dict[str, Any] = {
    "RSA": _generate_rsa,
    "EC": _generate_ec,
    "OKP": _generate_okp,
    "oct": _generate_secret,
}


def load_private_pem(data: bytes, password: bytes | None) -> Any:
    """Return the private key object of a PEM or OpenSSH text.

    :raises UnusableKey: if it is not a private key, or cannot be read.
    """
    data = data.strip()
    if b"PRIVATE KEY-----" not in data:
        raise UnusableKey("not_a_private_key")
    try:
        if b"OPENSSH PRIVATE KEY" in data:
            return load_ssh_private_key(data, password)
        return load_pem_private_key(data, password)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UnusableKey("pem_unreadable") from None


def import_private_jwk(jwk: Mapping[str, Any]) -> SigningKey:
    """Return the signing key that a JWK with ``alg`` describes.

    :raises UnusableKey: if it is not a private key, has no algorithm, or cannot be read.
    """
    operations = jwk.get("key_ops", ["sign"]) if isinstance(jwk, Mapping) else []
    if not isinstance(operations, list | tuple) or "sign" not in operations:
        # RFC 7517 §4.3: of a private key these are the operations with its private half.
        raise UnusableKey("key_ops_without_sign")
    jwk = {name: value for name, value in jwk.items() if name != "key_ops"}
    public = import_jwk(jwk, published=False)
    if public.alg is None:
        raise UnusableKey("alg_missing")
    algorithm = ALGORITHMS[public.alg]
    if algorithm.is_symmetric:
        return signing_key(public.material, algorithm)
    if "d" not in jwk:
        raise UnusableKey("not_a_private_key")
    try:
        private = algorithm.implementation.from_jwk(dict(jwk))
    except (PyJWTError, ValueError, TypeError, KeyError, UnsupportedAlgorithm):
        raise UnusableKey("private_members_invalid") from None
    return signing_key(private, algorithm)


def thumbprint(members: Mapping[str, str]) -> str:
    """Return the SHA-256 thumbprint of a JWK (RFC 7638 §3).

    :param members: at least the required members of a key of its type.
    """
    required = {name: members[name] for name in _OF_THUMBPRINT[members["kty"]]}
    text = json.dumps(required, separators=(",", ":"), sort_keys=True)
    return base64url.encode(sha256(text.encode()).digest()).decode("ascii")


def members_of(key: Any) -> dict[str, str]:
    """Return the members of the JWK that verifies (RFC 7518 §6, RFC 8037 §2).

    :param key: a key object of ``cryptography``, public or private, or the bytes of a secret.
    """
    if isinstance(key, bytes):
        return {"kty": "oct", "k": _text(key)}
    public = key.public_key() if hasattr(key, "public_key") else key
    match public:
        case rsa.RSAPublicKey():
            numbers = public.public_numbers()
            return {"kty": "RSA", "n": _number(numbers.n), "e": _number(numbers.e)}
        case ec.EllipticCurvePublicKey():
            point, size = public.public_numbers(), _size(public.curve)
            x, y = _number(point.x, size), _number(point.y, size)
            return {"kty": "EC", "crv": _name_of(public.curve), "x": x, "y": y}
        case _:
            crv = "Ed25519" if isinstance(public, ed25519.Ed25519PublicKey) else "Ed448"
            return {"kty": "OKP", "crv": crv, "x": _text(public.public_bytes_raw())}


def _private_members(private: Any) -> dict[str, str]:
    match private:
        case bytes():
            return {}
        case rsa.RSAPrivateKey():
            numbers = private.private_numbers()
            parts = {"d": numbers.d, "p": numbers.p, "q": numbers.q}
            parts |= {"dp": numbers.dmp1, "dq": numbers.dmq1, "qi": numbers.iqmp}
            return {name: _number(value) for name, value in parts.items()}
        case ec.EllipticCurvePrivateKey():
            # RFC 7518 §6.2.2.1: as long as the order of the curve.
            return {"d": _number(private.private_numbers().private_value, _size(private.curve))}
        case _:
            return {"d": _text(private.private_bytes_raw())}


def _size(curve: ec.EllipticCurve) -> int:
    return (curve.key_size + 7) // 8


def _name_of(curve: ec.EllipticCurve) -> str:
    return next(name for name, each in CURVES.items() if each.name == curve.name)


def _number(value: int, size: int = 0) -> str:
    return _text(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


def _text(data: bytes) -> str:
    return base64url.encode(data).decode("ascii")
