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


@pytest.mark.parametrize("written", ["]}", '\\"]}', '\\\\\\"]}', "\\u005d]}"])
def test_closing_brackets_in_strings_pay_for_no_nesting(written: str) -> None:
    """Behind quotes and backslashes too: a hundred levels would end what recurses after us."""
    text = written * 200
    as_value = f'{{"x":"{text}","a":{"[" * 100}0{"]" * 100}}}'
    as_name = f'{{"{text}":{"[" * 2_000}0{"]" * 2_000}}}'

    for data in (as_value, as_name):
        with pytest.raises(NotOneObject, match="too deep"):
            read_object(data.encode())


@pytest.mark.parametrize("text", ["[", "{", '"[', "\\[", '\\"{', "\\\\", "\u2028["])
def test_opening_brackets_in_strings_nest_nothing(text: str) -> None:
    """A claim may be any text."""
    claims = {"x": text * 200, text * 200: [text]}

    assert read_object(json.dumps(claims).encode()) == claims
    assert read_object(json.dumps(claims, ensure_ascii=False).encode()) == claims


@pytest.mark.parametrize("text", ['{"x":"' + '\\"' * 500_000, '{"' + "[" * 99 + "\\" * 999_999])
def test_a_string_without_an_end_costs_what_it_is_long(text: str) -> None:
    """A search that began again behind each quote would take hours; the suite's limit is minutes."""
    with pytest.raises(NotOneObject):
        read_object(text.encode() + b"[" * 40)


def _depth(value: object) -> int:
    if not isinstance(value, (dict, list)):
        return 0
    return 1 + max(map(_depth, value.values() if isinstance(value, dict) else value), default=0)


# Pieces that mean something to a reader of JSON, so that some of what they make up is JSON.
PIECES = st.sampled_from(
    [
        "[",
        "]",
        "{",
        "}",
        '"',
        "\\",
        '\\"',
        ":",
        ",",
        '"a":',
        '"]"',
        '"["',
        "1",
        "\\ud800",
        " ",
        "\0",
    ]
)
NESTED = st.integers(1, 60).flatmap(
    lambda depth: st.text('[]{}"\\', max_size=90).map(
        lambda text: json.dumps({text: json.loads("[" * depth + "]" * depth), "z": text})
    )
)


@given(
    st.one_of(st.binary(), st.lists(PIECES).map("".join).map(str.encode), NESTED.map(str.encode))
)
def test_any_bytes_are_an_object_as_deep_as_allowed_or_not_one(data: bytes) -> None:
    """And nothing else comes out, whatever stands in strings."""
    try:
        plain = json.loads(data)
    except (ValueError, RecursionError):
        plain = None
    try:
        value = read_object(data)
    except NotOneObject as refusal:
        was_deep = "deep" in str(refusal)
        value = plain
    else:
        was_deep = False
    assert value == plain
    assert plain is None or was_deep is (_depth(plain) > MAX_DEPTH)


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
