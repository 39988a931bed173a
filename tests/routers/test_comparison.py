"""The guard reads methods and paths at least as strictly as any router behind it.

``SPELLINGS=24000`` runs all of them instead of a sample.
"""

import os
from typing import Any

import pytest

from jwt_middleware.rules import paths, table
from tests.routers.comparison import compare
from tests.routers.handlers import HANDLERS, TURNED_OVER
from tests.routers.spellings import Spelling, sample, spellings
from tests.routers.subjects import SUBJECTS, Subject

ALL = 24_000
COUNT = int(os.environ.get("SPELLINGS", "1000"))
BY_NAME = {subject.name: subject for subject in SUBJECTS}


@pytest.mark.slow
@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_no_handler_is_reached_under_a_weaker_rule_than_its_own(subject: Subject) -> None:
    """Whoever has everything but what a handler's rule asks for never gets there.

    Where a framework serves a handler in a way that no path tells, it is listed, and the list is
    exact.
    """
    figures = compare(subject, sample(COUNT, max(ALL, COUNT)))

    assert {
        name: ways[:3] for name, ways in figures.holes.items() if name not in subject.limits
    } == {}
    # A sample may miss a rare one.
    assert set(figures.holes) == subject.limits or (COUNT < ALL and figures.holes)
    # The comparison says something only where routers serve what was sent and the guard is asked.
    assert figures.reached > COUNT // 20
    assert figures.attacks > COUNT // 20


def test_the_same_seed_gives_the_same_spellings() -> None:
    """Distinct, and as many as promised."""
    first, second = spellings(ALL), spellings(ALL)

    assert first == second
    assert len(set(first)) == ALL >= 20_000


def test_both_tables_together_protect_every_handler() -> None:
    """What is open in one asks for a role or a token in the other."""
    for handler, other in zip(HANDLERS, TURNED_OVER, strict=True):
        assert {handler.access, other.access} & {"role", "token"}


def _path_as_sent(path: str, *_: object, **__: object) -> tuple[str, ...]:
    return (path or "/",)


WEAKER: dict[str, tuple[str, Any, Spelling, str]] = {
    "controls are read": (
        "readings",
        _path_as_sent,
        Spelling("GET", b"/admin%0A"),
        "Starlette",
    ),
    "bytes that are no text are read": (
        "readings",
        _path_as_sent,
        Spelling("GET", b"/adm%FFin"),
        "Bottle",
    ),
    "prefixes stay on": (
        "readings",
        _path_as_sent,
        Spelling("GET", b"/api/admin"),
        "FastAPI(root_path=...)",
    ),
    "the asterisk matches nothing": (
        "readings",
        _path_as_sent,
        Spelling("GET", b"*"),
        "Flask",
    ),
    "methods are taken as they come": (
        "normal_method",
        str,
        Spelling("delete", b"/admin/users/7"),
        "Django (WSGI), classes",
    ),
    "holes are never empty": (
        "with_empty_segments",
        lambda path: (),
        Spelling("GET", b"/orgs//members"),
        "Falcon (WSGI)",
    ),
    "empty segments count": (
        "segments",
        lambda path: tuple(path[1:].split("/")),
        Spelling("GET", b"//admin"),
        "Flask",
    ),
}


@pytest.mark.parametrize("how", WEAKER)
def test_the_comparison_notices_a_weaker_guard(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of these ways of reading too little makes a hole; the real one has none."""
    name, weaker, spelling, subject = WEAKER[how]
    assert not compare(BY_NAME[subject], [spelling]).holes

    monkeypatch.setattr(table, name, weaker)

    assert compare(BY_NAME[subject], [spelling]).holes


@pytest.mark.parametrize("target", [b"admin", b"/apiadmin", b"/docs/api/admin"])
def test_a_mount_point_inside_a_path_is_noticed(
    target: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Litestar and Quart cut a ``root_path`` out where the specification has none."""
    subjects = [subject for subject in SUBJECTS if subject.root and subject.face == "asgi"]
    chosen = [Spelling("GET", target)]
    assert not any(set(compare(one, chosen).holes) - one.limits for one in subjects)

    monkeypatch.setattr(paths, "_after", lambda path, root: path)

    assert any(set(compare(one, chosen).holes) - one.limits for one in subjects)
