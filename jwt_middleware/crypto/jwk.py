"""Verification keys, and the import of JSON Web Keys (RFC 7517, RFC 7518 §6, RFC 8037 §2).

A key is imported once, so that no key is parsed while a token is verified. Certificates (``x5c``)
and addresses (``x5u``) inside a JWK are never read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, SupportsIndex

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from jwt_middleware.crypto.algorithms import ALGORITHMS, Algorithm
from jwt_middleware.formats import base64url

# NIST SP 800-131A requires 2048 bits. Above 8192 bits one verification takes a millisecond, so that
# a published key could slow down every request.
RSA_BITS = range(2048, 8193)

# Real keys have the exponent 65537, which has 17 bits. The time of a verification grows with the
# exponent: 3,000 bits take ten milliseconds. OpenSSL has this limit only for large moduli.
RSA_EXPONENT_BITS = 64

# RFC 7518 §3.2: the minimum for the smallest hash, so a shorter secret fits no HMAC algorithm.
MIN_SECRET_SIZE = 32

# A key id is an opaque name. The longest known one (a URL with a thumbprint) has about 150
# characters, so 256 are enough.
MAX_KID_LENGTH = 256

_CURVES: dict[str, type[ec.EllipticCurve]] = {
    "P-256": ec.SECP256R1,
    "P-384": ec.SECP384R1,
    "P-521": ec.SECP521R1,
    "secp256k1": ec.SECP256K1,
}
_EDWARDS: dict[str, Any] = {
    "Ed25519": ed25519.Ed25519PublicKey,
    "Ed448": ed448.Ed448PublicKey,
}
# RFC 7518 §6.3.2 and §6.2.2: the members of a private key, which must not be published.
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth"})


class UnusableKey(Exception):
    """Raised for a key that cannot or must not verify; ``reason`` is one word of a fixed set."""

    def __init__(self, reason: str, kid: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.kid = kid


@dataclass(frozen=True, slots=True, eq=False)
class VerificationKey:
    """One imported key. Keys are compared by identity."""

    kty: str
    crv: str | None
    material: Any = field(repr=False)
    """The key object for the algorithm's implementation."""
    kid: str | None = None
    alg: str | None = None
    """The only algorithm of the key, if the JWK names one (RFC 7517 §4.4)."""
    issuer: str | None = None
    """The only issuer of the key, if one key set serves several issuers (Entra ID)."""

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        if isinstance(self.material, bytes):
            # A pickle would carry the secret to wherever it is stored.
            raise TypeError("a VerificationKey of a shared secret cannot be pickled or copied")
        return object.__reduce_ex__(self, protocol)

    @property
    def digest(self) -> bytes:
        """The SHA-256 of the public key (its SubjectPublicKeyInfo), or of the secret."""
        if isinstance(self.material, bytes):
            return sha256(self.material).digest()
        spki: bytes = self.material.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return sha256(spki).digest()

    @property
    def value(self) -> tuple[str | bytes | None, ...]:
        """The key as a value that can be compared."""
        return (self.kty, self.crv, self.digest, self.kid, self.alg, self.issuer)

    def may_serve(self, algorithm: Algorithm) -> bool:
        """Return whether the key may be used with ``algorithm``."""
        return (
            algorithm.fits(self.kty, self.crv)
            and (self.alg is None or _same_algorithm(self.alg, algorithm.name, self.crv))
            # RFC 7518 §3.2: a secret must be at least as long as the output of the hash.
            and (self.kty != "oct" or len(self.material) * 8 >= algorithm.hash_bits)
        )


def _same_algorithm(declared: str, asked: str, crv: str | None) -> bool:
    # RFC 9864 §2.2 names EdDSA on one curve after that curve, so the two names are equal there.
    return declared == asked or {declared, asked} == {"EdDSA", crv}


def import_jwk(jwk: object, *, published: bool = True) -> VerificationKey:
    """Return the verification key that a JWK describes.

    :param published: whether the JWK is from a public key set; a shared secret or a private member
        in it is then refused, because it is not secret. ``False`` for a configured key, of which
        only the public half is used.
    :raises UnusableKey: for a key that must not verify signatures; with a reason.
    """
    if not isinstance(jwk, Mapping):
        raise UnusableKey("not_an_object")
    kid = _kid(jwk)
    try:
        _check_purpose(jwk)
        return _import(jwk, kid, published)
    except UnusableKey as unusable:
        unusable.kid = kid
        raise


def _kid(jwk: Mapping[str, Any]) -> str | None:
    kid = jwk.get("kid")
    if kid is None and "kid" not in jwk:
        return None
    if not isinstance(kid, str) or len(kid) > MAX_KID_LENGTH:
        raise UnusableKey("kid_malformed")
    return kid


def _check_purpose(jwk: Mapping[str, Any]) -> None:
    # RFC 7517 §4.2 and §4.3: a key for encryption or only for signing must not verify.
    if jwk.get("use", "sig") != "sig":
        raise UnusableKey("use_not_sig")
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list | tuple) or not all(
        isinstance(name, str) for name in operations
    ):
        raise UnusableKey("key_ops_malformed")
    if "verify" not in operations or len(set(operations)) != len(operations):
        raise UnusableKey("key_ops_without_verify")


def _import(jwk: Mapping[str, Any], kid: str | None, published: bool) -> VerificationKey:
    kty = jwk.get("kty")
    importer = _IMPORTERS.get(kty) if isinstance(kty, str) else None
    if importer is None or not isinstance(kty, str):
        raise UnusableKey("kty_unknown")
    if published and (kty == "oct" or not _PRIVATE_MEMBERS.isdisjoint(jwk)):
        raise UnusableKey("private_material")
    crv, material = importer(jwk)
    key = VerificationKey(kty, crv, material, kid, _declared_algorithm(jwk), _issuer(jwk))
    if key.alg is not None and not key.may_serve(ALGORITHMS[key.alg]):
        raise UnusableKey("alg_contradicts_key")
    return key


def _declared_algorithm(jwk: Mapping[str, Any]) -> str | None:
    alg = jwk.get("alg")
    if alg is None and "alg" not in jwk:
        return None
    if not isinstance(alg, str) or alg not in ALGORITHMS:
        raise UnusableKey("alg_not_for_signatures")
    return alg


def _issuer(jwk: Mapping[str, Any]) -> str | None:
    issuer = jwk.get("issuer")
    return issuer if isinstance(issuer, str) else None


def _octets(jwk: Mapping[str, Any], member: str) -> bytes:
    value = jwk.get(member)
    if not isinstance(value, str):
        raise UnusableKey("member_missing" if value is None else "member_malformed")
    if value.endswith("="):
        # RFC 7515 §2: base64url has no padding. A word of its own, because it is easy to mend.
        raise UnusableKey("member_padded")
    try:
        return base64url.decode(value.encode("ascii"))
    except ValueError:
        raise UnusableKey("member_malformed") from None


def _import_rsa(jwk: Mapping[str, Any]) -> tuple[None, Any]:
    modulus = int.from_bytes(_octets(jwk, "n"), "big")
    exponent = int.from_bytes(_octets(jwk, "e"), "big")
    check_rsa_size(modulus.bit_length(), exponent)
    try:
        return None, rsa.RSAPublicNumbers(exponent, modulus).public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise UnusableKey("rsa_numbers_invalid") from None


def check_rsa_size(bits: int, exponent: int) -> None:
    """Refuse an RSA modulus outside :data:`RSA_BITS`, and an exponent that is too long.

    :raises UnusableKey: ``rsa_too_small`` or ``rsa_too_large``.
    """
    if bits < RSA_BITS.start:
        raise UnusableKey("rsa_too_small")
    if bits not in RSA_BITS or exponent.bit_length() > RSA_EXPONENT_BITS:
        raise UnusableKey("rsa_too_large")


def _import_ec(jwk: Mapping[str, Any]) -> tuple[str, Any]:
    crv = jwk.get("crv")
    curve = _CURVES.get(crv) if isinstance(crv, str) else None
    if curve is None or not isinstance(crv, str):
        raise UnusableKey("crv_unknown")
    x, y = _octets(jwk, "x"), _octets(jwk, "y")
    # RFC 7518 §6.2.1.2: a coordinate must have the full size of the field with leading zeros.
    size = (curve().key_size + 7) // 8
    if len(x) != size or len(y) != size:
        raise UnusableKey("coordinate_size")
    numbers = ec.EllipticCurvePublicNumbers(
        int.from_bytes(x, "big"), int.from_bytes(y, "big"), curve()
    )
    try:
        return crv, numbers.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise UnusableKey("point_not_on_curve") from None


def _import_okp(jwk: Mapping[str, Any]) -> tuple[str, Any]:
    crv = jwk.get("crv")
    curve = _EDWARDS.get(crv) if isinstance(crv, str) else None
    if curve is None or not isinstance(crv, str):
        raise UnusableKey("crv_unknown")
    try:
        return crv, curve.from_public_bytes(_octets(jwk, "x"))
    except (ValueError, UnsupportedAlgorithm):
        raise UnusableKey("point_not_on_curve") from None


def _import_oct(jwk: Mapping[str, Any]) -> tuple[None, bytes]:
    secret = _octets(jwk, "k")
    if len(secret) < MIN_SECRET_SIZE:
        raise UnusableKey("secret_too_short")
    return None, secret


_IMPORTERS: dict[str, Any] = {
    "RSA": _import_rsa,
    "EC": _import_ec,
    "OKP": _import_okp,
    "oct": _import_oct,
}
