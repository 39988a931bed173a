"""Find the other Pythons on this machine that the project says it runs on."""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
CLASSIFIER = "Programming Language :: Python :: 3."

# Said by the interpreter itself: a shim may exist for a version that is not there.
QUESTION = (
    "import json, platform, sys, sysconfig; print(json.dumps(["
    "platform.python_implementation(), list(sys.version_info[:4]),"
    "bool(sysconfig.get_config_var('Py_GIL_DISABLED'))]))"
)


class Interpreter(NamedTuple):
    """A Python that answered."""

    path: str
    version: tuple[int, int, int]

    @property
    def name(self) -> str:
        """Return the version as people say it, such as 3.12."""
        return f"{self.version[0]}.{self.version[1]}"


def promised_minors() -> set[int]:
    """Return the minor versions that the classifiers of the project name."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    named = (line.removeprefix(CLASSIFIER) for line in settings["project"]["classifiers"])
    return {int(rest) for rest in named if rest.isdigit()}


def candidates(minors: set[int]) -> Iterator[Path]:
    """Yield the places where such a Python may lie: the search path, then pyenv's versions."""
    folders = [Path(entry) for entry in os.environ.get("PATH", "").split(os.pathsep) if entry]
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    folders += sorted(root.glob("versions/3.*/bin"))
    for folder in folders:
        for minor in sorted(minors):
            yield folder / f"python3.{minor}"


def ask(path: Path) -> Interpreter | None:
    """Return the interpreter if it is a released CPython with its lock, else ``None``."""
    try:
        said = subprocess.run(
            [str(path), "-I", "-c", QUESTION], capture_output=True, check=True, timeout=20
        )
        implementation, (major, minor, micro, level), unlocked = json.loads(said.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    plain = implementation == "CPython" and level == "final" and not unlocked
    return Interpreter(str(path), (major, minor, micro)) if plain else None


def other_pythons() -> list[Interpreter]:
    """Return one interpreter for each promised version that is not the one running now."""
    wanted = promised_minors() - {sys.version_info.minor}
    found: dict[str, Interpreter] = {}
    for path in candidates(wanted):
        if path.exists() and (interpreter := ask(path)):
            found.setdefault(interpreter.name, interpreter)
    return sorted(found.values(), key=lambda each: each.version)


if __name__ == "__main__":
    for each in other_pythons():
        print(each.name, each.path)
