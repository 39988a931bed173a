"""Every row of the scenario table, through both faces."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from jwt_middleware.testing import FakeIssuer
from tests.faces.calls import Answer, InProcess
from tests.faces.scenarios import GUARDS, VARY, Scenario, build_guard
from tests.faces.table import ROWS


@dataclass(frozen=True)
class Issuers:
    """Whom the guards trust."""

    own: FakeIssuer
    other: FakeIssuer


@pytest.fixture(scope="module")
def issuers() -> Iterator[Issuers]:
    with FakeIssuer() as own, FakeIssuer() as other:
        yield Issuers(own, other)


@pytest.fixture(scope="module")
def faces(issuers: Issuers) -> Mapping[str, InProcess]:
    guards = {name: build_guard(name, issuers.own.url, issuers.other.url) for name in GUARDS}
    for guard in guards.values():
        guard.warm(required=True)
    return {name: InProcess(guard) for name, guard in guards.items()}


@dataclass(frozen=True)
class Sent:
    """What of a row goes over the wire."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    query: str


def request_of(row: Scenario, issuers: Issuers) -> Sent:
    headers, query = list(row.headers), row.query
    if row.token is not None:
        token = row.token(issuers.other if row.is_others else issuers.own)
        if row.token_in == "query":
            query = f"token={token}"
        else:
            headers.append(_carrying(row.token_in, token))
    return Sent(row.method, row.path, headers, query)


def _carrying(place: str, token: str) -> tuple[str, str]:
    if place == "header":
        return ("Authorization", f"Bearer {token}")
    return (place, token) if place.startswith("X-") else ("Cookie", f"{place}={token}")


def check(row: Scenario, answer: Answer) -> None:
    assert answer.status == row.status, answer
    challenge = answer.header("www-authenticate")
    for name, value in row.answers.items():
        assert answer.header(name) == value
    if row.status == 204:
        # The guard's own answer: the application always has a body.
        assert (answer.body, challenge) == (b"", None)
        return
    if row.code is None:
        assert challenge is None
        if row.method != "HEAD":
            seen = answer.json()
            assert seen["subject"] == row.subject
            assert {name: seen[name] for name in row.sees} == row.sees
        return
    problem = answer.json()
    assert (problem["code"], problem["status"]) == (row.code, row.status)
    assert answer.header("content-type") == "application/problem+json"
    assert answer.header("content-length") == str(len(answer.body))
    assert answer.header("cache-control") == "no-store"
    assert answer.header("vary") == VARY[row.guard]
    if row.challenge == "":
        assert challenge is None
    else:
        assert (row.challenge or "Bearer") in (challenge or "")
    if row.code == "token_missing":
        assert challenge == 'Bearer realm="api"'


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
@pytest.mark.parametrize("face", ["asgi", "wsgi"])
async def test_a_face_answers_as_the_table_says(
    face: str, row: Scenario, faces: Mapping[str, InProcess], issuers: Issuers
) -> None:
    """Status, code, challenge, body and principal are those of the row."""
    sent = request_of(row, issuers)

    answer = await faces[row.guard].ask(face, sent.method, sent.path, sent.headers, sent.query)

    check(row, answer)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_both_faces_answer_alike(
    row: Scenario, faces: Mapping[str, InProcess], issuers: Issuers
) -> None:
    """The same request gets the same bytes from both faces."""
    sent = request_of(row, issuers)
    both = faces[row.guard]
    # Both faces share one guard, which answers differently once it has asked for an unknown kid.
    await both.ask("asgi", sent.method, sent.path, sent.headers, sent.query)

    asgi = await both.ask("asgi", sent.method, sent.path, sent.headers, sent.query)
    wsgi = await both.ask("wsgi", sent.method, sent.path, sent.headers, sent.query)

    assert (asgi.status, asgi.body) == (wsgi.status, wsgi.body)
    assert fields_of(asgi) == fields_of(wsgi)


def fields_of(answer: Answer) -> set[tuple[str, str]]:
    """Return the header fields of an answer; the seconds of ``Retry-After`` run down meanwhile."""
    named = {(name.lower(), value) for name, value in answer.headers}
    return {(name, "" if name == "retry-after" else value) for name, value in named}


def test_the_table_is_as_long_as_promised() -> None:
    """At least two hundred rows, each with a name of its own."""
    names = [row.name for row in ROWS]

    assert sorted(set(names)) == sorted(names)
    assert len(names) >= 200
