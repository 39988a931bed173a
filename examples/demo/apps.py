"""The two applications of the demo, behind one guard each. The servers import them from here."""

import os

from flask import Flask
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from jwt_middleware import (
    BearerHeader,
    CookieToken,
    Guard,
    Issuer,
    JWTMiddleware,
    JWTWSGIMiddleware,
    ResolverOptions,
    SubprotocolToken,
    current_principal,
    has_role,
    has_scope,
    optional,
    protect,
    public,
)

# So short only because the demo rotates keys and cuts the line within seconds.
HASTY = ResolverOptions(refresh_after=0.2, max_age=0.5, unknown_kid_interval=1)

guard = Guard(
    # An issuer's address is all there is to say: its keys are found by discovery.
    issuers=[
        Issuer(os.environ["DEMO_ISSUER"], audience="orders", resolver=HASTY),
        Issuer(os.environ["DEMO_PARTNER"], audience="orders", resolver=HASTY),
    ],
    token_sources=[BearerHeader(), SubprotocolToken(), CookieToken("session")],
    rules=[
        public("/public/**"),
        optional("/feed"),
        protect("/admin/**", requires=has_role("admin")),
        protect("/orders/**", requires=has_scope("orders:read")),
    ],
)


async def hello(request: Request) -> JSONResponse:
    return JSONResponse({"hello": request.user.display_name or "stranger"})


async def chat(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(f"hello {websocket.user.subject}")
    await websocket.close()


routes = [
    WebSocketRoute("/orders/live", chat),
    Route("/{path:path}", hello, methods=["GET", "POST"]),
]
starlette_app = JWTMiddleware(Starlette(routes=routes), guard=guard)

flask_app = Flask(__name__)


@flask_app.route("/<path:path>", methods=["GET", "POST"])
def greet(path: str) -> dict[str, str]:  # noqa: ARG001 - Flask passes it
    return {"hello": current_principal().display_name or "stranger"}


flask_app.wsgi_app = JWTWSGIMiddleware(flask_app.wsgi_app, guard=guard)  # type: ignore[method-assign]
