"""A Starlette application behind a guard.

Run it:

    pip install "asgi-wsgi-jwt[starlette]" uvicorn
    export JWT_SECRET=$(openssl rand -base64 48)
    uvicorn starlette_app:app

Ask it, with a token that make_token.py beside this file prints:

    curl -i http://127.0.0.1:8000/orders/1 -H "Authorization: Bearer $(python make_token.py)"
"""

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from jwt_middleware import (
    Guard,
    JWTMiddleware,
    Secret,
    has_role,
    has_scope,
    optional,
    protect,
    public,
)
from jwt_middleware.integrations.starlette import requires

# At module level, so that a wrong setting stops the server before it takes a request.
guard = Guard(
    key=Secret.from_env("JWT_SECRET"),
    algorithms=["HS256"],
    issuer="https://id.example/",
    audience="orders",
    rules=[
        public("/health"),
        optional("/feed"),
        protect("/orders/**", requires=has_scope("orders:read"), methods=["GET"]),
        protect("/admin/**", requires=has_role("admin")),
    ],  # what no rule names needs a valid token, and no more
)


async def health(_: Request) -> JSONResponse:
    return JSONResponse({"status": "ok"})


async def feed(request: Request) -> JSONResponse:
    # Without a token the user is the anonymous one, whose subject is None.
    return JSONResponse({"subject": request.user.subject})


async def order(request: Request) -> JSONResponse:
    return JSONResponse({"order": request.path_params["number"], "subject": request.user.subject})


async def users(request: Request) -> JSONResponse:
    return JSONResponse({"subject": request.user.subject, "roles": sorted(request.user.roles)})


@requires(has_scope("reports:read"))
async def reports(request: Request) -> JSONResponse:
    # Asked for here instead of in the table of rules; a refusal is the same.
    return JSONResponse({"subject": request.user.subject})


app = Starlette(
    routes=[
        Route("/health", health),
        Route("/feed", feed),
        Route("/orders/{number:int}", order),
        Route("/admin/users", users),
        Route("/reports", reports),
    ],
    middleware=[Middleware(JWTMiddleware, guard=guard)],
)
