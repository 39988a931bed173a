"""Somebody whom another middleware put in the place of the caller opens nothing of ours."""

from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from jwt_middleware import Guard, JWTMiddleware, authenticated, optional
from jwt_middleware.integrations.starlette import requires


class Everybody(AuthenticationBackend):
    """Takes whoever comes for an authenticated user, without a token."""

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, SimpleUser]:
        return AuthCredentials(), SimpleUser("mallory")


@requires(authenticated())
async def endpoint(request: Request) -> Response:
    return Response()


def test_requires_asks_for_the_caller_that_the_guard_verified() -> None:
    """``request.user`` may have been replaced on the way to the endpoint."""
    guard = Guard(
        key=b"0123456789abcdefghijklmnopqrstuv", algorithms=["HS256"], rules=[optional("/")]
    )
    behind = [
        Middleware(JWTMiddleware, guard=guard),
        Middleware(AuthenticationMiddleware, backend=Everybody()),
    ]
    app = Starlette(routes=[Route("/", endpoint)], middleware=behind)

    assert TestClient(app).get("/").status_code == 401
