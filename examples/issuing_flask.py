"""A Flask application that logs its people in with cookies, and ends their logins.

Run it:

    pip install "asgi-wsgi-jwt[flask]" gunicorn
    export KEY_RING_SECRET=$(openssl rand -base64 48)
    gunicorn issuing_flask:app

Log in, and ask it with the cookie of the answer:

    curl -i http://127.0.0.1:8000/login --json '{"name": "alice", "password": "correct horse"}'
    curl -i http://127.0.0.1:8000/me -H "Cookie: __Host-token=$TOKEN"

Passwords are checked by Werkzeug, which comes with Flask. A real application has its accounts in a
database, in place of the dictionary here.
"""

import os
from dataclasses import dataclass

from flask import Flask, Response, jsonify, request
from werkzeug.security import check_password_hash, generate_password_hash

from jwt_middleware import BearerHeader, Guard, Issuer, Principal, Secret, public
from jwt_middleware.endpoints import JWKSEndpoint, LogoutEndpoint, RefreshEndpoint, TokenCookies
from jwt_middleware.integrations.flask import JWT, requires
from jwt_middleware.integrations.flask_endpoints import add_endpoint
from jwt_middleware.integrations.flask_users import JWTUsers, current_user
from jwt_middleware.issuing import KeyRing, Login, Minter, TokenPairs
from jwt_middleware.stores import connect

ISSUER = "https://shop.example/"


@dataclass
class Account:
    name: str
    password: str
    is_active: bool = True


accounts = {"alice": Account("alice", generate_password_hash("correct horse"))}


def is_active(name: str) -> bool:
    return name in accounts and accounts[name].is_active


def load_user(principal: Principal) -> Account | None:
    account = accounts.get(str(principal.subject))
    return account if account is not None and account.is_active else None


store = connect(os.environ.get("TOKENS", "sqlite:///tokens.db"))
ring = KeyRing(store, encryption=Secret.from_env("KEY_RING_SECRET"))
minter = Minter(ring, issuer=ISSUER, audience="shop")
pairs = TokenPairs(minter, store, subject_check=is_active)
cookies = TokenCookies(pairs, path="/auth")

app = Flask(__name__)
guard = Guard(
    issuers=Issuer(ISSUER, audience="shop", keys=ring),
    rules=[public("/login", "/auth/**", "/.well-known/**")],
    token_sources=[BearerHeader(), cookies.source],
)
JWT(app, guard)
JWTUsers(app, load_user)
add_endpoint(app, "/auth/refresh", RefreshEndpoint(pairs, cookies=cookies))
add_endpoint(app, "/auth/logout", LogoutEndpoint(pairs, cookies))
add_endpoint(app, "/.well-known/jwks.json", JWKSEndpoint(ring))


@app.post("/login")
def log_in() -> Response:
    # As JSON, which a page of another origin cannot send here without being asked first.
    given = request.get_json()
    account = accounts.get(str(given.get("name")))
    if account is None or not check_password_hash(account.password, str(given.get("password"))):
        response = jsonify(detail="The name or the password is wrong")
        response.status_code = 401
        return response
    device = {"agent": request.headers.get("User-Agent", "")}
    pair = pairs.issue(account.name, login=Login(amr=("pwd",)), device=device)
    response = jsonify(cookies.body(pair))
    cookies.set_on(response, pair)
    return response


@app.get("/me")
@requires()
def me() -> Response:
    return jsonify(name=current_user.name)


@app.post("/lock")
@requires()
def lock() -> Response:
    """Lock the caller's own account: its access token and its login are of no use any more."""
    current_user.is_active = False
    pairs.revoke_subject(current_user.name)
    return jsonify(locked=True)
