"""CORS preflights: a browser's question whether a page may send a request (Fetch §4.8).

A preflight carries no token, and any client can write one. So it never reaches the application,
where a view that takes every method would run: the guard answers it.
"""

import logging
import re

from jwt_middleware.request.view import RequestView
from jwt_middleware.responses.headers import as_raw
from jwt_middleware.verdict import Reply

_log = logging.getLogger("jwt_middleware")

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_METHOD = re.compile(_WORD)
_NAMES = re.compile(rf"{_WORD}(?:[ \t]*,[ \t]*{_WORD})*")

# A browser lists the header names that a page set itself: dozens at the most.
_MAX_NAMES = 2_048

_VARY = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"


class Preflights:
    """Answers the preflights of trusted origins."""

    def __init__(self, trusted_origins: frozenset[str]) -> None:
        """:param trusted_origins: the pages that may send requests with a token."""
        self._trusted = trusted_origins
        if not trusted_origins:
            _log.warning(
                "cors_preflight=True answers the preflights of trusted_origins=, which is empty: "
                "preflights are refused; name the origins of your pages there"
            )

    def answer(self, view: RequestView) -> Reply | None:
        """Return the answer to a preflight; ``None`` where it is to be judged like any request.

        Which methods and headers a page may use is no question of access: the request itself is
        judged. So the answer allows what was asked for.
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
