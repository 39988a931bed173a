"""Key pairs that sign tokens in tests."""

import json
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from threading import Lock
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from jwt_middleware.crypto.algorithms import ALGORITHMS, select
from jwt_middleware.crypto.signing import CURVES, members_of
from jwt_middleware.errors import ConfigurationError
from jwt_middleware.formats import base64url


@dataclass(frozen=True)
class KeyPair:
    """A private key with the name and the algorithm it signs with.

    Made by :meth:`generate`. For tests only.
    """

    private: Any = field(repr=False)
    """A private key object of ``cryptography``; bytes for HMAC."""
    alg: str
    kid: str | None

    @classmethod
    def generate(cls, alg: str = "RS256", kid: str | None = None) -> "KeyPair":
        """Return a new pair, different from every other.

        RSA keys are put together from few primes, each used more than once, because a test suite
        cannot wait for fresh ones. Anyone with two such keys can compute the others: never use
        them outside tests.

        :param alg: any algorithm that a guard knows.
        :param kid: the name that token and key set carry; one is made up if it is not given. For a
            pair without a name, ``dataclasses.replace(pair, kid=None)``.
        :raises ConfigurationError: for an unknown algorithm.
        """
        (algorithm,) = select([alg])
        if kid is not None and not isinstance(kid, str):
            raise ConfigurationError(f"kid={kid!r} must be text, or None for one that is made up")
        if kid is None:
            kid = f"{alg.lower()}-{next(_numbers)}"
        return cls(_PRIVATE[algorithm.kty](alg), alg, kid)

    @cached_property
    def jwk(self) -> dict[str, Any]:
        """The public half as a JWK with ``use``, ``alg`` and ``kid``; for HMAC the secret."""
        named = {} if self.kid is None else {"kid": self.kid}
        return {**members_of(self._public), **named, "alg": self.alg, "use": "sig"}

    @cached_property
    def public_pem(self) -> str:
        """The public half as PEM text (SubjectPublicKeyInfo)."""
        pem: bytes = self._public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return pem.decode("ascii")

    @cached_property
    def private_pem(self) -> str:
        """The private half as PEM text (PKCS#8, not encrypted)."""
        pem: bytes = self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return pem.decode("ascii")

    def sign(
        self,
        payload: Mapping[str, Any] | bytes,
        headers: Mapping[str, Any] | None = None,
        alg: str | None = None,
    ) -> str:
        """Return ``payload`` as a signed token (RFC 7515 §7.1).

        :param payload: claims, or bytes to sign as they are.
        :param headers: members of the header, over ``alg``, ``typ`` and ``kid``; may lie.
        :param alg: another algorithm to sign with, and to name; ``"none"`` leaves the signature
            empty.
        """
        alg = alg or self.alg
        named = {} if self.kid is None else {"kid": self.kid}
        header = {"alg": alg, "typ": "JWT", **named, **(headers or {})}
        body = payload if isinstance(payload, bytes) else _json(payload)
        signing_input = base64url.encode(_json(header)) + b"." + base64url.encode(body)
        signature = b"" if alg == "none" else self._signature(alg, signing_input)
        return (signing_input + b"." + base64url.encode(signature)).decode("ascii")

    def _signature(self, alg: str, signing_input: bytes) -> bytes:
        return ALGORITHMS[alg].implementation.sign(signing_input, self.private)

    @property
    def _public(self) -> Any:
        return self.private if isinstance(self.private, bytes) else self.private.public_key()


_numbers = count(1)


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


class _PrimePool:
    """RSA keys at the price of a few: n generated keys have 2n primes, and n(2n - 1) pairs."""

    def __init__(self) -> None:
        self._primes: list[int] = []
        self._pairs: Iterator[tuple[int, int]] = iter(())
        self._lock = Lock()

    def draw(self) -> rsa.RSAPrivateKey:
        with self._lock:
            pair = next(self._pairs, None)
            return self._generate() if pair is None else _rsa_of(*pair)

    def _generate(self) -> rsa.RSAPrivateKey:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        numbers = key.private_numbers()
        new = (numbers.p, numbers.q)
        # The two new primes with each other are the key itself.
        self._pairs = iter([(old, fresh) for old in self._primes for fresh in new])
        self._primes.extend(new)
        return key


def _rsa_of(p: int, q: int) -> rsa.RSAPrivateKey:
    e = 65537
    d = pow(e, -1, (p - 1) * (q - 1))
    numbers = rsa.RSAPrivateNumbers(
        p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), rsa.RSAPublicNumbers(e, p * q)
    )
    return numbers.private_key(unsafe_skip_rsa_key_validation=True)


_pool = _PrimePool()


def _ec_private(alg: str) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(CURVES[ALGORITHMS[alg].curves[0]])


def _okp_private(alg: str) -> ed448.Ed448PrivateKey | ed25519.Ed25519PrivateKey:
    if alg == "Ed448":
        return ed448.Ed448PrivateKey.generate()
    return ed25519.Ed25519PrivateKey.generate()


def _secret(alg: str) -> bytes:
    return secrets.token_bytes(ALGORITHMS[alg].hash_bits // 8)


_PRIVATE: dict[str, Any] = {
    "RSA": lambda _: _pool.draw(),
    "EC": _ec_private,
    "OKP": _okp_private,
    "oct": _secret,
}
