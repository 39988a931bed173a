"""Roles that bring others with them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwt_middleware.errors import ConfigurationError
from jwt_middleware.rules.roles import RoleHierarchy

ROLES = "abcdef"
edges = st.sets(
    st.tuples(st.sampled_from(ROLES), st.sampled_from(ROLES)).filter(lambda e: e[0] < e[1])
)


@given(edges, st.frozensets(st.sampled_from(ROLES)))
def test_expansion_is_everything_within_reach(
    direct: set[tuple[str, str]], held: frozenset[str]
) -> None:
    """The same as adding one step after another until nothing is new."""
    hierarchy = RoleHierarchy({a: [y for x, y in direct if x == a] for a in ROLES})
    reached = set(held)
    for _ in ROLES:
        reached |= {b for a, b in direct if a in reached}
    assert hierarchy.expand(held) == reached
    assert hierarchy.expand(frozenset(reached)) == reached


@pytest.mark.parametrize("nothing", [None, {}])
def test_without_a_hierarchy_roles_stay_as_they_are(nothing: dict[str, list[str]] | None) -> None:
    """The very same set comes back."""
    held = frozenset({"a"})
    assert RoleHierarchy(nothing).expand(held) is held


def test_a_role_may_list_itself() -> None:
    """That is no cycle, and an unknown role brings nothing."""
    hierarchy = RoleHierarchy({"a": ["a", "b"]})
    assert hierarchy.expand(frozenset({"a", "z"})) == {"a", "b", "z"}


def test_a_cycle_is_shown_with_its_path() -> None:
    """Only the cycle itself, without the way that led to it."""
    with pytest.raises(ConfigurationError, match="cycle: b -> c -> b:"):
        RoleHierarchy({"a": ["b"], "b": ["c"], "c": ["b"]})


@pytest.mark.parametrize("implied", ["editor", [1]])
def test_what_a_role_brings_is_a_list_of_names(implied: list[str]) -> None:
    """A bare string would be taken for its letters."""
    with pytest.raises(ConfigurationError, match=r"role_hierarchy\['admin'\]"):
        RoleHierarchy({"admin": implied})
