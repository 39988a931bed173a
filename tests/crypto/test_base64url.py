"""Base64url with one spelling for each value."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwt_middleware.crypto import base64url


@given(st.binary())
def test_what_is_encoded_decodes(data: bytes) -> None:
    """And the spelling is the standard library's without padding."""
    text = base64url.encode(data)

    assert base64url.decode(text) == data
    assert text == base64.urlsafe_b64encode(data).rstrip(b"=")


@given(st.binary(max_size=12))
def test_whatever_decodes_is_the_only_spelling(text: bytes) -> None:
    """A text that is accepted is what encoding gives back."""
    try:
        data = base64url.decode(text)
    except ValueError:
        return

    assert base64url.encode(data) == text


@pytest.mark.parametrize("text", [b"A", b"AB==", b"AB", b"AAB", b"A+/A", b"A A A", b"AAAA\n"])
def test_other_spellings_are_refused(text: bytes) -> None:
    """Padding, junk, stray bits, the standard alphabet, an impossible length."""
    with pytest.raises(ValueError, match="base64url"):
        base64url.decode(text)
