"""Patterns taken apart, and wrong ones explained."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwt_middleware.errors import ConfigurationError
from jwt_middleware.rules.patterns import compile_pattern


@pytest.mark.parametrize(
    ("text", "parts", "is_open"),
    [
        ("/", (), False),
        ("/**", (), True),
        ("/a//b/", ("a", "b"), False),
        ("/a/**", ("a",), True),
        ("/A/{x}/b", ("A", None, "b"), False),
        ("/{x}/{_y1}/**", (None, None), True),
        ("/café/a.b/...", ("café", "a.b", "..."), False),
    ],
)
def test_a_pattern_is_its_segments(text: str, parts: tuple[str | None, ...], is_open: bool) -> None:
    """Holes have no text, empty segments do not count, and case is kept."""
    pattern = compile_pattern(text)
    assert (pattern.text, pattern.parts, pattern.is_open) == (text, parts, is_open)


def test_holes_capture_what_stands_in_them() -> None:
    """By name and position, whatever else the path has below."""
    pattern = compile_pattern("/t/{tenant}/u/{user}/**")
    assert pattern.holes == (("tenant", 1), ("user", 3))
    assert pattern.captures(("t", "acme", "u", "7", "x")) == {"tenant": "acme", "user": "7"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "write '/'"),
        ("api", "write '/api'"),
        ("/a/*", r"write '/a/\*\*'"),
        ("/a/x*/b", r"write '/a/\*\*'"),
        ("/**/b", r"write '/\*\*'"),
        ("/u/<id>", "write '/u/{id}'"),
        ("/u/<int:id>", "write '/u/{id}'"),
        ("/u/:id", "write '/u/{id}'"),
        ("/u/{id:path}", "write '/u/{id}'"),
        ("/u/{id", "write '/u/{name}'"),
        ("/u/id}", "write '/u/{name}'"),
        ("/u/{1x}", "write '/u/{name}'"),
        ("/{a}/{a}", "two parameters of one name"),
    ],
)
def test_a_wrong_pattern_names_the_right_one(text: str, sentence: str) -> None:
    """The nearest pattern that works is in the message."""
    with pytest.raises(ConfigurationError, match=sentence):
        compile_pattern(text)


@pytest.mark.parametrize(
    "segment", [".", "..", "a?b", "#", "%41", "a\\b", "a;b", "a b", "(a)", "^", "$", "|"]
)
def test_what_no_decoded_path_has_is_refused(segment: str) -> None:
    """Such a pattern would never match anything."""
    with pytest.raises(ConfigurationError, match="in no decoded path"):
        compile_pattern(f"/a/{segment}")


def test_a_pattern_that_is_no_text_is_refused() -> None:
    """A compiled regular expression, say."""
    with pytest.raises(ConfigurationError, match="is not text"):
        compile_pattern(None)  # type: ignore[arg-type]


@given(st.text("/*{}<>:.ab%;", max_size=14))
def test_any_text_compiles_or_is_explained(text: str) -> None:
    """What compiles has only holes and plain segments."""
    try:
        pattern = compile_pattern(text)
    except ConfigurationError:
        return
    assert not any(set(part) & set("/*{}%;") for part in pattern.parts if part)
