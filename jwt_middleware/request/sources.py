"""Token sources: the places of a request that may carry a token.

A source returns the text in its place, returns ``None`` if the place is absent, or raises. The
first source that is present decides: an invalid token never falls through to the next source.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Protocol

from jwt_middleware.checks import check_flag, listed
from jwt_middleware.errors import (
    ConfigurationError,
    HeaderMalformed,
    RequestError,
    TokenRepeated,
)
from jwt_middleware.request.view import SUBPROTOCOLS, RequestView

# RFC 6750 §2.1, b64token.
_B64TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*")
_FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

# WSGI servers join repeated headers with a comma, so a complete credential before a comma, or a
# second bearer scheme after a comma, means two headers.
_JOINED = re.compile(r"^[A-Za-z]+ +[A-Za-z0-9\-._~+/]+=*\s*,|,\s*bearer(?:\s|$)", re.IGNORECASE)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and _FIELD_NAME.fullmatch(value) is not None


def _are_names(value: object) -> bool:
    return isinstance(value, str) and all(map(_is_name, value.split(", ")))


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
        if not _is_name(self.name):
            raise ConfigurationError(
                f"HeaderToken({self.name!r}) must be a header name: write HeaderToken('X-Token') "
                "or the like"
            )
        # RFC 9110 §11.1: a scheme is a token, so a scheme with a space would never match.
        if self.scheme != "" and not _is_name(self.scheme):
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
            if not _is_name(value):
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
        if len(set(values)) > 1:
            raise TokenRepeated("the cookie was sent with different values")
        return (values[0] or None) if values else None

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
    if len(values) > 1 or ("," in values[0] and _JOINED.search(values[0])):
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


_METHODS = (BearerHeader, QueryToken)


class Sources:
    """The token sources of a guard, in order."""

    def __init__(self, sources: Iterable[TokenSource]) -> None:
        """:raises ConfigurationError: for an empty list, a wrong type or an unsafe order."""
        self.every = listed("token_sources", sources, "[BearerHeader()]")
        if not self.every:
            raise ConfigurationError(
                "token_sources=() cannot be empty: write token_sources=[BearerHeader()]"
            )
        for source in self.every:
            if isinstance(source, type) or not hasattr(source, "read"):
                raise ConfigurationError(
                    f"token_sources: {source!r} must be a source: write BearerHeader()"
                )
            vary = getattr(source, "vary", None)
            if vary != "" and not _are_names(vary):
                raise ConfigurationError(
                    f"token_sources: {source!r} cannot have vary={vary!r}: write the name of the "
                    "header that it reads, several as 'A, B', or '' for none"
                )
        _check_order(self.every)
        # RFC 6750 §2: a client uses one of these methods and never two.
        self._methods = [each for each in self.every if isinstance(each, _METHODS)]
        self._has_subprotocol = any(isinstance(each, SubprotocolToken) for each in self.every)
        self._clears = any(
            isinstance(each, CookieToken) and each.clear_on_invalid for each in self.every
        )

    @property
    def vary(self) -> str:
        """The request headers that a response depends on, for ``Vary``."""
        names = dict.fromkeys(source.vary for source in self.every if source.vary)
        return ", ".join(names)

    @property
    def methods(self) -> list[str]:
        """The ways in which a plain request may carry a token, by the names of RFC 9728 §2."""
        names = [
            "header" if isinstance(each, BearerHeader) else "query"
            for each in self._methods
            if isinstance(each, BearerHeader) or (isinstance(each, QueryToken) and each.http)
        ]
        return list(dict.fromkeys(names))

    def find(self, view: RequestView) -> tuple[str, TokenSource] | None:
        """Return the token of the first source that is present, and that source.

        :raises RequestError: if the text is not one token.
        """
        for source in self.every:
            if (token := source.read(view)) is not None:
                if not isinstance(token, str):
                    # A custom source may return anything, so its type is checked.
                    raise HeaderMalformed("the source did not return text")
                if len(self._methods) > 1:
                    self._check_single(view, source)
                return token, source
        return None

    def _check_single(self, view: RequestView, chosen: TokenSource) -> None:
        others = [source for source in self._methods if source is not chosen]
        is_one_of_them = len(others) < len(self._methods)
        if is_one_of_them and any(_is_present(other, view) for other in others):
            raise TokenRepeated("a token was sent in two ways at once")

    def expiry(self, view: RequestView) -> str | None:
        """Return the ``Set-Cookie`` that expires the cookie of a refused token, if configured."""
        if not self._clears:
            return None
        source = next((each for each in self.every if _is_present(each, view)), None)
        is_cleared = isinstance(source, CookieToken) and source.clear_on_invalid
        return source.expiry if isinstance(source, CookieToken) and is_cleared else None

    def subprotocol(self, view: RequestView) -> str | None:
        """Return the subprotocol to accept if the application does not choose one.

        A browser that offered subprotocols closes the connection if the server accepts none
        (RFC 6455 §4.2.2). That holds even if the rule did not require the token.
        """
        if not self._has_subprotocol or not view.is_websocket:
            return None
        return BEARER_SUBPROTOCOL if BEARER_SUBPROTOCOL in offered_subprotocols(view) else None


def _is_present(source: TokenSource, view: RequestView) -> bool:
    try:
        return source.read(view) is not None
    except RequestError:
        return True


def _check_order(sources: tuple[TokenSource, ...]) -> None:
    cookie: CookieToken | None = None
    for source in sources:
        if isinstance(source, CookieToken):
            cookie = cookie or source
        elif cookie is not None and isinstance(source, (BearerHeader, HeaderToken)):
            # A neighbouring host can set a cookie for this host ("cookie tossing"), but no header,
            # so a cookie must not come before a header.
            raise ConfigurationError(
                f"token_sources: {source!r} cannot be after {cookie!r}, because a cookie from a "
                "neighbouring host would replace the header's token: put the header first"
            )
