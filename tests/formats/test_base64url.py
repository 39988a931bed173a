"""Base64url with exactly one spelling for each value."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwt_middleware.formats import base64url


@given(st.binary(max_size=80))
def test_what_is_encoded_is_decoded_again(data: bytes) -> None:
    """The spelling is the standard one without padding, and reads back to the same bytes."""
    spelling = base64url.encode(data)
    assert spelling == base64.urlsafe_b64encode(data).rstrip(b"=")
    assert base64url.decode(spelling) == data


@given(st.binary(max_size=12) | st.text("AQgwBE-_=+/", max_size=9).map(str.encode))
def test_only_the_one_spelling_of_a_value_is_read(text: bytes) -> None:
    """Whatever decodes at all encodes to the very same text."""
    try:
        data = base64url.decode(text)
    except ValueError:
        return
    assert base64url.encode(data) == text


@pytest.mark.parametrize("text", [b"QQ==", b"Q+8", b"Q/8", b"Q Q", b"QQ\n", b"Q\xff", b"QQ."])
def test_characters_outside_the_alphabet_are_refused(text: bytes) -> None:
    """Padding, the standard alphabet and blanks are junk, and the message does not repeat them."""
    with pytest.raises(ValueError, match=r"^not canonical base64url$"):
        base64url.decode(text)


@pytest.mark.parametrize("text", [b"A", b"AAAAA", b"QR", b"QUJ", b"_-"])
def test_impossible_lengths_and_stray_bits_are_refused(text: bytes) -> None:
    """A lone last character, or unused bits that are set, would be a second spelling."""
    with pytest.raises(ValueError, match=r"^not canonical base64url$"):
        base64url.decode(text)


@pytest.mark.parametrize(("before", "count"), [(b"A", 4), (b"AA", 16), (b"AAA", 64), (b"", 0)])
def test_the_last_character_has_as_many_values_as_it_has_bits(before: bytes, count: int) -> None:
    """Two bits behind one character, four behind two, six behind three; alone it has none."""

    def is_read(text: bytes) -> bool:
        try:
            return base64url.encode(base64url.decode(text)) == text
        except ValueError:
            return False

    read = [last for last in range(256) if is_read(before + bytes([last]))]

    assert len(read) == count
    for last in set(range(256)) - set(read):
        with pytest.raises(ValueError, match=r"^not canonical base64url$"):
            base64url.decode(before + bytes([last]))


@given(st.binary(max_size=80))
def test_padding_is_read_where_it_is_asked_for(data: bytes) -> None:
    """The standard spelling with padding reads back to the same bytes."""
    assert base64url.decode_padded(base64.urlsafe_b64encode(data)) == data


@given(st.binary(max_size=12) | st.text("AQgwBE-_=+/", max_size=9).map(str.encode))
def test_only_exact_padding_is_read(text: bytes) -> None:
    """Whatever decodes at all encodes to the very same text."""
    try:
        data = base64url.decode_padded(text)
    except ValueError:
        return
    assert base64.urlsafe_b64encode(data) == text


@pytest.mark.parametrize("text", [b"QQ", b"QQ=", b"QQ===", b"QUI", b"AAAA====", b"====", b"Q==="])
def test_other_padding_is_refused(text: bytes) -> None:
    """Too little, too much, or alone."""
    with pytest.raises(ValueError, match=r"^not canonical base64url$"):
        base64url.decode_padded(text)
