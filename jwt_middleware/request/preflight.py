"""CORS preflights: requests by which a browser checks if a page may send a request (Fetch §4.8).

A preflight carries no token, and any client can send one. So the guard itself responds to it.
Otherwise a view that accepts every method would run without a token.
"""

import re

from jwt_middleware.logs import log_of
from jwt_middleware.request.view import RequestView
from jwt_middleware.responses.headers import as_raw
from jwt_middleware.verdict import Reply

_log = log_of("jwt_middleware")

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_METHOD = re.compile(_WORD)
_NAMES = re.compile(rf"{_WORD}(?:[ \t]*,[ \t]*{_WORD})*")

# A browser lists only the header names that a page has set, which are dozens at most.
_MAX_NAMES = 2_048

_VARY = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"


class Preflights:
    """Creates the responses to preflights of trusted origins."""

    def __init__(self, trusted_origins: frozenset[str]) -> None:
        """:param trusted_origins: the pages that may send requests with a token."""
        self._trusted = trusted_origins
        if not trusted_origins:
            _log.warning(
                "cors_preflight=True needs trusted_origins=, which is empty, so all preflights are "
                "refused: name the origins of your pages there"
            )

    def answer(self, view: RequestView) -> Reply | None:
        """Return the response to a preflight; ``None`` if the rules must decide the request.

        The response allows the requested method and headers, because the guard also decides the
        request that follows the preflight.
        """
        if view.is_websocket or view.method.upper() != "OPTIONS":
            return None
        origin = _one(view, "origin")
        method = _one(view, "access-control-request-method")
        if origin not in self._trusted or method is None or not _METHOD.fullmatch(method):
            return None
        headers = [
            ("Access-Control-Allow-Origin", origin),
            ("Access-Control-Allow-Credentials", "true"),
            ("Access-Control-Allow-Methods", method),
            ("Vary", _VARY),
        ]
        names = ", ".join(view.headers("access-control-request-headers")).strip(" \t")
        if len(names) <= _MAX_NAMES and _NAMES.fullmatch(names):
            headers.append(("Access-Control-Allow-Headers", names))
        return Reply(204, tuple(headers), b"", "preflight", as_raw(headers))


def _one(view: RequestView, name: str) -> str | None:
    values = view.headers(name)
    return values[0] if len(values) == 1 else None
