"""A Pyramid application behind a guard.

Run it:

    pip install asgi-wsgi-jwt pyramid gunicorn
    export JWT_SECRET=$(openssl rand -base64 48)
    gunicorn pyramid_app:app

Ask it, with a token that make_token.py beside this file prints:

    curl -i http://127.0.0.1:8000/orders/1 -H "Authorization: Bearer $(python make_token.py)"
"""

from typing import Any

from pyramid.config import Configurator

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


def health(_: Any) -> dict[str, str]:
    return {"status": "ok"}


def feed(_: Any) -> dict[str, Any]:
    # Without a token the principal is the anonymous one, whose subject is None.
    return {"subject": current_principal().subject}


def order(request: Any) -> dict[str, Any]:
    return {"order": request.matchdict["number"], "subject": current_principal().subject}


def users(_: Any) -> dict[str, Any]:
    principal = current_principal()
    return {"subject": principal.subject, "roles": sorted(principal.roles)}


with Configurator() as config:
    for name, path, view in (
        ("health", "/health", health),
        ("feed", "/feed", feed),
        ("order", "/orders/{number}", order),
        ("users", "/admin/users", users),
    ):
        config.add_route(name, path)
        config.add_view(view, route_name=name, renderer="json")

app = JWTWSGIMiddleware(config.make_wsgi_app(), guard=guard)
