"""Where a token may be in a request.

Absent is not malformed: a source returns the token, or ``None``, or raises. The first source that
is present decides; a bad token never falls through to the next one.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from jwt_middleware.errors import ConfigurationError, HeaderMalformed, TokenRepeated
from jwt_middleware.request.view import RequestView

# RFC 6750 §2.1, b64token: these, then any number of equals signs.
_B64TOKEN = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/"
_FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

# WSGI servers join repeated headers with a comma: a whole credential before one, or a second bearer
# scheme after one, is two headers.
_JOINED = re.compile(r"^[A-Za-z]+ +[A-Za-z0-9\-._~+/]+=*\s*,|,\s*bearer(?:\s|$)", re.IGNORECASE)


class TokenSource(Protocol):
    """A place where a token may be."""

    @property
    def vary(self) -> str:
        """The header that an answer depends on when it depends on this source."""
        ...

    def read(self, view: RequestView) -> str | None:
        """Return the token, or ``None`` where there is none.

        :raises HeaderMalformed: if there is something that is not one token.
        :raises TokenRepeated: if there is more than one.
        """
        ...


@dataclass(frozen=True, slots=True)
class BearerHeader:
    """``Authorization: Bearer <token>`` (RFC 6750 §2.1)."""

    vary: str = "Authorization"

    def read(self, view: RequestView) -> str | None:
        """Return the token; another scheme counts as none."""
        return _credentials(view.headers("authorization"), "bearer")


@dataclass(frozen=True, slots=True)
class HeaderToken:
    """A token in a header of another name, such as one that a proxy sets."""

    name: str
    scheme: str = ""
    """What stands before the token; nothing by default."""

    def __post_init__(self) -> None:
        if not _FIELD_NAME.fullmatch(self.name):
            raise ConfigurationError(f"HeaderToken({self.name!r}): that is no header name")
        if "_" in self.name:
            # WSGI and CGI fold X-Token and X_Token into one name (CVE-2025-64484).
            raise ConfigurationError(
                f"HeaderToken({self.name!r}): an underscore and a hyphen are the same to WSGI "
                f"servers: use {self.name.replace('_', '-')!r}"
            )

    @property
    def vary(self) -> str:
        """The header's name."""
        return self.name

    def read(self, view: RequestView) -> str | None:
        """Return the token; with a scheme configured, another scheme counts as none."""
        return _credentials(view.headers(self.name.lower()), self.scheme.lower())


def _credentials(values: list[str], scheme: str) -> str | None:
    if not values:
        return None
    if len(values) > 1 or ("," in values[0] and _JOINED.search(values[0])):
        raise TokenRepeated("the header was sent more than once")
    value = values[0].strip(" \t")
    if not scheme:
        return _one_token(value)
    given, space, rest = value.partition(" ")
    # RFC 9110 §11.1: the scheme is case-insensitive.
    if given.lower() != scheme:
        return None
    return _one_token(rest.lstrip(" ") if space else "")


def _one_token(text: str) -> str:
    core = text.rstrip("=")
    # Deleting the alphabet is twice as fast as a regular expression, on every request.
    if not core or not core.isascii() or core.encode("ascii").translate(None, _B64TOKEN):
        raise HeaderMalformed("what stands there is not one token")
    return text


class Sources:
    """Several sources in their order."""

    def __init__(self, sources: Iterable[TokenSource]) -> None:
        """:raises ConfigurationError: if there is none, or a thing that is no source."""
        self.every = tuple(sources)
        if not self.every:
            raise ConfigurationError("token_sources=() finds no token: name one, as BearerHeader()")
        for source in self.every:
            if isinstance(source, type) or not hasattr(source, "read"):
                raise ConfigurationError(
                    f"token_sources: {source!r} is no source: write BearerHeader()"
                )

    @property
    def vary(self) -> str:
        """The headers that an answer depends on, besides ``Authorization``."""
        names = dict.fromkeys(source.vary for source in self.every)
        return ", ".join(name for name in names if name and name != "Authorization")

    def find(self, view: RequestView) -> tuple[str, TokenSource] | None:
        """Return the token of the first source that is present, and that source."""
        for source in self.every:
            if (token := source.read(view)) is not None:
                return token, source
        return None
