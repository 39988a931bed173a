"""Which addresses keys may come from."""

from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from jwt_middleware.errors import ConfigurationError

# RFC 3986 §2 allows none of these in an address, and readers differ about what they mean.
_NEVER = frozenset(map(chr, (*range(0x21), 0x7F, ord("\\"))))


def check_url(name: str, url: object, *, allow_http: bool) -> None:
    """Refuse an address that keys must not come from.

    :param name: the setting that holds it.
    :raises ConfigurationError: unless it is https, or http to this machine or by permission.
    """
    if problem := url_problem(url, allow_http=allow_http):
        raise ConfigurationError(f"{name}={url!r} {problem}")


def url_problem(url: object, *, allow_http: bool) -> str | None:
    """Return what is wrong with an address as the end of a sentence; ``None`` if nothing is."""
    parts = _split(url)
    if parts is None or not parts.hostname:
        return "is no address: write https://..."
    # Credentials would end up in logs, and "https://good@evil/" reads like good.
    if "@" in parts.netloc or parts.fragment:
        return "must be a plain address, without credentials or fragment"
    if parts.scheme == "https":
        return None
    if parts.scheme != "http":
        return "is not https"
    if allow_http or is_loopback(parts.hostname):
        return None
    return (
        "is not https, and keys could be exchanged on the way: "
        "ResolverOptions(allow_http=True) allows it"
    )


def _split(url: object) -> SplitResult | None:
    if not isinstance(url, str) or not url.isascii() or not _NEVER.isdisjoint(url):
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for one that is no number
    except ValueError:
        return None
    return parts


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def has_same_origin(one: str, other: str) -> bool:
    """Return whether two addresses share scheme, host and port."""
    first, second = urlsplit(one), urlsplit(other)
    return (first.scheme, first.hostname, first.port) == (
        second.scheme,
        second.hostname,
        second.port,
    )
