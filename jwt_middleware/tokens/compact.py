"""Parses the compact serialisation of a JWS strictly (RFC 7515 §7.1, RFC 8725 §3.10).

The cheap checks come first: size, then shape, then the header. No key is used here. ``jku``,
``x5u``, ``jwk`` and ``x5c`` are never read, because a token must not choose its own key.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jwt_middleware.crypto.jwk import MAX_KID_LENGTH
from jwt_middleware.errors import TokenMalformed, TokenTooLarge
from jwt_middleware.formats import base64url
from jwt_middleware.formats.strict_json import NotOneObject, read_object

# An issuer uses a few different headers (algorithm and key id). 256 leave room for many issuers and
# rotations. Longer headers have certificates and are not cached. The cache stays under a megabyte.
MAX_KNOWN_HEADERS = 256
MAX_KNOWN_HEADER_LENGTH = 512


@dataclass(frozen=True, slots=True)
class Header:
    """The members of a protected header that the guard uses."""

    alg: str
    kid: str | None
    typ: str | None
    """The type in lower case and without ``application/`` (RFC 7515 §4.1.9)."""
    others: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The other members, for issuers that say more there."""


# Not frozen, because one is created for each new token and freezing would double its cost. It is
# never passed to callers outside the package.
@dataclass(slots=True, eq=False)
class Compact:
    """A well-formed compact JWS; its signature is not verified."""

    header: Header
    header_segment: bytes = field(repr=False)
    signing_input: bytes = field(repr=False)
    payload: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    is_padded: bool | None = False
    """Whether the segments are padded with ``=``, which the signing input then contains. ``None``
    if no segment needs padding."""

    def claims(self) -> dict[str, Any]:
        """Return the payload as a claim set (RFC 7519 §7.2).

        :raises TokenMalformed: if the payload is not one JSON object.
        """
        try:
            return read_object(self.payload)
        except NotOneObject as problem:
            raise TokenMalformed(f"payload: {problem}") from None


class KnownHeaders(dict[bytes, Header]):
    """A small cache of the headers of tokens with a valid signature, by header segment.

    Only the parsed header is cached. Issuer, key and policy are looked up again for each token.
    """

    __slots__ = ()

    def learn(self, segment: bytes, header: Header) -> None:
        """Cache the header of a token with a valid signature, unless the segment is long."""
        if len(segment) > MAX_KNOWN_HEADER_LENGTH:
            return
        if len(self) >= MAX_KNOWN_HEADERS:
            self.clear()
        self[segment] = header


def parse(
    token: str, max_size: int, headers: KnownHeaders, *, may_be_padded: bool = False
) -> Compact:
    """Parse a token.

    :param max_size: the maximum number of characters.
    :param headers: the cached headers, which are not parsed again.
    :param may_be_padded: whether all segments may be padded with ``=``, against RFC 7515 §2. The
        caller must then check ``is_padded``, because only some issuers write tokens so.
    :raises TokenTooLarge: if the token has more characters.
    :raises TokenMalformed: if the token is not three base64url segments with a valid header.
    """
    if len(token) > max_size:
        raise TokenTooLarge(f"{len(token)} characters, at most {max_size} are read")
    if not token.isascii():
        raise TokenMalformed("not ASCII")
    data = token.encode("ascii")
    if data.count(b".") != 2:
        raise TokenMalformed("not three segments")
    signing_input, _, signature = data.rpartition(b".")
    header_segment, _, payload_segment = signing_input.partition(b".")
    is_padded = _padding(data) if may_be_padded else False
    decode = base64url.decode_padded if is_padded else base64url.decode
    # A known header is spelt without padding.
    header = (None if is_padded else headers.get(header_segment)) or _read_header(
        header_segment, decode
    )
    try:
        payload, signature = decode(payload_segment), decode(signature)
    except ValueError:
        raise TokenMalformed(_MISSPELT) from None
    return Compact(header, header_segment, signing_input, payload, signature, is_padded)


def _padding(token: bytes) -> bool | None:
    if b"=" in token:
        return True
    return False if any(len(segment) & 3 for segment in token.split(b".")) else None


_MISSPELT = "a segment is not canonical base64url"


def check_padding(compact: Compact, *, padded: bool) -> None:
    """Check that a token is padded if its issuer pads, and only then.

    :raises TokenMalformed: if it is not.
    """
    if compact.is_padded not in {padded, None}:
        raise TokenMalformed(_MISSPELT)


def _read_header(segment: bytes, decode: Callable[[bytes], bytes]) -> Header:
    try:
        members = read_object(decode(segment))
    except NotOneObject as problem:
        raise TokenMalformed(f"header: {problem}") from None
    except ValueError:
        raise TokenMalformed(_MISSPELT) from None
    # RFC 7515 §4.1.11: an unsupported critical extension makes the token invalid. No extension is
    # supported here, not even the unencoded payload of RFC 7797.
    if "crit" in members or members.get("b64", True) is not True:
        raise TokenMalformed("header: critical extensions are not supported")
    others = {name: value for name, value in members.items() if name not in _NOT_OTHERS}
    return Header(_algorithm(members), _kid(members), _type(members), others)


# The first are read above. The last may hold keys, so they are not kept.
_NOT_OTHERS = frozenset({"alg", "kid", "typ", "b64", "jku", "x5u", "jwk", "x5c"})


def _algorithm(members: dict[str, Any]) -> str:
    alg = members.get("alg")
    if not isinstance(alg, str):
        raise TokenMalformed("header: alg is not a string")
    return alg


def _kid(members: dict[str, Any]) -> str | None:
    kid = members.get("kid")
    if kid is None and "kid" not in members:
        return None
    if not isinstance(kid, str) or len(kid) > MAX_KID_LENGTH:
        raise TokenMalformed("header: kid is not a short string")
    return kid


def _type(members: dict[str, Any]) -> str | None:
    typ = members.get("typ")
    if typ is None and "typ" not in members:
        return None
    if not isinstance(typ, str):
        raise TokenMalformed("header: typ is not a string")
    return normal_type(typ)


def normal_type(typ: str) -> str:
    """Return a ``typ`` value in the form used for comparison (RFC 7515 §4.1.9)."""
    return typ.lower().removeprefix("application/")
