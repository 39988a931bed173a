"""The signed examples of RFC 7515 and RFC 7519, through a whole request at their own time."""

import pytest

from jwt_middleware import Guard, Issuer, JWTMiddleware, JWTWSGIMiddleware
from jwt_middleware.testing import Clock
from tests.conformance.rows import ROWS, Row
from tests.faces.calls import (
    Answer,
    asgi_app,
    http_scope,
    through_asgi,
    through_wsgi,
    wsgi_app,
    wsgi_environ,
)

EXP = 1_300_819_380
"""``exp`` in all of them; ``iss`` is joe, and there is no ``aud``."""
EXAMPLES = {
    "latchset rfc7515_A.1.jwsc": "HS256",  # RFC 7519 §3.1 has the same token
    "latchset rfc7515_A.2.jwsc": "RS256",
    "latchset rfc7515_A.3.jwsc": "ES256",
}
BY_NAME = {row.name: row for row in ROWS}
# RFC 7519 §6.1: an unsecured JWT.
UNSECURED = (
    "eyJhbGciOiJub25lIn0"
    ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    "."
)


def guard(row: Row, now: float) -> Guard:
    jwk = {
        name: value
        for name, value in row.jwks.items()
        if name not in {"d", "p", "q", "dp", "dq", "qi"}
    }
    issuer = Issuer("joe", audience=None, keys=jwk, algorithms=[EXAMPLES[row.name]])
    return Guard(issuers=issuer, clock=Clock(now))


async def ask(face: str, guard: Guard, token: str) -> Answer:
    headers = [("Authorization", f"Bearer {token}")]
    if face == "asgi":
        return await through_asgi(
            JWTMiddleware(asgi_app, guard=guard), http_scope("GET", "/", headers)
        )
    return through_wsgi(JWTWSGIMiddleware(wsgi_app, guard=guard), wsgi_environ("GET", "/", headers))


@pytest.mark.parametrize("face", ["asgi", "wsgi"])
@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize(
    ("now", "status", "code"),
    [(EXP - 1, 200, None), (EXP + 29, 200, None), (EXP + 30, 401, "token_expired")],
    ids=["before exp", "within the leeway", "after it"],
)
async def test_an_example_of_the_standard_is_let_in_at_its_own_time(
    face: str, name: str, now: float, status: int, code: str | None
) -> None:
    """200 until the leeway of 30 seconds is over."""
    row = BY_NAME[name]

    answer = await ask(face, guard(row, now), row.token)

    assert (answer.status, answer.json().get("code")) == (status, code)
    if code is None:
        assert answer.json()["authenticated"]


@pytest.mark.parametrize("name", EXAMPLES)
async def test_the_unsecured_example_is_refused(name: str) -> None:
    """RFC 7519 §6.1, and RFC 7515 A.5, which is the same."""
    assert BY_NAME["latchset rfc7515_A.5.jwsc"].token == UNSECURED

    answer = await ask("asgi", guard(BY_NAME[name], EXP - 1), UNSECURED)

    assert (answer.status, answer.json()["code"]) == (401, "algorithm_not_allowed")
