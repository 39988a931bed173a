"""The role hierarchy: the roles that a role implies."""

from collections.abc import Collection, Iterable, Mapping

from jwt_middleware.checks import mapped
from jwt_middleware.errors import ConfigurationError


class RoleHierarchy:
    """Expands roles. ``{"admin": ["editor"]}`` means that an admin is also an editor."""

    def __init__(self, direct: Mapping[str, Collection[str]] | None = None) -> None:
        """
        :param direct: the roles that each role implies directly; a role may list itself.
        :raises ConfigurationError: for a cycle through another role; the message shows the cycle.
        """
        given = {} if direct is None else mapped("role_hierarchy", direct, "{'admin': ['editor']}")
        self._direct = {role: _names(role, implied) for role, implied in given.items()}
        self._implied = {role: frozenset(self._closure(role, ())) for role in self._direct}

    def expand(self, roles: frozenset[str]) -> frozenset[str]:
        """Return ``roles`` and all roles that they imply."""
        if not self._implied or not roles:
            return roles
        return roles.union(*(self._implied.get(role, frozenset()) for role in roles))

    def _closure(self, role: str, trail: tuple[str, ...]) -> set[str]:
        if role in trail:
            path = " -> ".join((*trail[trail.index(role) :], role))
            raise ConfigurationError(
                f"role_hierarchy cannot have a cycle: {path}: remove one of these"
            )
        found = {role}
        for implied in self._direct.get(role, ()):
            if implied != role:
                found |= self._closure(implied, (*trail, role))
        return found


def _names(role: str, implied: Collection[str]) -> tuple[str, ...]:
    is_list = not isinstance(implied, str) and isinstance(implied, Iterable)
    if not is_list or not all(isinstance(name, str) for name in implied):
        raise ConfigurationError(
            f"role_hierarchy[{role!r}]={implied!r} must be a list of names: "
            f"write {{{role!r}: ['editor']}}"
        )
    return tuple(implied)
