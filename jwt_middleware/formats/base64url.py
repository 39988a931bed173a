"""Encodes and decodes base64url, without padding as JOSE uses it (RFC 7515 §2).

The standard library skips characters outside the alphabet and ignores trailing bits, so that one
signature has many encodings. Here every value has exactly one.
"""

import binascii

# "+", "/" and "=" are mapped to NUL, so that the strict decoder refuses them.
_TO_STANDARD = bytes.maketrans(b"-_+/=", b"+/\0\0\0")
_FROM_STANDARD = bytes.maketrans(b"+/", b"-_")

# By length modulo 4: the padding to add, and the last characters with all unused bits zero.
_PADDING = {0: b"", 2: b"==", 3: b"="}
_CANONICAL_LAST = {2: b"AQgw", 3: b"AEIMQUYcgkosw048"}


def decode(text: bytes) -> bytes:
    """Return the bytes that ``text`` encodes.

    :raises ValueError: if it is not canonical unpadded base64url. The message never contains it.
    """
    remainder = len(text) & 3
    if remainder == 1 or (remainder and text[-1] not in _CANONICAL_LAST[remainder]):
        raise ValueError("not canonical base64url")
    padded = text.translate(_TO_STANDARD) + _PADDING[remainder]
    try:
        return binascii.a2b_base64(padded, strict_mode=True)
    except binascii.Error:
        raise ValueError("not canonical base64url") from None


def decode_padded(text: bytes) -> bytes:
    """Return the bytes that ``text`` encodes, which is padded to a multiple of four characters.

    :raises ValueError: if it is not canonical base64url, or not padded exactly so.
    """
    unpadded = text.rstrip(b"=")
    if len(text) & 3 or len(text) - len(unpadded) > 2:
        raise ValueError("not canonical base64url")
    return decode(unpadded)


def encode(data: bytes) -> bytes:
    """Return the canonical encoding of ``data``."""
    text = binascii.b2a_base64(data, newline=False)
    # Text of ASCII seldom has either, and looking for them costs a tenth of the translation.
    if b"+" in text or b"/" in text:
        text = text.translate(_FROM_STANDARD)
    return text.rstrip(b"=")
