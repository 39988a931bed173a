"""Both sides of a comparison as text that any log can take."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jwt_middleware.evidence import (
    MAX_LENGTH,
    MAX_VALUES,
    NOT_COMPARED,
    Comparison,
    Phrase,
    kind_of,
    listed,
    plain,
    quoted,
    reason_of,
)

VALUES = st.none() | st.text() | st.integers()


@settings(deadline=None)
@given(VALUES, st.lists(VALUES), st.text())
def test_any_value_becomes_one_short_line(value: object, values: list[object], text: str) -> None:
    """No control character, no line break, nothing but printable ASCII, and never too long."""
    for shown in (quoted(value), listed(values), plain(text), Comparison(values, value).expected):
        assert shown.isascii()
        assert shown.isprintable()
        assert len(shown) <= MAX_LENGTH


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("orders", "'orders'"),
        ("it's", '"it\'s"'),
        ("a\nb\x1b[31m", "'a\\nb\\x1b[31m'"),
        ("\u0430dmin", "'\\u0430dmin'"),
        ("\u202eabc", "'\\u202eabc'"),
        ("\ud800", "'\\ud800'"),
        ("x" * 98, "'" + "x" * 98 + "'"),
        ("x" * 99, "'" + "x" * 95 + "...'"),
        (None, "none"),
        (True, "True"),
        (17, "17"),
        (Phrase("another tenant"), "another tenant"),
    ],
)
def test_a_value_is_quoted_escaped_and_cut(value: object, shown: str) -> None:
    """A letter that only looks like the expected one shows, too."""
    assert quoted(value) == shown


def test_a_list_says_how_many_more_there_are() -> None:
    """As many as fit, in order, whatever the kind of collection."""
    assert listed([]) == "none"
    assert listed({"b", "a", None}) == "'a', 'b', none"
    many = listed([f"https://{number:02}.example/" for number in range(40)])
    assert many.startswith("'https://00.example/', 'https://01.example/'")
    assert many.endswith("' and 37 more")
    assert listed(range(MAX_VALUES * 5)).endswith(", 113 and 982 more")
    assert listed(["x" * 200, "y"]) == "'" + "x" * 84 + "...' and 1 more"


@pytest.mark.parametrize(
    ("required", "actual", "hint"),
    [
        (["https://a/"], "https://a", "they differ only by a slash at the end"),
        (["https://a"], ["x", "https://a/"], "they differ only by a slash at the end"),
        (["Orders"], "orders", "they differ only in upper and lower case"),
        (["HTTPS://A/"], "https://a", "they differ only in upper and lower case and by a slash"),
        (["https://a/"], "https://b/", ""),
        (["https://a/"], "https://a/b", ""),
        (["a"], None, ""),
        (["a"], 7, ""),
        ([None, 7], "a", ""),
        ("https://a/", "https://a", ""),
    ],
)
def test_the_only_difference_is_pointed_out(required: object, actual: object, hint: str) -> None:
    """Of values, and not of a phrase that only describes what was expected."""
    found = Comparison(required, actual).hint

    assert found.startswith(hint)
    assert bool(found) == bool(hint)


def test_the_value_that_was_almost_found_comes_first() -> None:
    """It must not be the one that is cut off."""
    names = [f"https://{number:02}.example/" for number in range(40)]

    expected = Comparison(names, "https://33.example").expected

    assert expected.startswith("'https://33.example/', 'https://00.example/'")


def test_what_is_not_compared_is_empty() -> None:
    """And what was absent says so."""
    assert (Comparison().expected, Comparison().found, Comparison().hint) == ("", "", "")
    assert Comparison(["a"], None).found == "none"
    assert Comparison(7, []).expected == "7"
    assert Comparison(7, []).found == "none"
    assert repr(NOT_COMPARED) == "NOT_COMPARED"


def test_a_reason_is_one_line_without_repetition() -> None:
    """Words, both sides and the hint; an application's own words are escaped."""
    assert reason_of("", "", "") == ""
    assert reason_of("role admin", "role admin", "") == "role admin"
    assert reason_of("a\nb", "'x'", "'y'", "why") == "a\\nb, expected 'x', found 'y', why"


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("s3cret", "a string"),
        (True, "a boolean"),
        (1, "a number"),
        (1.5, "a number"),
        ([], "an array"),
        ({}, "an object"),
        (None, "null"),
        (object(), "a value"),
    ],
)
def test_of_other_claims_only_the_type_is_told(value: object, kind: str) -> None:
    """Their values may be anything, and belong to the caller."""
    assert quoted(kind_of(value)) == kind
