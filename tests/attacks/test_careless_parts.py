"""Parts of somebody's own that keep to no contract open nothing."""

from dataclasses import dataclass
from typing import Any

import pytest

from jwt_middleware import Guard, Principal, Requirement, protect
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
