"""One issuer in service: the checks of its tokens, and the keys that verify them."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from jwt_middleware.clock import Clock
from jwt_middleware.crypto.algorithms import Algorithm, select
from jwt_middleware.crypto.jwk import VerificationKey
from jwt_middleware.errors import (
    AlgorithmNotAllowed,
    ClaimInvalid,
    ClaimMissing,
    KeyUnknown,
    TypeNotAllowed,
)
from jwt_middleware.events import Observer
from jwt_middleware.evidence import Phrase, kind_of
from jwt_middleware.issuers.issuer import Issuer
from jwt_middleware.issuers.tenants import TENANT, TENANT_ID, AnyTenant
from jwt_middleware.keys.distrust import Distrusted
from jwt_middleware.keys.remote.pool_limits import PoolShare
from jwt_middleware.keys.remote.resolver import JWKSResolver
from jwt_middleware.keys.remote.single_keys import SingleKeys
from jwt_middleware.keys.snapshot import Snapshot
from jwt_middleware.keys.source import KeySource, OwnKeys, RemoteKeySource
from jwt_middleware.keys.static import StaticKeys
from jwt_middleware.principal import ABSENT, Principal, claim_at, full_name
from jwt_middleware.rules.requirements import json_equal
from jwt_middleware.tokens.cache import Entry
from jwt_middleware.tokens.compact import Header
from jwt_middleware.tokens.typed import TypedClaims


class Named(Protocol):
    """All issuers of one name."""

    @property
    def members(self) -> "tuple[TrustedIssuer, ...]":
        """The issuers."""
        ...

    def fitting(self, alg: str, claims: Mapping[str, Any]) -> "TrustedIssuer":
        """Return the only issuer that may accept a token.

        :raises TokenError: if none may.
        """
        ...

    def labelled(self, label: str | None) -> "TrustedIssuer":
        """Return the issuer with a label that one of them has."""
        ...


class TrustedIssuer:
    """An issuer in service: its settings and its keys."""

    def __init__(self, issuer: Issuer, label: str | None, keys: KeySource) -> None:
        """:param label: what tells it apart from other issuers of its name."""
        self.issuer = issuer
        self.full_name = full_name(issuer.issuer, label)
        """What operators call it."""
        self.group: Named = self
        """All issuers of its name: itself, if it is the only one."""
        self.name = issuer.issuer
        self.label = label
        self.algorithms = {row.name: row for row in select(issuer.algorithms)}
        self.policy = issuer.policy
        self._is_template = issuer.is_template
        self._typed = None if issuer.claims_type is None else TypedClaims(issuer.claims_type)
        self._required_values: Any = tuple(issuer.required_values.items())
        self._required_header: Any = tuple(issuer.required_header.items())
        self.has_tenants = issuer.tenants is not None
        """Whether its keys are those of several issuers, see :meth:`serving`."""
        self.keys = keys
        self.current = keys.current
        """The keys that it holds now."""
        self.remote = keys if isinstance(keys, RemoteKeySource) else None
        """The same source, where its keys are fetched."""
        self.admitted_until = math.inf
        """The monotonic instant at which the rule that admitted it is asked again."""
        self.admitted_before = math.inf
        """The same in POSIX time; what is reached first counts."""

    @property
    def members(self) -> "tuple[TrustedIssuer, ...]":
        """The issuers of its name, of which it is the only one."""
        return (self,)

    def fitting(self, alg: str, claims: Mapping[str, Any]) -> "TrustedIssuer":
        """Return the issuer of its name that checks a token."""
        return self

    def labelled(self, label: str | None) -> "TrustedIssuer":
        """Return the issuer of its name with a label."""
        return self

    def check_header(self, header: Header) -> Algorithm:
        """Return the algorithm that the header names.

        :raises AlgorithmNotAllowed: if the issuer does not allow it (RFC 8725 §3.1).
        :raises TypeNotAllowed: if the issuer does not allow ``typ`` (RFC 8725 §3.11).
        :raises ClaimMissing: if a required member is missing.
        :raises ClaimInvalid: if a required member has another value.
        """
        algorithm = self.algorithms.get(header.alg)
        if algorithm is None:
            raise AlgorithmNotAllowed("alg", expected=self.algorithms, found=header.alg)
        if header.typ not in self.issuer.token_types:
            raise TypeNotAllowed("typ", expected=self.issuer.token_types, found=header.typ)
        if self._required_header:
            _check_values(header.others, self._required_header, "header: ")
        return algorithm

    def check(self, claims: Mapping[str, Any], now: float) -> None:
        """Check every claim: the policy's, the required values and the tenant.

        :param now: POSIX time.
        :raises TokenError: the subclass for the first check that fails.
        """
        self.policy.check(claims, now)
        self.check_values(claims)
        if self.has_tenants:
            self._check_tenant(claims)

    def check_values(self, claims: Mapping[str, Any]) -> None:
        """Check the claims that must have one of several values.

        :raises ClaimMissing: if one is missing.
        :raises ClaimInvalid: if one has another value.
        """
        _check_values(claims, self._required_values)

    def _check_tenant(self, claims: Mapping[str, Any]) -> None:
        tenant = tenant_of(claims)
        tenants = self.issuer.tenants or ()
        is_trusted = isinstance(tenants, AnyTenant) or tenant in tenants
        if not is_trusted or self._filled(self.name, tenant) != claims["iss"]:
            expected = "the tenant of iss" if is_trusted else tenants
            raise ClaimInvalid("tid", expected, Phrase("another tenant"))

    def _filled(self, name: str | None, tenant: str) -> str | None:
        return None if name is None else name.replace(TENANT, tenant)

    def serving(
        self, keys: tuple[VerificationKey, ...], claims: Mapping[str, Any]
    ) -> tuple[VerificationKey, ...]:
        """Return those of ``keys`` that may verify a token with the checked claims.

        One key set of Entra ID serves many issuers, and names the issuer of each key.

        :raises KeyUnknown: if none of the keys may.
        """
        tenant = tenant_of(claims)
        serving = tuple(
            key
            for key in keys
            if key.issuer is None or self._filled(key.issuer, tenant) == claims["iss"]
        )
        if not serving:
            owners = sorted({str(key.issuer) for key in keys})
            raise KeyUnknown(
                "the key of that name is another issuer's", expected=owners, found=claims["iss"]
            )
        return serving

    def principal(
        self,
        claims: Mapping[str, Any],
        expand_roles: Callable[[frozenset[str]], frozenset[str]],
        *,
        is_one_of_several: bool,
    ) -> Principal:
        """Return the principal for checked claims.

        :param expand_roles: adds the roles that a role includes.
        :param is_one_of_several: whether a subject alone may mean two callers.
        """
        principal = self.policy.principal(
            claims,
            claims["iss"] if self._is_template else self.name,
            expand_roles,
            is_one_of_several=is_one_of_several,
            label=self.label,
            own_label=self.issuer.label,
        )
        return self.with_own_claims(principal)

    def with_own_claims(self, principal: Principal) -> Principal:
        """Return the principal with typed claims of its own, not shared with other requests.

        :raises ClaimsTypeMismatch: if they do not fit the type.
        """
        if self._typed is None:
            return principal
        return replace(principal, typed=self._typed.read(principal.claims))

    def entry(
        self,
        principal: Principal,
        key: VerificationKey,
        algorithm: Algorithm,
        kid: str | None,
        snapshot: Snapshot,
    ) -> Entry:
        """Return the cache entry of a token that ``key`` of ``snapshot`` verified."""
        valid_until = self.policy.valid_until(principal)
        return Entry(
            principal,
            self,
            key,
            algorithm,
            kid,
            snapshot,
            min(snapshot.soft_at, self.admitted_until),
            valid_until,
            self._typed is None or self._typed.may_share(principal.typed),
            unquestioned_until=min(valid_until, snapshot.soft_until, self.admitted_before),
        )


def _check_values(members: Mapping[str, Any], required: Any, where: str = "") -> None:
    for path, allowed in required:
        value = claim_at(members, path)
        if value is ABSENT:
            raise ClaimMissing(f"{where}{'.'.join(path)}")
        if not any(json_equal(value, each) for each in allowed):
            raise ClaimInvalid(f"{where}{'.'.join(path)}", allowed, kind_of(value, allowed))


def tenant_of(claims: Mapping[str, Any]) -> str:
    """Return the tenant that a token names.

    :raises ClaimMissing: if it does not name one.
    :raises ClaimInvalid: if it is not a tenant's id, or a second claim differs from ``tid`` by case
        alone, so that another reader could take that for the tenant.
    """
    named = [name for name in claims if name.lower() == "tid"]
    if "tid" not in named:
        raise ClaimMissing("tid")
    tenant = claims["tid"]
    if len(named) > 1 or not isinstance(tenant, str) or not TENANT_ID.fullmatch(tenant):
        raise ClaimInvalid("tid", "one tenant's id in lower case", kind_of(tenant))
    return tenant


def source_of(
    issuer: Issuer,
    clock: Clock,
    observers: tuple[Observer, ...],
    *,
    share: PoolShare | None = None,
    distrusted: Distrusted | None = None,
    label: str | None = None,
) -> KeySource:
    """Return the key source of an issuer, ready to use.

    :param share: the share in the limit of simultaneous fetches over several issuers.
    :param distrusted: the keys of this issuer that were withdrawn before.
    :param label: what tells it apart from other issuers of its name, in events.
    :raises ConfigurationError: for an address that keys must not be fetched from, or a wrong seed.
    """
    name = full_name(issuer.issuer, label)
    if isinstance(issuer.keys, OwnKeys):
        return issuer.keys.key_source(name or "the key ring", distrusted)
    if issuer.keys is not None:
        return StaticKeys(issuer.keys, distrusted)
    if issuer.key_uri is not None:
        return SingleKeys(
            issuer.key_uri,
            name or issuer.key_uri,
            algorithms=issuer.algorithms,
            options=issuer.resolver,
            fetcher=issuer.fetcher,
            clock=clock,
            observers=observers,
            distrusted=distrusted,
        )
    return JWKSResolver(
        issuer.jwks_uri,
        issuer=issuer.issuer,
        name=name,
        discovery=issuer.discovery,
        options=issuer.resolver,
        fetcher=issuer.fetcher,
        clock=clock,
        observers=observers,
        algorithms=issuer.algorithms,
        seed=issuer.seed,
        share=share,
        distrusted=distrusted,
    )
