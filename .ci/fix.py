"""Format the code, and mend what the linter can mend by itself."""

import subprocess
import sys

from suite import tool

PLACES = (".", ".ci")


def main() -> int:
    """Return the exit status of the linter: what it could not mend is left to say."""
    linted = subprocess.run(tool("ruff", "check", "--fix", *PLACES), check=False)
    # Last, since what the linter rewrites may need it.
    formatted = subprocess.run(tool("ruff", "format", *PLACES), check=False)
    return linted.returncode or formatted.returncode


if __name__ == "__main__":
    sys.exit(main())
