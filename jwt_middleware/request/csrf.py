"""CSRF protection: proof that a request with a cookie comes from a page of the application.

A browser also adds cookies to requests that a foreign page triggers. The browser states the origin
of the request in headers that a page cannot forge (Fetch Metadata; RFC 6454 §7). A header that
repeats a claim of the token is proof as well, because only a page of the application can read the
claim. A header that repeats a *cookie* proves nothing, because a neighbouring host can set cookies.
"""

import hmac
import re
from collections.abc import Collection
from urllib.parse import urlsplit

from jwt_middleware.checks import listed
from jwt_middleware.errors import ConfigurationError
from jwt_middleware.formats.urls import is_loopback
from jwt_middleware.principal import Principal
from jwt_middleware.request.sources import CookieToken
from jwt_middleware.request.view import RequestView, asks_for_socket

# RFC 9110 §9.2.1: these methods change nothing, so a forged request gains nothing.
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_DEFAULT_PORTS = {"http": 80, "https": 443}
_ORIGIN = re.compile(r"https?://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")

CLAIM = "csrf"
"""The claim that the CSRF header must repeat."""


class OriginCheck:
    """Checks whether a request with a cookie comes from a page that may send it."""

    def __init__(self, trusted_origins: Collection[str] = ()) -> None:
        """
        :param trusted_origins: the exact origins (RFC 6454 §6.2) of other pages that may send
            requests with a cookie.
        :raises ConfigurationError: if a value is not an exact origin.
        """
        origins = listed("trusted_origins", trusted_origins, "['https://app.example']")
        self.trusted = frozenset(map(_checked, origins))

    def passes(self, view: RequestView, source: CookieToken, principal: Principal) -> bool:
        """Return whether the request may use the cookie.

        :param source: the source of the token.
        :param principal: the principal of the verified token.
        """
        is_socket = _opens_socket(view)
        if not source.csrf or (view.method.upper() in _SAFE and not is_socket):
            return True
        origin = _only(view, "origin")
        if origin in self.trusted:
            return True
        site = _only(view, "sec-fetch-site")
        if is_socket:
            # The same-origin policy does not cover WebSockets, so the origin must be the own host.
            return site in {None, "same-origin"} and _is_own(origin, view)
        if site is None and _is_own(origin, view):
            return True
        return site in {"same-origin", "none"} or _repeats_claim(view, source, principal)

    def sides(self, view: RequestView) -> tuple[object, object]:
        """Return the origins that may send the request, and what it says of its own."""
        host = _only(view, "host")
        expected = [*self.trusted, *([] if host is None else [f"https://{host}"])]
        said = [_only(view, name) for name in ("origin", "sec-fetch-site")]
        return expected, [each for each in said if each is not None]


def _opens_socket(view: RequestView) -> bool:
    """Return whether the request opens a WebSocket, which under WSGI is a plain GET."""
    return view.is_websocket or asks_for_socket(view)


def _repeats_claim(view: RequestView, source: CookieToken, principal: Principal) -> bool:
    given = _only(view, source.csrf_header.lower())
    claim = principal.claims.get(CLAIM)
    if not given or not isinstance(claim, str):
        return False
    return hmac.compare_digest(given.encode(), claim.encode())


def _is_own(origin: str | None, view: RequestView) -> bool:
    """Return whether an origin is the host of the request."""
    host = _only(view, "host")
    if origin is None or host is None:
        return False
    scheme = origin.partition(":")[0]
    page = _address(origin)
    if page is None or page != _address(f"{scheme}://{host.lower()}"):
        return False
    # Without TLS anyone on the network path can pose as the host, so plain http counts only on
    # loopback.
    return scheme == "https" or (view.scheme in {"http", "ws"} and is_loopback(page[0]))


def _address(origin: str) -> tuple[str, int] | None:
    """Return the host and port of an origin; ``None`` if the text is not an origin."""
    if not _ORIGIN.fullmatch(origin):
        return None
    try:
        parts = urlsplit(origin)
        return parts.hostname or "", parts.port or _DEFAULT_PORTS[parts.scheme]
    except ValueError:
        return None


def _only(view: RequestView, name: str) -> str | None:
    """Return a header; a repeated header is joined as servers do, so that it never matches."""
    values = view.headers(name)
    return ", ".join(values) if values else None


def _checked(origin: object) -> str:
    if not isinstance(origin, str) or not _ORIGIN.fullmatch(origin):
        raise ConfigurationError(
            f"trusted_origins: {origin!r} must be an exact origin: write scheme and host in lower "
            "case, as 'https://app.example', without path, slash or star"
        )
    scheme, _, rest = origin.partition("://")
    default = f":{_DEFAULT_PORTS[scheme]}"
    if rest.endswith(default):
        raise ConfigurationError(
            f"trusted_origins: an origin must not have the default port: write "
            f"{origin.removesuffix(default)!r}"
        )
    return origin
