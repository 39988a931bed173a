"""The signature algorithms: the keys that each requires, and how each verifies.

One row per name of the IANA registry "JSON Web Signature and Encryption Algorithms" (RFC 7518 §3.1,
RFC 8037 §3.1, RFC 8812 §3.2, RFC 9864 §2.2). ``none`` has no row and therefore never verifies.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from jwt.algorithms import Algorithm as PyJWTAlgorithm
from jwt.algorithms import ECAlgorithm, HMACAlgorithm, OKPAlgorithm, RSAAlgorithm, RSAPSSAlgorithm
from jwt.exceptions import PyJWTError

from jwt_middleware.checks import listed, shown
from jwt_middleware.errors import ConfigurationError
from jwt_middleware.options import hint


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One signature algorithm."""

    name: str
    kty: str
    """The required key type: ``oct``, ``RSA``, ``EC`` or ``OKP``."""
    curves: tuple[str, ...]
    """The accepted curves, for ``EC`` and ``OKP``."""
    hash_bits: int
    """The output size of the hash, which is the minimum size of an HMAC secret (RFC 7518 §3.2)."""
    implementation: PyJWTAlgorithm

    @property
    def is_symmetric(self) -> bool:
        """Whether signer and verifier share one secret."""
        return self.kty == "oct"

    def fits(self, kty: str, crv: str | None) -> bool:
        """Return whether a key of this type and curve may be used with this algorithm."""
        return kty == self.kty and (not self.curves or crv in self.curves)

    def verifies(self, key: Any, signing_input: bytes, signature: bytes) -> bool:
        """Return whether ``key`` verifies the ``signature`` of ``signing_input``."""
        try:
            return bool(self.implementation.verify(signing_input, key, signature))
        except (PyJWTError, ValueError, TypeError, AttributeError, UnsupportedAlgorithm):
            # The library raises various errors for malformed signatures and for keys of another
            # type. Each error means only that this key does not verify this signature.
            return False


def _hmac(bits: int, digest: Any) -> Algorithm:
    return Algorithm(f"HS{bits}", "oct", (), bits, HMACAlgorithm(digest))


def _rsa(bits: int, digest: Any) -> Iterable[Algorithm]:
    yield Algorithm(f"RS{bits}", "RSA", (), bits, RSAAlgorithm(digest))
    yield Algorithm(f"PS{bits}", "RSA", (), bits, RSAPSSAlgorithm(digest))


def _ec(name: str, crv: str, bits: int, digest: Any) -> Algorithm:
    return Algorithm(name, "EC", (crv,), bits, ECAlgorithm(digest))


def _okp(name: str, *curves: str) -> Algorithm:
    # EdDSA hashes internally. 512 bits is the size of Ed25519's SHA-512; no check uses it.
    return Algorithm(name, "OKP", curves, 512, OKPAlgorithm())


def _registry() -> Iterable[Algorithm]:
    hashes = {256: HMACAlgorithm.SHA256, 384: HMACAlgorithm.SHA384, 512: HMACAlgorithm.SHA512}
    yield from (_hmac(bits, digest) for bits, digest in hashes.items())
    for bits, digest in {
        256: RSAAlgorithm.SHA256,
        384: RSAAlgorithm.SHA384,
        512: RSAAlgorithm.SHA512,
    }.items():
        yield from _rsa(bits, digest)
    yield _ec("ES256", "P-256", 256, ECAlgorithm.SHA256)
    yield _ec("ES384", "P-384", 384, ECAlgorithm.SHA384)
    yield _ec("ES512", "P-521", 512, ECAlgorithm.SHA512)
    yield _ec("ES256K", "secp256k1", 256, ECAlgorithm.SHA256)
    yield _okp("EdDSA", "Ed25519", "Ed448")
    yield _okp("Ed25519", "Ed25519")
    yield _okp("Ed448", "Ed448")


ALGORITHMS: dict[str, Algorithm] = {row.name: row for row in _registry()}

# Every asymmetric algorithm except ES256K, because most services do not need its curve.
ASYMMETRIC: tuple[str, ...] = tuple(
    row.name for row in ALGORITHMS.values() if not row.is_symmetric and row.name != "ES256K"
)


def select(names: Iterable[str]) -> tuple[Algorithm, ...]:
    """Return the algorithms with these names, each once.

    :param names: case-sensitive names of the registry; all symmetric or all asymmetric.
    :raises ConfigurationError: for a bare string, an empty list, an unknown name, ``none``, or a
        mixture that would let a public key be used as a shared secret (RFC 8725 §2.1).
    """
    known = map(_known, listed("algorithms", names, "['RS256']"))
    chosen = tuple(ALGORITHMS[name] for name in dict.fromkeys(known))
    if not chosen:
        raise ConfigurationError("algorithms=[] cannot be empty: write algorithms=['RS256']")
    if len({row.is_symmetric for row in chosen}) > 1:
        raise ConfigurationError(
            f"algorithms={[row.name for row in chosen]!r} cannot mix shared secrets (HS...) with "
            "public keys: write one Issuer for each kind"
        )
    return chosen


def _known(name: object) -> str:
    if isinstance(name, str) and name in ALGORITHMS:
        return name
    if isinstance(name, str) and name.lower() == "none":
        raise ConfigurationError(
            f"algorithms: {shown(name)} would accept unsigned tokens: write a signature "
            "algorithm, such "
            "as 'RS256'"
        )
    raise ConfigurationError(f"algorithms: {shown(name)} is not known: {hint(name, ALGORITHMS)}")
