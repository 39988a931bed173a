"""An echo behind a guard, for real servers to import; the socket ends with its token."""

import os
from typing import Any

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from jwt_middleware import (
    BearerHeader,
    CookieToken,
    Guard,
    Issuer,
    JWTMiddleware,
    QueryToken,
    SubprotocolToken,
    has_scope,
    protect,
)


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_json(
        {"subject": websocket.user.subject, "offered": websocket.scope["subprotocols"]}
    )
    async for text in websocket.iter_text():
        await websocket.send_text(text)


app = Starlette(routes=[WebSocketRoute("/{path:path}", echo)])
sources: list[Any] = [BearerHeader(), SubprotocolToken(), CookieToken("session")]
guarded = JWTMiddleware(
    app,
    guard=Guard(
        issuers=Issuer(os.environ["ISSUER_URL"], audience="chat", leeway=0),
        rules=[protect("/staff/**", requires=has_scope("staff"))],
        token_sources=[*sources, QueryToken("access_token")],
        close_on_expiry=True,
        warm_up="require",
    ),
)
