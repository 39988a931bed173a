"""Base64url as JOSE uses it: no padding, no junk, one spelling for each value (RFC 7515 §2).

The standard library skips characters outside the alphabet and ignores stray trailing bits, so that
one signature has many spellings. Here every value has exactly one.
"""

import binascii

# What only the standard alphabet has becomes what none has, and the strict reader stops there.
_TO_STANDARD = bytes.maketrans(b"-_+/=", b"+/\0\0\0")
_FROM_STANDARD = bytes.maketrans(b"+/", b"-_")

# By length modulo 4: the padding to add, and the last characters whose unused bits are all zero.
_PADDING = {0: b"", 2: b"==", 3: b"="}
_CANONICAL_LAST = {2: b"AQgw", 3: b"AEIMQUYcgkosw048"}


def decode(text: bytes) -> bytes:
    """Return the bytes that ``text`` spells.

    :raises ValueError: if it is not canonical unpadded base64url; the message does not repeat it.
    """
    remainder = len(text) & 3
    if remainder == 1 or (remainder and text[-1] not in _CANONICAL_LAST[remainder]):
        raise ValueError("not canonical base64url")
    padded = text.translate(_TO_STANDARD) + _PADDING[remainder]
    try:
        return binascii.a2b_base64(padded, strict_mode=True)
    except binascii.Error:
        raise ValueError("not canonical base64url") from None


def encode(data: bytes) -> bytes:
    """Return the one spelling of ``data``."""
    return binascii.b2a_base64(data, newline=False).translate(_FROM_STANDARD).rstrip(b"=")
