"""Checks claims by the policy of one issuer, in a fixed order, and creates the principal.

The order is: audience, times, lifetime, required claims, types of ``sub`` and ``jti``, ID tokens,
binding. ``iss`` is not checked here, because the policy was chosen by it.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Any

from jwt_middleware.claims import claims_of
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
from jwt_middleware.evidence import kind_of
from jwt_middleware.principal import (
    ABSENT,
    ClaimPath,
    Principal,
    claim_at,
    filled_principal,
    identity_of,
)
from jwt_middleware.tokens.grants import Grants

# RFC 7493 §2.2: JSON parsers read larger integers differently, so these are refused.
_GREATEST_INTEGER = 2**53

# Only an ID token has a hash of the values issued with it (OIDC Core §3.1.3.6 and §3.3.2.11,
# FAPI 1.0 part 2 §5.1.1, CIBA Core §7.3).
_HASHES = frozenset(
    {"at_hash", "c_hash", "s_hash", "urn:openid:params:jwt:claim:rt_hash"},
)

# Claims that mark a token as an ID token or a refresh token. Cognito, Keycloak, and the extensions
# of Flask and Django that issue tokens write them.
SAYS_ITS_KIND = ("token_use", "typ", "token_type", "type")
_ID_TOKENS = frozenset(
    {("token_use", "id"), ("typ", "id"), ("typ", "serialized-id"), ("token_type", "id_token")}
)
_NEVER_BEARERS = frozenset(
    {
        *((name, "refresh") for name in SAYS_ITS_KIND),
        ("typ", "offline"),
        ("typ", "logout"),
        ("token_type", "refresh_token"),
    }
)

# A claim of _NAMES_OF_OTHERS marks a token that is not an access token: SD-JWT (RFC 9901 §4.1,
# §4.2.4.1, §4.3; SD-JWT VC §2.2.2.1). A claim of _OBJECTS_OF_OTHERS does so only as an object,
# because other tokens may use the name otherwise: security events and logout tokens (RFC 8417 §2.2,
# OIDC Back-Channel Logout §2.4), introspection (RFC 9701 §5), verifiable credentials
# (VC-DATA-MODEL 1.1 §6.3.1), status lists.
_NAMES_OF_OTHERS = frozenset({"_sd", "_sd_alg", "sd_hash", "vct"})
_OBJECTS_OF_OTHERS = frozenset({"events", "token_introspection", "vc", "vp", "status_list"})
# RFC 9449 §4.2: a DPoP proof has both of these claims, which name its request.
_PROOF = frozenset({"htm", "htu"})

# Claims that may show that a token is not a bearer access token.
TELLTALES = frozenset(
    {"cnf", *_HASHES, *SAYS_ITS_KIND, *_NAMES_OF_OTHERS, *_OBJECTS_OF_OTHERS, *_PROOF}
)


class AnyAudience(Enum):
    """The type of :data:`ANY_AUDIENCE`, of which copies and pickles are the same value."""

    ANY_AUDIENCE = "ANY_AUDIENCE"

    def __repr__(self) -> str:
        return self.value


ANY_AUDIENCE = AnyAudience.ANY_AUDIENCE
"""Accept a token for any audience. Any service that receives the token can then replay it here."""


@dataclass(frozen=True, slots=True)
class ClaimPolicy:
    """The rules for the claims of one issuer's tokens."""

    audience: frozenset[str] | AnyAudience | None
    """The accepted audiences; ``None``: a token must not name an audience, so ``aud`` is missing or
    an empty array."""
    leeway: float
    """The seconds by which clocks may differ."""
    require_exp: bool
    required: tuple[ClaimPath, ...]
    max_lifetime: float | None
    """The maximum of seconds between ``iat`` and ``exp``."""
    accept_id_tokens: bool
    accept_bound_as_bearer: bool
    scopes_claims: tuple[ClaimPath, ...]
    roles_claims: tuple[ClaimPath, ...]
    permissions_claims: tuple[ClaimPath, ...]
    subject_claims: tuple[ClaimPath, ...] = (("sub",),)
    """The claims that may identify the caller; the first that is not empty counts."""
    require_subject: bool = False
    kind_claims: tuple[str, ...] = SAYS_ITS_KIND
    """Claims that may state the kind of a token, without those that the issuer's options check."""
    grants: Grants | None = None
    """The names that count; ``None``: all names count."""
    _granting: frozenset[str] = field(init=False, repr=False)
    """The first name of each claim path for roles or permissions."""

    def __post_init__(self) -> None:
        paths = (*self.roles_claims, *self.permissions_claims)
        object.__setattr__(self, "_granting", frozenset(path[0] for path in paths))

    def check(self, claims: Mapping[str, Any], now: float) -> None:
        """Check every claim.

        :param now: POSIX time.
        :raises TokenError: the subclass for the first check that fails.
        """
        self.check_audience(claims)
        self._check_times(claims, now)
        if self.max_lifetime is not None:
            self._check_lifetime(claims, self.max_lifetime)
        for path in self.required:
            if _is_nothing(claim_at(claims, path)):
                raise ClaimMissing(".".join(path))
        # RFC 7519 §4.1.2 and §4.1.7: both are strings.
        for name in ("sub", "jti"):
            if not isinstance(claims.get(name, ""), str):
                raise ClaimInvalid(name, "a string", kind_of(claims[name]))
        if not TELLTALES.isdisjoint(claims):
            self._check_kind(claims)
        if self.subject_of(claims) is None and self.require_subject:
            raise ClaimMissing(" or ".join(".".join(path) for path in self.subject_claims))

    def subject_of(self, claims: Mapping[str, Any]) -> str | None:
        """Return the claim that identifies the caller; ``None`` if there is none.

        :raises ClaimInvalid: if it is neither text nor a whole number.
        """
        for path in self.subject_claims:
            value = claims.get(path[0]) if len(path) == 1 else claim_at(claims, path)
            if type(value) is int:
                return str(value)
            # An empty name identifies no caller. A value of another type could be read in two ways.
            if value is not None and value is not ABSENT and not isinstance(value, str):
                raise ClaimInvalid(".".join(path))
            if value and value is not ABSENT:
                return value  # type: ignore[no-any-return]
        return None

    def check_audience(self, claims: Mapping[str, Any]) -> None:
        """Check ``aud``.

        :raises ClaimMissing: if it is missing, and an audience is configured.
        :raises ClaimInvalid: if it is neither text nor an array of text.
        :raises AudienceMismatch: if it does not name this service.
        """
        if "aud" not in claims:
            if self.audience is None or isinstance(self.audience, AnyAudience):
                return
            raise ClaimMissing("aud")
        named = audience_of(claims)
        if isinstance(self.audience, AnyAudience):
            return
        if self.audience is None and not named:
            # An empty array names no recipient, like a missing claim.
            return
        # RFC 7519 §4.1.3: a recipient that "aud" does not name must refuse the token. Without a
        # configured audience, "aud" never names this service.
        if self.audience is None or self.audience.isdisjoint(named):
            raise AudienceMismatch(expected=self.audience or "no audience", found=named)

    def _check_times(self, claims: Mapping[str, Any], now: float) -> None:
        if "exp" in claims:
            # RFC 7519 §4.1.4: "exp" itself counts as expired. A fraction is cut off, so that the
            # token expires sooner rather than later.
            if _numeric_date(claims, "exp") // 1 <= now - self.leeway:
                raise TokenExpired(
                    expected=f"exp after {now - self.leeway:.0f}", found=claims["exp"]
                )
        elif self.require_exp:
            raise ClaimMissing("exp")
        if "nbf" in claims and math.ceil(_numeric_date(claims, "nbf")) > now + self.leeway:
            raise TokenNotYetValid(expected=f"nbf by {now + self.leeway:.0f}", found=claims["nbf"])
        if "iat" in claims and math.ceil(_numeric_date(claims, "iat")) > now + self.leeway:
            raise TokenIssuedInFuture(
                expected=f"iat by {now + self.leeway:.0f}", found=claims["iat"]
            )

    def _check_lifetime(self, claims: Mapping[str, Any], at_most: float) -> None:
        for name in ("iat", "exp"):
            if name not in claims:
                raise ClaimMissing(name)
        if claims["exp"] - claims["iat"] > at_most:
            lifetime = claims["exp"] - claims["iat"]
            raise LifetimeTooLong(expected=f"at most {at_most} seconds", found=lifetime)

    def _check_kind(self, claims: Mapping[str, Any]) -> None:
        values = ((name, claims.get(name)) for name in self.kind_claims)
        said = {(name, value.lower()) for name, value in values if isinstance(value, str)}
        if _is_of_another_kind(claims) or not _NEVER_BEARERS.isdisjoint(said):
            raise TypeNotAllowed("this is not an access token; an API accepts access tokens")
        is_id_token = not (_HASHES.isdisjoint(claims) and _ID_TOKENS.isdisjoint(said))
        if is_id_token and not self.accept_id_tokens:
            raise TypeNotAllowed("this is an ID token; an API accepts access tokens")
        if not self.accept_bound_as_bearer and "cnf" in claims:
            raise TokenBound

    def valid_until(self, principal: Principal) -> float:
        """Return the POSIX time at which the principal's token expires, leeway included."""
        expires = principal.expires_at
        return math.inf if expires is None else expires + self.leeway

    def principal(
        self,
        members: Mapping[str, Any],
        issuer: str | None,
        expand_roles: Callable[[frozenset[str]], frozenset[str]],
        *,
        is_one_of_several: bool = False,
        label: str | None = None,
        own_label: str | None = None,
    ) -> Principal:
        """Return the principal for checked claims.

        :param issuer: the configured name of the token's issuer.
        :param label: what tells issuers of one name apart.
        :param own_label: the label, if the callers are others than those of a namesake.
        :param expand_roles: adds the roles that a role implies.
        :param is_one_of_several: whether there are several issuers, so that a subject alone does
            not identify a caller.
        """
        subject = self.subject_of(members)
        audience = members.get("aud", ())
        expires = members.get("exp")
        scopes = _names(members, self.scopes_claims, separator=" ")
        roles = permissions = _NO_NAMES
        # Many tokens have neither roles nor permissions, so these share one empty set.
        if not self._granting.isdisjoint(members):
            roles = _names(members, self.roles_claims)
            permissions = _names(members, self.permissions_claims)
        if self.grants is not None:
            scopes &= self.grants.scopes
            roles &= self.grants.roles
            permissions &= self.grants.permissions
        if roles:
            # Roles are expanded after the check of grants, because a granted role also grants the
            # roles that it implies.
            roles = expand_roles(roles)
        return filled_principal(
            subject,
            issuer,
            (audience,) if isinstance(audience, str) else tuple(audience),
            scopes,
            roles,
            permissions,
            claims_of(members),
            None if expires is None else math.floor(expires),
            members.get("jti"),
            identity_of(issuer, subject, own_label) if is_one_of_several else subject or "",
            label,
        )


def _is_nothing(claim: Any) -> bool:
    """Return whether a claim is absent, null or empty; ``0`` and ``false`` count as values."""
    return claim is ABSENT or claim is None or (type(claim) in _MAY_BE_EMPTY and not claim)


_MAY_BE_EMPTY = frozenset({str, list, dict})


def _is_of_another_kind(claims: Mapping[str, Any]) -> bool:
    return (
        not _NAMES_OF_OTHERS.isdisjoint(claims)
        or any(isinstance(claims.get(name), dict) for name in _OBJECTS_OF_OTHERS)
        or claims.keys() >= _PROOF
    )


def audience_of(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the audiences that ``aud`` names (RFC 7519 §4.1.3: a string or an array of strings).

    :raises ClaimInvalid: if ``aud`` is anything else.
    """
    value = claims["aud"]
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ClaimInvalid("aud", "a string or an array of strings", kind_of(value))
    return tuple(value)


def _numeric_date(claims: Mapping[str, Any], name: str) -> float:
    """Return a NumericDate (RFC 7519 §2): a number, not text, not a boolean, not ``null``."""
    value = claims[name]
    if type(value) not in _NUMBERS or not -_GREATEST_INTEGER < value < _GREATEST_INTEGER:
        raise ClaimInvalid(name, "a number of seconds", kind_of(value))
    return value  # type: ignore[no-any-return]


# The exact types, because a boolean is an int in Python but not a number in JSON.
_NUMBERS = frozenset({int, float})


def _names(
    members: Mapping[str, Any], paths: tuple[ClaimPath, ...], separator: str | None = None
) -> frozenset[str]:
    """Return the names that claims list; a claim of another shape grants nothing."""
    found = _NO_NAMES
    for path in paths:
        if path[0] in members:
            value = members[path[0]] if len(path) == 1 else claim_at(members, path)
            names = _listed(value, separator)
            found = found | names if found else names
    return found


_NO_NAMES: frozenset[str] = frozenset()


def _listed(value: Any, separator: str | None) -> frozenset[str]:
    if isinstance(value, str):
        known = _split if len(value) <= MAX_KNOWN_TEXT else _split.__wrapped__
        return known(value, separator)
    if isinstance(value, list):
        return frozenset(item for item in value if isinstance(item, str) and item)
    return _NO_NAMES


# The tokens of one client have the same text, so the result of splitting it is cached. 512 entries
# are enough for the clients of a large service. A letter and a space become a hundred bytes, so
# longer texts are not cached: the cache stays under 20 MB, and in practice under 1 MB.
MAX_KNOWN_TEXT = 512


@lru_cache(maxsize=512)
def _split(text: str, separator: str | None) -> frozenset[str]:
    return frozenset(filter(None, text.split(separator) if separator else (text,)))
