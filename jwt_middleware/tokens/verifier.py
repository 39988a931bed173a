"""Verifies signatures with keys. No claim is checked here."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from jwt_middleware.crypto.algorithms import Algorithm, select
from jwt_middleware.crypto.jwk import UnusableKey, VerificationKey, import_jwk
from jwt_middleware.errors import AlgorithmNotAllowed, KeyUnknown, SignatureInvalid
from jwt_middleware.tokens.compact import Compact, KnownHeaders, parse

# The default limit of a guard: far above the size of real tokens, and too small for an attack.
MAX_TOKEN_SIZE = 16_384


def check_signature(
    compact: Compact, keys: Iterable[VerificationKey], algorithm: Algorithm
) -> VerificationKey:
    """Return the first of ``keys`` that verifies the signature.

    :raises SignatureInvalid: if no key verifies the signature.
    """
    if compact.signature:
        for key in keys:
            if algorithm.verifies(key.material, compact.signing_input, compact.signature):
                return key
    raise SignatureInvalid


def verify_jws(
    token: str, jwks: Mapping[str, Any], algorithms: Collection[str], *, published: bool = True
) -> bytes:
    """Verify a compact JWS with the given keys and return its payload; no claim is checked.

    :param jwks: a JWK Set, or one JWK; keys that cannot verify signatures are ignored.
    :param algorithms: the names of the accepted algorithms.
    :param published: whether the key set is public, so that ``oct`` keys in it are refused.
    :raises TokenError: with the code of the first check that fails.
    :raises ConfigurationError: if ``algorithms`` is not a list of known names.
    :source: RFC 7515 §5.2.
    """
    allowed = {algorithm.name: algorithm for algorithm in select(algorithms)}
    compact = parse(token, MAX_TOKEN_SIZE, KnownHeaders())
    algorithm = allowed.get(compact.header.alg)
    if algorithm is None:
        raise AlgorithmNotAllowed("alg", expected=allowed, found=compact.header.alg)
    keys = _fitting(jwks, compact.header.kid, algorithm, published)
    check_signature(compact, keys, algorithm)
    return compact.payload


def _fitting(
    jwks: Mapping[str, Any], kid: str | None, algorithm: Algorithm, published: bool
) -> list[VerificationKey]:
    members = jwks.get("keys", [jwks])
    if not isinstance(members, list | tuple):
        raise KeyUnknown("the key set has no list of keys")
    keys = [key for key in _usable(members, published) if key.may_serve(algorithm)]
    named = [key for key in keys if kid is None or key.kid is None or key.kid == kid]
    if not named:
        raise KeyUnknown("no key fits the header")
    return named


def _usable(members: Iterable[object], published: bool) -> Iterable[VerificationKey]:
    for member in members:
        try:
            yield import_jwk(member, published=published)
        except UnusableKey:
            continue
