"""The suite takes every core unless it is told how many."""

from suite import FAST, pytest_arguments


def test_all_cores_are_the_default() -> None:
    assert pytest_arguments(["tests/rules"]) == ["-n", "auto", "tests/rules"]


def test_a_caller_may_ask_for_fewer() -> None:
    assert pytest_arguments(["-n", "0", "-x"]) == ["-n", "0", "-x"]


def test_the_fast_set_is_a_choice_of_markers() -> None:
    """The word is not handed on; everything else is."""
    assert pytest_arguments(["--fast", "-x"]) == ["-n", "auto", "-m", FAST, "-x"]
    assert pytest_arguments(["--fast", "-n", "0"]) == ["-m", FAST, "-n", "0"]
