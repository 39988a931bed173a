"""Time as an argument."""

import time
from typing import Protocol


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
