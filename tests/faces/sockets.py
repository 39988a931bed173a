"""An echo behind a guard, for real servers to import; the socket ends with its token."""

import os
from contextlib import suppress
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

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
    public,
)
from jwt_middleware.testing import Clock

told: dict[str, Any] = {"texts": 0, "ended": None}
"""What the latest socket received, and the code of its end."""


async def seen(request: Request) -> JSONResponse:
    return JSONResponse(told)


async def echo(websocket: WebSocket) -> None:
    told.update(texts=0, ended=None)
    await websocket.accept()
    await websocket.send_json(
        {"subject": websocket.user.subject, "offered": websocket.scope["subprotocols"]}
    )
    while (event := await websocket.receive())["type"] == "websocket.receive":
        told["texts"] += 1
        # The end may come between a text and its echo: the next event then tells of it.
        with suppress(WebSocketDisconnect):
            await websocket.send_text(event["text"])
    told["ended"] = event["code"]


app = Starlette(routes=[Route("/seen", seen), WebSocketRoute("/{path:path}", echo)])
sources: list[Any] = [BearerHeader(), SubprotocolToken(), CookieToken("session")]
guarded = JWTMiddleware(
    app,
    guard=Guard(
        issuers=Issuer(os.environ["ISSUER_URL"], audience="chat", leeway=0),
        rules=[public("/seen"), protect("/staff/**", requires=has_scope("staff"))],
        token_sources=[*sources, QueryToken("access_token")],
        close_on_expiry=True,
        warm_up="require",
        # It stands still: a socket lasts as long as its token did when it was issued, however long
        # a busy machine takes for the handshake.
        clock=Clock(),
    ),
)
