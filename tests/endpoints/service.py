"""A service with every endpoint, and one request to it through each face and framework."""

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import httpx
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.test import override_settings
from django.urls import path as django_path
from django.urls import set_urlconf
from fastapi import FastAPI
from flask import Flask
from starlette.applications import Starlette
from starlette.routing import Route

from jwt_middleware.endpoints import (
    Endpoint,
    JWKSEndpoint,
    LogoutEndpoint,
    MetadataEndpoint,
    RefreshEndpoint,
    RevocationEndpoint,
    TokenCookies,
)
from jwt_middleware.integrations.django_endpoints import endpoint_view
from jwt_middleware.integrations.fastapi_endpoints import add_endpoint as add_to_fastapi
from jwt_middleware.integrations.flask_endpoints import add_endpoint as add_to_flask
from jwt_middleware.issuing import TokenPairs
from tests.issuing.rings import Faulty, World
from tests.support import django_project

BASE = "https://shop.example"
JWKS = f"{BASE}/.well-known/jwks.json"


class Service(World):
    """A ring, its logins, and their endpoints."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.logins = Faulty(self.clock)
        self.minter_ = self.minter()
        self.pairs = TokenPairs(self.minter_, self.logins, **options)
        self.browsers = TokenPairs(self.minter(), self.logins)
        self.cookies = TokenCookies(self.browsers, trusted_origins=["https://app.example"])
        self.waits: float | None = None
        self.endpoints: dict[str, Endpoint] = {
            "/.well-known/jwks.json": JWKSEndpoint(self.ring),
            "/.well-known/openid-configuration": MetadataEndpoint(
                self.minter_,
                jwks_uri=JWKS,
                token_endpoint=f"{BASE}/token",
                revocation_endpoint=f"{BASE}/revoke",
                further={"scopes_supported": ["orders:read"]},
            ),
            "/token": RefreshEndpoint(self.pairs, limit=lambda _: self.waits),
            "/revoke": RevocationEndpoint(self.pairs),
            "/auth/refresh": RefreshEndpoint(self.browsers, cookies=self.cookies),
            "/auth/logout": LogoutEndpoint(self.browsers, self.cookies),
            "/auth/leave": LogoutEndpoint(
                self.browsers, self.cookies, redirect="/bye", clear_site_data=True
            ),
        }


Ask = Callable[..., httpx.Response]


def asking(face: str, service: Service) -> Ask:
    """Return what sends one request to the service through a face."""
    app = FACES[face](service.endpoints)
    is_wsgi = face in {"wsgi", "flask", "django"}

    def ask(method: str, path: str, **options: Any) -> httpx.Response:
        if is_wsgi:
            with httpx.Client(transport=httpx.WSGITransport(app), base_url=BASE) as client:
                return client.request(method, path, **options)
        import asyncio

        return asyncio.run(_asked(app, method, path, options))

    return ask


async def _asked(app: Any, method: str, path: str, options: Mapping[str, Any]) -> httpx.Response:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
        return await client.request(method, path, **options)


def _starlette(endpoints: Mapping[str, Endpoint]) -> Any:
    return Starlette(routes=[Route(path, each.asgi) for path, each in endpoints.items()])


def _wsgi(endpoints: Mapping[str, Endpoint]) -> Any:
    return lambda environ, start: endpoints[environ["PATH_INFO"]].wsgi(environ, start)


def _fastapi(endpoints: Mapping[str, Endpoint]) -> FastAPI:
    app = FastAPI()
    for path, each in endpoints.items():
        add_to_fastapi(app, path, each)
    return app


def _flask(endpoints: Mapping[str, Endpoint]) -> Flask:
    app = Flask(__name__)
    for path, each in endpoints.items():
        add_to_flask(app, path, each)
    return app


def _django(endpoints: Mapping[str, Endpoint], handler: Any = WSGIHandler) -> Any:
    django_project.ready()
    urls = ModuleType("urls_of_endpoints")
    urls.urlpatterns = [  # type: ignore[attr-defined]
        django_path(path[1:], endpoint_view(each)) for path, each in endpoints.items()
    ]
    middleware = ["django.middleware.csrf.CsrfViewMiddleware"]

    def serve(*request: Any) -> Any:
        with override_settings(ROOT_URLCONF=urls, MIDDLEWARE=middleware):
            set_urlconf(None)
            return handler()(*request)

    return serve


def _django_asgi(endpoints: Mapping[str, Endpoint]) -> Any:
    with_handler = _django(endpoints, ASGIHandler)

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        await with_handler(scope, receive, send)

    return serve


FACES: dict[str, Callable[[Mapping[str, Endpoint]], Any]] = {
    "asgi": _starlette,
    "wsgi": _wsgi,
    "fastapi": _fastapi,
    "flask": _flask,
    "django": _django,
}
