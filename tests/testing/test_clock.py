"""Time that passes when a test says so."""

from jwt_middleware.testing.clock import EPOCH, Clock


def test_time_stands_still_until_it_is_told() -> None:
    """``tick`` moves both readings, ``jump`` only the wall clock."""
    clock = Clock()
    start = clock.monotonic()
    assert clock.now() == EPOCH
    clock.tick(5)
    clock.jump(-100)

    assert clock.now() == EPOCH - 95
    assert clock.monotonic() == start + 5
    assert repr(clock) == "Clock(now=1749999905.000, monotonic=1005.000)"
