"""Writes one line for each refused request to the log ``jwt_middleware.requests``, within limits.

Any client can cause a refusal, so lines are limited per second, for each code by itself: a scanner
without a token does not hide that the audience of good callers is wrong. How many lines were left
out is told with the next one.
"""

import logging

from jwt_middleware.clock import Clock
from jwt_middleware.errors import refusals
from jwt_middleware.events import RequestRefused
from jwt_middleware.evidence import plain, quoted
from jwt_middleware.forks import TinyLock, renew_after_fork
from jwt_middleware.keys.remote.rate_limits import RateLimit
from jwt_middleware.logs import log_of

_log = log_of("jwt_middleware.requests")

# For each code ten lines at once, and one more a second: some 30 codes with lines of at most 1 KB
# are less than the access log of a server under the same flood.
LINES_AT_ONCE = 10
SECONDS_PER_LINE = 1.0

# Codes of the application's own requirements share one limit, because they may be any text.
_OTHER = "other"


class RefusalLog:
    """The lines on refused requests of one guard, for all threads."""

    def __init__(self, clock: Clock) -> None:
        """:param clock: the clock of the guard."""
        self._monotonic = clock.monotonic
        now = clock.monotonic()
        codes = (*(kind.code for kind in refusals()), _OTHER)
        self._limits = {code: RateLimit(LINES_AT_ONCE, SECONDS_PER_LINE, now) for code in codes}
        self._left_out = 0
        self._lock = TinyLock()
        renew_after_fork(self)

    def admit(self, code: str) -> int | None:
        """Return how many lines were left out before this one; ``None`` if it must not be written.

        It costs next to nothing where the level of the log is above ``INFO``.
        """
        if not _log.isEnabledFor(logging.INFO):
            return None
        limit = self._limits.get(code) or self._limits[_OTHER]
        with self._lock:
            if not limit.take(self._monotonic()):
                self._left_out += 1
                return None
            left_out, self._left_out = self._left_out, 0
            return left_out

    def write(self, event: RequestRefused, left_out: int) -> None:
        """Write the line of a refusal that was admitted.

        :param left_out: what :meth:`admit` returned.
        """
        _log.info("%s", _line(event, left_out), extra={"refusal": event})

    def after_fork(self) -> None:
        """Create a new lock in a forked child."""
        self._lock = TinyLock()


def _line(event: RequestRefused, left_out: int) -> str:
    issuer = event.issuer or event.judged_by
    parts = [
        f"refused {event.status} {plain(event.code)}",
        " ".join(filter(None, (event.method, f"under {plain(event.rule or 'no rule')}"))),
        "" if issuer is None else f"issuer {quoted(issuer)}",
        event.detail,
        "" if event.token is None else f"token {event.token}",
        f"{left_out:,} more were left out of the log" if left_out else "",
    ]
    return "; ".join(filter(None, parts))
