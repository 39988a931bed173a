"""The scenario table's application in each framework, guarded as that framework's users do it."""

from collections.abc import Callable, Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import re_path
from fastapi import FastAPI
from flask import Flask
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from jwt_middleware import Guard, JWTMiddleware, current_principal
from jwt_middleware.integrations.django import principal_of
from jwt_middleware.integrations.flask import JWT
from tests.faces.calls import describe

METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"]


async def told(request: Request) -> Response:
    assert request.state.user is request.user
    authenticated = {"authenticated"} if request.user.is_authenticated else set()
    assert set(request.auth.scopes) == request.user.scopes | authenticated
    return Response(describe(request.user))


def starlette_app(guard: Guard) -> Any:
    app = Starlette(routes=[Route("/{path:path}", told, methods=METHODS)])
    app.add_middleware(JWTMiddleware, guard=guard)
    return app


def fastapi_app(guard: Guard) -> Any:
    app = FastAPI(openapi_url=None)
    app.add_middleware(JWTMiddleware, guard=guard)
    app.add_api_route("/{path:path}", told, methods=METHODS)
    return app


def flask_app(guard: Guard) -> Any:
    app = Flask(__name__)
    # Otherwise Flask answers a path with two slashes by sending the client elsewhere.
    app.url_map.merge_slashes = False

    def view(path: str = "") -> bytes:
        return describe(current_principal())

    for rule in ("/", "/<path:path>"):
        app.add_url_rule(rule, view_func=view, methods=METHODS, provide_automatic_options=False)
    JWT(app, guard)
    return app


def view(request: HttpRequest) -> HttpResponse:
    return HttpResponse(_told(request, request.user))


async def async_view(request: Any) -> HttpResponse:
    return HttpResponse(_told(request, await request.auser()))


def _told(request: HttpRequest, user: Any) -> bytes:
    principal = principal_of(request)
    assert user.is_authenticated is principal.is_authenticated
    assert user.get_username() == principal.identity
    return describe(principal)


def urls(chosen: Callable[..., Any]) -> Any:
    return type("Urls", (), {"urlpatterns": [re_path(r"(?s)^.*$", chosen)]})


ASGI: Mapping[str, Callable[[Guard], Any]] = {"Starlette": starlette_app, "FastAPI": fastapi_app}
