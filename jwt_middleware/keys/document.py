"""Documents from the network, read with suspicion: key sets, discovery, and how long they keep."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from jwt_middleware.crypto.jwk import UnusableKey, VerificationKey, import_jwk
from jwt_middleware.crypto.pem import import_pem
from jwt_middleware.errors import ConfigurationError
from jwt_middleware.strictjson import NotOneObject, read_object

# No publisher may make us ask more often than once a minute, whatever its Cache-Control says.
LEAST_LIFETIME = 60.0

_MAX_AGE = re.compile(r"(?:^|[\s,])max-age=\"?(\d{1,10})", re.IGNORECASE)
_UNCACHED = re.compile(r"(?:^|[\s,])no-(?:store|cache)\b", re.IGNORECASE)


class Rejected(Exception):
    """An answer that is no usable document; ``reason`` is a few words without any of its text."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys of a document, and those that were passed over."""

    keys: tuple[VerificationKey, ...]
    skipped: tuple[tuple[str | None, str], ...]
    """Name and reason of each."""
    is_empty: bool
    """Whether the document says, in good form, that there are no keys."""


def read_key_set(body: bytes, max_keys: int) -> KeySet:
    """Read a JWK Set (RFC 7517 §5) or a map from kid to certificate.

    One bad member never spoils the others.

    :raises Rejected: if the document is neither.
    """
    members = _object(body)
    if isinstance(members.get("keys"), list):
        return _read(members["keys"][: max_keys + 1], import_jwk, max_keys)
    if members and all(isinstance(value, str) for value in members.values()):
        return _read(list(members.items()), _certificate, max_keys)
    raise Rejected("the document is no key set")


def _certificate(member: tuple[str, str]) -> VerificationKey:
    kid, pem = member
    return import_pem(pem.encode("utf-8", "replace"), kid=kid)


def _read(members: list[Any], read: Callable[[Any], VerificationKey], max_keys: int) -> KeySet:
    if len(members) > max_keys:
        raise Rejected("the key set has too many keys")
    keys: list[VerificationKey] = []
    skipped: list[tuple[str | None, str]] = []
    for member in members:
        try:
            keys.append(read(member))
        except UnusableKey as unusable:
            skipped.append((unusable.kid, unusable.reason))
    return KeySet(tuple(keys), tuple(skipped), is_empty=not members)


def read_discovery(body: bytes, issuer: str) -> str:
    """Return the ``jwks_uri`` of a discovery document.

    :param issuer: whose document it must be, byte for byte (OIDC Discovery §4.3, RFC 8414 §3.3).
    :raises Rejected: if it is another's, or has no address.
    """
    members = _object(body)
    if members.get("issuer") != issuer:
        raise Rejected("the discovery document names another issuer")
    uri = members.get("jwks_uri")
    if not isinstance(uri, str):
        raise Rejected("the discovery document has no jwks_uri")
    if issuer.startswith("https:") and not uri.startswith("https:"):
        raise Rejected("the jwks_uri leaves TLS")
    return uri


def _object(body: bytes) -> dict[str, Any]:
    try:
        return read_object(body.removeprefix(b"\xef\xbb\xbf"))
    except NotOneObject:
        raise Rejected("the document is not one JSON object") from None


def discovery_urls(issuer: str) -> tuple[str, ...]:
    """Return where an issuer's discovery document may be.

    OIDC Discovery §4.1 appends the well-known path to the issuer's, RFC 8414 §3.1 inserts it.
    """
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    origin = f"{parts.scheme}://{parts.netloc}"
    return (
        f"{origin}{path}/.well-known/openid-configuration",
        f"{origin}/.well-known/oauth-authorization-server{path}",
    )


def lifetime(headers: Mapping[str, str], wanted: float) -> float:
    """Return for how many seconds an answer is fresh: what we want, or less where it says so.

    :param headers: with names in lower case (RFC 9111 §5.1, §5.2).
    """
    control = headers.get("cache-control", "")
    if _UNCACHED.search(control):
        return min(wanted, LEAST_LIFETIME)
    stated = _MAX_AGE.search(control)
    if stated is None:
        return wanted
    age = headers.get("age", "0")
    passed = int(age) if age.isdigit() and len(age) < 11 else 0
    return min(wanted, max(LEAST_LIFETIME, float(int(stated[1]) - passed)))


def check_url(name: str, url: str, *, allow_http: bool) -> None:
    """Refuse an address that keys must not come from.

    :raises ConfigurationError: unless it is https, or http to this machine or by permission.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ConfigurationError(f"{name}={url!r} is no address") from None
    if not host or parts.username is not None or parts.password is not None or parts.fragment:
        raise ConfigurationError(f"{name}={url!r} must be a plain https:// address")
    if parts.scheme == "https" or (parts.scheme == "http" and (allow_http or is_loopback(host))):
        return
    raise ConfigurationError(
        f"{name}={url!r} is not https: keys from elsewhere could be anybody's; "
        "ResolverOptions(allow_http=True) allows it"
    )


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
