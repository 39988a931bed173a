"""A Flask application behind a guard.

Run it:

    pip install "asgi-wsgi-jwt[flask]" gunicorn
    export JWT_SECRET=$(openssl rand -base64 48)
    gunicorn flask_app:app

Ask it, with a token that make_token.py beside this file prints:

    curl -i http://127.0.0.1:8000/orders/1 -H "Authorization: Bearer $(python make_token.py)"
"""

from typing import Any

from flask import Flask

from jwt_middleware import (
    Guard,
    Secret,
    current_principal,
    has_role,
    has_scope,
    optional,
    protect,
    public,
)
from jwt_middleware.integrations.flask import JWT, requires

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

app = Flask(__name__)
JWT(app, guard)


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/feed")
def feed() -> dict[str, Any]:
    # Without a token the principal is the anonymous one, whose subject is None.
    return {"subject": current_principal().subject}


@app.get("/orders/<int:number>")
def order(number: int) -> dict[str, Any]:
    return {"order": number, "subject": current_principal().subject}


@app.get("/admin/users")
def users() -> dict[str, Any]:
    principal = current_principal()
    return {"subject": principal.subject, "roles": sorted(principal.roles)}


@app.delete("/orders/<int:number>")
@requires(has_scope("orders:write"))
def drop(number: int) -> dict[str, Any]:
    return {"gone": number, "subject": current_principal().subject}
