"""A login service: it registers people, logs them in, and issues tokens for other services.

Browsers keep their tokens in cookies, programs get them as JSON. Run it:

    pip install "asgi-wsgi-jwt[fastapi]" uvicorn argon2-cffi
    export KEY_RING_SECRET=$(openssl rand -base64 48)
    uvicorn app:app

and open http://127.0.0.1:8000/. ``orders.py`` beside this file is a service that takes its tokens:

    uvicorn orders:app --port 8001
"""

import os
from pathlib import Path
from typing import Annotated

from accounts import Accounts, NameTaken
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel, Field

from jwt_middleware import (
    BearerHeader,
    Guard,
    Issuer,
    JWTMiddleware,
    Secret,
    has_role,
    protect,
    public,
)
from jwt_middleware.endpoints import (
    JWKSEndpoint,
    LogoutEndpoint,
    MetadataEndpoint,
    RefreshEndpoint,
    RevocationEndpoint,
    TokenCookies,
)
from jwt_middleware.integrations.fastapi import CurrentPrincipal, secure_openapi
from jwt_middleware.integrations.fastapi_endpoints import add_endpoint
from jwt_middleware.issuing import KeyRing, Login, Minter, TokenPair, TokenPairs
from jwt_middleware.stores import connect

HERE = Path(__file__).parent
DATA = Path(os.environ.get("DATA", "data"))
DATA.mkdir(parents=True, exist_ok=True)
ISSUER = os.environ.get("ISSUER", "http://127.0.0.1:8000")

accounts = Accounts(DATA / "accounts.db")
store = connect(f"sqlite:///{DATA / 'tokens.db'}")
ring = KeyRing(store, encryption=Secret.from_env("KEY_RING_SECRET"))
minter = Minter(ring, issuer=ISSUER, audience="orders", claims_of=accounts.claims_of)
pairs = TokenPairs(minter, store, subject_check=accounts.is_active)
cookies = TokenCookies(pairs, path="/auth")

guard = Guard(
    issuers=Issuer(ISSUER, audience="orders", keys=ring),
    rules=[
        public("/", "/docs", "/openapi.json", "/.well-known/**"),
        public("/register", "/login", "/auth/refresh", "/auth/logout"),
        public("/token", "/token/refresh", "/token/revoke"),
        protect("/keys/**", requires=has_role("admin")),
    ],  # all else needs a token
    token_sources=[BearerHeader(), cookies.source],
)

app = FastAPI(title="A login service")
app.add_middleware(JWTMiddleware, guard=guard)
secure_openapi(app, guard)

add_endpoint(app, "/auth/refresh", RefreshEndpoint(pairs, cookies=cookies))
add_endpoint(app, "/auth/logout", LogoutEndpoint(pairs, cookies))
add_endpoint(app, "/token/refresh", RefreshEndpoint(pairs))
add_endpoint(app, "/token/revoke", RevocationEndpoint(pairs))
add_endpoint(app, "/.well-known/jwks.json", JWKSEndpoint(ring))
metadata = MetadataEndpoint(
    minter,
    jwks_uri=f"{ISSUER}/.well-known/jwks.json",
    token_endpoint=f"{ISSUER}/token/refresh",
    revocation_endpoint=f"{ISSUER}/token/revoke",
)
for path in metadata.paths:
    add_endpoint(app, path, metadata)


class Credentials(BaseModel):
    name: Annotated[str, Field(min_length=1, max_length=100)]
    password: Annotated[str, Field(min_length=8, max_length=200)]


class NewPassword(BaseModel):
    password: Annotated[str, Field(min_length=8, max_length=200)]


@app.get("/", include_in_schema=False)
def page() -> FileResponse:
    return FileResponse(HERE / "page.html", headers={"Cache-Control": "no-cache"})


@app.post("/register", status_code=201)
def register(given: Credentials) -> dict[str, str]:
    try:
        return {"account": accounts.register(given.name, given.password)}
    except NameTaken:
        raise HTTPException(409, "There is an account of that name") from None


@app.post("/login")
def log_in(given: Credentials, request: Request) -> JSONResponse:
    """For browsers. A page of another origin cannot send JSON here without being asked first."""
    pair = begun(given, request)
    response = JSONResponse(cookies.body(pair))
    cookies.set_on(response, pair)
    return response


@app.post("/token")
def token(given: Credentials, request: Request) -> JSONResponse:
    """For programs, which keep both tokens themselves."""
    return JSONResponse(begun(given, request).as_json(), headers={"Cache-Control": "no-store"})


def begun(given: Credentials, request: Request) -> TokenPair:
    account = accounts.verified(given.name, given.password)
    if account is None:
        raise HTTPException(401, "The name or the password is wrong")
    device = {
        "agent": request.headers.get("user-agent", ""),
        "address": request.client.host if request.client else "",
    }
    return pairs.issue(account, login=Login(amr=("pwd",)), device=device)


@app.get("/me")
def me(caller: CurrentPrincipal) -> dict[str, object]:
    name = caller.claims["preferred_username"]
    return {"account": caller.subject, "name": name, "roles": sorted(caller.roles)}


@app.get("/sessions")
def sessions(caller: CurrentPrincipal) -> list[dict[str, object]]:
    return [
        {
            "id": family.sid,
            "since": family.created_at,
            "last_used": family.last_used_at,
            "agent": family.device.get("agent"),
            "is_this": family.sid == caller.claims["sid"],
        }
        for family in pairs.families(str(caller.subject))
    ]


@app.delete("/sessions/{sid}", status_code=204)
def end_session(sid: str, caller: CurrentPrincipal) -> None:
    # Only one's own: the id of another's is not found here.
    if not any(family.sid == sid for family in pairs.families(str(caller.subject))):
        raise HTTPException(404)
    pairs.revoke_family(sid)


@app.post("/log-out-everywhere", status_code=204)
def log_out_everywhere(caller: CurrentPrincipal) -> None:
    pairs.revoke_subject(str(caller.subject))


@app.post("/password", status_code=204)
def set_password(given: NewPassword, caller: CurrentPrincipal) -> None:
    """All other logins end, so that whoever knew the old password is out."""
    accounts.set_password(str(caller.subject), given.password)
    pairs.revoke_subject(str(caller.subject), but=caller.claims["sid"])


@app.post("/keys/rotate")
def rotate() -> dict[str, object]:
    rotation = ring.rotate()
    return {"kid": rotation.kid, "signs_from": rotation.signs_from}
