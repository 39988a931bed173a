"""Applications for real servers to import, where a client says what only a server should."""

from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from jwt_middleware import JWTMiddleware, JWTWSGIMiddleware, protect, public
from tests.faces.calls import asgi_app, wsgi_app
from tests.support.short_form import short_guard


async def admin(request: Request) -> PlainTextResponse:
    return PlainTextResponse("secret")


async def users(request: Request) -> PlainTextResponse:
    return PlainTextResponse("open")


guard = short_guard(
    rules=[
        public("/users"),
        public("/items/**", methods=["GET"]),
        protect("/items/**", methods=["WEBSOCKET"]),
        public("/sockets/**", methods=["WEBSOCKET"]),
    ]
)
rooted: Any = JWTMiddleware(
    Starlette(routes=[Route("/admin/users", admin), Route("/users", users)]), guard=guard
)
asgi = JWTMiddleware(asgi_app, guard=guard)
wsgi = JWTWSGIMiddleware(wsgi_app, guard=guard)
