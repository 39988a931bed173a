"""Claims held against one issuer's policy, in a fixed order, and read into a principal.

The order: audience, times, lifetime, required claims, types of ``sub`` and ``jti``, ID tokens,
binding. ``iss`` is not checked here: it has chosen the policy.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jwt_middleware.errors import (
    AudienceMismatch,
    ClaimInvalid,
    ClaimMissing,
    LifetimeTooLong,
    TokenBound,
    TokenExpired,
    TokenIssuedInFuture,
    TokenNotYetValid,
    TypeNotAllowed,
)
from jwt_middleware.principal import ABSENT, ClaimPath, Claims, Principal, claim_at

# RFC 7493 §2.2: integers beyond this are read differently by different readers.
_GREATEST_INTEGER = 2**53


class AnyAudience:
    """The type of :data:`ANY_AUDIENCE`."""

    def __repr__(self) -> str:
        return "ANY_AUDIENCE"


ANY_AUDIENCE = AnyAudience()
"""Accept a token whomever it is meant for. Any service that receives it can then replay it here."""


@dataclass(frozen=True, slots=True)
class ClaimPolicy:
    """What one issuer's tokens must say."""

    audience: frozenset[str] | AnyAudience | None
    """Whom a token may be meant for; ``None``: it must not name anybody."""
    leeway: float
    """Seconds that clocks may differ."""
    require_exp: bool
    required: tuple[ClaimPath, ...]
    max_lifetime: float | None
    """Seconds between ``iat`` and ``exp``."""
    accept_id_tokens: bool
    accept_bound_as_bearer: bool
    scopes_claims: tuple[ClaimPath, ...]
    roles_claims: tuple[ClaimPath, ...]
    permissions_claims: tuple[ClaimPath, ...]

    def check(self, claims: Mapping[str, Any], now: float) -> None:
        """Check every claim.

        :param now: POSIX time.
        :raises TokenError: the subclass for the first check that fails.
        """
        self._check_audience(claims)
        self._check_times(claims, now)
        self._check_lifetime(claims)
        self._check_required(claims)
        self._check_kind(claims)

    def _check_audience(self, claims: Mapping[str, Any]) -> None:
        if "aud" not in claims:
            if self.audience is None or isinstance(self.audience, AnyAudience):
                return
            raise ClaimMissing("aud")
        named = audience_of(claims)
        if isinstance(self.audience, AnyAudience):
            return
        # RFC 7519 §4.1.3: whoever is not named must refuse; with no audience configured, nobody is.
        if self.audience is None or self.audience.isdisjoint(named):
            raise AudienceMismatch

    def _check_times(self, claims: Mapping[str, Any], now: float) -> None:
        expires = _numeric_date(claims, "exp")
        if expires is None and self.require_exp:
            raise ClaimMissing("exp")
        # RFC 7519 §4.1.4: not on or after exp. A fraction is cut off, to the sooner side.
        if expires is not None and math.floor(expires) <= now - self.leeway:
            raise TokenExpired
        starts = _numeric_date(claims, "nbf")
        if starts is not None and math.ceil(starts) > now + self.leeway:
            raise TokenNotYetValid
        issued = _numeric_date(claims, "iat")
        if issued is not None and math.ceil(issued) > now + self.leeway:
            raise TokenIssuedInFuture

    def _check_lifetime(self, claims: Mapping[str, Any]) -> None:
        if self.max_lifetime is None:
            return
        for name in ("iat", "exp"):
            if name not in claims:
                raise ClaimMissing(name)
        if claims["exp"] - claims["iat"] > self.max_lifetime:
            raise LifetimeTooLong

    def _check_required(self, claims: Mapping[str, Any]) -> None:
        for path in self.required:
            if claim_at(claims, path) in (ABSENT, None):
                raise ClaimMissing(".".join(path))
        # RFC 7519 §4.1.2 and §4.1.7: both are strings.
        for name in ("sub", "jti"):
            if name in claims and not isinstance(claims[name], str):
                raise ClaimInvalid(name)

    def _check_kind(self, claims: Mapping[str, Any]) -> None:
        # OIDC Core §3.1.3.6 and §3.3.2.11: only an ID token carries a hash of another token.
        if not self.accept_id_tokens and ("at_hash" in claims or "c_hash" in claims):
            raise TypeNotAllowed("this is an ID token; an API takes access tokens")
        if not self.accept_bound_as_bearer and "cnf" in claims:
            raise TokenBound

    def valid_until(self, principal: Principal) -> float:
        """Return the POSIX time at which its token stops being valid, leeway included."""
        expires = principal.expires_at
        return math.inf if expires is None else expires + self.leeway

    def principal(
        self,
        members: Mapping[str, Any],
        issuer: str | None,
        expand_roles: Callable[[frozenset[str]], frozenset[str]],
    ) -> Principal:
        """Return who calls, for checked claims.

        :param issuer: what the principal's identity begins with; ``None`` where only one is
        trusted.
        :param expand_roles: adds the roles that a role brings with it.
        """
        subject = members.get("sub")
        expires = members.get("exp")
        return Principal(
            subject=subject,
            issuer=members.get("iss"),
            audience=audience_of(members) if "aud" in members else (),
            scopes=_names(members, self.scopes_claims, separator=" "),
            roles=expand_roles(_names(members, self.roles_claims)),
            permissions=_names(members, self.permissions_claims),
            claims=Claims(members),
            expires_at=None if expires is None else math.floor(expires),
            token_id=members.get("jti"),
            identity=(subject or "") if issuer is None else f"{issuer}|{subject or ''}",
        )


def audience_of(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the audiences that ``aud`` names (RFC 7519 §4.1.3: a string or an array of strings).

    :raises ClaimInvalid: if it is anything else.
    """
    value = claims["aud"]
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ClaimInvalid("aud")
    return tuple(value)


def _numeric_date(claims: Mapping[str, Any], name: str) -> float | None:
    """Return a NumericDate (RFC 7519 §2): a number, not text, not a boolean, not ``null``."""
    value = claims.get(name, ABSENT)
    if value is ABSENT:
        return None
    if type(value) not in _NUMBERS or not -_GREATEST_INTEGER < value < _GREATEST_INTEGER:
        raise ClaimInvalid(name)
    return value  # type: ignore[no-any-return]


# Exactly these: a boolean is an int to Python and no number to JSON.
_NUMBERS = frozenset({int, float})


def _names(
    members: Mapping[str, Any], paths: tuple[ClaimPath, ...], separator: str | None = None
) -> frozenset[str]:
    """Return the names that claims list; a claim of another shape grants nothing."""
    found: list[str] = []
    for path in paths:
        value = claim_at(members, path)
        if isinstance(value, str):
            found += value.split(separator) if separator else (value,)
        elif isinstance(value, list):
            found += (item for item in value if isinstance(item, str))
    # Most tokens name no roles or no permissions: one empty set serves them all.
    return frozenset(filter(None, found)) if found else _NO_NAMES


_NO_NAMES: frozenset[str] = frozenset()
