"""Refresh tokens: signed with a secret that is never published, so that nothing else accepts them.

Their type is ``rt+jwt`` and their only audience is the issuer. What is in one is not trusted beyond
its identity: scopes and claims come from the family.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jwt_middleware.crypto.algorithms import ALGORITHMS
from jwt_middleware.crypto.jwk import VerificationKey
from jwt_middleware.crypto.signing import SigningKey
from jwt_middleware.errors import (
    AlgorithmNotAllowed,
    AudienceMismatch,
    ClaimInvalid,
    ClaimMissing,
    IssuerUntrusted,
    KeyUnknown,
    TypeNotAllowed,
)
from jwt_middleware.evidence import kind_of
from jwt_middleware.issuing.family import Family, Generation
from jwt_middleware.issuing.minter import segment_of, sign
from jwt_middleware.issuing.token_size import MOST
from jwt_middleware.tokens.compact import Compact, KnownHeaders, parse
from jwt_middleware.tokens.verifier import check_signature

TYPE = "rt+jwt"
_ALGORITHM = ALGORITHMS["HS256"]

# Ours have some 400 characters with a short subject. They are shorter than twice the access token,
# which has the issuer once, and nothing in them grows.
_LONGEST = 2 * MOST


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """What a refresh token says of itself."""

    sid: str
    subject: str
    jti: str
    expires_at: int
    """POSIX seconds."""


def write(key: SigningKey, issuer: str, family: Family, generation: Generation) -> str:
    """Return the refresh token of a generation. It is the same each time (but for the key)."""
    header = {"alg": key.algorithm.name, "typ": TYPE, "kid": key.kid}
    claims = {
        "iss": issuer,
        "aud": issuer,
        "sub": family.subject,
        "sid": family.sid,
        "jti": generation.jti,
        "iat": int(generation.issued_at),
        "exp": int(generation.expires_at),
    }
    return sign(key, segment_of(header), claims)


def read(token: Any, issuer: str, keys: Mapping[str | None, VerificationKey]) -> RefreshToken:
    """Return what a refresh token says. Whether it has expired is for the family to decide.

    :param keys: the keys of refresh tokens, by key id.
    :raises TokenError: with the code of the first check that fails.
    """
    compact = _parsed(token)
    header = compact.header
    if header.typ != TYPE:
        raise TypeNotAllowed("typ", expected=[TYPE], found=header.typ)
    if header.alg != _ALGORITHM.name:
        raise AlgorithmNotAllowed("alg", expected=[_ALGORITHM.name], found=header.alg)
    key = keys.get(header.kid)
    if key is None:
        raise KeyUnknown("the ring has no key of that key id for refresh tokens")
    check_signature(compact, [key], _ALGORITHM)
    claims = compact.claims()
    if claims.get("iss") != issuer:
        raise IssuerUntrusted("iss", expected=issuer, found=claims.get("iss"))
    if claims.get("aud") != issuer:
        raise AudienceMismatch("aud", expected=issuer, found=claims.get("aud"))
    return RefreshToken(
        _member(claims, "sid", str),
        _member(claims, "sub", str),
        _member(claims, "jti", str),
        _member(claims, "exp", int),
    )


def _parsed(token: Any) -> Compact:
    # A body of JSON may have a value of another type in the place of the token.
    return parse(token if isinstance(token, str) else "", _LONGEST, KnownHeaders())


def _member(claims: Mapping[str, Any], name: str, kind: type) -> Any:
    if name not in claims:
        raise ClaimMissing(name)
    value = claims[name]
    if type(value) is not kind:
        raise ClaimInvalid(name, kind.__name__, kind_of(value))
    return value
