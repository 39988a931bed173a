"""Hold the coverage that the last COVERAGE=1 make test recorded to the promised share."""

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, TypedDict

from coverage import Coverage

ROOT = Path(__file__).resolve().parent.parent

# Per cent of lines and branches. Where a hole lets someone in, nothing stays unproven.
GATES = {
    "jwt_middleware": 95.0,
    "jwt_middleware/crypto": 99.0,
    "jwt_middleware/tokens": 99.0,
    "jwt_middleware/rules": 100.0,
    "jwt_middleware/request": 99.0,
    "jwt_middleware/guard": 99.0,
    "jwt_middleware/keys": 100.0,
    "jwt_middleware/issuers": 100.0,
    "jwt_middleware/issuing": 99.0,
    "jwt_middleware/revocation": 95.0,
    "jwt_middleware/endpoints": 99.0,
    "jwt_middleware/stores": 95.0,
    "jwt_middleware/asgi": 99.0,
    "jwt_middleware/wsgi.py": 99.0,
    "jwt_middleware/effects.py": 99.0,
    "jwt_middleware/responses": 100.0,
    "jwt_middleware/formats": 100.0,
    "jwt_middleware/verdict.py": 100.0,
}


class Summary(TypedDict):
    """What coverage counts for one file, as its JSON report names it."""

    covered_lines: int
    num_statements: int
    covered_branches: int
    num_branches: int


class Shortfall(NamedTuple):
    """A room that is covered less than promised."""

    room: str
    promised: float
    measured: float


def share(summaries: list[Summary]) -> float:
    """Return the per cent of lines and branches that were reached."""
    reached = sum(each["covered_lines"] + each["covered_branches"] for each in summaries)
    there = sum(each["num_statements"] + each["num_branches"] for each in summaries)
    return 100.0 * reached / there if there else 100.0


def lies_in(path: str, room: str) -> bool:
    """Tell whether a file is the room or stands in it."""
    return path == room or path.startswith(f"{room}/")


def shortfalls(files: Mapping[str, Summary], gates: Mapping[str, float]) -> list[Shortfall]:
    """Return the rooms that miss their gate."""
    found = []
    for room, promised in gates.items():
        measured = share([each for path, each in files.items() if lies_in(path, room)])
        if measured < promised:
            found.append(Shortfall(room, promised, measured))
    return found


def recorded(data: Coverage) -> dict[str, Summary]:
    """Return what was counted for each file, by its path inside the checkout."""
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        data.json_report(outfile=report.name)
        files = json.loads(Path(report.name).read_text(encoding="utf-8"))["files"]
    return {Path(name).as_posix(): each["summary"] for name, each in files.items()}


def without_data() -> int:
    """Say that there is nothing to judge; only an unattended run takes that for a failure."""
    print("no coverage was recorded: COVERAGE=1 make test does that")
    return 1 if os.environ.get("CI") else 0


def main() -> int:
    """Print what misses its gate, with the lines that nobody reached."""
    os.chdir(ROOT)
    data = Coverage()
    if not Path(data.config.data_file).exists():
        return without_data()
    data.load()
    files = recorded(data)
    missed = shortfalls(files, GATES)
    for room, promised, measured in missed:
        print(f"{room}: {measured:.2f} % of lines and branches, promised are {promised:g} %")
        data.report(include=[room, f"{room}/*"], skip_covered=True, show_missing=True)
    print(f"{share(list(files.values())):.2f} % of all lines and branches are covered")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
