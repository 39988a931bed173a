"""A Litestar application behind a guard.

Run it:

    pip install asgi-wsgi-jwt litestar uvicorn
    export JWT_SECRET=$(openssl rand -base64 48)
    uvicorn litestar_app:app

Ask it, with a token that make_token.py beside this file prints:

    curl -i http://127.0.0.1:8000/orders/1 -H "Authorization: Bearer $(python make_token.py)"
"""

from typing import Any

from litestar import Litestar, Request, get

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


@get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@get("/feed")
async def feed(request: Request[Any, Any, Any]) -> dict[str, Any]:
    # Without a token the principal is the anonymous one, whose subject is None.
    return {"subject": request.user.subject}


@get("/orders/{number:int}")
async def order(request: Request[Any, Any, Any], number: int) -> dict[str, Any]:
    return {"order": number, "subject": request.user.subject}


@get("/admin/users")
async def users(request: Request[Any, Any, Any]) -> dict[str, Any]:
    return {"subject": request.user.subject, "roles": sorted(request.user.roles)}


# In front of the whole application: Litestar's own middleware runs behind its router.
app = JWTMiddleware(Litestar([health, feed, order, users]), guard=guard)
