"""Run every check and say which hold; go on after a failure, so that one run tells all."""

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from pythons import other_pythons
from suite import FAST, tool

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = Path(".ci")
EXAMPLES = Path("tests/examples")


class Check(NamedTuple):
    """A claim about the project, and the command that fails when it does not hold."""

    name: str
    command: Sequence[str]


class Outcome(NamedTuple):
    """How a check ended."""

    name: str
    holds: bool
    said: str
    seconds: float


def quick_checks() -> list[Check]:
    """Return the checks that read the code; they run beside each other."""
    imports = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"
    return [
        Check("pyright", tool("pyright", "--warnings")),
        Check("mypy", tool("mypy")),
        Check("format", tool("ruff", "format", "--check", ".", str(SCRIPTS))),
        Check("lint", tool("ruff", "check", ".", str(SCRIPTS))),
        Check("import floors", [sys.executable, "-c", imports]),
        Check("coverage gate", [sys.executable, str(SCRIPTS / "coverage_gate.py")]),
    ]


def suite_checks() -> list[Check]:
    """Return the checks that run code; each takes all cores, so they run one by one."""
    environment = str(SCRIPTS / "env.py")
    suite = [str(SCRIPTS / "suite.py"), "-q", "-m", FAST]
    checks = [
        Check(
            f"fast tests on {other.name}",
            [other.path, environment, "--folder", f".venv-{other.name}", "test", *suite],
        )
        for other in other_pythons()
    ]
    if EXAMPLES.exists():
        examples = [sys.executable, str(SCRIPTS / "suite.py"), "-q", str(EXAMPLES)]
        checks.insert(0, Check("examples", examples))
    return checks


def carry_out(check: Check) -> Outcome:
    """Run one check and keep what it says."""
    start = time.monotonic()
    environ = {name: value for name, value in os.environ.items() if name != "COVERAGE"}
    done = subprocess.run(
        check.command,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Outcome(check.name, done.returncode == 0, done.stdout, time.monotonic() - start)


def report(outcome: Outcome) -> bool:
    """Print one line for what holds and everything for what does not."""
    print(f"{'ok  ' if outcome.holds else 'FAIL'}  {outcome.name}  ({outcome.seconds:.1f} s)")
    last_line = outcome.said.strip().rpartition("\n")[2]
    if said := last_line if outcome.holds else outcome.said.strip():
        print("      " + said.replace("\n", "\n      "))
    sys.stdout.flush()
    return outcome.holds


def outcomes() -> Iterable[Outcome]:
    """Yield how each check ended, in the order of the lists."""
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        yield from pool.map(carry_out, quick_checks())
    yield from map(carry_out, suite_checks())


def main() -> int:
    """Return 1 if any check failed."""
    os.chdir(ROOT)
    failed = [outcome.name for outcome in outcomes() if not report(outcome)]
    print(f"does not hold: {', '.join(failed)}" if failed else "every check holds")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
