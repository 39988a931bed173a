"""Parts of somebody's own that keep to no contract open nothing."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from jwt_middleware import ConfigurationError, Guard, Principal, Refusal, Requirement, protect
from jwt_middleware.errors import refusals
from jwt_middleware.request.view import RequestView
from jwt_middleware.rules.requirements import Match
from jwt_middleware.testing import KeyPair
from tests.faces.calls import InProcess

PAIR = KeyPair(b"0123456789abcdefghijklmnopqrstuv", "HS256", None)


@dataclass(frozen=True)
class Answers(Requirement):
    """A requirement that returns what it should not."""

    answer: Any

    def judge(self, principal: Principal, match: Match) -> Any:
        return self.answer


@pytest.mark.parametrize("answer", [True, False, 0, "no"])
def test_the_opposite_of_no_answer_is_not_met(answer: object) -> None:
    """Only a refusal can be turned round."""
    assert (~Answers(answer)).judge(Principal("alice"), Match({})) is not None


@dataclass(frozen=True)
class Returns:
    """A token source that returns what is no text."""

    token: Any
    vary: str = ""

    def read(self, view: RequestView) -> Any:
        return self.token


@pytest.mark.parametrize("face", ["asgi", "wsgi"])
@pytest.mark.parametrize("token", [b"a.b.c", 7, [], False])
async def test_a_source_that_returns_no_text_is_a_refusal(face: str, token: object) -> None:
    """Its mistake is no exception for the server."""
    guard = Guard(
        key=PAIR.private,
        algorithms=["HS256"],
        token_sources=[Returns(token)],
        rules=[protect("/**")],
    )

    answer = await InProcess(guard).ask(face, "GET", "/")

    assert answer.status == 400


@pytest.mark.parametrize("body", [b"", ("text/plain", "text"), ("a\r\nX: y", b""), ("é", b""), 7])
def test_a_body_that_cannot_be_sent_stops_the_start(body: Any) -> None:
    """Nothing is answered with it."""
    with pytest.raises(ConfigurationError, match=r"error_body=.* (must return|must not raise)"):
        Guard(key=PAIR.private, algorithms=["HS256"], error_body=lambda _: body)


@dataclass(frozen=True)
class Never(Requirement):
    """A requirement with a code that no writer of bodies has heard of."""

    def judge(self, principal: Principal, match: Match) -> Refusal:
        return Refusal(code="unheard_of")


@pytest.mark.parametrize("face", ["asgi", "wsgi"])
async def test_a_refusal_comes_out_though_its_body_fails(
    face: str, caplog: pytest.LogCaptureFixture
) -> None:
    """In the form of RFC 9457, and a log says so."""
    known = {kind.code: b"{}" for kind in refusals()}
    guard = Guard(
        key=PAIR.private,
        algorithms=["HS256"],
        rules=[protect("/**", requires=Never())],
        error_body=lambda problem: ("application/json", known[problem.code]),
    )
    headers = [("Authorization", f"Bearer {PAIR.sign({'exp': 4_000_000_000})}")]

    answer = await InProcess(guard).ask(face, "GET", "/", headers)

    assert answer.status == 403
    assert json.loads(answer.body)["code"] == "unheard_of"
    assert "error_body_failed" in caplog.text
