"""Readings of a path."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwt_middleware.errors import PathInvalid
from jwt_middleware.rules.methods import normal_method
from jwt_middleware.rules.paths import (
    MAX_READINGS,
    MAX_UNUSUAL_LENGTH,
    readings,
    strip_prefix,
    with_empty_segments,
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", {"/"}),
        ("*", {"*", "/*", "/"}),
        ("/a//b/", {"/a//b/"}),
        ("/caf\u00e9 x", {"/caf\u00e9 x"}),
        ("/a...b/.c", {"/a...b/.c"}),
        ("/%61", {"/%61", "/a"}),
        ("/a\\b", {"/a\\b", "/a/b"}),
        ("/a;x/b", {"/a;x/b", "/a/b"}),
        ("/100%", {"/100%"}),
    ],
)
def test_a_path_has_these_readings(path: str, expected: set[str]) -> None:
    """The path as sent is the first."""
    found = readings(path)

    assert set(found) == expected
    assert found[0] == (path or "/")


@pytest.mark.parametrize(
    "path",
    [
        "a",
        "//a/..",
        "/.",
        "/%2e%2E/",
        "/%252e%252e/x",
        "/..;x/a",
        "/a\\..\\b",
        "/\ufffd",
        "/%ff",
        "/%0a",
        "/" + chr(0xD800),
        "/" + ";" * 3_000,
        "/%" + "25" * 60,
    ],
)
def test_a_path_that_cannot_be_read_with_certainty_is_refused(path: str) -> None:
    """Dots in any disguise, controls, bytes that are no text, too much of it."""
    with pytest.raises(PathInvalid):
        readings(path)


def test_as_many_readings_as_allowed_are_read_and_one_more_is_not() -> None:
    """Each further ``25`` takes one more unquoting to come down to ``/A``."""
    most = MAX_READINGS - 2
    assert len(readings("/%" + "25" * most + "41")) == MAX_READINGS == 32
    with pytest.raises(PathInvalid, match="too many readings"):
        readings("/%" + "25" * (most + 1) + "41")


def test_an_escaped_path_is_read_up_to_its_greatest_length() -> None:
    """One character more is refused; a path that has but one reading may be longer."""
    longest = "/\\".ljust(MAX_UNUSUAL_LENGTH, "a")
    assert len(readings(longest)) == 2
    assert len(longest) == 2_048
    with pytest.raises(PathInvalid, match="too long"):
        readings(longest + "a")
    plain = "/" + "a" * MAX_UNUSUAL_LENGTH
    assert readings(plain) == (plain,)


def test_prefixes_come_off_at_a_boundary() -> None:
    """Each that fits gives one more reading."""
    assert readings("/v1/a", ["/v1", "/v"]) == ("/v1/a", "/a")
    assert strip_prefix("/v1", "/v1") == "/"
    assert strip_prefix("/v1//a", "/v1") == strip_prefix("//a", "/") == "//a"
    assert strip_prefix("/a", "/") == strip_prefix("/a", "") == strip_prefix("/a", "/v1") == "/a"


@pytest.mark.parametrize(
    ("path", "behind"),
    [
        ("/apiadmin", "/admin"),
        ("/public/api/admin", "/admin"),
        ("/public/apiadmin", "/admin"),
        ("/a/api", "/"),
        ("/a/api/b/api/c", "/b/api/c"),
    ],
)
def test_a_mount_point_inside_a_path_gives_another_reading(path: str, behind: str) -> None:
    """Litestar serves what stands behind it for each of these, Quart for the first."""
    assert readings(path, roots=["/api"]) == (path, behind)
    assert readings(path) == readings(path, roots=["/other"]) == (path,)


def test_what_a_mount_point_leaves_behind_may_be_unreadable() -> None:
    """A dot segment that only shows without it; an escape that hides it."""
    with pytest.raises(PathInvalid):
        readings("/api../admin", roots=["/api"])
    assert "/admin" in readings("/x%2Fapi/admin", roots=["/api"])


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/a/b/", ()),
        ("//a/b", ()),
        ("/", ()),
        ("/a//b", (("a", "", "b"),)),
        ("/a//", (("a", "", ""), ("a", ""))),
        ("/a//b/", (("a", "", "b", ""), ("a", "", "b"))),
    ],
)
def test_empty_segments_count_where_they_may_fill_a_hole(
    path: str, expected: tuple[tuple[str, ...], ...]
) -> None:
    """Not in front, and not one alone at the end."""
    assert with_empty_segments(path) == expected


@given(st.text(alphabet="/.;%\\25ae\u00e9", max_size=24).map(lambda text: "/" + text))
def test_readings_are_few_and_closed(path: str) -> None:
    """What a reading reads as is a reading of the path; none has a dot segment."""
    try:
        found = readings(path)
    except PathInvalid:
        return

    assert len(found) <= MAX_READINGS
    assert all(set(readings(reading)) <= set(found) for reading in found)
    assert not any(part in {".", ".."} for reading in found for part in reading.split("/"))


@pytest.mark.parametrize("method", ["", "GET ", "G\u00c9T", "A/B"])
def test_a_method_is_a_token(method: str) -> None:
    """Anything else is refused; a token is read in upper case."""
    assert normal_method("post") == "POST"
    with pytest.raises(PathInvalid):
        normal_method(method)


@given(st.text(max_size=40) | st.text("/.;%\\25cefF", max_size=40), st.sampled_from([(), ("/a",)]))
def test_any_text_has_readings_or_is_refused(path: str, prefixes: tuple[str, ...]) -> None:
    """A tuple of distinct texts that begins with the path as sent, or one error of ours."""
    try:
        found = readings(path, prefixes)
    except PathInvalid:
        return

    assert isinstance(found, tuple)
    assert len(set(found)) == len(found)
    assert found[0] == (path or "/")
    assert all(reading == "*" or reading.startswith("/") for reading in found)
