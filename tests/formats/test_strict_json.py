"""JSON that every reader reads alike."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwt_middleware.formats.strict_json import MAX_DEPTH, NotOneObject, read_object

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), VALUES, max_size=4))
def test_an_ordinary_object_is_read_as_it_is(value: dict[str, object]) -> None:
    """Escaped or not."""
    for ascii_only in (True, False):
        assert read_object(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"1",
        b'{"a":1',
        b'{"a":1} x',
        b'{"a":1}{}',
        b'x{"a":1}',
        b'{"a":1,"a":2}',
        b'{"a":{"b":1,"b":1}}',
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b'{"a":1e999}',
        b'{"a":"\xff"}',
        b'\xef\xbb\xbf{"a":1}',
        '{"a":1}'.encode("utf-16"),
        b'{"a":"\\ud800"}',
        b'{"\\uDFFF":1}',
        b'{"a":' + b"[" * 40 + b"]" * 40 + b"}",
        b'{"a":' + b"1" * 5_000 + b"}",
    ],
)
def test_what_readers_could_differ_about_is_refused(data: bytes) -> None:
    """Repeated members, numbers that are none, encodings, half characters, depth."""
    with pytest.raises(NotOneObject):
        read_object(data)


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_an_object_nests_as_deep_as_allowed_and_no_deeper(opening: bytes, closing: bytes) -> None:
    """The object itself is the first level; what was closed again does not count."""

    def nested(depth: int) -> bytes:
        return b'{"x":[[],[]],"a":' + opening * (depth - 1) + b"0" + closing * (depth - 1) + b"}"

    assert MAX_DEPTH == 32
    assert "a" in read_object(nested(MAX_DEPTH))
    with pytest.raises(NotOneObject, match="too deep"):
        read_object(nested(MAX_DEPTH + 1))


def test_width_is_not_depth_and_pairs_of_surrogates_are_characters() -> None:
    """Many brackets side by side pass, and so does an emoji that is escaped."""
    wide = b'{"a":[' + b"{}," * (MAX_DEPTH + 5) + b'{}],"b":1.5,"c":"\\ud83d\\ude00"}'

    assert read_object(wide)["c"] == "\U0001f600"


def test_a_fraction_is_read_as_what_it_is() -> None:
    """A date with a fraction must not become another, or none."""
    assert read_object(b'{"a":1.5,"b":-2.5e3,"c":0.0}') == {"a": 1.5, "b": -2500.0, "c": 0.0}


def test_white_space_around_an_object_is_nothing() -> None:
    """The four kinds of RFC 8259, and no other."""
    assert read_object(b' \t\r\n{"a": 1}\n') == {"a": 1}
    with pytest.raises(NotOneObject):
        read_object(b'\x0c{"a": 1}')
