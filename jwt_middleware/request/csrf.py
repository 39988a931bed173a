"""Proof that a request which carries a cookie comes from our own pages.

A browser sends cookies along with whatever a foreign page makes it send. The browser also says
where the request comes from, in headers that no page can forge (Fetch Metadata; RFC 6454 §7). A
header that repeats a claim of the token proves it as well: to know it, one has to read our answers.
A header that repeats a *cookie* proves nothing, since a neighbouring host can plant cookies.
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

# RFC 9110 §9.2.1: these change nothing, so nothing is gained by making a browser send them.
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_DEFAULT_PORTS = {"http": 80, "https": 443}
_ORIGIN = re.compile(r"https?://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")

CLAIM = "csrf"
"""The claim that the CSRF header has to repeat."""


class OriginCheck:
    """Judges whether a request with a cookie comes from a page that may send it."""

    def __init__(self, trusted_origins: Collection[str] = ()) -> None:
        """
        :param trusted_origins: exact origins (RFC 6454 §6.2) of other pages that may send it.
        :raises ConfigurationError: for what is no exact origin.
        """
        origins = listed("trusted_origins", trusted_origins, "['https://app.example']")
        self.trusted = frozenset(map(_checked, origins))

    def passes(self, view: RequestView, source: CookieToken, principal: Principal) -> bool:
        """Return whether the request may act with the cookie.

        :param source: where its token was.
        :param principal: who owns the verified token.
        """
        is_socket = _opens_socket(view)
        if not source.csrf or (view.method.upper() in _SAFE and not is_socket):
            return True
        origin = _only(view, "origin")
        if origin in self.trusted:
            return True
        site = _only(view, "sec-fetch-site")
        if is_socket:
            # A socket is not bound by the same-origin policy, so the origin itself must be ours.
            return site in {None, "same-origin"} and _is_own(origin, view)
        if site is None and _is_own(origin, view):
            return True
        return site in {"same-origin", "none"} or _repeats_claim(view, source, principal)


def _opens_socket(view: RequestView) -> bool:
    """Return whether a WebSocket is to be opened, also below WSGI, where that is a plain GET."""
    return view.is_websocket or asks_for_socket(view)


def _repeats_claim(view: RequestView, source: CookieToken, principal: Principal) -> bool:
    given = _only(view, source.csrf_header.lower())
    claim = principal.claims.get(CLAIM)
    if not given or not isinstance(claim, str):
        return False
    return hmac.compare_digest(given.encode(), claim.encode())


def _is_own(origin: str | None, view: RequestView) -> bool:
    """Return whether an origin is the host that was asked."""
    host = _only(view, "host")
    if origin is None or host is None:
        return False
    scheme = origin.partition(":")[0]
    page = _address(origin)
    if page is None or page != _address(f"{scheme}://{host.lower()}"):
        return False
    # Whoever can answer for a host without TLS can be anybody on the way; on this machine nobody
    # stands on the way.
    return scheme == "https" or (view.scheme in {"http", "ws"} and is_loopback(page[0]))


def _address(origin: str) -> tuple[str, int] | None:
    """Return the host and port of an origin; ``None`` if it is none."""
    if not _ORIGIN.fullmatch(origin):
        return None
    try:
        parts = urlsplit(origin)
        return parts.hostname or "", parts.port or _DEFAULT_PORTS[parts.scheme]
    except ValueError:
        return None


def _only(view: RequestView, name: str) -> str | None:
    """Return a header; what was sent twice is joined, as servers join it, and equals nothing."""
    values = view.headers(name)
    return ", ".join(values) if values else None


def _checked(origin: object) -> str:
    if not isinstance(origin, str) or not _ORIGIN.fullmatch(origin):
        raise ConfigurationError(
            f"trusted_origins: {origin!r} is no exact origin: write scheme and host in lower case, "
            "as 'https://app.example', without path, slash or star"
        )
    scheme, _, rest = origin.partition("://")
    default = f":{_DEFAULT_PORTS[scheme]}"
    if rest.endswith(default):
        raise ConfigurationError(
            f"trusted_origins: browsers leave out the default port: write "
            f"{origin.removesuffix(default)!r}"
        )
    return origin
