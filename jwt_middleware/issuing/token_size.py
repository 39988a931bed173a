"""Limits the size of minted tokens, which travel in a header or a cookie of every request."""

from collections.abc import Mapping
from typing import Any

from jwt_middleware.errors import ConfigurationError
from jwt_middleware.logs import log_of

_log = log_of("jwt_middleware")

# Browsers keep no cookie above 4,096 characters (RFC 6265 §6.1), and many servers no header line
# above 8,192.
WARNED_ABOVE = 4_096

# A guard reads no longer token by default (``Guard(max_token_size=...)``).
MOST = 16_384

# A program mints few kinds of tokens; the names of claims may come from data nevertheless.
_MOST_SHAPES = 100


class SizeLimit:
    """Warns of large tokens, once for each set of claims, and refuses larger ones."""

    def __init__(self) -> None:
        self._told: set[tuple[str, ...]] = set()

    def checked(self, token: str, claims: Mapping[str, Any]) -> str:
        """Return a token.

        :raises ConfigurationError: if no guard would read it.
        """
        if len(token) <= WARNED_ABOVE:
            return token
        shape = tuple(claims)
        names = ", ".join(shape)
        if len(token) > MOST:
            raise ConfigurationError(
                f"the token would have {len(token):,} characters, and no guard reads more than "
                f"{MOST:,}: shorten one of its claims {names}"
            )
        if shape not in self._told and len(self._told) < _MOST_SHAPES:
            self._told.add(shape)
            _log.warning(
                "a token of %s characters was minted, which some servers and cookies do not carry "
                "(%s): shorten one of its claims %s",
                f"{len(token):,}",
                f"more than {WARNED_ABOVE:,}",
                names,
            )
        return token
