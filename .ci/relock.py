"""Renew the locks: one version of everything, for every Python that the project runs on."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / ".ci" / "locks"
OLDEST_PYTHON = "3.11"

# The widest first: the ones inside it take its versions. `bench` and `lock` stand alone.
WIDEST = "dev"
INSIDE = ("test", "demo")
ALONE = ("bench", "lock")

HEADING = (
    "# Written by `make lock`; not for editing. Every package that the group {group!r} of\n"
    "# pyproject.toml needs, in one version for every supported Python, with its hashes.\n"
)


def compiled(group: str, *options: str) -> str:
    """Return the lock of one group: no address of an index, no path of this machine."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / f"{group}.txt"
        command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal"]
        command += ["--python-version", OLDEST_PYTHON, "--generate-hashes", "--no-header"]
        command += ["--no-annotate", "--group", f"pyproject.toml:{group}"]
        # The tool that writes the locks needs nothing of the project.
        command += [] if group == "lock" else ["pyproject.toml"]
        subprocess.run([*command, "-o", str(output), *options], cwd=ROOT, check=True)
        return output.read_text(encoding="utf-8")


def write(group: str, *options: str) -> None:
    """Write the lock of one group and say so."""
    text = compiled(group, *options)
    if "://" in text or str(ROOT) in text:
        raise SystemExit(f"the lock of {group} names an address or a path of this machine")
    (LOCKS / f"{group}.txt").write_text(HEADING.format(group=group) + text, encoding="utf-8")
    print(f"{group}: {text.count('==')} packages")


def main() -> None:
    """Write all locks."""
    os.chdir(ROOT)
    write(WIDEST)
    for group in INSIDE:
        write(group, "--constraint", str(LOCKS / f"{WIDEST}.txt"))
    for group in ALONE:
        write(group)


if __name__ == "__main__":
    main()
