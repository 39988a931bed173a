"""Token sources: the places of a request that may carry a token.

A source returns the text in its place, returns ``None`` if the place is absent, or raises. The
first source that is present decides: an invalid token never falls through to the next source.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Protocol

from jwt_middleware.checks import check_flag
from jwt_middleware.errors import (
    ConfigurationError,
    HeaderMalformed,
    TokenRepeated,
)
from jwt_middleware.request.view import SUBPROTOCOLS, RequestView

# RFC 6750 §2.1, b64token.
_B64TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*")
_FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


# A guard has a few schemes.
@lru_cache(maxsize=32)
def _joined(scheme: str) -> re.Pattern[str]:
    """Return what shows that a server of WSGI has joined two headers with a comma.

    A complete credential before a comma does, and the scheme beside one: before it without a token,
    or after it. Without a scheme any comma does, because no token has one.
    """
    if not scheme:
        return re.compile(",")
    name = re.escape(scheme)
    return re.compile(
        rf"^[A-Za-z]+ +[A-Za-z0-9\-._~+/]+=*\s*,|^\s*{name}\s*,|,\s*{name}(?:\s|$)", re.IGNORECASE
    )


def is_field_name(value: object) -> bool:
    """Return whether a value is the name of a header (RFC 9110 §5.1)."""
    return isinstance(value, str) and _FIELD_NAME.fullmatch(value) is not None


class TokenSource(Protocol):
    """A place where a token may be."""

    @property
    def vary(self) -> str:
        """The request header for ``Vary`` if a response depends on this source; ``""`` for none."""
        ...

    def read(self, view: RequestView) -> str | None:
        """Return the token, or the text in its place; ``None`` if the place is absent.

        :raises TokenRepeated: if there is more than one token.
        """
        ...


@dataclass(frozen=True, slots=True)
class BearerHeader:
    """``Authorization: Bearer <token>`` (RFC 6750 §2.1)."""

    vary: str = field(default="Authorization", init=False)

    def read(self, view: RequestView) -> str | None:
        """Return the token; ``None`` for another scheme."""
        return _credentials(view.headers("authorization"), "bearer")


@dataclass(frozen=True, slots=True)
class HeaderToken:
    """A token in a header of another name, such as one that a proxy sets."""

    name: str
    scheme: str = ""
    """The scheme before the token; empty by default."""

    def __post_init__(self) -> None:
        if not is_field_name(self.name):
            raise ConfigurationError(
                f"HeaderToken({self.name!r}) must be a header name: write HeaderToken('X-Token') "
                "or the like"
            )
        # RFC 9110 §11.1: a scheme is a token, so a scheme with a space would never match.
        if self.scheme != "" and not is_field_name(self.scheme):
            raise ConfigurationError(
                f"HeaderToken({self.name!r}, scheme={self.scheme!r}): a scheme must be one word: "
                "write scheme='Token' or the like, or leave it out for a token without a scheme"
            )
        if "_" in self.name:
            # WSGI and CGI give X-Token and X_Token one name (CVE-2025-64484), so a client could
            # send the other spelling past a proxy.
            raise ConfigurationError(
                f"HeaderToken({self.name!r}) cannot have an underscore, which WSGI servers do not "
                f"tell from a hyphen: use {self.name.replace('_', '-')!r}"
            )

    @property
    def vary(self) -> str:
        """The header's name."""
        return self.name

    def read(self, view: RequestView) -> str | None:
        """Return the token; ``None`` if a scheme is configured and the header has another."""
        return _credentials(view.headers(self.name.lower()), self.scheme.lower())


@dataclass(frozen=True, slots=True)
class CookieToken:
    """A token in a cookie, which a browser also sends with requests that foreign pages trigger.

    So a request that could change something also needs proof of its origin (``request/csrf.py``).
    """

    name: str = "__Host-token"
    """The cookie's name. ``__Host-`` keeps other hosts from setting it (RFC 6265bis §4.1.3)."""
    csrf: bool = True
    """Whether proof of origin is required."""
    clear_on_invalid: bool = False
    """Whether the refusal of the token expires the cookie, so that no browser is locked out."""
    csrf_header: str = "X-CSRF-Token"
    """The header that may repeat the token's ``csrf`` claim as proof."""
    path: str = "/"
    """The ``Path`` with which the cookie was set; it is needed to expire the cookie."""
    domain: str | None = None
    """The ``Domain`` with which the cookie was set; it is needed to expire the cookie."""
    vary: str = field(default="Cookie", init=False)

    def __post_init__(self) -> None:
        check_flag("CookieToken: csrf", self.csrf)
        check_flag("CookieToken: clear_on_invalid", self.clear_on_invalid)
        for setting, value in (("name", self.name), ("csrf_header", self.csrf_header)):
            if not is_field_name(value):
                raise ConfigurationError(
                    f"CookieToken({setting}={value!r}) must be a name: "
                    "write letters, digits and '-'"
                )
        if not isinstance(self.path, str) or not _COOKIE_PATH.fullmatch(self.path):
            raise ConfigurationError(f"CookieToken(path={self.path!r}) must be a path, such as '/'")
        if self.domain is not None and not (
            isinstance(self.domain, str) and _COOKIE_DOMAIN.fullmatch(self.domain)
        ):
            raise ConfigurationError(
                f"CookieToken(domain={self.domain!r}) must be a host name, such as 'example.org'"
            )
        if self.name.startswith("__Host-") and (self.path != "/" or self.domain is not None):
            raise ConfigurationError(
                f"CookieToken({self.name!r}): a __Host- cookie has path='/' and no domain: leave "
                "both out, or choose another name"
            )

    def read(self, view: RequestView) -> str | None:
        """Return the token; ``None`` for an empty cookie, which a logout may leave."""
        values = view.cookies(self.name)
        # A browser sends one cookie for each path and domain that has it, so equal values may come.
        if len(set(values)) > 1 or (values and self._are_joined(values[0])):
            raise TokenRepeated("the cookie was sent with different values")
        return (values[0] or None) if values else None

    def _are_joined(self, value: str) -> bool:
        # A server of WSGI joins two headers with a comma.
        return "," in value and f",{self.name}=" in value.replace(" ", "")

    @property
    def expiry(self) -> str:
        """The ``Set-Cookie`` value that expires the cookie (RFC 6265 §4.1.2)."""
        domain = f" Domain={self.domain};" if self.domain else ""
        return f"{self.name}=; Path={self.path};{domain} Max-Age=0; Secure; HttpOnly; SameSite=Lax"


@dataclass(frozen=True, slots=True)
class SubprotocolToken:
    """A token among the subprotocols that a WebSocket offers: ``bearer``, followed by the token.

    A page calls ``new WebSocket(url, ["chat", "bearer", token])``, because a browser does not let
    it set headers.
    """

    vary: str = field(default="", init=False)

    def read(self, view: RequestView) -> str | None:
        """Return the token; ``None`` if the request does not open a WebSocket."""
        if not view.is_websocket:
            return None
        offered = offered_subprotocols(view)
        if BEARER_SUBPROTOCOL not in offered:
            return None
        if offered.count(BEARER_SUBPROTOCOL) > 1:
            raise TokenRepeated("the subprotocol 'bearer' is offered more than once")
        following = offered[offered.index(BEARER_SUBPROTOCOL) + 1 :]
        return following[0] if following else ""


@dataclass(frozen=True, slots=True)
class QueryToken:
    """A token in the query (RFC 6750 §2.3), by default only of WebSockets: logs store queries."""

    name: str
    """The query parameter, such as ``access_token``."""
    http: bool = False
    """Whether plain requests may also carry the token."""
    vary: str = field(default="", init=False)

    def __post_init__(self) -> None:
        check_flag("QueryToken: http", self.http)
        if not isinstance(self.name, str) or not _PARAMETER.fullmatch(self.name):
            raise ConfigurationError(
                f"QueryToken({self.name!r}): the parameter must have only letters, digits, '-', "
                "'.', '_' and '~': write QueryToken('access_token') or the like"
            )

    def read(self, view: RequestView) -> str | None:
        """Return the token; ``None`` where the parameter is left to the application."""
        if not (view.is_websocket or self.http):
            return None
        token, is_repeated = _first(view.query(self.name))
        if is_repeated:
            # RFC 6750 §3.1: a request that repeats a parameter is malformed, whatever the values.
            raise TokenRepeated("the parameter was sent more than once")
        return token


def _first(values: list[str]) -> tuple[str | None, bool]:
    """Return the first value, and whether there are more.

    The error of a reader holds the reader's variables. So the list, which may be long, is not one.
    """
    return (values[0] if values else None), len(values) > 1


# RFC 3986 §2.3: a name of unreserved characters has only one spelling.
_PARAMETER = re.compile(r"[A-Za-z0-9\-._~]+")
_COOKIE_PATH = re.compile(r"/[!-:<-~]*")
_COOKIE_DOMAIN = re.compile(r"[A-Za-z0-9.-]+")

BEARER_SUBPROTOCOL = "bearer"


def offered_subprotocols(view: RequestView) -> list[str]:
    """Return the subprotocols that a WebSocket offers (RFC 6455 §4.1), in order."""
    return split_list(view.headers(SUBPROTOCOLS))


def split_list(values: Iterable[str]) -> list[str]:
    """Return the elements of a header that is a list (RFC 9110 §5.6.1)."""
    elements = (element.strip() for value in values for element in value.split(","))
    return [element for element in elements if element]


def without_token(offered: Iterable[str]) -> list[str]:
    """Return the offered subprotocols without ``bearer`` and its token, for the application.

    Any further ``bearer``, the name after it and any repetition of the token are removed as well.
    """
    names = list(offered)
    hidden = {BEARER_SUBPROTOCOL}
    hidden.update(after for name, after in pairwise(names) if name == BEARER_SUBPROTOCOL)
    return [name for name in names if name not in hidden]


def _credentials(values: list[str], scheme: str) -> str | None:
    if not values:
        return None
    if len(values) > 1 or ("," in values[0] and _joined(scheme).search(values[0])):
        raise TokenRepeated("the header was sent more than once")
    value = values[0].strip(" \t")
    if not scheme:
        return value
    given, _, rest = value.partition(" ")
    # RFC 9110 §11.1: the scheme is case-insensitive.
    return rest.lstrip(" ") if given.lower() == scheme else None


def check_form(text: str) -> None:
    """Check that a text has the form of one token.

    A verified token is well-formed, so the guard checks the form only after a failure (400 instead
    of 401).

    :raises HeaderMalformed: if the text does not have the form of a token.
    """
    if not _B64TOKEN.fullmatch(text):
        raise HeaderMalformed("the text in the token's place is not one token")
