"""Grants: the roles, scopes and permissions that the tokens of an issuer may grant."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

from jwt_middleware.checks import listed
from jwt_middleware.errors import ConfigurationError


class AnyGrants(Enum):
    """The type of :data:`ANY_GRANTS`, of which copies and pickles are the same value."""

    ANY_GRANTS = "ANY_GRANTS"

    def __repr__(self) -> str:
        return self.value


ANY_GRANTS = AnyGrants.ANY_GRANTS
"""Accept every name in an issuer's tokens: ``roles: ["admin"]`` makes the caller an admin."""


@dataclass(frozen=True, slots=True)
class Grants:
    """The names that count; all others in a token grant nothing."""

    roles: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    permissions: frozenset[str] = frozenset()


GrantsOption = (
    Mapping[Literal["roles", "scopes", "permissions"], Collection[str]] | Grants | AnyGrants | None
)
"""Names by kind; a kind that is not listed grants nothing."""

NO_GRANTS = Grants()

_SUCH_AS = "{'roles': ['editor'], 'scopes': ['orders:read']}"


def granted_names(name: str, option: Any) -> Grants | AnyGrants:
    """Return the validated grants.

    :param name: the name of the option, for messages.
    :raises ConfigurationError: for an invalid kind or name, which the message quotes.
    """
    if isinstance(option, AnyGrants):
        return option
    if isinstance(option, Grants):
        option = {kind: getattr(option, kind) for kind in Grants.__slots__}
    if not isinstance(option, Mapping):
        raise ConfigurationError(
            f"{name}={option!r} must be a mapping, such as {_SUCH_AS}, or ANY_GRANTS"
        )
    kinds = Grants.__slots__
    for kind in option:
        if kind not in kinds:
            raise ConfigurationError(
                f"{name}: {kind!r} cannot be granted: write {_SUCH_AS}, with 'roles', "
                "'scopes' or 'permissions' as names"
            )
    return Grants(**{kind: _names(kind, names) for kind, names in option.items()})


def _names(kind: str, names: Any) -> frozenset[str]:
    every = listed(f"grants[{kind!r}]", names, "['orders:read']")
    for name in every:
        if not isinstance(name, str) or not name:
            raise ConfigurationError(
                f"grants[{kind!r}]: {name!r} must be a name, such as 'orders:read'"
            )
        if kind == "scopes" and " " in name:
            raise ConfigurationError(
                f"grants['scopes']: {name!r} cannot have a space, which separates scopes: write "
                f"{name.split()!r}"
            )
    return frozenset(every)
