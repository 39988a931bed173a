"""A kid that nobody knows, in a cookie that a refusal may expire: only a verdict on it does."""

from collections.abc import Callable
from typing import Any

import pytest

from jwt_middleware import CookieToken, Guard, Issuer
from jwt_middleware.keys.remote.http import FetchResponse
from jwt_middleware.testing import Clock, KeyPair
from tests.faces.calls import Answer, InProcess
from tests.keys.publisher import Publisher

NAME = "https://id.example/"
FACES = ("asgi", "wsgi")


class World:
    """A guard that takes tokens from a cookie, and its issuer."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.publisher = Publisher("a")
        guard = Guard(
            issuers=Issuer(
                NAME, audience=None, jwks_uri="https://id.example/k", fetcher=self.publisher
            ),
            token_sources=[CookieToken("session", clear_on_invalid=True)],
            clock=self.clock,
        )
        guard.warm(required=True)
        self.faces = InProcess(guard)

    def token(self, pair: KeyPair, **claims: Any) -> str:
        given = {"iss": NAME, "sub": "alice", "exp": self.clock.now() + 600, **claims}
        return pair.sign(given)

    async def ask(self, face: str, token: str) -> Answer:
        return await self.faces.ask(face, "GET", "/", [("Cookie", f"session={token}")])

    async def ask_with_kid(self, face: str, kid: str) -> Answer:
        return await self.ask(face, self.token(KeyPair.generate("ES256", kid)))


@pytest.fixture
def world() -> World:
    return World()


def told(answer: Answer) -> tuple[int, str, bool, str | None]:
    """Return status, code, whether the cookie is expired, and when to try again."""
    is_expired = answer.header("set-cookie") is not None
    return answer.status, answer.json()["code"], is_expired, answer.header("retry-after")


@pytest.mark.parametrize("face", FACES)
async def test_a_kid_that_the_issuer_does_not_publish_expires_the_cookie(
    world: World, face: str
) -> None:
    """It was asked for this very kid; a moment later nobody asks again, and so nobody can tell."""
    asked = await world.ask_with_kid(face, "x")
    again = await world.ask_with_kid(face, "x")

    assert told(asked) == (401, "key_unknown", True, None)
    assert told(again) == (401, "key_unknown", False, "10")


@pytest.mark.parametrize("face", FACES)
async def test_a_flood_of_kids_expires_nobodys_cookie(world: World, face: str) -> None:
    """A few invented kids during a rollover log nobody out: 401, and when to come back."""
    for number in range(2):
        await world.ask_with_kid(face, f"invented-{number}")
    world.publisher.publish("a", "new")
    good = world.token(world.publisher.pairs[1])

    suppressed = await world.ask(face, good)
    world.clock.tick(10)
    later = await world.ask(face, good)

    assert told(suppressed) == (401, "key_unknown", False, "10")
    assert later.status == 200


BROKEN: dict[str, Callable[[Publisher], None]] = {
    "no answer": lambda publisher: setattr(publisher, "failure", OSError()),
    "an error": lambda publisher: setattr(publisher, "response", FetchResponse(500)),
    "a page": lambda publisher: setattr(publisher, "response", FetchResponse(200, {}, b"<html>")),
}


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("kind", BROKEN)
async def test_where_the_issuer_could_not_be_asked_nobody_can_tell(
    world: World, face: str, kind: str
) -> None:
    """Not when the question failed, and not in the pause after it: 503, and known keys go on."""
    BROKEN[kind](world.publisher)

    failed = await world.ask_with_kid(face, "x")
    paused = await world.ask_with_kid(face, "y")

    assert told(failed)[:3] == told(paused)[:3] == (503, "keys_unavailable", False)
    assert failed.header("retry-after") is not None
    assert paused.header("retry-after") is not None
    assert (await world.ask(face, world.token(world.publisher.pairs[0]))).status == 200


@pytest.mark.parametrize("face", FACES)
async def test_two_cookies_of_one_name_are_no_verdict_on_either(world: World, face: str) -> None:
    """A neighbouring host can plant the second, and must not log anybody out by it."""
    token = world.token(world.publisher.pairs[0])
    header = ("Cookie", f"session={token}; session=planted")

    answer = await world.faces.ask(face, "GET", "/", [header])

    assert told(answer) == (400, "token_repeated", False, None)


@pytest.mark.parametrize("face", FACES)
async def test_what_is_wrong_with_the_token_itself_expires_the_cookie(
    world: World, face: str
) -> None:
    """Expired, or no token at all."""
    pair = world.publisher.pairs[0]

    expired = await world.ask(face, world.token(pair, exp=1))
    rubbish = await world.ask(face, "a b")

    assert told(expired) == (401, "token_expired", True, None)
    assert told(rubbish) == (400, "header_malformed", True, None)
