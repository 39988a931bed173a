"""The values of refresh families: terms that make sense, and reprs that say little."""

import pytest

from jwt_middleware.errors import ConfigurationError
from jwt_middleware.issuing.family import Family, FamilyTerms, Generation

DAY = 86_400.0


@pytest.mark.parametrize("name", ["refresh_lifetime", "family_lifetime", "grace"])
@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf"), "5", True, None])
def test_terms_that_make_no_sense_are_refused(name: str, value: object) -> None:
    """The message names the setting."""
    terms = {"refresh_lifetime": DAY, "family_lifetime": DAY, "grace": 5.0, name: value}

    with pytest.raises(ConfigurationError, match=f"^{name}="):
        FamilyTerms(**terms)  # type: ignore[arg-type]


def test_the_shortest_terms() -> None:
    """F5: a lifetime of a second, since less could round down to an end in the past."""
    assert FamilyTerms(1, 1, 0).grace == 0

    for refresh, whole in ((0.9, 1), (1, 0.9)):
        with pytest.raises(ConfigurationError, match="of at least 1"):
            FamilyTerms(refresh, whole, 0)


def test_a_family_does_not_show_the_login() -> None:
    """Its repr may be logged. Families that are equal have one hash, whatever the login holds."""
    newest = Generation("j", 0.0, 9.0)
    made = [
        Family("s", "u", 0.0, 9.0, 0, newest, login={"email": "a@b"}, device={"name": "Ada's"})
        for _ in range(2)
    ]

    assert "a@b" not in repr(made)
    assert "Ada" not in repr(made)
    assert len(set(made)) == 1
