"""Builds an issuer from the options of a preset and those of its caller."""

import re
from collections.abc import Collection, Mapping
from typing import Any

from jwt_middleware import checks
from jwt_middleware.errors import ConfigurationError
from jwt_middleware.issuers.issuer import Issuer, IssuerOptions
from jwt_middleware.issuers.options import (
    Audience,
    ClaimPathOption,
    ClaimValue,
    claim_paths,
    claim_values,
)

# Lower case only, because names are compared byte for byte and providers write hosts so.
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[0-9]{1,5})?")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]*")

_Required = Mapping[ClaimPathOption, ClaimValue | Collection[ClaimValue]]

# The options for the source of keys. Setting one replaces the preset's, because only one counts.
_SOURCES = ("keys", "jwks_uri", "key_uri", "discovery")


def build(name: str, audience: Audience, known: IssuerOptions, given: IssuerOptions) -> Issuer:
    """Return an issuer.

    :param known: the options of the preset.
    :param given: the options of the caller, which override those of the preset. A value that the
        preset requires, of a claim or of a header's member, stays required.
    :raises ConfigurationError: if the caller requires another value there.
    """
    merged = IssuerOptions(**known)
    if any(source in given for source in _SOURCES):
        merged.pop("jwks_uri", None)
        merged.pop("key_uri", None)
        merged.pop("discovery", None)
    if "keys" in given:
        merged.pop("fetcher", None)
    if "aliases" in known and "aliases" in given:
        raise ConfigurationError("aliases= cannot be set, because the preset sets it: leave it out")
    merged.update(given)
    merged["required_claims"] = (
        *known.get("required_claims", ()),
        *claim_paths("required_claims", given.get("required_claims", ())),
    )
    merged["required_values"] = _both(
        "required_values", known.get("required_values", {}), given.get("required_values", {})
    )
    merged["required_header"] = _both(
        "required_header", known.get("required_header", {}), given.get("required_header", {})
    )
    return Issuer(name, audience=audience, **merged)


def _both(option: str, fixed: _Required, wanted: _Required) -> _Required:
    """Return the values that the preset requires and those that its caller requires as well."""
    ours, theirs = claim_values(option, fixed), claim_values(option, wanted)
    for path in ours.keys() & theirs.keys():
        raise ConfigurationError(
            f"{option}: {'.'.join(path)!r} cannot be set, because the preset sets it: leave it out"
        )
    both: dict[Any, Any] = {**theirs, **ours}
    return both


def trusted_of(
    preset: str, everybody: str, such_as: str, options: Mapping[str, tuple[str, Any]]
) -> dict[ClaimPathOption, Collection[ClaimValue]]:
    """Return the values of claims that a caller trusts, for a provider that signs for everybody.

    :param preset: the name of the preset.
    :param everybody: what would be trusted without any of the options.
    :param such_as: one of the options, as Python code.
    :param options: the option's name and value by the claim that it is compared with.
    :raises ConfigurationError: if no option is set, or one is not a name or a list of names.
    """
    found: dict[ClaimPathOption, Collection[ClaimValue]] = {
        claim: listed(setting, value)
        for claim, (setting, value) in options.items()
        if value is not None
    }
    if not found:
        names = " or ".join(f"{setting}=" for setting, _ in options.values())
        raise ConfigurationError(
            f"{preset}() must be given {names}, because it would trust {everybody}: write {such_as}"
        )
    return found


def host(setting: str, value: object) -> str:
    """Return the name of a host, checked.

    :raises ConfigurationError: for an address, a path, or capital letters.
    """
    if not isinstance(value, str) or not _HOST.fullmatch(value):
        raise ConfigurationError(
            f"{setting}={value!r} must be the name of a host in lower case, such as 'id.example', "
            "without https:// and without a path"
        )
    return value


def label(setting: str, value: object) -> str:
    """Return the first part of a host's name, checked.

    :raises ConfigurationError: for a whole host, an address, or capital letters.
    """
    if not isinstance(value, str) or not _LABEL.fullmatch(value):
        raise ConfigurationError(
            f"{setting}={value!r} must be one name of lower-case letters, digits and -, such as "
            "'acme', without a domain"
        )
    return value


def segment(setting: str, value: object) -> str:
    """Return a name that is one segment of a path, checked.

    :raises ConfigurationError: for a name that would change the path around it.
    """
    if not isinstance(value, str) or not _SEGMENT.fullmatch(value):
        raise ConfigurationError(
            f"{setting}={value!r} must be one name of letters, digits and . _ ~ -"
        )
    return value


def listed(setting: str, value: str | Collection[str]) -> tuple[str, ...]:
    """Return one name, or several, as a tuple.

    :raises ConfigurationError: for an empty list or an empty name.
    """
    names = (value,) if isinstance(value, str) else checks.listed(setting, value, "['a', 'b']")
    if not names or not all(isinstance(name, str) and name for name in names):
        raise ConfigurationError(f"{setting}={value!r} must be a name, or a list of names")
    return names
