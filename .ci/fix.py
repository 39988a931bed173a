"""Format the code, mend what the linter can mend by itself, and write the page of options."""

import subprocess
import sys
from pathlib import Path

from suite import tool

HERE = Path(__file__).parent

PLACES = (".", ".ci")


def main() -> int:
    """Return the exit status of the linter: what it could not mend is left to say."""
    linted = subprocess.run(tool("ruff", "check", "--fix", *PLACES), check=False)
    # Last, since what the linter rewrites may need it.
    formatted = subprocess.run(tool("ruff", "format", *PLACES), check=False)
    written = subprocess.run([sys.executable, HERE / "option_page.py"], check=False)
    return linted.returncode or formatted.returncode or written.returncode


if __name__ == "__main__":
    sys.exit(main())
