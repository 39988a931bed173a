"""Refusals in the same JSON shape as the other errors of an application.

A callable turns each refusal into a media type and bytes. Status and headers stay the guard's. Most
refusals always read the same, so their bodies are written once, when the guard is built: let the
callable depend on its argument alone.

Run it:

    pip install "asgi-wsgi-jwt[starlette]" uvicorn
    export JWT_SECRET=$(openssl rand -base64 48)
    uvicorn error_bodies:app

Ask it without a token, and with one that has expired:

    curl -i http://127.0.0.1:8000/orders/1

    TOKEN=$(python make_token.py --seconds -60)
    curl -i http://127.0.0.1:8000/orders/1 -H "Authorization: Bearer $TOKEN"

For the two shapes that are built in write error_body="problem", which is what you get without it,
or error_body="oauth".
"""

import json

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from jwt_middleware import (
    Guard,
    JWTMiddleware,
    Problem,
    Secret,
    has_role,
    has_scope,
    optional,
    protect,
    public,
)

# A code never changes its meaning, so programs may rely on it; sentences are for people.
ADVICE = {
    "token_missing": "Sign in first.",
    "token_expired": "Your session is over: sign in again.",
    "requirement_not_met": "Ask an administrator for access.",
    "keys_unavailable": "Sign-in is out of order: try again in a moment.",
}


def error_body(problem: Problem) -> tuple[str, bytes]:
    error = {
        "status": problem.status,
        "code": problem.code,
        "message": problem.detail,
        "advice": ADVICE.get(problem.code, "Sign in again."),
    }
    return "application/json", json.dumps({"error": error}).encode()


# At module level, so that a wrong setting stops the server before it takes a request.
guard = Guard(
    key=Secret.from_env("JWT_SECRET"),
    algorithms=["HS256"],
    issuer="https://id.example/",
    audience="orders",
    error_body=error_body,
    rules=[
        public("/health"),
        optional("/feed"),
        protect("/orders/**", requires=has_scope("orders:read"), methods=["GET"]),
        protect("/admin/**", requires=has_role("admin")),
    ],  # what no rule names needs a valid token, and no more
)


async def health(_: Request) -> JSONResponse:
    return JSONResponse({"status": "ok"})


async def caller(request: Request) -> JSONResponse:
    return JSONResponse({"subject": request.user.subject})


app = Starlette(
    routes=[
        Route("/health", health),
        Route("/feed", caller),
        Route("/orders/{number:int}", caller),
        Route("/admin/users", caller),
    ],
    middleware=[Middleware(JWTMiddleware, guard=guard)],
)
