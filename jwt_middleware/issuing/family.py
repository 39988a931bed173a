"""The values of refresh families: what is kept of one, and how long it may last.

The rules are in ``families.py``. All instants are POSIX seconds of the store's clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jwt_middleware.checks import is_number, shown
from jwt_middleware.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Generation:
    """The newest refresh token of a family. It can be minted again from this, but not forged."""

    jti: str
    issued_at: float
    """POSIX seconds, whole: the ``iat`` of the token."""
    expires_at: float
    """POSIX seconds, whole: the ``exp`` of the token, never later than the end of the family."""


@dataclass(frozen=True, slots=True)
class Predecessor:
    """The refresh token that was exchanged for the newest one."""

    jti: str
    exchanged_at: float
    """POSIX seconds. The grace begins here."""


@dataclass(frozen=True, slots=True)
class Family:
    """What descends from one login. It contains no token."""

    sid: str
    """Its id, which every token of the family names."""
    subject: str
    created_at: float
    """POSIX seconds."""
    ends_at: float
    """POSIX seconds, whole: the instant from which no token of the family is good."""
    generation: int
    """How many successors there have been."""
    newest: Generation
    previous: Predecessor | None = None
    burnt_at: float | None = None
    """POSIX seconds; ``None`` while the family is good."""
    burnt_because: str | None = None
    """A code, such as ``refresh_reused`` or ``logout``."""
    last_used_at: float = 0.0
    """POSIX seconds of the login or of the latest successor."""
    login: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)
    """What the login said, such as ``auth_time``, ``amr`` and ``scope``: values of JSON."""
    device: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)
    """Name, address and agent of the device, as the application gave them."""


@dataclass(frozen=True, slots=True)
class FamilyTerms:
    """How long tokens and families last, in seconds.

    :raises ConfigurationError: if a lifetime is under one second, or the grace is negative.
    """

    refresh_lifetime: float
    """How long a refresh token is good if it is not used."""
    family_lifetime: float
    """How long a family lasts, however often it is used."""
    grace: float
    """How long after an exchange the predecessor still gets the successor; 0 for not at all."""

    def __post_init__(self) -> None:
        # A lifetime under one second could round down to an end that has passed.
        for name, least in (("refresh_lifetime", 1), ("family_lifetime", 1), ("grace", 0)):
            value = getattr(self, name)
            if not is_number(value) or value < least:
                raise ConfigurationError(
                    f"{name}={shown(value)} must be a number of seconds of at least {least}"
                )
