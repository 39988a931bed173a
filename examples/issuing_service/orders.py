"""A service that takes the tokens of the login service, and finds its keys by its name."""

import os

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from jwt_middleware import Guard, Issuer, JWTMiddleware

ISSUER = os.environ.get("ISSUER", "http://127.0.0.1:8000")
guard = Guard(issuers=Issuer(ISSUER, audience="orders"))


async def orders(request: Request) -> JSONResponse:
    return JSONResponse({"orders": [], "of": request.user.subject})


app = Starlette(
    routes=[Route("/orders", orders)],
    middleware=[Middleware(JWTMiddleware, guard=guard)],
)
