"""A FastAPI application behind a guard, with the caller as a dependency.

Run it:

    pip install "asgi-wsgi-jwt[fastapi]" uvicorn
    export JWT_SECRET=$(openssl rand -base64 48)
    uvicorn fastapi_app:app

Ask it, with a token that make_token.py beside this file prints:

    curl -i http://127.0.0.1:8000/orders/1 -H "Authorization: Bearer $(python make_token.py)"
"""

from typing import Annotated, Any

from fastapi import FastAPI, Request

from jwt_middleware import (
    Guard,
    JWTMiddleware,
    Principal,
    Secret,
    has_role,
    has_scope,
    optional,
    protect,
    public,
)
from jwt_middleware.integrations.fastapi import (
    CurrentPrincipal,
    OptionalPrincipal,
    requires,
    secure_openapi,
)

# At module level, so that a wrong setting stops the server before it takes a request.
guard = Guard(
    key=Secret.from_env("JWT_SECRET"),
    algorithms=["HS256"],
    issuer="https://id.example/",
    audience="orders",
    rules=[
        public("/health"),
        public("/docs", "/openapi.json"),
        optional("/feed"),
        protect("/orders/**", requires=has_scope("orders:read"), methods=["GET"]),
        protect("/admin/**", requires=has_role("admin")),
    ],  # what no rule names needs a valid token, and no more
)

app = FastAPI()
app.add_middleware(JWTMiddleware, guard=guard)

# The page of documentation shows which operations need a token, and which scopes.
secure_openapi(app, guard)


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/feed")
async def feed(caller: OptionalPrincipal) -> dict[str, str | None]:
    # Without a token the caller is the anonymous one, whose subject is None.
    return {"subject": caller.subject}


@app.get("/orders/{number}")
async def order(number: int, caller: CurrentPrincipal) -> dict[str, Any]:
    return {"order": number, "subject": caller.subject}


@app.get("/admin/users")
def users(caller: CurrentPrincipal) -> dict[str, Any]:
    # Endpoints without async run on a thread; the caller is the same there.
    return {"subject": caller.subject, "roles": sorted(caller.roles)}


@app.get("/reports")
async def reports(
    caller: Annotated[Principal, requires(has_scope("reports:read"))],
) -> dict[str, Any]:
    # Asked for here instead of in the table of rules; a refusal is the same.
    return {"subject": caller.subject}


@app.get("/me")
async def me(request: Request) -> dict[str, Any]:
    # The same principal, for code that has the request.
    user: Principal = request.state.user
    return {"subject": user.subject, "scopes": sorted(user.scopes)}
