"""The environment is made once, from what a lock names, on whatever a machine offers."""

import re
from pathlib import Path

import env
import pytest


def pins_in(lock: str) -> set[str]:
    """Return name and version of each; the markers of a narrower lock may be wider."""
    text = (env.LOCKS / f"{lock}.txt").read_text(encoding="utf-8")
    return set(re.findall(r"^[a-z0-9.-]+==[^ ]+", text, flags=re.MULTILINE))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Stand in for an environment: as much of one as a stamp is believed in."""
    python = env.python_in(tmp_path)
    python.parent.mkdir()
    python.touch()
    return tmp_path


def test_variables_that_lead_packages_astray_are_dropped() -> None:
    dirty = {"PYTHONPATH": "/elsewhere", "PIP_TARGET": "/elsewhere", "HOME": "/home/alice"}
    dirty["PYTHONDONTWRITEBYTECODE"] = "1"

    assert env.clean_environ(dirty) == {
        "HOME": "/home/alice",
        "PIP_USER": "0",
        "PIP_REQUIRE_VIRTUALENV": "0",
    }


def test_an_environment_without_a_stamp_is_unfinished(folder: Path) -> None:
    assert env.read_stamp(folder) == {}


def test_a_stamp_without_an_interpreter_is_not_believed(tmp_path: Path) -> None:
    env.stamp_file(tmp_path).write_text('{"lock": "dev"}', encoding="utf-8")

    assert env.read_stamp(tmp_path) == {}


def test_a_torn_stamp_is_no_stamp(folder: Path) -> None:
    env.stamp_file(folder).write_text('{"lock": "de', encoding="utf-8")

    assert env.read_stamp(folder) == {}


@pytest.mark.parametrize(
    ("asked", "held", "kept"),
    [
        ("demo", None, "demo"),
        ("demo", "dev", "dev"),
        ("dev", "demo", "dev"),
        ("bench", "bench", "bench"),
        ("bench", "dev", "bench"),
    ],
)
def test_a_wider_environment_serves_a_narrower_wish(asked: str, held: str, kept: str) -> None:
    assert env.highest(asked, held) == kept


@pytest.mark.parametrize(("narrow", "wide"), [("demo", "test"), ("test", "dev")])
def test_a_wider_lock_holds_the_narrower_one_in_the_same_versions(narrow: str, wide: str) -> None:
    """Else `make demo` after `make test` would have to install again."""
    assert pins_in(narrow)
    assert pins_in(narrow) <= pins_in(wide)


@pytest.mark.parametrize("lock", sorted(env.LOCKS.glob("*.txt")), ids=lambda path: path.stem)
def test_a_lock_names_no_address_and_hashes_everything(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    pins = [line for line in text.splitlines() if "==" in line]

    assert "://" not in text
    assert "index" not in text
    assert pins
    assert all(line.endswith("\\") for line in pins)


def test_a_second_look_at_a_finished_environment_runs_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[object] = []
    monkeypatch.setattr(env, "attempt", commands.append)
    env.prepare(folder, "demo")
    first = len(commands)

    env.prepare(folder, "demo")

    assert first > 0
    assert len(commands) == first


def test_a_failed_set_up_leaves_no_stamp(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(env, "attempt", lambda _: "no such package")

    with pytest.raises(env.SetupError, match="no such package"):
        env.prepare(folder, "demo")

    assert not env.stamp_file(folder).exists()


def test_a_wider_wish_fills_the_environment_that_is_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(env, "attempt", lambda _: None)
    env.prepare(folder, "demo")
    commands: list[list[str]] = []
    monkeypatch.setattr(env, "attempt", commands.append)

    env.prepare(folder, "dev")

    assert not any("venv" in command for command in commands)
    assert any(str(env.LOCKS / "dev.txt") in command for command in commands)


def test_the_sentence_names_the_package_that_is_missing() -> None:
    assert "apt install python3-venv" in env.explain(["ensurepip is not available"])
    assert "apt install" not in env.explain(["No matching distribution"])
