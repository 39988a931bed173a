"""The gate measures each room against its own promise."""

import pytest
from coverage_gate import Shortfall, Summary, lies_in, share, shortfalls, without_data


def counted(covered: int, total: int, branches: int = 0) -> Summary:
    return {
        "covered_lines": covered,
        "num_statements": total,
        "covered_branches": 0,
        "num_branches": branches,
    }


def test_a_branch_counts_as_much_as_a_line() -> None:
    assert share([counted(8, 8, branches=2)]) == 80.0


def test_an_empty_room_is_wholly_covered() -> None:
    assert share([]) == 100.0


def test_a_room_that_misses_its_gate_is_named() -> None:
    files = {"house/attic.py": counted(99, 100), "house/hall/door.py": counted(100, 100)}

    missed = shortfalls(files, {"house": 95.0, "house/attic.py": 100.0, "house/hall": 100.0})

    assert missed == [Shortfall("house/attic.py", 100.0, 99.0)]


def test_a_neighbour_with_a_longer_name_is_another_room() -> None:
    assert lies_in("house/hall/door.py", "house/hall")
    assert not lies_in("house/hallway.py", "house/hall")


@pytest.mark.parametrize(("unattended", "status"), [("true", 1), ("", 0)])
def test_only_an_unattended_run_needs_data(
    monkeypatch: pytest.MonkeyPatch, unattended: str, status: int
) -> None:
    monkeypatch.setenv("CI", unattended)

    assert without_data() == status
