"""What the operator of a ring may see of it."""

from dataclasses import dataclass

from jwt_middleware.issuing.ring_state import Phase, Use


@dataclass(frozen=True, slots=True)
class Rotation:
    """What :meth:`KeyRing.rotate` has arranged."""

    kid: str
    """The key id of the next key."""
    signs_from: float
    """POSIX time from which it signs."""
    is_new: bool
    """Whether it was made by this call. Otherwise it was announced before."""


@dataclass(frozen=True, slots=True)
class RingKey:
    """One key of a ring, as an operator may see it."""

    kid: str
    use: Use
    """What it signs: ``access`` or ``refresh`` tokens."""
    algorithm: str
    phase: Phase
    """``announced``, ``active``, ``retiring``, ``gone`` or ``revoked``."""
    signs_from: float
    """POSIX time from which it signs or signed."""
