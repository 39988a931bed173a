"""Reads the options of an issuer into the form in which they are kept and compared."""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

from jwt_middleware.checks import listed, mapped, shown
from jwt_middleware.crypto.algorithms import select
from jwt_middleware.errors import ConfigurationError
from jwt_middleware.keys.remote.single_keys import KID
from jwt_middleware.principal import ClaimPath, claim_path
from jwt_middleware.tokens.claims import AnyAudience
from jwt_middleware.tokens.compact import normal_type

ClaimPathOption = str | ClaimPath
"""A dotted path, or a tuple of names if a name contains a dot or a slash."""
ClaimValue = str | int | bool
Audience = str | Collection[str] | AnyAudience | None


def issuer_name(name: str, issuer: Any) -> str | None:
    """Return the name of an issuer, or ``None``."""
    if issuer is not None and (not isinstance(issuer, str) or not issuer):
        raise ConfigurationError(
            f"{name}={shown(issuer)} must be a name: write the exact iss of its tokens"
        )
    return issuer


def audience_names(name: str, audience: Any) -> frozenset[str] | AnyAudience | None:
    """Return the accepted audiences; ``None`` if a token must not name one."""
    if audience is None or isinstance(audience, AnyAudience):
        return audience
    names = (audience,) if isinstance(audience, str) else audience
    if (
        not isinstance(names, Collection)
        or not names
        or not all(isinstance(each, str) and each for each in names)
    ):
        raise ConfigurationError(
            f"{name}={shown(audience)} must be a name, a list of names, None (tokens must name no "
            "audience) or ANY_AUDIENCE"
        )
    return frozenset(names)


def algorithm_names(_: str, algorithms: Any) -> tuple[str, ...]:
    """Return the names of algorithms, each once."""
    return tuple(row.name for row in select(algorithms))


def one_path(name: str, path: Any) -> ClaimPath:
    """Return a claim path."""
    return claim_path(path, name)


def paths_in_order(name: str, paths: Any) -> tuple[ClaimPath, ...]:
    """Return the claim paths of a list, or a single one; a tuple of names is one path."""
    is_single = not isinstance(paths, list | tuple) or all(isinstance(each, str) for each in paths)
    if is_single and not isinstance(paths, list):
        return (claim_path(paths, name),)
    if not paths:
        raise ConfigurationError(f"{name}=[] must not be empty: write 'sub'")
    return tuple(claim_path(path, name) for path in paths)


def claim_paths(name: str, paths: Any) -> tuple[ClaimPath, ...]:
    """Return the claim paths of a list."""
    return tuple(claim_path(path, name) for path in listed(name, paths, "['sub']"))


def claim_values(name: str, required: Any) -> Mapping[ClaimPath, tuple[ClaimValue, ...]]:
    """Return the accepted values of each claim."""
    found: dict[ClaimPath, tuple[ClaimValue, ...]] = {}
    for written, wanted in mapped(name, required, "{'tier': 'gold'}").items():
        path = claim_path(written, name)
        if path in found:
            raise ConfigurationError(
                f"{name}: {written!r} is there in two spellings: write its values in one list"
            )
        found[path] = _values(name, written, wanted)
    return MappingProxyType(found)


# These members have options and checks of their own, or are never read.
_NOT_REQUIRED = frozenset({"alg", "kid", "typ", "crit", "b64", "jku", "jwk", "x5u", "x5c"})


def header_values(name: str, required: Any) -> Mapping[ClaimPath, tuple[ClaimValue, ...]]:
    """Return the accepted values of each member of the header."""
    found = claim_values(name, required)
    for path in found:
        if path[0] in _NOT_REQUIRED:
            raise ConfigurationError(
                f"{name}: {path[0]!r} cannot be required here: write algorithms= or token_types=, "
                "or another member"
            )
    return found


def _values(name: str, path: Any, wanted: Any) -> tuple[ClaimValue, ...]:
    is_single = isinstance(wanted, str | int)
    values = (wanted,) if is_single else listed(f"{name}[{shown(path)}]", wanted, "['gold']")
    if not values or not all(isinstance(value, str | int) for value in values):
        raise ConfigurationError(
            f"{name}: {shown(path)} must be text, a whole number, a boolean, or a list of these, "
            "and is "
            f"{shown(wanted)}"
        )
    return values


def type_names(name: str, types: Any) -> frozenset[str | None]:
    """Return the accepted values of ``typ``."""
    every = listed(name, types, "['at+jwt']")
    if not every:
        raise ConfigurationError(f"{name}=[] must not be empty: write ['at+jwt']")
    for typ in every:
        if typ is not None and not isinstance(typ, str):
            raise ConfigurationError(f"{name}: {typ!r} must be text, such as 'at+jwt', or None")
    return frozenset(None if typ is None else normal_type(typ) for typ in every)


def alias_names(name: str, aliases: Any) -> tuple[str, ...]:
    """Return other spellings of the name of an issuer."""
    names = listed(name, aliases, "['https://id.example']")
    if not all(isinstance(each, str) and each for each in names):
        raise ConfigurationError(f"{name}={shown(aliases)} must be a list of names")
    return names


def key_address(name: str, address: Any) -> str:
    """Return the address of single keys, which ends in the place of the key id."""
    if not isinstance(address, str) or not address.endswith(f"/{KID}") or address.count("{") > 1:
        raise ConfigurationError(
            f"{name}={shown(address)} must be an address that ends in /{KID}: write "
            f"'https://keys.example/{KID}'"
        )
    return address


def exported_keys(name: str, seed: Any) -> Mapping[str, Any]:
    """Return the seed of a key set; the resolver reads its members."""
    return mapped(name, seed, "what Guard.export_keys returned")
