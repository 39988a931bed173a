"""A clock that a test controls."""

from threading import Lock

# A fixed day in 2025, so that a test that mixes it with the real clock by mistake fails.
EPOCH = 1_750_000_000.0


class Clock:
    """A clock that moves only when a test moves it.

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
        """Let time pass while the machine sleeps: the monotonic reading does not move."""
        self.jump(seconds)

    def jump(self, seconds: float) -> None:
        """Move only the wall clock, as an administrator or a time server would."""
        with self._lock:
            self._now += seconds

    def __repr__(self) -> str:
        return f"Clock(now={self._now:.3f}, monotonic={self._monotonic:.3f})"
