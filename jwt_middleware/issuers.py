"""Whom we trust: an issuer's name, audience, algorithms, keys, and where its claims stand."""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from jwt_middleware.clock import Clock
from jwt_middleware.crypto.algorithms import ASYMMETRIC, Algorithm, select
from jwt_middleware.crypto.jwk import VerificationKey
from jwt_middleware.crypto.material import KeyOption, read_keys
from jwt_middleware.effects import Flight, Gap
from jwt_middleware.errors import (
    AlgorithmNotAllowed,
    ClaimInvalid,
    ClaimMissing,
    ConfigurationError,
    IssuerUntrusted,
    TypeNotAllowed,
)
from jwt_middleware.events import Observer
from jwt_middleware.keys.jwks import JWKSResolver
from jwt_middleware.keys.options import ResolverOptions
from jwt_middleware.keys.snapshot import KeyHealth, Snapshot
from jwt_middleware.keys.static import StaticKeys
from jwt_middleware.principal import ClaimPath, claim_path
from jwt_middleware.tokens.claims import AnyAudience, ClaimPolicy
from jwt_middleware.tokens.compact import Header, normal_type

ClaimPathOption = str | ClaimPath
_DEFAULT_RESOLVER = ResolverOptions()


class KeySource(Protocol):
    """Where one issuer's keys come from; the guard cannot tell a static set from a fetched one."""

    @property
    def snapshot(self) -> Snapshot | None:
        """The current set, read without a lock."""
        ...

    def plan(self, kid: str | None, algorithm: Algorithm) -> tuple[VerificationKey, ...] | Gap:
        """Return the keys to try, or the flight to wait for; raises ``KeyUnknown`` and the like."""
        ...

    def settle(
        self, kid: str | None, algorithm: Algorithm, flight: Flight, landed: bool
    ) -> tuple[VerificationKey, ...]:
        """Return the keys to try after waiting; never asks for another flight."""
        ...

    def warm(self, timeout: float | None = None, required: bool = False) -> None:
        """Fetch now, so that the first request need not."""
        ...

    async def awarm(self, timeout: float | None = None, required: bool = False) -> None:
        """Do the same by awaiting."""
        ...

    def distrust(self, kid: str | None = None) -> None:
        """Stop trusting one key, or all, at once and for good."""
        ...

    def health(self) -> KeyHealth:
        """Return how it stands, without asking anybody."""
        ...

    def close(self) -> None:
        """Give up flights and connections."""
        ...


class Issuer:
    """One issuer that is trusted, and what its tokens must be like."""

    def __init__(
        self,
        issuer: str | None,
        *,
        audience: str | Collection[str] | AnyAudience | None,
        keys: KeyOption = None,
        jwks_uri: str | None = None,
        algorithms: Collection[str] = ASYMMETRIC,
        leeway: float = 30,
        required_claims: Collection[ClaimPathOption] = (),
        require_exp: bool = True,
        token_types: Collection[str | None] = ("at+jwt", "JWT", None),
        accept_id_tokens: bool = False,
        accept_bound_as_bearer: bool = False,
        max_lifetime: float | None = None,
        scopes_claim: ClaimPathOption = "scope",
        roles_claim: ClaimPathOption = "roles",
        permissions_claim: ClaimPathOption = "permissions",
        resolver: ResolverOptions = _DEFAULT_RESOLVER,
    ) -> None:
        """
        :param issuer: the exact ``iss`` of its tokens (RFC 8725 §3.8). With neither ``keys`` nor
            ``jwks_uri`` its keys are found from here by discovery.
        :param audience: who we are; a token must name one of these. ``None``: it must name nobody.
            ``ANY_AUDIENCE``: it may name anybody.
        :param keys: keys that the configuration holds (see ``KeyOption``).
        :param jwks_uri: where its key set is published.
        :param algorithms: the names that a token's header may use.
        :param leeway: seconds that its clock and ours may differ.
        :param required_claims: claims that must be there, besides ``iss``, ``aud`` and ``exp``.
        :param require_exp: whether a token without ``exp`` is refused.
        :param token_types: accepted values of ``typ``; ``None`` for a header without one.
        :param accept_id_tokens: whether an ID token passes for an access token.
        :param accept_bound_as_bearer: whether a token bound to a key passes as a plain bearer.
        :param max_lifetime: seconds that may lie between ``iat`` and ``exp``.
        :param scopes_claim: where scopes stand: text separated by spaces, or an array.
        :param roles_claim: where roles stand, such as ``realm_access.roles``.
        :param permissions_claim: where permissions stand.
        :param resolver: how its key set is fetched and kept.
        :raises ConfigurationError: naming the setting, the value and the fix.
        """
        _check_name(issuer, keys, jwks_uri)
        _check_seconds("leeway", leeway, at_most=300)
        _check_seconds("max_lifetime", max_lifetime)
        self.issuer = issuer
        self.algorithms = {row.name: row for row in select(algorithms)}
        self.token_types = frozenset(_types(token_types))
        self.keys = None if keys is None else read_keys(keys, tuple(self.algorithms.values()))
        self.jwks_uri = jwks_uri
        self.resolver = resolver
        self.policy = ClaimPolicy(
            audience=_audience(audience),
            leeway=leeway,
            require_exp=require_exp,
            required=tuple(
                claim_path(path) for path in _listed("required_claims", required_claims)
            ),
            max_lifetime=max_lifetime,
            accept_id_tokens=accept_id_tokens,
            accept_bound_as_bearer=accept_bound_as_bearer,
            scopes_claims=(claim_path(scopes_claim),),
            roles_claims=(claim_path(roles_claim),),
            permissions_claims=(claim_path(permissions_claim),),
        )
        if keys is None and any(row.is_symmetric for row in self.algorithms.values()):
            raise ConfigurationError(
                f"Issuer({issuer!r}): algorithms={list(self.algorithms)} need a shared secret, and "
                "a published key set cannot hold one: give keys=Secret.from_env(...)"
            )

    def __repr__(self) -> str:
        return f"Issuer({self.issuer!r}, algorithms={list(self.algorithms)})"


def _check_name(issuer: str | None, keys: KeyOption, jwks_uri: str | None) -> None:
    if issuer is not None and (not isinstance(issuer, str) or not issuer):
        raise ConfigurationError(f"issuer={issuer!r} is no name: write the exact iss of its tokens")
    if keys is not None and jwks_uri is not None:
        raise ConfigurationError(f"Issuer({issuer!r}): give keys or jwks_uri, not both")
    if issuer is None and keys is None and jwks_uri is None:
        raise ConfigurationError("an issuer needs a name to be discovered by, keys, or a jwks_uri")


def _check_seconds(name: str, value: float | None, at_most: float = math.inf) -> None:
    if value is None:
        return
    if type(value) not in (int, float) or not math.isfinite(value) or not 0 <= value <= at_most:
        limit = "" if at_most == math.inf else f" and at most {at_most:g}"
        raise ConfigurationError(f"{name}={value!r} must be seconds, not negative{limit}")


def _types(token_types: Collection[str | None]) -> Iterable[str | None]:
    for typ in _listed("token_types", token_types):
        yield None if typ is None else normal_type(typ)


def _listed(name: str, values: Collection[Any]) -> Collection[Any]:
    if isinstance(values, str):
        raise ConfigurationError(f"{name}={values!r} is a string: write [{values!r}], a list")
    return values


def _audience(audience: object) -> frozenset[str] | AnyAudience | None:
    if audience is None or isinstance(audience, AnyAudience):
        return audience
    names = (audience,) if isinstance(audience, str) else audience
    if (
        not isinstance(names, Collection)
        or not names
        or not all(isinstance(name, str) and name for name in names)
    ):
        raise ConfigurationError(
            f"audience={audience!r} must be a name, a list of names, None (tokens must name no "
            "audience) or ANY_AUDIENCE"
        )
    return frozenset(names)


@dataclass(frozen=True, slots=True, eq=False)
class Trust:
    """An issuer in service: its settings and its keys."""

    issuer: str | None
    algorithms: Mapping[str, Algorithm]
    token_types: frozenset[str | None]
    policy: ClaimPolicy
    source: KeySource

    def check_header(self, header: Header) -> Algorithm:
        """Return the algorithm that the header names.

        :raises AlgorithmNotAllowed: if it is none of this issuer's (RFC 8725 §3.1).
        :raises TypeNotAllowed: if ``typ`` is none of this issuer's (RFC 8725 §3.11).
        """
        algorithm = self.algorithms.get(header.alg)
        if algorithm is None:
            raise AlgorithmNotAllowed(f"alg is none of {sorted(self.algorithms)}")
        if header.typ not in self.token_types:
            raise TypeNotAllowed("typ is none of those configured")
        return algorithm


class Registry:
    """Every issuer that one guard trusts. A name that is not here costs nothing."""

    def __init__(
        self, issuers: Iterable[Issuer], clock: Clock, observers: tuple[Observer, ...]
    ) -> None:
        """:raises ConfigurationError: for no issuer, a name twice, an unnamed one among several."""
        chosen = tuple(issuers)
        names = [issuer.issuer for issuer in chosen]
        if not chosen:
            raise ConfigurationError("issuers=[] trusts nobody: name an Issuer")
        if len(set(names)) < len(names):
            raise ConfigurationError(f"issuers: one name stands twice in {names}")
        if None in names and len(names) > 1:
            raise ConfigurationError("issuers: one without a name must be the only one")
        self._trusts = {issuer.issuer: _trust(issuer, clock, observers) for issuer in chosen}
        self._unnamed = self._trusts.get(None)
        self.algorithms = frozenset(name for trust in self for name in trust.algorithms)
        self.has_several = len(chosen) > 1

    def __iter__(self) -> Any:
        return iter(self._trusts.values())

    def named(self, issuer: str | None) -> Trust:
        """Return the issuer of that name.

        :raises KeyError: if there is none.
        """
        return self._trusts[issuer]

    def choose(self, claims: Mapping[str, Any]) -> Trust:
        """Return whom a token says it is from; the match is exact.

        :raises ClaimMissing: if it does not say.
        :raises ClaimInvalid: if ``iss`` is not text.
        :raises IssuerUntrusted: if it is nobody whom we trust.
        """
        if self._unnamed is not None:
            if not isinstance(claims.get("iss", ""), str):
                raise ClaimInvalid("iss")
            return self._unnamed
        if "iss" not in claims:
            raise ClaimMissing("iss")
        issuer = claims["iss"]
        if not isinstance(issuer, str):
            raise ClaimInvalid("iss")
        trust = self._trusts.get(issuer)
        if trust is None:
            raise IssuerUntrusted
        return trust


def _trust(issuer: Issuer, clock: Clock, observers: tuple[Observer, ...]) -> Trust:
    return Trust(
        issuer.issuer,
        issuer.algorithms,
        issuer.token_types,
        issuer.policy,
        _source(issuer, clock, observers),
    )


def _source(issuer: Issuer, clock: Clock, observers: tuple[Observer, ...]) -> KeySource:
    if issuer.keys is not None:
        return StaticKeys(issuer.keys)
    return JWKSResolver(
        issuer.jwks_uri,
        issuer=issuer.issuer,
        options=issuer.resolver,
        clock=clock,
        observers=observers,
    )
