"""The events that observers receive, as frozen records.

An event never contains a token or a key. It may contain the claims ``iss``, ``aud`` and the times
if they are the reason of a refusal. An observer is any callable that takes one event. Its
exceptions are logged and swallowed, so that an observer cannot change a verdict.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from jwt_middleware.logs import log_of

_log = log_of("jwt_middleware")


@dataclass(frozen=True, slots=True)
class Event:
    """Base class of all events."""


@dataclass(frozen=True, slots=True)
class RequestAllowed(Event):
    """A request was allowed."""

    method: str
    """An HTTP method, ``WEBSOCKET``, or ``other``."""
    rule: str
    """The rule of the path as sent, as text."""
    pattern: str
    """The pattern of that rule, such as ``/orders/{id}``; empty if no rule decided."""
    issuer: str | None
    """The issuer of the token, or ``issuer#label``; ``None`` without a token."""
    token: str | None
    """A fingerprint of the token: the first 64 bits of its SHA-256, in hex."""


@dataclass(frozen=True, slots=True)
class RequestRefused(Event):
    """A request was refused."""

    code: str
    status: int
    rule: str
    """See :class:`RequestAllowed`. It is ``a view`` if the code of a view refused."""
    detail: str
    """Why, in words for the operator, with both sides of what was compared. Empty if the code says
    it all."""
    method: str = ""
    pattern: str = ""
    issuer: str | None = None
    """The issuer of the token, or ``issuer#label``, if it is certain."""
    token: str | None = None
    expected: str = ""
    """The required value, if the refusal has one."""
    found: str = ""
    """The value in the token, quoted, escaped and cut to 100 characters."""
    judged_by: str | None = None
    """The trusted issuer that the token names. Any client can write it into a token."""


@dataclass(frozen=True, slots=True)
class KeyEvent(Event):
    """Base class of the events on the keys of an issuer."""

    issuer: str
    """The issuer, or ``issuer#label``; the URL of its key set if it has no name."""


@dataclass(frozen=True, slots=True)
class KeyFetchStarted(KeyEvent):
    """A fetch of the key set started."""

    reason: str
    """``empty``, ``expired``, ``refresh``, ``unknown kid``, ``vanished kid``, ``replaced kid`` or
    ``warm``."""


@dataclass(frozen=True, slots=True)
class KeyFetchFinished(KeyEvent):
    """A fetch of the key set finished."""

    reason: str
    """The reason of the :class:`KeyFetchStarted`."""
    outcome: str
    """``changed``, ``unchanged``, ``rejected``, ``failed``, or ``ignored`` if it was too late."""
    seconds: float


@dataclass(frozen=True, slots=True)
class KeyDocumentRejected(KeyEvent):
    """A response was not a usable key set. The current key set is kept."""

    detail: str


@dataclass(frozen=True, slots=True)
class KeyFetchesPaused(KeyEvent):
    """A fetch failed, so fetches are paused (backoff)."""

    seconds: float
    failures: int
    detail: str


@dataclass(frozen=True, slots=True)
class KeyAdded(KeyEvent):
    """A key was added to the key set."""

    kid: str | None
    """The key id, made printable."""


@dataclass(frozen=True, slots=True)
class KeyRemoved(KeyEvent):
    """A key was removed from the key set."""

    kid: str | None


@dataclass(frozen=True, slots=True)
class KeySkipped(KeyEvent):
    """A member of a key set was skipped, because it cannot verify tokens."""

    kid: str | None
    reason: str
    """One of a fixed set of words, such as ``use_not_sig`` or ``private_material``."""


@dataclass(frozen=True, slots=True)
class StaleKeysServed(KeyEvent):
    """Expired keys were used, because they could not be refreshed."""


@dataclass(frozen=True, slots=True)
class KeysWaitedFor(KeyEvent):
    """A request waited for a fetch of keys."""

    seconds: float
    landed: bool
    """Whether the fetch finished during the wait."""


@dataclass(frozen=True, slots=True)
class UnknownKidMissed(KeyEvent):
    """A token named a key id that is not in the key set, even after a fetch."""


@dataclass(frozen=True, slots=True)
class UnknownKidSuppressed(KeyEvent):
    """A token named an unknown key id, and no fetch was started for it."""

    cause: str
    """``paused``, ``asked before``, ``over budget`` or ``too many waiting``."""


@dataclass(frozen=True, slots=True)
class LoginEnded(Event):
    """A login ended before its time, with all its refresh tokens."""

    subject: str
    sid: str
    """The id of the login, which its tokens have as ``sid``."""
    because: str
    """``logout``, ``refresh_reused``, ``subject_refused``, ``subject_revoked`` or ``displaced``."""


Observer = Callable[[Event], None]


def tell(observers: Iterable[Observer], event: Event) -> None:
    """Pass an event to every observer. The exceptions of an observer are logged."""
    for observer in observers:
        try:
            observer(event)
        except Exception:  # noqa: BLE001
            # An observer is foreign code, so every exception is caught here.
            _log.exception("observer_failed")
