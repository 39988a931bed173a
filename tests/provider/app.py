"""An application that says who calls, behind a guard that trusts one real provider."""

import json
import os
from typing import Any

from jwt_middleware import Guard, Issuer, JWTMiddleware, has_scope, protect

guard = Guard(
    issuers=Issuer(os.environ["ISSUER"], audience=os.environ["AUDIENCES"].split()),
    rules=[protect("/orders", requires=has_scope("orders:read"))],
)


async def who(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the caller's name."""
    assert scope["type"] == "http"
    body = json.dumps({"subject": scope["user"].subject}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


app = JWTMiddleware(who, guard=guard)
