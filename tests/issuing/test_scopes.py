"""Fewer scopes than a login has; property F14."""

from typing import Any

import pytest

from jwt_middleware.endpoint_errors import ScopeNotGranted
from jwt_middleware.issuing.scopes import narrowed


@pytest.mark.parametrize("granted", ["a b c", ["a", "b", "c"], ["a", "b", "c", 1]])
def test_some_of_what_is_granted(granted: Any) -> None:
    assert narrowed("c a", granted) == "c a"


def test_a_scope_is_granted_once() -> None:
    """However often it is asked for."""
    assert narrowed(" ".join(["a", "b"] * 1000), "a b c") == "a b"


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        ("d", "a b c"),
        ("a d", "a b c"),
        ("a", None),
        ("a", ""),
        ("a", 5),
        ("a", {"a": True}),
        ("", "a"),
        (" ", "a"),
        ("a  b", "a b"),
        ("a\tb", "a b"),
        ('"', '"'),
        ("\\", "\\"),
        ("é", "é"),
        (5, "5"),
    ],
)
def test_nothing_else(asked: Any, granted: Any) -> None:
    """RFC 6749 §3.3 says what a scope looks like."""
    with pytest.raises(ScopeNotGranted):
        narrowed(asked, granted)
