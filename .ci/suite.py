"""Run the tests on all cores; with COVERAGE=1, record which lines and branches they reach."""

import os
import subprocess
import sys
from collections.abc import Sequence

# The suite without what needs a server, a service, a browser or patience.
FAST = "not service and not server and not browser and not slow"


def tool(*arguments: str) -> list[str]:
    """Return the command that runs a module of this environment."""
    return [sys.executable, "-m", *arguments]


def pytest_arguments(arguments: Sequence[str]) -> list[str]:
    """Return the arguments of pytest: every core, unless the caller says how many.

    ``--fast`` is ours, and stands for the marker expression of the fast set.
    """
    rest = [each for each in arguments if each != "--fast"]
    chosen = rest if len(rest) == len(arguments) else ["-m", FAST, *rest]
    return chosen if "-n" in rest else ["-n", "auto", *chosen]


def measured(arguments: Sequence[str]) -> int:
    """Run the tests under coverage and leave one file of data, whatever the tests said."""
    subprocess.run(tool("coverage", "erase"), check=True)
    tests = subprocess.run(tool("coverage", "run", "-m", "pytest", *arguments), check=False)
    data = subprocess.run(tool("coverage", "combine", "--quiet"), check=False)
    return tests.returncode or data.returncode


def main() -> int:
    """Return the exit status of the suite."""
    arguments = pytest_arguments(sys.argv[1:])
    if os.environ.get("COVERAGE", "0") not in {"", "0"}:
        return measured(arguments)
    return subprocess.run(tool("pytest", *arguments), check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
