"""Time as an argument."""

import time
from typing import Any, Protocol

from jwt_middleware.errors import ConfigurationError


class Clock(Protocol):
    """Where time comes from. Both readings are in seconds."""

    def now(self) -> float:
        """Return POSIX time; claims are held against it (RFC 7519 §2, NumericDate)."""
        ...

    def monotonic(self) -> float:
        """Return a reading that never goes back.

        It may stand still while the machine is suspended. So an age that protects something is the
        greater of what both readings tell.
        """
        ...


class SystemClock:
    """The clock of the machine."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)

    def __repr__(self) -> str:
        return "SystemClock()"


def check_clock(clock: Any) -> None:
    """Refuse what does not tell the time.

    :raises ConfigurationError: naming it.
    """
    try:
        readings = (clock.now(), clock.monotonic())
    except Exception as mistake:
        raise ConfigurationError(
            f"clock={clock!r} must have now() and monotonic(), such as SystemClock()"
        ) from mistake
    if any(type(reading) not in (int, float) for reading in readings):
        raise ConfigurationError(f"clock={clock!r} must tell seconds as numbers")
