"""Other Pythons are found by asking them, and only those that the project promises."""

import sys
from pathlib import Path

import pythons


def test_the_promise_is_read_from_the_classifiers() -> None:
    assert {11, 12, 13} <= pythons.promised_minors()


def test_a_python_answers_for_itself() -> None:
    found = pythons.ask(Path(sys.executable))

    assert found is not None
    assert found.version == sys.version_info[:3]
    assert found.name == f"3.{sys.version_info.minor}"


def test_a_shim_without_a_python_behind_it_is_passed_over(tmp_path: Path) -> None:
    shim = tmp_path / "python3.12"
    shim.write_text("#!/bin/sh\nexit 127\n", encoding="utf-8")
    shim.chmod(0o755)

    assert pythons.ask(shim) is None


def test_the_running_python_is_not_another_one() -> None:
    assert all(other.version[1] != sys.version_info.minor for other in pythons.other_pythons())
