"""A Falcon application behind a guard.

Run it:

    pip install asgi-wsgi-jwt falcon gunicorn
    export JWT_SECRET=$(openssl rand -base64 48)
    gunicorn falcon_app:app

Ask it, with a token that make_token.py beside this file prints:

    curl -i http://127.0.0.1:8000/orders/1 -H "Authorization: Bearer $(python make_token.py)"
"""

import falcon

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


class Health:
    def on_get(self, _: falcon.Request, response: falcon.Response) -> None:
        response.media = {"status": "ok"}


class Feed:
    def on_get(self, _: falcon.Request, response: falcon.Response) -> None:
        # Without a token the principal is the anonymous one, whose subject is None.
        response.media = {"subject": current_principal().subject}


class Order:
    def on_get(self, _: falcon.Request, response: falcon.Response, number: int) -> None:
        response.media = {"order": number, "subject": current_principal().subject}


class Users:
    def on_get(self, _: falcon.Request, response: falcon.Response) -> None:
        principal = current_principal()
        response.media = {"subject": principal.subject, "roles": sorted(principal.roles)}


routed = falcon.App()
# Otherwise Falcon takes /orders/ for /orders/{number} with an empty parameter.
routed.req_options.strip_url_path_trailing_slash = True
routed.add_route("/health", Health())
routed.add_route("/feed", Feed())
routed.add_route("/orders/{number:int}", Order())
routed.add_route("/admin/users", Users())

app = JWTWSGIMiddleware(routed, guard=guard)
