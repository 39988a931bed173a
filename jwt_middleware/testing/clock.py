"""Time that passes when a test says so."""

from threading import Lock

# Any fixed day will do; this one is in 2025, so that a mistaken mix with the real clock shows.
EPOCH = 1_750_000_000.0


class Clock:
    """A clock that stands still until it is told otherwise.

    :param now: the POSIX time it starts at, in seconds.
    """

    def __init__(self, now: float = EPOCH) -> None:
        self._now = now
        self._monotonic = 1_000.0
        self._lock = Lock()

    def now(self) -> float:
        """Return POSIX time in seconds."""
        return self._now

    def monotonic(self) -> float:
        """Return the reading that ages are measured with, in seconds."""
        return self._monotonic

    def tick(self, seconds: float) -> None:
        """Let time pass, on both readings."""
        with self._lock:
            self._now += seconds
            self._monotonic += seconds

    def suspend(self, seconds: float) -> None:
        """Let time pass while the machine is asleep: the monotonic reading stands still."""
        self.jump(seconds)

    def jump(self, seconds: float) -> None:
        """Move only the wall clock, as an administrator or a time server would."""
        with self._lock:
            self._now += seconds

    def __repr__(self) -> str:
        return f"Clock(now={self._now:.3f}, monotonic={self._monotonic:.3f})"
