"""Measure several things in turns, so that a busy machine slows all of them alike."""

import time
from collections.abc import Callable, Mapping

Work = Callable[[], object]

ROUNDS = 25


def measure(work: Mapping[str, Work], seconds: float = 0.02) -> dict[str, float]:
    """Return the best time of each, in microseconds a call.

    :param seconds: how long one turn takes.
    """
    calls = {name: _calls_for(each, seconds) for name, each in work.items()}
    best = dict.fromkeys(work, float("inf"))
    for _ in range(ROUNDS):
        for name, each in work.items():
            best[name] = min(best[name], _turn(each, calls[name]))
    return best


def _calls_for(work: Work, seconds: float) -> int:
    return max(1, int(seconds / max(1e-9, _turn(work, 20) / 1e6)))


def _turn(work: Work, calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        work()
    return (time.perf_counter() - start) / calls * 1e6


def show(title: str, times: Mapping[str, float], floor: str) -> None:
    """Print a table: each time, and its ratio to that of ``floor``."""
    print(f"\n{title}")
    for name, microseconds in times.items():
        print(f"  {name:<44} {microseconds:9.2f} µs  {microseconds / times[floor]:6.2f} x")
