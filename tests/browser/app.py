"""An application for a browser, with a page of documentation that loads nothing from elsewhere."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response, WebSocket
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

from jwt_middleware import (
    BearerHeader,
    CookieToken,
    Guard,
    JWTMiddleware,
    Secret,
    SubprotocolToken,
    has_scope,
    protect,
    public,
)
from jwt_middleware.events import RequestRefused
from jwt_middleware.integrations.fastapi import CurrentPrincipal, requires, secure_openapi

refusals: list[str] = []


def note(event: object) -> None:
    """Keep the code of a refusal, which a page cannot read."""
    if isinstance(event, RequestRefused):
        refusals.append(event.code)


guard = Guard(
    key=Secret.from_env("JWT_SECRET"),
    algorithms=["HS256"],
    issuer="https://id.example/",
    rules=[
        public("/page", "/login", "/refusals", "/docs", "/openapi.json", "/assets/**"),
        protect("/orders/**", requires=has_scope("orders:read")),
    ],
    token_sources=[BearerHeader(), SubprotocolToken(), CookieToken("session")],
    observers=[note],
)

app = FastAPI(docs_url=None)
app.add_middleware(JWTMiddleware, guard=guard)
secure_openapi(app, guard)

# Found without being imported: the package is for another framework, and only its files are wanted.
_package = find_spec("flask_swagger_ui")
assert _package is not None
assert _package.origin is not None
app.mount("/assets", StaticFiles(directory=Path(_package.origin).parent / "dist"))


@app.get("/docs", include_in_schema=False)
async def docs() -> HTMLResponse:
    return get_swagger_ui_html(
        openapi_url="/openapi.json",
        title="Documentation",
        swagger_js_url="/assets/swagger-ui-bundle.js",
        swagger_css_url="/assets/swagger-ui.css",
        swagger_favicon_url="/assets/favicon-32x32.png",
    )


@app.get("/page")
async def page() -> HTMLResponse:
    return HTMLResponse("<!doctype html><title>a page</title>")


@app.post("/login")
async def login(request: Request, response: Response) -> None:
    token = (await request.body()).decode()
    response.set_cookie("session", token, httponly=True, samesite="lax")


@app.get("/refusals")
async def refused() -> list[str]:
    return refusals


@app.get("/orders/{number}")
async def order(number: int, caller: CurrentPrincipal) -> dict[str, Any]:
    return {"order": number, "subject": caller.subject}


@app.post("/changes")
async def change(caller: CurrentPrincipal) -> dict[str, Any]:
    return {"subject": caller.subject}


@app.websocket("/socket")
async def socket(websocket: WebSocket, caller: CurrentPrincipal) -> None:
    await websocket.accept()
    await websocket.send_json(
        {"subject": caller.subject, "offered": websocket.scope["subprotocols"]}
    )
    await websocket.close()


@app.websocket("/staff", dependencies=[requires(has_scope("staff"))])
async def staff(websocket: WebSocket) -> None:
    await websocket.accept()
