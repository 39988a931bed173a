"""The application's own users: one hook, asked when first needed and once for a request."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient as FastAPIClient
from flask import Flask
from starlette.applications import Starlette
from starlette.endpoints import WebSocketEndpoint
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse

from jwt_middleware import (
    ConfigurationError,
    Guard,
    Issuer,
    JWTMiddleware,
    Principal,
    has_scope,
    optional,
    public,
)
from jwt_middleware.integrations.fastapi_users import user_dependency
from jwt_middleware.integrations.flask import JWT, requires
from jwt_middleware.integrations.flask_users import JWTUsers, current_user
from jwt_middleware.integrations.starlette import principal_of
from jwt_middleware.integrations.starlette_users import UserMiddleware
from jwt_middleware.issuing import KeyRing, Minter
from jwt_middleware.stores.memory import MemoryStore

ISSUER = "https://id.example/"


@dataclass
class User:
    """A user of the application."""

    name: str
    is_authenticated: bool = True


class Directory:
    """The users of an application, and how often it was asked for one."""

    def __init__(self) -> None:
        self.asked = 0

    def load(self, principal: Principal) -> User | None:
        self.asked += 1
        return None if principal.subject == "nobody" else User(str(principal.subject))

    async def aload(self, principal: Principal) -> User | None:
        return self.load(principal)


ring = KeyRing(MemoryStore())
minter = Minter(ring, issuer=ISSUER, audience="shop")


def guard() -> Guard:
    rules = [optional("/feed"), public("/open")]
    return Guard(issuers=Issuer(ISSUER, audience="shop", keys=ring), rules=rules)


def bearer(subject: str, **claims: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {minter.mint(subject, claims=claims)}"}


Get = Callable[..., Any]
Hook = Callable[[Principal], Any]


def flask(load: Hook) -> Get:
    app = Flask(__name__)
    JWT(app, guard=guard())
    JWTUsers(app, load)

    @app.get("/me")
    @requires()
    def me() -> dict[str, Any]:
        return {"name": current_user.name, "again": current_user.name}

    @app.get("/feed")
    def feed() -> dict[str, Any]:
        return {"name": current_user.name if current_user else None}

    @app.get("/plain")
    def plain() -> dict[str, Any]:
        return {}

    return app.test_client().get


def fastapi(load: Hook) -> Get:
    app = FastAPI()
    app.add_middleware(JWTMiddleware, guard=guard())
    known, perhaps = user_dependency(load), user_dependency(load, auto_error=False)

    @app.get("/me")
    async def me(user: Annotated[User, known], again: Annotated[User, known]) -> dict[str, Any]:
        return {"name": user.name, "again": again.name}

    @app.get("/feed")
    async def feed(user: Annotated[User | None, perhaps]) -> dict[str, Any]:
        return {"name": user.name if user else None}

    @app.get("/plain")
    async def plain() -> dict[str, Any]:
        return {}

    return FastAPIClient(app).get


def starlette(load: Hook) -> Get:
    async def me(request: Request) -> Response:
        assert principal_of(request).subject == request.user.name
        return JSONResponse({"name": request.user.name, "again": request.user.name})

    async def feed(request: Request) -> Response:
        user = request.user
        return JSONResponse({"name": user.name if isinstance(user, User) else None})

    async def plain(_: Request) -> Response:
        return JSONResponse({})

    app = Starlette(routes=[Route("/me", me), Route("/feed", feed), Route("/plain", plain)])
    app.add_middleware(UserMiddleware, load_user=load)
    app.add_middleware(JWTMiddleware, guard=guard())
    return TestClient(app).get


def body(response: Any) -> Any:
    return response.json if isinstance(response.json, dict) else response.json()


@pytest.mark.parametrize("framework", [flask, fastapi, starlette])
@pytest.mark.parametrize("is_async", [False, True])
def test_the_user_of_a_caller(framework: Callable[[Hook], Get], is_async: bool) -> None:
    """By a plain hook and by an async one, asked once however often it is needed."""
    users = Directory()
    get = framework(users.aload if is_async else users.load)
    response = get("/me", headers=bearer("alice"))
    assert (response.status_code, body(response)) == (200, {"name": "alice", "again": "alice"})
    assert users.asked == 1


@pytest.mark.parametrize("framework", [flask, fastapi, starlette])
def test_a_caller_without_an_active_user_is_refused(framework: Callable[[Hook], Get]) -> None:
    """As the guard refuses, with a challenge and a code."""
    response = framework(Directory().load)("/me", headers=bearer("nobody"))
    assert (response.status_code, body(response)["code"]) == (401, "user_unknown")
    assert response.headers["www-authenticate"].startswith("Bearer ")


@pytest.mark.parametrize("framework", [flask, fastapi, starlette])
def test_an_anonymous_caller_has_no_user_and_the_hook_is_not_asked(
    framework: Callable[[Hook], Get],
) -> None:
    users = Directory()
    response = framework(users.load)("/feed")
    assert (response.status_code, body(response)) == (200, {"name": None})
    assert users.asked == 0


@pytest.mark.parametrize("framework", [flask, fastapi])
def test_a_view_that_needs_no_user_asks_for_none(framework: Callable[[Hook], Get]) -> None:
    users = Directory()
    assert framework(users.load)("/plain", headers=bearer("alice")).status_code == 200
    assert users.asked == 0


def test_a_dependency_may_ask_for_more_than_a_user() -> None:
    app = FastAPI()
    app.add_middleware(JWTMiddleware, guard=guard())
    writer = user_dependency(Directory().load, has_scope("orders:write"))

    @app.get("/me")
    async def me(user: Annotated[User, writer]) -> str:
        return user.name

    client = FastAPIClient(app)
    assert client.get("/me", headers=bearer("alice")).status_code == 403
    assert client.get("/me", headers=bearer("alice", scope="orders:write")).json() == "alice"


def test_a_socket_has_a_user_or_is_refused() -> None:
    class Socket(WebSocketEndpoint):
        async def on_connect(self, websocket: Any) -> None:
            await websocket.accept()
            await websocket.send_text(websocket.user.name)

    app = Starlette(routes=[WebSocketRoute("/chat", Socket)])
    app.add_middleware(UserMiddleware, load_user=Directory().load)
    app.add_middleware(JWTMiddleware, guard=guard())
    client = TestClient(app)
    with client.websocket_connect("/chat", headers=bearer("alice")) as socket:
        assert socket.receive_text() == "alice"
    with (
        pytest.raises(WebSocketDenialResponse) as refused,
        client.websocket_connect("/chat", headers=bearer("nobody")),
    ):
        pass
    assert refused.value.status_code == 401


def test_a_hook_that_raises_is_the_applications_own_error() -> None:
    def load(_: Principal) -> User:
        raise LookupError("of the application")

    with pytest.raises(LookupError):
        starlette(load)("/me", headers=bearer("alice"))


def test_a_hook_that_cannot_be_called_is_a_mistake() -> None:
    with pytest.raises(ConfigurationError, match="load_user='load'"):
        user_dependency("load")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="load_user=None"):
        JWTUsers(Flask(__name__))


def test_without_a_guard_or_a_hook_there_is_no_user() -> None:
    app = Flask(__name__)
    with app.test_request_context(), pytest.raises(ConfigurationError, match="current_user needs"):
        current_user.name  # noqa: B018 - it is asked for
    bare = Starlette(routes=[Route("/me", lambda _: Response())])
    bare.add_middleware(UserMiddleware, load_user=Directory().load)
    with pytest.raises(ConfigurationError, match="needs a guard in front"):
        TestClient(bare).get("/me")


def test_a_caller_that_changes_has_another_user() -> None:
    """A guard further in may judge another token; who was loaded before is not who calls then."""
    app = Flask(__name__)
    protecting = guard()
    JWT(app, guard=protecting)
    JWTUsers(app, Directory().load)
    with app.test_request_context("/me", headers=bearer("alice")) as context:
        context.request.environ["jwt_middleware.principal"] = protecting.verify(
            minter.mint("alice")
        )
        context.request.environ["jwt_middleware.passage"] = (protecting, (), None, None, None)
        assert current_user.name == "alice"
        context.request.environ["jwt_middleware.principal"] = protecting.verify(minter.mint("bob"))
        assert current_user.name == "bob"
