"""One guard met twice, with another token at the inner place than the one that it let pass."""

from typing import Any

import pytest

from jwt_middleware import (
    BearerHeader,
    CookieToken,
    Guard,
    HeaderToken,
    JWTMiddleware,
    JWTWSGIMiddleware,
    optional,
    protect,
    public,
)
from jwt_middleware.asgi.middleware import PRINCIPAL_KEY
from jwt_middleware.events import RequestAllowed
from jwt_middleware.testing import KeyPair
from tests.faces.calls import asgi_app, http_scope, through_asgi, through_wsgi, wsgi_environ

PAIR = KeyPair(b"0123456789abcdefghijklmnopqrstuv", "HS256", None)
RULES = [public("/open"), optional("/feed", on_invalid="anonymous"), protect("/**")]
SOURCES: list[Any] = [BearerHeader(), HeaderToken("X-Token"), CookieToken("session", csrf=False)]

Sent = list[tuple[str, str]]


def token(subject: str, **claims: Any) -> str:
    return PAIR.sign({"iss": "https://a/", "sub": subject, "exp": 4_000_000_000, **claims})


ALICE, BOB, EXPIRED = token("alice"), token("bob"), token("bob", exp=1)


def bearer(text: str) -> Sent:
    return [("Authorization", f"Bearer {text}")]


def cookie(text: str) -> Sent:
    return [("Cookie", f"session={text}")]


async def through_both(path: str, sent: Sent, inside: Sent) -> tuple[str | int | None, int]:
    """Return the subject or the refusal of the innermost face, and how many requests passed.

    :param inside: the headers that a middleware between the faces puts in place of those sent.
    """
    told: list[object] = []
    guard = Guard(
        key=PAIR.private,
        algorithms=["HS256"],
        issuer="https://a/",
        rules=RULES,
        token_sources=SOURCES,
        observers=[told.append],
    )
    found = [
        await _through_asgi(guard, path, sent, inside),
        _through_wsgi(guard, path, sent, inside),
    ]
    assert found[0] == found[1]
    passed = sum(isinstance(each, RequestAllowed) for each in told)
    assert passed % 2 == 0
    return found[0], passed // 2


async def _through_asgi(guard: Guard, path: str, sent: Sent, inside: Sent) -> str | int | None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope[PRINCIPAL_KEY].subject)
        await asgi_app(scope, receive, send)

    inner = JWTMiddleware(app, guard=guard)

    async def swapping(scope: Any, receive: Any, send: Any) -> None:
        headers = http_scope("GET", path, inside)["headers"]
        await inner({**scope, "headers": headers}, receive, send)

    answer = await through_asgi(JWTMiddleware(swapping, guard=guard), http_scope("GET", path, sent))
    return seen[0] if seen else answer.status


def _through_wsgi(guard: Guard, path: str, sent: Sent, inside: Sent) -> str | int | None:
    seen: list[Any] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        seen.append(environ[PRINCIPAL_KEY].subject)
        start_response("200 OK", [])
        return []

    inner = JWTWSGIMiddleware(app, guard=guard)

    def swapping(environ: Any, start_response: Any) -> Any:
        kept = {name: environ[name] for name in environ if not name.startswith("HTTP_")}
        others = wsgi_environ("GET", path, inside)
        headers = {name: others[name] for name in others if name.startswith("HTTP_")}
        return inner(kept | headers, start_response)

    outer = JWTWSGIMiddleware(swapping, guard=guard)
    answer = through_wsgi(outer, wsgi_environ("GET", path, sent))
    return seen[0] if seen else answer.status


@pytest.mark.parametrize(
    ("path", "sent", "inside", "seen", "passed"),
    [
        # The same token, also from another place or without it: decided once.
        ("/", bearer(ALICE), bearer(ALICE), "alice", 1),
        ("/", bearer(ALICE), [*bearer(ALICE), ("X-Request-Id", "1")], "alice", 1),
        ("/", bearer(ALICE), cookie(ALICE), "alice", 1),
        ("/", bearer(ALICE), [], "alice", 1),
        ("/feed", [], [("X-Request-Id", "1")], None, 1),
        ("/open", bearer(ALICE), bearer(BOB), None, 1),
        # Another token is another request.
        ("/", bearer(ALICE), bearer(BOB), "bob", 2),
        ("/", cookie(ALICE), cookie(BOB), "bob", 2),
        ("/", cookie(ALICE), [*bearer(BOB), *cookie(ALICE)], "bob", 2),
        ("/", bearer(ALICE), bearer(EXPIRED), 401, 1),
        ("/", bearer(ALICE), [("Authorization", "Bearer a, Bearer b")], 400, 1),
        ("/feed", [], bearer(BOB), "bob", 2),
        ("/feed", bearer(EXPIRED), bearer(BOB), "bob", 2),
        ("/feed", bearer(BOB), bearer(EXPIRED), None, 2),
    ],
)
async def test_a_guard_met_twice_answers_for_the_token_that_is_there(
    path: str, sent: Sent, inside: Sent, seen: str | int | None, passed: int
) -> None:
    """A gateway between both places may exchange it, and its caller is then the one that counts."""
    assert await through_both(path, sent, inside) == (seen, passed)
