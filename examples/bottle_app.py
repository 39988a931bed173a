"""A Bottle application behind a guard.

Run it:

    pip install asgi-wsgi-jwt bottle gunicorn
    export JWT_SECRET=$(openssl rand -base64 48)
    gunicorn bottle_app:app

Ask it, with a token that make_token.py beside this file prints:

    curl -i http://127.0.0.1:8000/orders/1 -H "Authorization: Bearer $(python make_token.py)"
"""

from typing import Any

from bottle import Bottle

from jwt_middleware import (
    Guard,
    JWTWSGIMiddleware,
    Secret,
    current_principal,
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

routed: Any = Bottle()  # it has no types


@routed.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@routed.get("/feed")
def feed() -> dict[str, Any]:
    # Without a token the principal is the anonymous one, whose subject is None.
    return {"subject": current_principal().subject}


@routed.get("/orders/<number:int>")
def order(number: int) -> dict[str, Any]:
    return {"order": number, "subject": current_principal().subject}


@routed.get("/admin/users")
def users() -> dict[str, Any]:
    principal = current_principal()
    return {"subject": principal.subject, "roles": sorted(principal.roles)}


app = JWTWSGIMiddleware(routed, guard=guard)
