"""From "we need keys" to an outcome: ask, read, and decide nothing about who is served.

Runs on the thread that fetches, without any lock.
"""

import re
from dataclasses import dataclass

from jwt_middleware.clock import Clock
from jwt_middleware.keys.document import KeySet, Rejected, read_key_set
from jwt_middleware.keys.remote.discovery import AnsweredBadly, Location
from jwt_middleware.keys.remote.freshness import retry_after, stated_lifetime
from jwt_middleware.keys.remote.http import FetchResponse
from jwt_middleware.keys.snapshot import Snapshot

# Printable ASCII, and no longer than any validator is.
_VALIDATOR = re.compile(r"[ -~]{1,256}")


@dataclass(frozen=True, slots=True)
class Arrived:
    """A key set that differs from the one that was known."""

    key_set: KeySet
    url: str
    document: bytes
    etag: str | None
    last_modified: str | None
    asked_at: float
    """The monotonic instant of the question: the answer is no younger."""
    wall_offset: float
    """POSIX time less monotonic time at that instant."""
    lifetime: float | None
    """Seconds that the answer says it keeps."""


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The key set is the one that was known."""

    document: bytes
    asked_at: float
    wall_offset: float
    lifetime: float | None


@dataclass(frozen=True, slots=True)
class Failed:
    """There is no answer, or none that is a key set."""

    reason: str
    """A few words without any text of the answer or of another library."""
    retry_after: float | None = None
    is_rejected: bool = False
    """Whether something was answered, and refused."""


Outcome = Arrived | Unchanged | Failed


class Download:
    """Brings the key set of one issuer, again and again."""

    def __init__(self, location: Location, max_keys: int, clock: Clock) -> None:
        """
        :param location: asks for the document.
        :param max_keys: usable keys to keep of it.
        """
        self._location = location
        self._max_keys = max_keys
        self._clock = clock

    def fetch(self, known: Snapshot | None) -> Outcome:
        """Ask for the key set and read it; whatever goes wrong is an outcome too.

        :param known: the set at hand; what has not changed keeps its key objects.
        """
        try:
            return self._fetch(known)
        except AnsweredBadly as answered:
            pause = retry_after(answered.response.headers, self._clock.now())
            return Failed(answered.reason, pause, is_rejected=True)
        except Rejected as rejected:
            return Failed(rejected.reason, is_rejected=True)
        except Exception as foreign:  # noqa: BLE001 - a user's fetcher may raise whatever it likes
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
    """Return a validator that can be sent back (RFC 9110 §8.8), or nothing.

    It goes into a header of ours, so what could be more than one value there is left out.
    """
    value = response.headers.get(name, "")
    return value if _VALIDATOR.fullmatch(value) else None
