"""Make an environment that holds exactly what a lock names, then become a command in it.

    python .ci/env.py [--folder .venv] LOCK ARGUMENT...

runs the environment's Python with the arguments. Needs Python 3.11 and its standard library, and
one of pip, ensurepip and uv. Does nothing twice: a stamp inside the environment says what it holds.
"""

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / ".ci" / "locks"

# Each holds all of the one before it, in the same versions: an environment made
# for a later one serves the earlier ones too.
TIERS = ("demo", "test", "dev")

# The environment of the tool that writes the locks; the project has no place in it.
WITHOUT_PROJECT = "lock"

# What a shell may carry along that would send packages, or imports, elsewhere, or have each of the
# hundred processes of a suite compile every framework anew.
ASTRAY = (
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONPATH",
    "PYTHONHOME",
    "PIP_TARGET",
    "PIP_PREFIX",
    "PIP_REQUIRE_VIRTUALENV",
    "PIP_USER",
    "VIRTUAL_ENV",
)

# Started from inside an environment, this script still builds on the Python below it.
BASE_PYTHON = str(getattr(sys, "_base_executable", sys.executable))

Stamp = dict[str, str]


class SetupError(Exception):
    """No environment can be had; the text says what to do about it."""


class Way(NamedTuple):
    """One way to make an environment and to put packages into it."""

    create: Sequence[str]
    install: Sequence[str]


def clean_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables without those that lead packages or imports astray, or waste time."""
    cleaned = {name: value for name, value in environ.items() if name not in ASTRAY}
    # A configuration file may ask for --user or insist on an active environment; a variable wins.
    return cleaned | {"PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0"}


def python_in(folder: Path) -> Path:
    """Return the path of the Python of an environment."""
    return folder / "bin" / "python"


def fingerprint(content: bytes) -> str:
    """Return a short digest that changes with the content."""
    return hashlib.sha256(content).hexdigest()[:16]


def project_fingerprint() -> str:
    """Return the digest of what an installation depends on; settings of linters are not part."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    parts = [settings["build-system"], settings["project"], settings["tool"].get("hatch")]
    return fingerprint(json.dumps(parts, sort_keys=True).encode())


def wanted_stamp(folder: Path, lock: str) -> Stamp:
    """Return what the stamp of a finished environment says."""
    return {
        # Scripts inside carry the absolute path: a moved checkout needs a new environment.
        "place": str(folder),
        "interpreter": f"{os.path.realpath(BASE_PYTHON)} {sys.version}",
        "lock": lock,
        "packages": fingerprint((LOCKS / f"{lock}.txt").read_bytes()),
        "project": project_fingerprint(),
    }


def stamp_file(folder: Path) -> Path:
    """Return where the stamp of an environment lies."""
    return folder / "stamp.json"


def read_stamp(folder: Path) -> Stamp:
    """Return the stamp of an environment, or an empty one if it was never finished."""
    try:
        stamp: Stamp = json.loads(stamp_file(folder).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if python_in(folder).exists() else {}


def highest(lock: str, held: str | None) -> str:
    """Return the lock that serves both what is asked for and what is there."""
    if lock in TIERS and held in TIERS:
        return max(lock, held, key=TIERS.index)
    return lock


def ways(folder: Path) -> Iterator[Way]:
    """Yield the ways that this machine may offer, the fastest first."""
    target = str(python_in(folder))
    if uv := shutil.which("uv"):
        create = [uv, "venv", "--quiet", "--clear", "--python", BASE_PYTHON, str(folder)]
        yield Way(create, [uv, "pip", "install", "--quiet", "--python", target])
    options = ["install", "-qq", "--no-compile", "--disable-pip-version-check"]
    venv = [BASE_PYTHON, "-m", "venv", "--clear"]
    if has_pip():
        # Copying pip into the environment takes longer than all the rest of its creation.
        beside = [BASE_PYTHON, "-m", "pip", "--python", target, *options]
        yield Way([*venv, "--without-pip", str(folder)], beside)
    else:
        yield Way([*venv, str(folder)], [target, "-m", "pip", *options])


def has_pip() -> bool:
    """Tell whether the Python below has a pip of its own; asked of it, not of this process."""
    question = "import importlib.util as u, sys; sys.exit(u.find_spec('pip') is None)"
    return subprocess.run([BASE_PYTHON, "-I", "-c", question], check=False).returncode == 0


def attempt(command: Sequence[str]) -> str | None:
    """Run a command; return what it said if it failed, else ``None``."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=clean_environ(os.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return None if done.returncode == 0 else done.stdout.strip() or "it said nothing"


def packages_step(way: Way, lock: str) -> list[str]:
    """Return the command that installs what the lock names, and nothing that it does not name."""
    # The lock is complete, so nothing is left to resolve, and a wheel runs no code of its own.
    options = ["--no-deps", "--require-hashes", "--only-binary", ":all:"]
    return [*way.install, *options, "-r", str(LOCKS / f"{lock}.txt")]


def project_step(way: Way) -> list[str]:
    """Return the command that installs the project so that edits count at once."""
    return [*way.install, "--no-deps", "--no-build-isolation", "-e", str(ROOT)]


def fill(folder: Path, stamp: Stamp, held: Stamp) -> None:
    """Bring the environment to what the stamp says, by the first way that works."""
    same_ground = all(held.get(name) == stamp[name] for name in ("place", "interpreter"))
    failures = []
    for way in ways(folder):
        failure = None if same_ground else attempt(way.create)
        if failure is None:
            failure = install(way, stamp, held if same_ground else {})
        if failure is None:
            return
        failures.append(failure)
        same_ground = False
    raise SetupError(explain(failures))


def install(way: Way, stamp: Stamp, held: Stamp) -> str | None:
    """Install what differs from what is held; return what went wrong."""
    failure = None
    if held.get("packages") != stamp["packages"]:
        failure = attempt(packages_step(way, stamp["lock"]))
    if failure or stamp["lock"] == WITHOUT_PROJECT:
        return failure
    return attempt(project_step(way))


def explain(failures: Sequence[str]) -> str:
    """Return what ends a set-up that found no way: what was said, and what mends it if we know."""
    said = "\n\n".join(failures)
    if not any(missing in said for missing in ("ensurepip", "No module named venv")):
        return f"{said}\n\nThe packages could not be installed; the lines above say why."
    sentence = (
        f"{BASE_PYTHON} cannot make an environment: it has neither pip nor ensurepip. "
        "On Debian and Ubuntu `apt install python3-venv` mends it; so does having uv."
    )
    return "\n\n".join([*failures[:-1], sentence])


def prepare(folder: Path, lock: str) -> Path:
    """Return the Python of an environment that holds the lock, made or completed if need be."""
    with one_at_a_time():
        held = read_stamp(folder)
        stamp = wanted_stamp(folder, highest(lock, held.get("lock")))
        if held != stamp:
            print(f"setting up {folder.name} ({stamp['lock']}) ...", file=sys.stderr, flush=True)
            # Gone first, so that an interrupted set-up is never taken for a finished one.
            stamp_file(folder).unlink(missing_ok=True)
            fill(folder, stamp, held)
            stamp_file(folder).write_text(json.dumps(stamp, indent=1), encoding="utf-8")
    return python_in(folder)


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Hold off a second set-up in the same checkout until the first is done."""
    descriptor = os.open(ROOT / ".ci", os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def become(python: Path, arguments: Sequence[str]) -> None:
    """Replace this process by the environment's Python, so that signals go straight to it."""
    environ = clean_environ(os.environ)
    environ["PATH"] = os.pathsep.join([str(python.parent), environ.get("PATH", os.defpath)])
    os.chdir(ROOT)
    sys.stdout.flush()
    os.execve(python, [str(python), *arguments], environ)  # noqa: S606 - no shell is the point


def main() -> None:
    """Read the command line, prepare, become."""
    parser = argparse.ArgumentParser(description="run Python in an environment made from a lock")
    parser.add_argument("--folder", default=".venv", help="where the environment lies")
    parser.add_argument("lock", help="a name from .ci/locks")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="what its Python is to run")
    options = parser.parse_args()
    try:
        python = prepare(ROOT / options.folder, options.lock)
    except SetupError as error:
        sys.exit(str(error))
    become(python, options.arguments)


if __name__ == "__main__":
    main()
