"""Configuration of a trusted issuer.

An :class:`Issuer` has a name, audiences, algorithms, a source of keys and paths of claims.
:class:`AdmittedIssuers` is a rule in place of a list of issuers. Both are values. The run-time
state, with keys and caches, is in other modules of this package.
"""

from collections.abc import Collection, Hashable, Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from typing import Annotated, Any, TypedDict

from jwt_middleware.crypto.algorithms import ASYMMETRIC, select
from jwt_middleware.crypto.key_options import KeyOption, read_keys
from jwt_middleware.errors import ConfigurationError
from jwt_middleware.issuers.options import (
    Audience,
    ClaimPathOption,
    ClaimValue,
    algorithm_names,
    alias_names,
    audience_names,
    claim_paths,
    claim_values,
    exported_keys,
    header_values,
    issuer_name,
    key_address,
    one_path,
    paths_in_order,
    type_names,
)
from jwt_middleware.issuers.tenants import TENANT, Tenants, checked_tenants
from jwt_middleware.keys.remote.http import Fetcher
from jwt_middleware.keys.remote.options import ResolverOptions
from jwt_middleware.keys.source import OwnKeys
from jwt_middleware.options import Flag, Kind, Seconds, Text, check_fields, options_of
from jwt_middleware.tokens.claims import SAYS_ITS_KIND, ClaimPolicy
from jwt_middleware.tokens.grants import (
    NO_GRANTS,
    AnyGrants,
    GrantsOption,
    granted_names,
)
from jwt_middleware.tokens.typed import TypedClaims

_DEFAULT_RESOLVER = ResolverOptions()


class IssuerOptions(TypedDict, total=False):
    """The options of :class:`Issuer` that a preset passes on."""

    keys: KeyOption
    jwks_uri: str | None
    key_uri: str | None
    discovery: str | None
    algorithms: Collection[str]
    leeway: float | timedelta
    required_claims: Collection[ClaimPathOption]
    required_values: Mapping[ClaimPathOption, ClaimValue | Collection[ClaimValue]]
    required_header: Mapping[ClaimPathOption, ClaimValue | Collection[ClaimValue]]
    padded: bool
    require_exp: bool
    token_types: Collection[str | None]
    accept_id_tokens: bool
    accept_bound_as_bearer: bool
    max_lifetime: float | timedelta | None
    subject_claim: ClaimPathOption | list[ClaimPathOption]
    require_subject: bool
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
    label: str | None


@dataclass(frozen=True, eq=False, repr=False)
class Issuer:
    """One trusted issuer, and the requirements of its tokens.

    Issuers are equal if all their options are, without ``seed``.

    :param issuer: the exact ``iss`` of its tokens (RFC 8725 §3.8). With neither ``keys`` nor
        ``jwks_uri`` its keys are found from this name by discovery.
    :param audience: the names of this service; a token must have one of them in ``aud``.
        ``None``: it must have no ``aud``. ``ANY_AUDIENCE``: any ``aud`` is accepted.
    :param keys: keys that the configuration holds (see ``KeyOption``).
    :param jwks_uri: where its key set is published.
    :param key_uri: where each of its keys is published alone, as PEM, under an address that ends in
        ``/{kid}``. Key ids must be UUIDs. A key is fetched when a token names it first.
    :param discovery: where its discovery document is, if that is not below its name. The
        document must still name the issuer, byte for byte.
    :param algorithms: the names that a token's header may use.
    :param leeway: seconds that the clocks of the issuer and of this service may differ.
    :param required_claims: claims that must be present, besides ``iss``, ``aud`` and ``exp``.
    :param required_values: claims that must have a value, or one of several: text, a whole
        number or a boolean, compared as JSON.
    :param required_header: members of the header that must have a value, or one of several.
    :param padded: whether the segments of its tokens are padded with ``=``, against RFC 7515 §2, as
        those of AWS load balancers are. Tokens without any padding are then refused.
    :param require_exp: whether a token without ``exp`` is refused.
    :param token_types: accepted values of ``typ``; ``None`` for a header without one.
    :param accept_id_tokens: whether an ID token is accepted as an access token.
    :param accept_bound_as_bearer: whether a token bound to a key is accepted as a bearer token.
    :param max_lifetime: seconds that may lie between ``iat`` and ``exp``.
    :param subject_claim: the claim that identifies the caller, such as ``oid``, or a list of
        claims, of which the first that is not empty counts.
    :param require_subject: whether a token that identifies no caller is refused.
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
    :param label: what tells this issuer apart where several have one name. ``Guard.health``,
        ``distrust``, ``export_keys`` and events call it ``issuer#label``, and the identities of its
        callers are ``issuer#label|subject``.
    :raises ConfigurationError: naming the setting, the value and the fix.
    """

    issuer: Annotated[str | None, issuer_name]
    _: KW_ONLY
    audience: Annotated[Audience, audience_names]
    keys: KeyOption = None
    jwks_uri: str | None = None
    key_uri: Annotated[str | None, key_address] = None
    discovery: str | None = None
    algorithms: Annotated[Collection[str], algorithm_names] = ASYMMETRIC
    leeway: Annotated[float | timedelta, Seconds(300)] = 30
    required_claims: Annotated[Collection[ClaimPathOption], claim_paths] = ()
    required_values: Annotated[
        Mapping[ClaimPathOption, ClaimValue | Collection[ClaimValue]], claim_values
    ] = field(default_factory=dict)
    required_header: Annotated[
        Mapping[ClaimPathOption, ClaimValue | Collection[ClaimValue]], header_values
    ] = field(default_factory=dict)
    padded: Annotated[bool, Flag()] = False
    require_exp: Annotated[bool, Flag()] = True
    token_types: Annotated[Collection[str | None], type_names] = ("at+jwt", "JWT", None)
    accept_id_tokens: Annotated[bool, Flag()] = False
    accept_bound_as_bearer: Annotated[bool, Flag()] = False
    max_lifetime: Annotated[float | timedelta | None, Seconds()] = None
    subject_claim: Annotated[ClaimPathOption | list[ClaimPathOption], paths_in_order] = "sub"
    require_subject: Annotated[bool, Flag()] = False
    scopes_claim: Annotated[ClaimPathOption, one_path] = "scope"
    roles_claim: Annotated[ClaimPathOption, one_path] = "roles"
    permissions_claim: Annotated[ClaimPathOption, one_path] = "permissions"
    grants: Annotated[GrantsOption, granted_names] = None
    claims_type: Any = None
    aliases: Annotated[Collection[str], alias_names] = ()
    tenants: Tenants | None = None
    resolver: Annotated[ResolverOptions, Kind(ResolverOptions, "ResolverOptions(timeout=3)")] = (
        _DEFAULT_RESOLVER
    )
    fetcher: Fetcher | None = None
    seed: Annotated[Mapping[str, Any] | None, exported_keys] = None
    label: Annotated[str | None, Text("mobile")] = None

    def __post_init__(self) -> None:
        check_fields(self, Issuer)
        _check_source(self)
        if isinstance(self.keys, OwnKeys):
            self.keys.check_algorithms(select(self.algorithms))
        elif self.keys is not None:
            self._settle("keys", read_keys(self.keys, select(self.algorithms)))
        self._settle("tenants", checked_tenants(self.issuer, self.tenants, tuple(self.aliases)))
        if self.claims_type is not None:
            # Refused here if it is not a type that claims can be converted to.
            TypedClaims(self.claims_type)
        _check_together(self)

    def _settle(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    @cached_property
    def policy(self) -> ClaimPolicy:
        """The requirements of the claims of its tokens."""
        values: Any = self
        return ClaimPolicy(
            audience=values.audience,
            leeway=values.leeway,
            require_exp=self.require_exp,
            required=values.required_claims,
            max_lifetime=values.max_lifetime,
            accept_id_tokens=self.accept_id_tokens,
            accept_bound_as_bearer=self.accept_bound_as_bearer,
            subject_claims=values.subject_claim,
            require_subject=self.require_subject,
            scopes_claims=(values.scopes_claim,),
            roles_claims=(values.roles_claim,),
            permissions_claims=(values.permissions_claim,),
            # A claim in ``required_values`` is left out, because its value is checked already.
            kind_claims=tuple(
                name for name in SAYS_ITS_KIND if (name,) not in self.required_values
            ),
            grants=None if isinstance(self.grants, AnyGrants) else values.grants,
        )

    def admitted_with(self, grants: GrantsOption) -> "Issuer":
        """Return this issuer with the grants of its rule, unless it has its own ``grants``.

        :param grants: the grants of the issuers that the rule admits.
        """
        if self.grants is not None:
            return self
        return replace(self, grants=NO_GRANTS if grants is None else grants)

    @property
    def is_template(self) -> bool:
        """Whether the name is a template for many issuers, one per tenant."""
        return self.issuer is not None and TENANT in self.issuer

    @property
    def key_settings(self) -> tuple[Any, ...]:
        """The source of its keys, as a value that can be compared and hashed."""
        return (
            *(getattr(self, name) for name in _OF_KEYS),
            _value_of(self.keys),
            _identity_of(self.fetcher),
        )

    @property
    def token_settings(self) -> tuple[Any, ...]:
        """The requirements of its tokens, as a value that can be compared."""
        # With their types, because 1 and true are equal in Python and not in JSON.
        values = tuple(
            (option, path, tuple((type(value), value) for value in _several(allowed)))
            for option in _OF_VALUES
            for path, allowed in getattr(self, option).items()
        )
        names = (name for name in options_of(Issuer) if name not in _NOT_OF_TOKENS)
        return (values, *(getattr(self, name) for name in names))

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Issuer)
            and type(self) is type(other)
            and self.key_settings == other.key_settings
            and self.token_settings == other.token_settings
        )

    def __hash__(self) -> int:
        return hash(self.key_settings)

    def __reduce__(self) -> tuple[Any, ...]:
        values = {name: getattr(self, name) for name in options_of(Issuer)}
        for name in _OF_VALUES:
            # A read-only view of a dictionary cannot be copied or pickled.
            values[name] = dict(values[name])
        return _rebuilt, (type(self), values)

    def __repr__(self) -> str:
        return f"Issuer({self.issuer!r}, algorithms={list(self.algorithms)})"


_OF_KEYS = ("issuer", "jwks_uri", "key_uri", "discovery", "algorithms", "resolver")
_OF_VALUES = ("required_values", "required_header")
_NOT_OF_TOKENS = frozenset({*_OF_KEYS, *_OF_VALUES, "keys", "fetcher", "seed"})


def _rebuilt(kind: type[Issuer], values: dict[str, Any]) -> Issuer:
    issuer = object.__new__(kind)
    Issuer.__init__(issuer, **values)
    return issuer


def _value_of(keys: Any) -> Hashable:
    if keys is None:
        return None
    return id(keys) if isinstance(keys, OwnKeys) else tuple(key.value for key in keys)


def _identity_of(fetcher: Fetcher | None) -> Hashable:
    """Return what two fetchers have in common if either may stand for the other.

    A rule may make a new one with each issuer, so those of a class that shows its settings as
    ``compared_by`` are compared by them. A derived class may have more, and must show them too.
    """
    if "compared_by" in vars(type(fetcher)):
        shown: Any = fetcher
        return type(fetcher), shown.compared_by
    return id(fetcher)


def _several(values: Any) -> tuple[ClaimValue, ...]:
    return tuple(values)


def _check_source(issuer: Issuer) -> None:
    """Refuse settings that contradict each other about where keys come from."""
    name, keys, jwks_uri = issuer.issuer, issuer.keys, issuer.jwks_uri
    if name is None and (keys, jwks_uri, issuer.key_uri) == (None, None, None):
        raise ConfigurationError(
            "Issuer(None) must have a source of keys: write a name, keys= or jwks_uri="
        )
    if keys is not None and jwks_uri is not None:
        raise ConfigurationError(f"Issuer({name!r}): give keys or jwks_uri, not both")
    if jwks_uri is not None and issuer.discovery is not None:
        raise ConfigurationError(f"Issuer({name!r}): give jwks_uri or discovery, not both")
    for setting in ("keys", "jwks_uri", "discovery", "seed"):
        if issuer.key_uri is not None and getattr(issuer, setting) is not None:
            raise ConfigurationError(
                f"Issuer({name!r}): {setting}= cannot be combined with key_uri=, because each key "
                "is then fetched by its key id: write one of the two"
            )
    for setting in ("discovery", "fetcher", "seed"):
        if keys is not None and getattr(issuer, setting) is not None:
            raise ConfigurationError(
                f"Issuer({name!r}): {setting}= cannot be combined with keys=, because keys are "
                "then not fetched: write one of the two"
            )
    if issuer.fetcher is not None and not hasattr(issuer.fetcher, "fetch"):
        raise ConfigurationError(
            f"fetcher={issuer.fetcher!r} has no fetch(request): write HTTPFetcher(...), or a "
            "class of your own with that method"
        )


def _check_together(issuer: Issuer) -> None:
    """Refuse options that are valid alone and not together."""
    name, keys = issuer.issuer, issuer.keys
    if issuer.aliases and name is None:
        raise ConfigurationError(
            f"aliases={issuer.aliases!r} must belong to an issuer: write its name"
        )
    if keys is None and any(row.is_symmetric for row in select(issuer.algorithms)):
        raise ConfigurationError(
            f"Issuer({name!r}): algorithms={list(issuer.algorithms)} need a shared secret, and "
            "a published key set cannot hold one: write keys=Secret.from_env(...)"
        )
    if issuer.key_uri is not None and issuer.resolver.unknown_kid_burst == 0:
        raise ConfigurationError(
            f"Issuer({name!r}): unknown_kid_burst=0 would fetch no key of key_uri=, because each "
            "is unknown at first: write ResolverOptions(unknown_kid_burst=8)"
        )
    sources = (keys, issuer.jwks_uri, issuer.key_uri, issuer.discovery)
    is_found = any(source is not None for source in sources)
    if issuer.is_template and not is_found:
        raise ConfigurationError(
            f"Issuer({name!r}): keys cannot be discovered at a name with {TENANT}: "
            "write discovery= or jwks_uri="
        )
