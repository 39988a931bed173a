"""Every row of the scenario table, through both faces."""

from collections.abc import Iterator

import pytest

from jwt_middleware.testing import FakeIssuer
from tests.faces.calls import Answer, InProcess
from tests.faces.scenarios import ROWS, Scenario, build_guard


@pytest.fixture(scope="module")
def issuer() -> Iterator[FakeIssuer]:
    with FakeIssuer() as issuer:
        yield issuer


@pytest.fixture(scope="module")
def faces(issuer: FakeIssuer) -> InProcess:
    guard = build_guard(issuer.url)
    guard.warm(required=True)
    return InProcess(guard)


def request_headers(row: Scenario, issuer: FakeIssuer) -> list[tuple[str, str]]:
    token = [] if row.token is None else [("Authorization", f"Bearer {row.token(issuer)}")]
    return [*row.headers, *token]


def check(row: Scenario, answer: Answer) -> None:
    assert answer.status == row.status, answer
    challenge = answer.header("www-authenticate")
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
    assert answer.header("vary") == "Authorization"
    assert (row.challenge or "Bearer") in (challenge or "")
    if row.code == "token_missing":
        assert challenge == 'Bearer realm="api"'


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
@pytest.mark.parametrize("face", ["asgi", "wsgi"])
async def test_a_face_answers_as_the_table_says(
    face: str, row: Scenario, faces: InProcess, issuer: FakeIssuer
) -> None:
    """Status, code, challenge, body and principal are those of the row."""
    answer = await faces.ask(face, row.method, row.path, request_headers(row, issuer))

    check(row, answer)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_both_faces_answer_alike(row: Scenario, faces: InProcess, issuer: FakeIssuer) -> None:
    """The same request gets the same bytes from both faces."""
    headers = request_headers(row, issuer)

    asgi = await faces.ask("asgi", row.method, row.path, headers)
    wsgi = await faces.ask("wsgi", row.method, row.path, headers)

    assert (asgi.status, asgi.body) == (wsgi.status, wsgi.body)
    assert {(n.lower(), v) for n, v in asgi.headers} == {(n.lower(), v) for n, v in wsgi.headers}


def test_the_table_is_as_long_as_promised() -> None:
    """At least sixty rows, each with a name of its own."""
    assert len({row.name for row in ROWS}) == len(ROWS) >= 60
