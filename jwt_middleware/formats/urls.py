"""Checks of the URLs that keys may be fetched from."""

import re
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from jwt_middleware.errors import ConfigurationError

# RFC 3986 §2 forbids these characters in a URL, and parsers interpret them differently.
_NEVER = frozenset(map(chr, (*range(0x21), 0x7F, ord("\\"))))


_CREDENTIALS = re.compile(r"//[^/]*@")


def check_url(name: str, url: object, *, allow_http: bool) -> None:
    """Refuse a URL that keys must not be fetched from.

    :param name: the name of the setting.
    :raises ConfigurationError: unless it is https, http on loopback, or http with ``allow_http``.
    """
    if problem := url_problem(url, allow_http=allow_http):
        shown = _CREDENTIALS.sub("//...@", url) if isinstance(url, str) else url
        raise ConfigurationError(f"{name}={shown!r} {problem}")


def url_problem(url: object, *, allow_http: bool) -> str | None:
    """Return the problem of a URL, as the end of a sentence; ``None`` if it is valid."""
    parts = _split(url)
    if parts is None or not parts.hostname:
        return "must be a URL: write https://..."
    # Credentials would appear in logs, and "https://good@evil/" looks like the host good.
    if "@" in parts.netloc or parts.fragment:
        return "cannot have credentials or a fragment: write https://host/path"
    if parts.scheme == "https":
        return None
    if parts.scheme != "http":
        return "must be https: write https://..."
    if allow_http or is_loopback(parts.hostname):
        return None
    return (
        "must be https, because keys could be replaced on the network path: write https://..., or "
        "set ResolverOptions(allow_http=True) for keys"
    )


def _split(url: object) -> SplitResult | None:
    if not isinstance(url, str) or not url.isascii() or not _NEVER.isdisjoint(url):
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises ValueError for an invalid port
    except ValueError:
        return None
    return parts


def is_loopback(host: str) -> bool:
    """Return whether a host is a loopback address or ``localhost``."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def has_same_origin(one: str, other: str) -> bool:
    """Return whether two URLs have the same scheme, host and port."""
    first, second = urlsplit(one), urlsplit(other)
    return (first.scheme, first.hostname, first.port) == (
        second.scheme,
        second.hostname,
        second.port,
    )
