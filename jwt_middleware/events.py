"""What happened, as frozen records in the past tense, for whoever observes.

No record holds a token, a key or a claim. An observer is any callable that takes one record; what
it raises is swallowed, because watching must never change what is watched.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

_log = logging.getLogger("jwt_middleware")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened."""


@dataclass(frozen=True, slots=True)
class RequestRefused(Event):
    """A request was turned away."""

    code: str
    status: int
    rule: str
    detail: str


@dataclass(frozen=True, slots=True)
class KeysRefreshed(Event):
    """An issuer's key set was fetched."""

    issuer: str | None
    keys: int
    has_changed: bool


@dataclass(frozen=True, slots=True)
class KeysRefreshFailed(Event):
    """An issuer's key set could not be fetched, or was not one."""

    issuer: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class KeySkipped(Event):
    """A member of a key set cannot verify and was passed over."""

    issuer: str | None
    kid_digest: str | None
    reason: str


Observer = Callable[[Event], None]


def tell(observers: Iterable[Observer], event: Event) -> None:
    """Hand ``event`` to every observer; one that raises is logged and does not disturb the rest."""
    for observer in observers:
        try:
            observer(event)
        except Exception:  # noqa: BLE001
            # An observer is foreign code; the only place where anything at all is caught.
            _log.exception("observer_failed")
