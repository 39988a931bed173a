"""One ring and its logins in a file that several processes share, as they are started and killed."""

import subprocess
import sys
from pathlib import Path

import pytest

from jwt_middleware import Guard, Issuer
from jwt_middleware.issuing import Minter
from tests.issuing.worker import pairs_of, ring_of

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def started(*arguments: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.issuing.worker", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_a_hundred_threads_in_four_processes_make_one_ring_and_one_rotation(tmp_path: Path) -> None:
    """K1, K5: whoever comes first makes the key, and all have it."""
    path = tmp_path / "ring.db"
    for days, phases in ((0, ["active"]), (89.5, ["active", "announced"])):
        processes = [started("load", path, days, 25) for _ in range(4)]
        said = [
            line for each in processes for line in each.communicate(timeout=120)[0].splitlines()
        ]

        assert [each.returncode for each in processes] == [0] * 4
        assert len(said) == 100
        assert len(set(said)) == 1
        assert sorted(each.partition(":")[2] for each in said[0].split()) == phases


def test_a_process_that_is_killed_while_it_changes_the_ring_breaks_nothing(tmp_path: Path) -> None:
    """What it said last is in the file, or one step further; everything still works."""
    path = tmp_path / "ring.db"
    for _ in range(3):
        process = started("revoke", path)
        assert process.stdout is not None
        said = [process.stdout.readline().strip() for _ in range(5)]
        process.kill()
        said += process.communicate()[0].split()
        ring = ring_of(str(path))
        minter = Minter(ring, issuer="https://a/", audience="a")
        guard = Guard(issuers=Issuer("https://a/", audience="a", keys=ring))

        assert guard.verify(minter.mint("alice")).subject == "alice"
        phases = {key.kid: key.phase for key in ring.status()}
        assert [*phases.values()].count("active") == 1
        assert set(said) <= set(phases)


def test_a_hundred_refreshes_in_four_processes_have_one_successor(tmp_path: Path) -> None:
    """F1, F3."""
    path = tmp_path / "logins.db"
    pairs = pairs_of(str(path))
    token = pairs.issue("alice").refresh_token
    processes = [started("refresh", path, token, 25) for _ in range(4)]
    said = [line for each in processes for line in each.communicate(timeout=120)[0].splitlines()]

    assert [each.returncode for each in processes] == [0] * 4
    assert len(said) == 100
    assert len(set(said)) == 1
    (family,) = pairs.families("alice")
    assert family.generation == 1
    assert pairs.refresh(said[0]).sid == family.sid


def test_a_client_of_a_process_that_was_killed_goes_on(tmp_path: Path) -> None:
    """F6: it has the last token that was said, and is within the grace, if that was exchanged."""
    path = tmp_path / "logins.db"
    for number in range(3):
        process = started("chain", path)
        assert process.stdout is not None
        said = [process.stdout.readline().strip() for _ in range(5)]
        process.kill()
        said += process.communicate()[0].split()
        pairs = pairs_of(str(path))

        assert pairs.refresh(said[-1]).sid
        families = pairs.families("alice")
        assert len(families) == number + 1
        assert {each.burnt_at for each in families} == {None}
