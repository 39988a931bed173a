"""Base64url as JOSE uses it: no padding, no junk, one spelling for each value (RFC 7515 §2).

The standard library skips characters outside the alphabet and ignores stray trailing bits, so that
one signature has many spellings. Here every value has exactly one.
"""

import binascii

ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_TO_STANDARD = bytes.maketrans(b"-_", b"+/")

# By length modulo 4: the padding to add, and the last characters whose unused bits are all zero.
_PADDING = {0: b"", 2: b"==", 3: b"="}
_CANONICAL_LAST = {0: ALPHABET, 2: b"AQgw", 3: b"AEIMQUYcgkosw048"}


def decode(text: bytes) -> bytes:
    """Return the bytes that ``text`` spells.

    :raises ValueError: if it is not canonical unpadded base64url; the message does not repeat it.
    """
    if text.translate(None, ALPHABET):
        raise ValueError("not base64url")
    return decode_clean(text)


def decode_clean(text: bytes) -> bytes:
    """Do the same for a text that is known to hold only characters of the alphabet."""
    remainder = len(text) & 3
    if remainder == 1 or (remainder and text[-1] not in _CANONICAL_LAST[remainder]):
        raise ValueError("not canonical base64url")
    return binascii.a2b_base64(text.translate(_TO_STANDARD) + _PADDING[remainder])


def encode(data: bytes) -> bytes:
    """Return the one spelling of ``data``."""
    return binascii.b2a_base64(data, newline=False).translate(_FROM_STANDARD).rstrip(b"=")


_FROM_STANDARD = bytes.maketrans(b"+/", b"-_")
