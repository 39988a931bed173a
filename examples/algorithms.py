"""Two issuers behind one guard, each with an algorithm and a key of its own.

The first signs with a secret that both sides know (HS256); the second with a private key of which
this service has only the public half (RS256). A token is verified with the keys of the issuer that
its iss names, so neither can sign for the other.

Make a key pair and run it:

    pip install "asgi-wsgi-jwt[starlette]" uvicorn
    export JWT_SECRET=$(openssl rand -base64 48)
    openssl genrsa -out partner-private.pem 2048
    openssl rsa -in partner-private.pem -pubout -out partner-public.pem
    export PARTNER_KEY_FILE=partner-public.pem
    uvicorn algorithms:app

Ask it as a user of each issuer, with tokens that make_token.py beside this file prints:

    curl -i http://127.0.0.1:8000/orders/1 -H "Authorization: Bearer $(python make_token.py)"

    TOKEN=$(python make_token.py --issuer https://login.partner.example/ --key partner-private.pem)
    curl -i http://127.0.0.1:8000/orders/1 -H "Authorization: Bearer $TOKEN"
"""

import os

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from jwt_middleware import (
    Guard,
    Issuer,
    JWTMiddleware,
    KeyFile,
    Secret,
    has_role,
    has_scope,
    optional,
    protect,
    public,
)

# At module level, so that a wrong setting stops the server before it takes a request.
guard = Guard(
    issuers=[
        Issuer(
            "https://id.example/",
            audience="orders",
            keys=Secret.from_env("JWT_SECRET"),
            algorithms=["HS256"],
        ),
        Issuer(
            "https://login.partner.example/",
            audience="orders",
            keys=KeyFile(os.environ.get("PARTNER_KEY_FILE", "partner-public.pem")),
            algorithms=["RS256"],
        ),
    ],
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
    # Two issuers may each have an alice: only the identity, which names both, tells them apart.
    user = request.user
    return JSONResponse({"subject": user.subject, "issuer": user.issuer, "identity": user.identity})


app = Starlette(
    routes=[
        Route("/health", health),
        Route("/feed", caller),
        Route("/orders/{number:int}", caller),
        Route("/admin/users", caller),
    ],
    middleware=[Middleware(JWTMiddleware, guard=guard)],
)
