"""R11: an open WebSocket is closed when its token is revoked, on whatever thread that is learnt."""

import asyncio
from threading import Thread
from typing import Any

import pytest

from jwt_middleware import ConfigurationError, Guard, Issuer, JWTMiddleware
from jwt_middleware.asgi.websocket import SocketExpired
from tests.issuing.rings import AUDIENCE, ISSUER
from tests.revocation.world import Revoking

PATIENCE = 20


def scope_of(token: str) -> dict[str, Any]:
    headers = [(b"authorization", f"Bearer {token}".encode()), (b"host", b"h")]
    return {
        "type": "websocket",
        "path": "/chat",
        "headers": headers,
        "query_string": b"",
        "subprotocols": [],
    }


class Chat:
    """An application that listens until it is told of an end."""

    def __init__(self) -> None:
        self.is_open = asyncio.Event()
        self.heard: list[Any] = []
        self.refusal: Exception | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        self.is_open.set()
        while not self.heard or self.heard[-1]["type"] != "websocket.disconnect":
            self.heard.append(await receive())
        try:
            await send({"type": "websocket.send", "text": "late"})
        except SocketExpired as refusal:
            self.refusal = refusal


class Opened:
    """One socket to a guarded application."""

    def __init__(self, guard: Guard, token: str) -> None:
        self.app = Chat()
        self.sent: list[Any] = []
        self._first = [{"type": "websocket.connect"}]
        served = JWTMiddleware(self.app, guard=guard)(scope_of(token), self._receive, self._send)
        self.task = asyncio.create_task(served)

    async def _receive(self) -> Any:
        if self._first:
            return self._first.pop()
        await asyncio.Event().wait()
        raise AssertionError

    async def _send(self, message: Any) -> None:
        self.sent.append(message)


def closing(world: Revoking, **options: Any) -> Guard:
    issuer = Issuer(ISSUER, audience=AUDIENCE, keys=world.ring)
    return Guard(
        issuers=issuer,
        clock=world.clock,
        revocation=world.list,
        close_on_revocation=True,
        **options,
    )


@pytest.mark.parametrize("options", [{}, {"close_on_expiry": True}])
async def test_a_socket_whose_token_is_revoked_is_closed(options: dict[str, Any]) -> None:
    """The application is told, and may send nothing more. Other sockets stay open."""
    world = Revoking()
    guard = closing(world, **options)
    alice, bob = (Opened(guard, world.token(name)) for name in ("alice", "bob"))
    async with asyncio.timeout(PATIENCE):
        await alice.app.is_open.wait()
        await bob.app.is_open.wait()
        # By another thread, as the one that follows the store.
        Thread(target=world.list.revoke_subject, args=(ISSUER, "alice")).start()
        await alice.task
    assert alice.sent[-1] == {
        "type": "websocket.close",
        "code": 1008,
        "reason": "token_revoked",
    }
    assert alice.app.heard[-1]["reason"] == "token_revoked"
    assert isinstance(alice.app.refusal, SocketExpired)
    assert not bob.task.done()
    bob.task.cancel()
    await asyncio.gather(bob.task, return_exceptions=True)
    # Nothing is left that listens.
    assert world.list.replica._listeners == set()


async def test_what_was_revoked_while_the_socket_opened_closes_it() -> None:
    """Before the application has accepted it."""
    world = Revoking()
    guard, token = closing(world), world.token()
    await guard.averify(token)
    socket = Opened(guard, token)
    known = world.list.replica.listen

    def late(listener: Any) -> Any:
        world.list.revoke_subject(ISSUER, "alice")
        return known(listener)

    world.list.replica.listen = late  # type: ignore[method-assign]
    with pytest.raises(SocketExpired, match="token_revoked"):
        async with asyncio.timeout(PATIENCE):
            await socket.task
    assert [each.get("reason") for each in socket.sent] == ["token_revoked"]


async def test_a_socket_without_the_option_stays_open() -> None:
    world = Revoking()
    socket = Opened(world.checking, world.token())
    async with asyncio.timeout(PATIENCE):
        await socket.app.is_open.wait()
    world.list.revoke_subject(ISSUER, "alice")
    await asyncio.sleep(0)
    assert not socket.task.done()
    socket.task.cancel()
    await asyncio.gather(socket.task, return_exceptions=True)


@pytest.mark.parametrize("revocation", [None, "strict"])
def test_sockets_cannot_learn_of_what_is_not_followed(revocation: str | None) -> None:
    world = Revoking()
    chosen = None if revocation is None else world.another(mode="strict")
    issuer = Issuer(ISSUER, audience=AUDIENCE, keys=world.ring)
    with pytest.raises(ConfigurationError, match="needs a list that is followed"):
        Guard(issuers=issuer, revocation=chosen, close_on_revocation=True)


async def test_a_socket_that_may_be_revoked_closes_at_expiry_too() -> None:
    world = Revoking()
    guard, token = closing(world, close_on_expiry=True), world.token()
    # Of 900 seconds and a leeway of 30, little is left.
    world.clock.tick(929.99)
    world.list.follower.read()
    socket = Opened(guard, token)
    async with asyncio.timeout(PATIENCE):
        await socket.task
    assert socket.sent[-1]["reason"] == "token_expired"


def test_a_token_that_has_expired_is_not_one_that_was_revoked() -> None:
    """Whether an open socket outlives its token is another option."""
    world = Revoking()
    token = world.token()
    watch = closing(world)._authenticator.watched(token)
    assert watch is not None
    assert watch.is_revoked() is False
    world.clock.tick(2000)
    assert watch.is_revoked() is False
