"""The compact serialisation of a JWS, split and read strictly (RFC 7515 §7.1, RFC 8725 §3.10).

Everything is checked before anything costs: size, then shape, then the header. No key is looked at
here. ``jku``, ``x5u``, ``jwk`` and ``x5c`` are never read: a token does not choose its own key.
"""

from dataclasses import dataclass, field
from typing import Any

from jwt_middleware.crypto.jwk import MAX_KID_LENGTH
from jwt_middleware.errors import TokenMalformed, TokenTooLarge
from jwt_middleware.formats import base64url
from jwt_middleware.formats.strict_json import NotOneObject, read_object

# An issuer uses a handful of headers (algorithm and key). 256 leaves room for many issuers and
# rotations; longer ones carry certificates, and are read each time. Under 400 KB in all.
MAX_KNOWN_HEADERS = 256
MAX_KNOWN_HEADER_LENGTH = 512


@dataclass(frozen=True, slots=True)
class Header:
    """What of a protected header matters."""

    alg: str
    kid: str | None
    typ: str | None
    """In lower case and without ``application/`` (RFC 7515 §4.1.9)."""


# One is made for each new token and handed to nobody outside: freezing it would double its cost.
@dataclass(slots=True, eq=False)
class Compact:
    """A compact JWS that has its form; nothing of it is verified."""

    header: Header
    header_segment: bytes = field(repr=False)
    signing_input: bytes = field(repr=False)
    payload: bytes = field(repr=False)
    signature: bytes = field(repr=False)

    def claims(self) -> dict[str, Any]:
        """Return the payload as a claim set (RFC 7519 §7.2).

        :raises TokenMalformed: if it is not one JSON object.
        """
        try:
            return read_object(self.payload)
        except NotOneObject as problem:
            raise TokenMalformed(f"payload: {problem}") from None


class KnownHeaders(dict[bytes, Header]):
    """A small memory of header segments that came with a good signature.

    It maps a segment to its three facts and to nothing else: issuer, key and policy are looked up
    for each token anew.
    """

    __slots__ = ()

    def learn(self, segment: bytes, header: Header) -> None:
        """Keep a header whose signature was good, unless it is long."""
        if len(segment) > MAX_KNOWN_HEADER_LENGTH:
            return
        if len(self) >= MAX_KNOWN_HEADERS:
            self.clear()
        self[segment] = header


def parse(token: str, max_size: int, headers: KnownHeaders) -> Compact:
    """Return the parts of ``token``.

    :param max_size: characters that a token may have.
    :param headers: the header segments that need not be read again.
    :raises TokenTooLarge: if it has more.
    :raises TokenMalformed: if it is not three base64url segments with an acceptable header.
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
    header = headers.get(header_segment) or _read_header(header_segment)
    try:
        payload, signature = base64url.decode(payload_segment), base64url.decode(signature)
    except ValueError:
        raise TokenMalformed(_MISSPELT) from None
    return Compact(header, header_segment, signing_input, payload, signature)


_MISSPELT = "a segment is not canonical base64url"


def _read_header(segment: bytes) -> Header:
    try:
        members = read_object(base64url.decode(segment))
    except NotOneObject as problem:
        raise TokenMalformed(f"header: {problem}") from None
    except ValueError:
        raise TokenMalformed(_MISSPELT) from None
    # RFC 7515 §4.1.11: an extension that must be understood and is not makes the token invalid;
    # none is understood here, the unencoded payload of RFC 7797 included.
    if "crit" in members or members.get("b64", True) is not True:
        raise TokenMalformed("header: critical extensions are not supported")
    return Header(_algorithm(members), _kid(members), _type(members))


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
    """Return a media type as ``typ`` values are compared (RFC 7515 §4.1.9)."""
    return typ.lower().removeprefix("application/")
