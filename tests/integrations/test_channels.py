"""Channels: its sessions behind the guard and in front of it, and where its router may be."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.urls import path

from jwt_middleware import (
    ConfigurationError,
    Guard,
    JWTMiddleware,
    Principal,
    current_principal,
    optional,
)
from jwt_middleware.testing import KeyPair
from tests.support import django_project

# Imported by name, because the types that checkers know of Channels are not those of its code.
auth: Any = import_module("channels.auth")
routing: Any = import_module("channels.routing")
websocket: Any = import_module("channels.generic.websocket")
WebsocketCommunicator: Any = import_module("channels.testing").WebsocketCommunicator
route: Any = path

PAIR = KeyPair(b"0123456789abcdefghijklmnopqrstuv", "HS256", None)
RULES = [optional("/feed", on_invalid="anonymous")]
guard = Guard(key=PAIR.private, algorithms=["HS256"], issuer="https://a/", rules=RULES)
outer = Guard(key=PAIR.private, algorithms=["HS256"], issuer="https://a/", rules=RULES)


def bearer(**claims: Any) -> tuple[bytes, bytes]:
    text = PAIR.sign({"iss": "https://a/", "sub": "alice", "exp": 4_000_000_000, **claims})
    return b"authorization", b"Bearer " + text.encode()


def session_of(name: str) -> tuple[bytes, bytes]:
    """Return the cookie of somebody who has logged in."""
    django_project.migrated()
    user, _ = get_user_model().objects.get_or_create(username=name)
    session = import_module(settings.SESSION_ENGINE).SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    return b"cookie", f"{settings.SESSION_COOKIE_NAME}={session.session_key}".encode()


class Told(websocket.AsyncJsonWebsocketConsumer):  # type: ignore[misc]
    async def connect(self) -> None:
        await self.accept()
        user = self.scope["user"]
        name = user.display_name if type(user) is Principal else user.get_username()
        await self.send_json([name, current_principal().subject, user.is_authenticated])


ROUTES = routing.URLRouter([route("feed", Told.as_asgi()), route("api", Told.as_asgi())])


class OwnSessions(auth.AuthMiddleware):  # type: ignore[misc]
    """A project's own class, of which Channels knows nothing."""


def own_stack(inner: Any) -> Any:
    stack = auth.AuthMiddlewareStack(inner)
    stack.inner.inner = OwnSessions(inner)
    return stack


STACKS: dict[str, Callable[[], Any]] = {
    "behind the guard": lambda: JWTMiddleware(auth.AuthMiddlewareStack(ROUTES), guard=guard),
    "a class of the project": lambda: JWTMiddleware(own_stack(ROUTES), guard=guard),
    "between two guards": lambda: JWTMiddleware(
        auth.AuthMiddlewareStack(JWTMiddleware(ROUTES, guard=guard)), guard=outer
    ),
    "in front of the guard": lambda: auth.AuthMiddlewareStack(JWTMiddleware(ROUTES, guard=guard)),
    "the guard around the router": lambda: JWTMiddleware(
        routing.ProtocolTypeRouter({"websocket": auth.AuthMiddlewareStack(ROUTES)}), guard=guard
    ),
    "the guard inside the router": lambda: routing.ProtocolTypeRouter(
        {"websocket": JWTMiddleware(auth.AuthMiddlewareStack(ROUTES), guard=guard)}
    ),
}


async def answer(app: Any, where: str, *headers: tuple[bytes, bytes]) -> Any:
    communicator = WebsocketCommunicator(app, where, headers=list(headers))
    is_open, code = await communicator.connect(timeout=30)
    found = await communicator.receive_json_from() if is_open else code
    await communicator.disconnect()
    return found


@pytest.mark.parametrize("stack", STACKS)
async def test_a_session_and_a_token_are_told_apart(stack: str) -> None:
    """The session's user stays without a token, and meets no rule; a refused token hides it."""
    app = STACKS[stack]()
    bob = await sync_to_async(session_of)("bob")

    assert await answer(app, "/feed", bob) == ["bob", None, True]
    assert await answer(app, "/feed", bob, bearer()) == ["alice", "alice", True]
    assert await answer(app, "/feed", bearer()) == ["alice", "alice", True]
    assert await answer(app, "/feed", bob, bearer(exp=1)) == ["", None, False]
    assert await answer(app, "/feed") == ["", None, False]
    assert await answer(app, "/api", bob) == 1008
    assert await answer(app, "/api", bob, bearer()) == ["alice", "alice", True]


async def test_other_scopes_than_connections_are_refused_with_what_to_do() -> None:
    """``channel`` carries no request: a worker's consumers are left outside of the guard."""

    async def receive() -> Any:
        raise AssertionError

    async def send(_: Any) -> None:
        raise AssertionError

    router = routing.ProtocolTypeRouter({"websocket": ROUTES, "channel": ROUTES})
    with pytest.raises(ConfigurationError, match=r"'channel'.* inside of ProtocolTypeRouter"):
        await JWTMiddleware(router, guard=guard)({"type": "channel"}, receive, send)
