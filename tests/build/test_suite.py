"""The suite takes every core unless it is told how many."""

from suite import pytest_arguments


def test_all_cores_are_the_default() -> None:
    assert pytest_arguments(["tests/rules"]) == ["-n", "auto", "tests/rules"]


def test_a_caller_may_ask_for_fewer() -> None:
    assert pytest_arguments(["-n", "0", "-x"]) == ["-n", "0", "-x"]
