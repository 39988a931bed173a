"""Configuration of a trusted issuer.

An :class:`Issuer` has a name, audiences, algorithms, a source of keys and paths of claims.
:class:`AdmittedIssuers` is a rule in place of a list of issuers. Both are values. The run-time
state, with keys and caches, is in other modules of this package.
"""

from collections.abc import Collection, Iterable, Mapping
from copy import copy
from dataclasses import replace
from typing import Any, TypedDict

from jwt_middleware.checks import check_flag, check_kind, check_seconds, listed, mapped
from jwt_middleware.crypto.algorithms import ASYMMETRIC, select
from jwt_middleware.crypto.key_options import KeyOption, read_keys
from jwt_middleware.errors import ConfigurationError
from jwt_middleware.issuers.tenants import TENANT, Tenants, checked_tenants
from jwt_middleware.keys.remote.http import Fetcher, HTTPFetcher
from jwt_middleware.keys.remote.options import ResolverOptions
from jwt_middleware.principal import ClaimPath, claim_path
from jwt_middleware.tokens.claims import SAYS_ITS_KIND, AnyAudience, ClaimPolicy
from jwt_middleware.tokens.compact import normal_type
from jwt_middleware.tokens.grants import (
    NO_GRANTS,
    AnyGrants,
    Grants,
    GrantsOption,
    checked_grants,
)
from jwt_middleware.tokens.typed import TypedClaims

ClaimPathOption = str | ClaimPath
ClaimValue = str | int | bool
Audience = str | Collection[str] | AnyAudience | None


_DEFAULT_RESOLVER = ResolverOptions()


class IssuerOptions(TypedDict, total=False):
    """The options of :class:`Issuer` that a preset passes on."""

    keys: KeyOption
    jwks_uri: str | None
    discovery: str | None
    algorithms: Collection[str]
    leeway: float
    required_claims: Collection[ClaimPathOption]
    required_values: Mapping[ClaimPathOption, ClaimValue | Collection[ClaimValue]]
    require_exp: bool
    token_types: Collection[str | None]
    accept_id_tokens: bool
    accept_bound_as_bearer: bool
    max_lifetime: float | None
    scopes_claim: ClaimPathOption
    roles_claim: ClaimPathOption
    permissions_claim: ClaimPathOption
    grants: GrantsOption
    claims_type: Any
    aliases: Collection[str]
    tenants: Tenants | None
    resolver: ResolverOptions
    fetcher: Fetcher | None
    seed: Mapping[str, Any] | None


class Issuer:
    """One trusted issuer, and the requirements of its tokens."""

    def __init__(
        self,
        issuer: str | None,
        *,
        audience: Audience,
        keys: KeyOption = None,
        jwks_uri: str | None = None,
        discovery: str | None = None,
        algorithms: Collection[str] = ASYMMETRIC,
        leeway: float = 30,
        required_claims: Collection[ClaimPathOption] = (),
        required_values: Mapping[ClaimPathOption, ClaimValue | Collection[ClaimValue]] = {},
        require_exp: bool = True,
        token_types: Collection[str | None] = ("at+jwt", "JWT", None),
        accept_id_tokens: bool = False,
        accept_bound_as_bearer: bool = False,
        max_lifetime: float | None = None,
        scopes_claim: ClaimPathOption = "scope",
        roles_claim: ClaimPathOption = "roles",
        permissions_claim: ClaimPathOption = "permissions",
        grants: GrantsOption = None,
        claims_type: Any = None,
        aliases: Collection[str] = (),
        tenants: Tenants | None = None,
        resolver: ResolverOptions = _DEFAULT_RESOLVER,
        fetcher: Fetcher | None = None,
        seed: Mapping[str, Any] | None = None,
    ) -> None:
        """
        :param issuer: the exact ``iss`` of its tokens (RFC 8725 §3.8). With neither ``keys`` nor
            ``jwks_uri`` its keys are found from this name by discovery.
        :param audience: the names of this service; a token must have one of them in ``aud``.
            ``None``: it must have no ``aud``. ``ANY_AUDIENCE``: any ``aud`` is accepted.
        :param keys: keys that the configuration holds (see ``KeyOption``).
        :param jwks_uri: where its key set is published.
        :param discovery: where its discovery document is, if that is not below its name. The
            document must still name the issuer, byte for byte.
        :param algorithms: the names that a token's header may use.
        :param leeway: seconds that the clocks of the issuer and of this service may differ.
        :param required_claims: claims that must be present, besides ``iss``, ``aud`` and ``exp``.
        :param required_values: claims that must have a value, or one of several: text, a whole
            number or a boolean, compared as JSON.
        :param require_exp: whether a token without ``exp`` is refused.
        :param token_types: accepted values of ``typ``; ``None`` for a header without one.
        :param accept_id_tokens: whether an ID token is accepted as an access token.
        :param accept_bound_as_bearer: whether a token bound to a key is accepted as a
            bearer token.
        :param max_lifetime: seconds that may lie between ``iat`` and ``exp``.
        :param scopes_claim: the claim with the scopes: text separated by spaces, or an array.
        :param roles_claim: the claim with the roles, such as ``realm_access.roles``.
        :param permissions_claim: the claim with the permissions.
        :param grants: the names that its tokens may grant, such as ``{"roles": ["editor"],
            "scopes": ["orders:read"]}``. Other names are ignored, and so are all names of a kind
            that is not listed. By default all names count; for an issuer that a rule admitted,
            those in ``AdmittedIssuers(grants=)``. ``ANY_GRANTS``: all count there too.
        :param claims_type: a dataclass, TypedDict, msgspec Struct or pydantic model;
            ``principal.typed`` has the claims as a value of it. A misfit is refused.
        :param aliases: other spellings of its name that tokens may carry; the principal has the
            name itself.
        :param tenants: for an issuer with tenants, those that are trusted: GUIDs, or
            ``ANY_TENANT``. ``{tenantid}`` in the name is the tenant's place; the claim ``tid`` must
            agree with ``iss``, and so must the ``issuer`` of a key that names one.
        :param resolver: how its key set is fetched and kept.
        :param fetcher: fetches over the network, in place of an :class:`HTTPFetcher` with defaults.
        :param seed: what ``Guard.export_keys`` returned, here or in another process.
        :raises ConfigurationError: naming the setting, the value and the fix.
        """
        _check_name(issuer, keys, jwks_uri)
        _check_source(issuer, keys, jwks_uri, discovery=discovery, fetcher=fetcher, seed=seed)
        check_flag("require_exp", require_exp)
        check_flag("accept_id_tokens", accept_id_tokens)
        check_flag("accept_bound_as_bearer", accept_bound_as_bearer)
        check_seconds("leeway", leeway, at_most=300)
        if max_lifetime is not None:
            check_seconds("max_lifetime", max_lifetime)
        check_kind("resolver", resolver, ResolverOptions, "ResolverOptions(timeout=3)")
        if seed is not None:
            mapped("seed", seed, "what Guard.export_keys returned")
        self.issuer = issuer
        self.algorithms = {row.name: row for row in select(algorithms)}
        self.token_types = frozenset(_types(token_types))
        self.keys = None if keys is None else read_keys(keys, tuple(self.algorithms.values()))
        self.jwks_uri = jwks_uri
        self.discovery = discovery
        self.resolver = resolver
        self.fetcher = fetcher
        self.seed = seed
        self.aliases = _aliases(issuer, aliases)
        self.tenants = checked_tenants(issuer, tenants, self.aliases)
        self.typed_claims = None if claims_type is None else TypedClaims(claims_type)
        self.required_values = tuple(_values(required_values))
        self.grants = checked_grants(grants)
        self.policy = ClaimPolicy(
            audience=_audience(audience),
            leeway=leeway,
            require_exp=require_exp,
            required=tuple(
                claim_path(path, "required_claims")
                for path in listed("required_claims", required_claims, "['sub']")
            ),
            max_lifetime=max_lifetime,
            accept_id_tokens=accept_id_tokens,
            accept_bound_as_bearer=accept_bound_as_bearer,
            scopes_claims=(claim_path(scopes_claim, "scopes_claim"),),
            roles_claims=(claim_path(roles_claim, "roles_claim"),),
            permissions_claims=(claim_path(permissions_claim, "permissions_claim"),),
            # A claim in ``required_values`` is left out, because its value is checked already.
            kind_claims=tuple(
                name
                for name in SAYS_ITS_KIND
                if all(path != (name,) for path, _ in self.required_values)
            ),
            grants=_counting(self.grants, None),
        )
        if keys is None and any(row.is_symmetric for row in self.algorithms.values()):
            raise ConfigurationError(
                f"Issuer({issuer!r}): algorithms={list(self.algorithms)} need a shared secret, and "
                "a published key set cannot hold one: write keys=Secret.from_env(...)"
            )
        if self.is_template and keys is None and jwks_uri is None and discovery is None:
            raise ConfigurationError(
                f"Issuer({issuer!r}): keys cannot be discovered at a name with {TENANT}: "
                "write discovery= or jwks_uri="
            )

    def admitted_with(self, grants: Grants | AnyGrants | None) -> "Issuer":
        """Return this issuer with the grants of its rule, unless it has its own ``grants``.

        :param grants: the grants of the issuers that the rule admits.
        """
        if self.grants is not None:
            return self
        admitted = copy(self)
        admitted.policy = replace(self.policy, grants=_counting(grants, NO_GRANTS))
        return admitted

    @property
    def is_template(self) -> bool:
        """Whether the name is a template for many issuers, one per tenant."""
        return self.issuer is not None and TENANT in self.issuer

    @property
    def key_settings(self) -> tuple[Any, ...]:
        """The source of its keys, as a value that can be compared and hashed."""
        fetcher: object = None if self.fetcher is None else id(self.fetcher)
        if type(self.fetcher) is HTTPFetcher:
            # Compared by value, because a rule may make a new one at every call.
            fetcher = self.fetcher.value
        algorithms = tuple(self.algorithms)
        place = (self.issuer, self.jwks_uri, self.discovery, algorithms, self.resolver)
        return (*place, fetcher, self.keys)

    @property
    def token_settings(self) -> tuple[Any, ...]:
        """The requirements of its tokens, as a value that can be compared."""
        names = (self.issuer, self.aliases, self.tenants)
        typed = None if self.typed_claims is None else self.typed_claims.claims_type
        policy = (self.policy, self.required_values, typed)
        return (*names, tuple(self.algorithms), self.token_types, *policy)

    def __repr__(self) -> str:
        return f"Issuer({self.issuer!r}, algorithms={list(self.algorithms)})"


def _counting(grants: Grants | AnyGrants | None, unsaid: Grants | None) -> Grants | None:
    """Return the names that count; ``None`` for all."""
    if isinstance(grants, AnyGrants):
        return None
    return unsaid if grants is None else grants


def _check_name(issuer: str | None, keys: KeyOption, jwks_uri: str | None) -> None:
    if issuer is not None and (not isinstance(issuer, str) or not issuer):
        raise ConfigurationError(
            f"issuer={issuer!r} must be a name: write the exact iss of its tokens"
        )
    if issuer is None and keys is None and jwks_uri is None:
        raise ConfigurationError(
            "Issuer(None) must have a source of keys: write a name, keys= or jwks_uri="
        )


def _check_source(
    issuer: str | None, keys: KeyOption, jwks_uri: str | None, **fetched: object
) -> None:
    """Refuse settings that contradict each other about where keys come from."""
    if keys is not None and jwks_uri is not None:
        raise ConfigurationError(f"Issuer({issuer!r}): give keys or jwks_uri, not both")
    if jwks_uri is not None and fetched["discovery"] is not None:
        raise ConfigurationError(f"Issuer({issuer!r}): give jwks_uri or discovery, not both")
    for name, value in fetched.items():
        if keys is not None and value is not None:
            raise ConfigurationError(
                f"Issuer({issuer!r}): {name}= cannot be combined with keys=, because keys are then "
                "not fetched: write one of the two"
            )
    if fetched["fetcher"] is not None and not hasattr(fetched["fetcher"], "fetch"):
        raise ConfigurationError(
            f"fetcher={fetched['fetcher']!r} has no fetch(request): write HTTPFetcher(...), or a "
            "class of your own with that method"
        )


def _types(token_types: Collection[str | None]) -> Iterable[str | None]:
    every = listed("token_types", token_types, "['at+jwt']")
    if not every:
        raise ConfigurationError("token_types=[] must not be empty: write ['at+jwt']")
    for typ in every:
        if typ is not None and not isinstance(typ, str):
            raise ConfigurationError(
                f"token_types: {typ!r} must be text, such as 'at+jwt', or None"
            )
        yield None if typ is None else normal_type(typ)


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


def _aliases(issuer: str | None, aliases: Collection[str]) -> tuple[str, ...]:
    names = listed("aliases", aliases, "['https://id.example']")
    if not all(isinstance(name, str) and name for name in names):
        raise ConfigurationError(f"aliases={aliases!r} must be a list of names")
    if names and issuer is None:
        raise ConfigurationError(f"aliases={aliases!r} must belong to an issuer: write its name")
    return names


def _values(
    required: Mapping[ClaimPathOption, ClaimValue | Collection[ClaimValue]],
) -> Iterable[tuple[ClaimPath, tuple[ClaimValue, ...]]]:
    for path, wanted in mapped("required_values", required, "{'tier': 'gold'}").items():
        values = (
            (wanted,)
            if isinstance(wanted, str | int)
            else listed(f"required_values[{path!r}]", wanted, "['gold']")
        )
        if not values or not all(isinstance(value, str | int) for value in values):
            raise ConfigurationError(
                f"required_values: {path!r} must be text, a whole number, a boolean, or a list of "
                f"these, and is {wanted!r}"
            )
        yield claim_path(path, "required_values"), values
