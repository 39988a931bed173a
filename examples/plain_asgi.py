"""An ASGI application without any framework, behind a guard.

Run it:

    pip install asgi-wsgi-jwt uvicorn
    export JWT_SECRET=$(openssl rand -base64 48)
    uvicorn plain_asgi:app

Ask it, with a token that make_token.py beside this file prints:

    curl -i http://127.0.0.1:8000/orders/1 -H "Authorization: Bearer $(python make_token.py)"
"""

import json

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
from jwt_middleware.asgi.types import Receive, Scope, Send

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


async def application(scope: Scope, _receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        # The server then does without a lifespan, and refuses WebSockets.
        raise NotImplementedError(scope["type"])
    principal = scope["user"]
    body = json.dumps({"path": scope["path"], "subject": principal.subject}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


app = JWTMiddleware(application, guard=guard)
