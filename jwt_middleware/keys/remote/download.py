"""Fetches and parses a key set, and returns the outcome. It does not decide what is served.

It runs on the thread that fetches, without any lock.
"""

import re
from dataclasses import dataclass

from jwt_middleware.clock import Clock
from jwt_middleware.keys.document import KeySet, Rejected, read_key_set
from jwt_middleware.keys.remote.discovery import AnsweredBadly, Location
from jwt_middleware.keys.remote.freshness import retry_after, stated_lifetime
from jwt_middleware.keys.remote.http import FetchResponse
from jwt_middleware.keys.snapshot import Snapshot

# Printable ASCII of at most 256 characters; real validators are shorter.
_VALIDATOR = re.compile(r"[ -~]{1,256}")


@dataclass(frozen=True, slots=True)
class Arrived:
    """A key set that differs from the known one."""

    key_set: KeySet
    url: str
    document: bytes
    etag: str | None
    last_modified: str | None
    asked_at: float
    """The monotonic instant of the request. The age of the key set is counted from here."""
    wall_offset: float
    """POSIX time minus monotonic time at that instant."""
    lifetime: float | None
    """Seconds for which the response is fresh, as its headers state."""


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The key set equals the known one."""

    document: bytes
    asked_at: float
    wall_offset: float
    lifetime: float | None


@dataclass(frozen=True, slots=True)
class Failed:
    """A fetch without a response, or with a response that is not a key set."""

    reason: str
    """A few words for the log. What they quote of a response is escaped and cut."""
    retry_after: float | None = None
    is_rejected: bool = False
    """Whether there was a response, which was rejected."""


Outcome = Arrived | Unchanged | Failed


class Download:
    """Fetches the key set of one issuer, each time that it is called."""

    def __init__(self, location: Location, max_keys: int, clock: Clock) -> None:
        """
        :param location: fetches the document.
        :param max_keys: the most usable keys to keep of it.
        """
        self._location = location
        self._max_keys = max_keys
        self._clock = clock

    def fetch(self, known: Snapshot | None) -> Outcome:
        """Fetch and parse the key set. It does not raise: a failure is an outcome too.

        :param known: the current set; its unchanged members keep their key objects.
        """
        try:
            return self._fetch(known)
        except AnsweredBadly as answered:
            pause = retry_after(answered.response.headers, self._clock.now())
            return Failed(answered.reason, pause, is_rejected=True)
        except Rejected as rejected:
            return Failed(rejected.reason, is_rejected=True)
        except BaseException as foreign:  # noqa: BLE001 - a fetcher may raise anything, and even exit
            return Failed(f"no answer ({type(foreign).__name__})")

    def _fetch(self, known: Snapshot | None) -> Arrived | Unchanged:
        asked_at = self._clock.monotonic()
        offset = self._clock.now() - asked_at
        url, response = self._location.ask_for_keys(known)
        lifetime = stated_lifetime(response.headers, self._clock.now())
        if known is not None and known.url == url and response.status == 304:
            return Unchanged(known.document, asked_at, offset, lifetime)
        if known is not None and known.document == response.body:
            return Unchanged(known.document, asked_at, offset, lifetime)
        return Arrived(
            read_key_set(response.body, self._max_keys, known.imported if known else None),
            url,
            response.body,
            _validator(response, "etag"),
            _validator(response, "last-modified"),
            asked_at,
            offset,
            lifetime,
        )


def _validator(response: FetchResponse, name: str) -> str | None:
    """Return a validator to send with the next request (RFC 9110 §8.8), or ``None``.

    It becomes a header field of that request, so a text that could inject another is dropped.
    """
    value = response.headers.get(name, "")
    return value if _VALIDATOR.fullmatch(value) else None
