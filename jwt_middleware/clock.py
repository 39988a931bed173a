"""The clock of a guard, which tests can replace."""

import time
from typing import Any, Protocol

from jwt_middleware.checks import shown
from jwt_middleware.errors import ConfigurationError


class Clock(Protocol):
    """The source of the time. Both methods return seconds."""

    def now(self) -> float:
        """Return POSIX time, which claims are compared with (RFC 7519 §2, NumericDate)."""
        ...

    def monotonic(self) -> float:
        """Return a time that never goes back.

        It may stop while the machine is suspended. So an age that matters for security is the
        greater one of both clocks.
        """
        ...


class SystemClock:
    """The clock of the operating system."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)

    def __repr__(self) -> str:
        return "SystemClock()"


def usable_clock(name: str, clock: Any) -> Clock:
    """Return a clock.

    :param name: the name of the setting, for messages.
    :raises ConfigurationError: if it is not a clock.
    """
    try:
        readings = (clock.now(), clock.monotonic())
    except Exception as mistake:
        raise ConfigurationError(
            f"{name}={shown(clock)} must have now() and monotonic(), such as SystemClock()"
        ) from mistake
    if any(type(reading) not in (int, float) for reading in readings):
        raise ConfigurationError(
            f"{name}={shown(clock)} must return seconds as int or float, as SystemClock() does"
        )
    return clock  # type: ignore[no-any-return]
