"""What happened, as frozen records in the past tense, for whoever observes.

No record holds a token or a key. Of claims it may hold ``iss``, ``aud`` and the times, where they
are why a request was refused. An observer is any callable that takes one record; what it raises is
swallowed, because watching must never change what is watched.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

_log = logging.getLogger("jwt_middleware")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened."""


@dataclass(frozen=True, slots=True)
class RequestAllowed(Event):
    """A request passed."""

    method: str
    """A method of HTTP, ``WEBSOCKET``, or ``other``."""
    rule: str
    """The rule of the path as sent, in words."""
    pattern: str
    """The pattern of that rule, such as ``/orders/{id}``; empty where no rule decided."""
    issuer: str | None
    """Whose token it carried; ``None`` without one."""
    token: str | None
    """What is the same for the same token: the beginning of its SHA-256, 64 bits in hex."""


@dataclass(frozen=True, slots=True)
class RequestRefused(Event):
    """A request was turned away."""

    code: str
    status: int
    rule: str
    """As of :class:`RequestAllowed`; ``a view`` where the code of a view refused."""
    detail: str
    method: str = ""
    pattern: str = ""
    issuer: str | None = None
    """Whose token it carried, where that is known for certain."""
    token: str | None = None
    expected: str = ""
    """What was asked for, where the refusal says it."""
    found: str = ""
    """What the token says instead; cut to 120 characters, and escaped."""


@dataclass(frozen=True, slots=True)
class KeyEvent(Event):
    """Something that happened to the keys of an issuer."""

    issuer: str
    """The issuer's name, or the address of its key set where it has none."""


@dataclass(frozen=True, slots=True)
class KeyFetchStarted(KeyEvent):
    """A fetch of the key set began."""

    reason: str
    """``empty``, ``expired``, ``refresh``, ``unknown kid``, ``vanished kid``, ``replaced kid`` or
    ``warm``."""


@dataclass(frozen=True, slots=True)
class KeyFetchFinished(KeyEvent):
    """A fetch of the key set ended."""

    reason: str
    """That with which it started."""
    outcome: str
    """``changed``, ``unchanged``, ``rejected``, ``failed``, or ``ignored`` if it came too late."""
    seconds: float


@dataclass(frozen=True, slots=True)
class KeyDocumentRejected(KeyEvent):
    """Something was answered that is no usable key set; the one before stays."""

    detail: str


@dataclass(frozen=True, slots=True)
class KeyFetchesPaused(KeyEvent):
    """After a failure nothing is fetched for a while."""

    seconds: float
    failures: int
    detail: str


@dataclass(frozen=True, slots=True)
class KeyAdded(KeyEvent):
    """A key may verify from now on."""

    kid: str | None
    """Its name, made printable."""


@dataclass(frozen=True, slots=True)
class KeyRemoved(KeyEvent):
    """A key may no longer verify."""

    kid: str | None


@dataclass(frozen=True, slots=True)
class KeySkipped(KeyEvent):
    """A member of a key set cannot verify and was passed over."""

    kid: str | None
    reason: str
    """One word of a fixed vocabulary, such as ``use_not_sig`` or ``private_material``."""


@dataclass(frozen=True, slots=True)
class StaleKeysServed(KeyEvent):
    """Keys served beyond their time, because they cannot be renewed."""


@dataclass(frozen=True, slots=True)
class KeysWaitedFor(KeyEvent):
    """A request waited for keys."""

    seconds: float
    landed: bool
    """Whether the fetch ended while it waited."""


@dataclass(frozen=True, slots=True)
class UnknownKidMissed(KeyEvent):
    """A token named a key that the issuer does not publish, as a fetch has shown."""


@dataclass(frozen=True, slots=True)
class UnknownKidSuppressed(KeyEvent):
    """A token named a key that nobody knows, and nobody was asked for it."""

    cause: str
    """``paused``, ``asked before``, ``over budget`` or ``too many waiting``."""


Observer = Callable[[Event], None]


def tell(observers: Iterable[Observer], event: Event) -> None:
    """Hand ``event`` to every observer; one that raises is logged and does not disturb the rest."""
    for observer in observers:
        try:
            observer(event)
        except Exception:  # noqa: BLE001
            # An observer is foreign code; the only place where anything at all is caught.
            _log.exception("observer_failed")
