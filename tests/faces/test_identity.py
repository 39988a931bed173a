"""Who the application is told is calling: what others write there, and what a request leaves."""

import asyncio
import pickle
from copy import copy, deepcopy
from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from jwt_middleware import (
    Guard,
    HeaderToken,
    JWTMiddleware,
    JWTWSGIMiddleware,
    Principal,
    optional,
    public,
)
from jwt_middleware.asgi.types import Receive, Scope, Send
from jwt_middleware.principal import ANONYMOUS
from jwt_middleware.testing import KeyPair
from tests.faces.calls import http_scope, through_wsgi, wsgi_app, wsgi_environ

PAIR = KeyPair(b"0123456789abcdefghijklmnopqrstuv", "HS256", None)
RULES = [public("/open"), optional("/feed", on_invalid="anonymous")]


def bearer(subject: str, **claims: Any) -> list[tuple[str, str]]:
    token = PAIR.sign({"iss": "https://a/", "sub": subject, "exp": 4_000_000_000, **claims})
    return [("Authorization", f"Bearer {token}")]


def guard() -> Guard:
    return Guard(key=PAIR.private, algorithms=["HS256"], issuer="https://a/", rules=RULES)


class Noting:
    """An application that notes its scopes, and answers nothing."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)

    @property
    def callers(self) -> list[tuple[Any, Any]]:
        """Return who the application finds, in either place."""
        return [(each["user"].subject, each["state"]["user"].subject) for each in self.scopes]


async def receive() -> Any:
    raise AssertionError


async def send(message: Any) -> None:
    """Drop what is sent."""


class User:
    """A user of a framework, known by a session."""

    is_authenticated = True
    display_name = "bob"
    note = ""

    def __str__(self) -> str:
        return "bob"


class Filling:
    """Fills the user of the scope, whatever it is, as Channels' AuthMiddleware does.

    Without a user it has not done so yet.
    """

    def __init__(self, inner: Any, user: Any) -> None:
        self.inner, self.user = inner, user

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        copied = dict(scope)
        if self.user is not None:
            copied["user"]._wrapped = self.user
        await self.inner(copied, receive, send)


async def filled(path: str, headers: Any = (), user: Any = None) -> Scope:
    app = Noting()
    middleware = JWTMiddleware(Filling(app, user), guard=guard())
    await middleware(http_scope("GET", path, headers), receive, send)
    return app.scopes[0]


async def test_a_user_that_is_filled_in_is_that_user() -> None:
    """In every way that code looks at it; the guard's own answer is untouched."""
    bob = User()
    scope = await filled("/feed", user=bob)
    user = scope["user"]

    assert (user.is_authenticated, user.display_name, str(user)) == (True, "bob", "bob")
    assert isinstance(user, User)
    assert user == bob
    assert hash(user) == hash(bob)
    assert repr(user) == repr(bob)
    assert copy(user).display_name == deepcopy(user).display_name == "bob"
    assert pickle.loads(pickle.dumps(user)).display_name == "bob"
    user.note = "seen"
    assert bob.note == "seen"
    del user.note
    assert bob.note == ""
    assert not hasattr(user, "subject")
    assert scope["jwt_middleware.principal"] is ANONYMOUS
    assert scope["state"]["user"] is ANONYMOUS
    assert scope["auth"].scopes == []


async def test_until_then_it_is_the_anonymous_principal() -> None:
    """Each request has its own, so that none is filled with the user of another."""
    user: Any = (await filled("/feed"))["user"]
    other: Any = (await filled("/open"))["user"]

    assert Principal in type(user).__mro__
    assert getattr(user, "__class__") is Principal  # noqa: B009 - mypy would narrow the type
    assert user is not other
    assert user == other == ANONYMOUS
    assert (user.subject, user.is_authenticated, user.display_name) == (None, False, "")
    assert (bool(user), repr(user)) == (True, "Principal(anonymous)")
    with pytest.raises(FrozenInstanceError, match="keep 'subject' elsewhere"):
        user.subject = "mallory"
    with pytest.raises(FrozenInstanceError, match="keep 'subject' elsewhere"):
        del user.subject


async def test_no_object_is_made_for_a_user_that_is_not_filled() -> None:
    """The anonymous principal is shared by all requests of other applications."""
    app = Noting()
    await JWTMiddleware(app, guard=guard())(http_scope("GET", "/open"), receive, send)

    assert app.scopes[0]["user"] is ANONYMOUS


@pytest.mark.parametrize(
    ("headers", "subject"), [(bearer("alice"), "alice"), (bearer("a", exp=1), None)]
)
async def test_a_judged_caller_is_not_replaced_by_filling(headers: Any, subject: Any) -> None:
    """Neither is a refused one: the principal is shared, and remembers nothing."""
    user = (await filled("/feed", headers, User()))["user"]

    assert type(user) is Principal
    assert user.subject == subject
    assert not hasattr(user, "_wrapped")


async def test_setting_an_attribute_fails_in_words() -> None:
    """Whether it is a field or not."""
    for name in ("subject", "is_staff"):
        with pytest.raises(FrozenInstanceError, match=f"cannot be changed.*{name}"):
            setattr(Principal("alice"), name, "x")
        with pytest.raises(FrozenInstanceError, match=f"cannot be changed.*{name}"):
            delattr(ANONYMOUS, name)


async def test_request_auth_takes_what_others_set_there() -> None:
    """It belongs to one request."""
    auth = (await filled("/feed", bearer("alice", scope="a authenticated")))["auth"]
    auth.note = "x"

    assert sorted(auth.scopes) == ["a", "authenticated"]


async def test_state_that_requests_share_names_each_caller_to_its_own_request() -> None:
    """Also while the other one is still being served, and on an open path."""
    app, shared = Noting(), {"pool": object()}
    middleware = JWTMiddleware(app, guard=guard())
    for headers, path in [(bearer("alice"), "/"), (bearer("bob"), "/"), ([], "/open")]:
        await middleware(http_scope("GET", path, headers, state=shared), receive, send)

    assert app.callers == [("alice", "alice"), ("bob", "bob"), (None, None)]
    assert all(each["state"]["pool"] is shared["pool"] for each in app.scopes)


async def test_the_state_of_the_lifespan_is_not_written_to() -> None:
    """A server that does not copy it would lead the first caller to everything else."""
    app, shared = Noting(), dict[str, Any]()
    middleware = JWTMiddleware(app, guard=guard())
    await middleware({"type": "lifespan", "state": shared}, receive, send)
    await middleware(http_scope("GET", "/", bearer("alice"), state=shared), receive, send)

    assert shared == {}
    assert app.scopes[1]["state"]["user"].subject == "alice"


async def test_state_of_somebody_else_stays() -> None:
    """And a request's own state is the dictionary that its observers hold."""
    app, bob, own = Noting(), User(), dict[str, Any]()
    inner = JWTMiddleware(app, guard=guard())
    middleware = JWTMiddleware(inner, guard=guard())
    await middleware(http_scope("GET", "/", bearer("alice"), state={"user": bob}), receive, send)
    await middleware(http_scope("GET", "/", bearer("alice"), state=own), receive, send)

    assert app.scopes[0]["state"]["user"] is bob
    assert app.scopes[1]["state"] is own
    assert own["user"] is app.scopes[1]["user"]


class Touchy:
    """A lazy user that does not like to be looked at before its time, as Channels' own."""

    def __getattribute__(self, name: str) -> Any:
        raise ValueError("Accessing scope user before it is ready.")


async def test_a_user_of_a_framework_is_not_looked_at() -> None:
    """Looking may query a database."""
    app, touchy = Noting(), Touchy()
    await JWTMiddleware(app, guard=guard())(
        http_scope("GET", "/feed", user=touchy, state={"user": touchy}), receive, send
    )

    assert app.scopes[0]["user"] is touchy
    assert app.scopes[0]["state"]["user"] is touchy


async def test_a_scope_that_is_used_again_is_judged_again() -> None:
    """What let the first request pass lets no second one pass, though only its headers differ."""
    app = Noting()
    middleware = JWTMiddleware(app, guard=guard())
    scope = http_scope("GET", "/", bearer("alice"))
    await middleware(scope, receive, send)
    scope["headers"] = http_scope("GET", "/", bearer("bob"))["headers"]
    await middleware(scope, receive, send)
    sent: list[Any] = []
    scope["headers"] = []

    async def noting(message: Any) -> None:
        sent.append(message)

    await middleware(scope, receive, noting)
    scope["path"] = "/open"
    await middleware(scope, receive, send)

    assert sent[0]["status"] == 401
    assert len(app.scopes) == 3
    assert app.callers[-1] == (None, None)


async def test_a_user_that_was_filled_in_before_does_not_stay_in_a_scope() -> None:
    """The next request with that scope has a session of its own, or none."""
    app, user = Noting(), User()
    scope = http_scope("GET", "/feed")

    class Once(Filling):
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            if self.user is not None:
                scope["user"]._wrapped = self.user
            await self.inner(scope, receive, send)

    filling = Once(app, user)
    middleware = JWTMiddleware(filling, guard=guard())
    await middleware(scope, receive, send)
    assert scope["user"] == user
    filling.user = None
    await middleware(scope, receive, send)
    assert scope["user"] == ANONYMOUS


def test_an_environment_that_is_used_again_is_judged_again() -> None:
    """See above, for WSGI."""
    middleware = JWTWSGIMiddleware(wsgi_app, guard=guard())
    environ = wsgi_environ("GET", "/", bearer("alice"))
    first = through_wsgi(middleware, environ)
    again = wsgi_environ("GET", "/", bearer("bob"))
    environ["HTTP_AUTHORIZATION"] = again["HTTP_AUTHORIZATION"]
    second = through_wsgi(middleware, environ)
    del environ["HTTP_AUTHORIZATION"]

    assert [each.json()["subject"] for each in (first, second)] == ["alice", "bob"]
    assert through_wsgi(middleware, environ).status == 401


async def test_a_reused_scope_is_safe_beside_a_running_request() -> None:
    """Two requests that share a state at the same time read their own caller."""
    seen: dict[str, Any] = {}
    both_are_there = asyncio.Barrier(2)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await both_are_there.wait()
        seen[scope["user"].subject] = scope["state"]["user"].subject

    middleware = JWTMiddleware(app, guard=guard())
    shared: dict[str, Any] = {}
    await asyncio.gather(
        *(
            middleware(http_scope("GET", "/", bearer(name), state=shared), receive, send)
            for name in ("alice", "bob")
        )
    )

    assert seen == {"alice": "alice", "bob": "bob"}


def other_guard() -> Guard:
    sources = [HeaderToken("X-User")]
    return Guard(key=PAIR.private, algorithms=["HS256"], issuer="https://a/", token_sources=sources)


def both() -> list[tuple[str, str]]:
    """Alice for one guard, and bob for the other one."""
    return [*bearer("alice"), ("X-User", bearer("bob")[0][1].removeprefix("Bearer "))]


def people(scope: Scope) -> list[Any]:
    """Return who the caller is, in each place that says so."""
    principals = [scope["jwt_middleware.principal"], scope["user"], scope["state"]["user"]]
    return [each.subject for each in principals]


def without_our_keys(scope: Scope) -> Scope:
    return {name: scope[name] for name in scope if not name.startswith("jwt_middleware")}


@pytest.mark.parametrize("copied", [dict, copy, without_our_keys])
@pytest.mark.parametrize("state", [None, {"pool": 1}])
async def test_a_guard_that_decides_on_a_copy_leaves_the_running_request_alone(
    copied: Any, state: Any
) -> None:
    """As a dispatcher within the application makes one, whose state is the same dictionary."""
    inner, seen = Noting(), list[list[Any]]()
    guarded = JWTMiddleware(inner, guard=other_guard())

    async def outer(scope: Scope, receive: Receive, send: Send) -> None:
        await guarded(copied(scope), receive, send)
        seen.append(people(scope))

    scope = http_scope("GET", "/", both(), **({} if state is None else {"state": dict(state)}))
    await JWTMiddleware(outer, guard=guard())(scope, receive, send)

    assert seen == [["alice"] * 3]
    assert people(inner.scopes[0]) == ["bob"] * 3
    assert inner.scopes[0]["state"].get("pool") == (state or {}).get("pool")


async def test_a_running_request_on_a_copy_is_left_alone_too() -> None:
    """Whichever of the two was decided first, and on a second copy."""
    state: dict[str, Any] = {}
    scope, seen = http_scope("GET", "/", both(), state=state), list[list[Any]]()
    others = [JWTMiddleware(Noting(), guard=guard()), JWTMiddleware(Noting(), guard=other_guard())]

    async def running(copied: Scope, receive: Receive, send: Send) -> None:
        for each in others:
            await each(dict(scope), receive, send)
        await others[0](scope, receive, send)
        seen.append(people(copied))

    await JWTMiddleware(running, guard=other_guard())(dict(scope), receive, send)

    assert seen == [["bob"] * 3]
    assert people(scope) == ["alice"] * 3
