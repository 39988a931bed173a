"""The two applications of the demo, behind one guard each. The servers import them from here."""

import os

from flask import Flask
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from jwt_middleware import (
    Guard,
    Issuer,
    JWTMiddleware,
    JWTWSGIMiddleware,
    ResolverOptions,
    current_principal,
    has_role,
    has_scope,
    optional,
    protect,
    public,
)

guard = Guard(
    # The issuer's address is all there is to say: its keys are found by discovery.
    issuers=Issuer(
        os.environ["DEMO_ISSUER"],
        audience="orders",
        # So short only because the demo rotates keys and cuts the line within seconds.
        resolver=ResolverOptions(refresh_after=0.2, max_age=0.5, unknown_kid_interval=1),
    ),
    rules=[
        public("/public/**"),
        optional("/feed"),
        protect("/admin/**", requires=has_role("admin")),
        protect("/orders/**", requires=has_scope("orders:read")),
    ],
)


async def hello(request: Request) -> JSONResponse:
    return JSONResponse({"hello": request.user.display_name or "stranger"})


starlette_app = JWTMiddleware(Starlette(routes=[Route("/{path:path}", hello)]), guard=guard)

flask_app = Flask(__name__)


@flask_app.get("/<path:path>")
def greet(path: str) -> dict[str, str]:  # noqa: ARG001 - Flask passes it
    return {"hello": current_principal().display_name or "stranger"}


flask_app.wsgi_app = JWTWSGIMiddleware(flask_app.wsgi_app, guard=guard)  # type: ignore[method-assign]
