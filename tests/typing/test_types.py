"""What type checkers make of the public names. The functions below are read, and never run."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_type

import pytest

from jwt_middleware import Claims, Guard, Principal, current_principal

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class MyClaims:
    tenant: int


def principals_are_generic(typed: Principal[MyClaims], plain: Principal, guard: Guard) -> None:
    assert_type(typed.typed, MyClaims)
    assert_type(typed.typed.tenant, int)
    assert_type(typed.claims, Claims)
    assert_type(plain.typed, Any)
    assert_type(plain.subject, str | None)
    wanted: Principal[MyClaims] = current_principal()
    assert_type(wanted.typed.tenant, int)
    verified: Principal[MyClaims] = guard.verify("a.b.c")
    assert_type(verified.typed.tenant, int)


WRONG = """
from jwt_middleware import Guard, Issuer, Principal, protect

def f(principal: Principal[int]) -> str:
    return principal.typed

Guard(issuers=Issuer("https://a/", audience="b"), isuers=1)
protect("/a", requires="admin")
"""


@pytest.mark.slow
def test_a_wrong_use_is_an_error_to_the_checker(tmp_path: Path) -> None:
    """A misspelt option, a string for a requirement, a wrong type of claims."""
    pytest.importorskip("mypy", reason="the type checker is part of the development environment")
    source = tmp_path / "wrong.py"
    source.write_text(WRONG)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), str(source)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    errors = [line for line in done.stdout.splitlines() if "wrong.py" in line and "error" in line]
    assert len(errors) == 3, done.stdout
