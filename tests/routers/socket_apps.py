"""The handlers that take GET, as WebSockets behind the same routers."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import falcon.asgi
from fastapi import FastAPI
from litestar import Litestar, WebSocket, asgi, websocket
from quart import Quart
from starlette import websockets
from starlette.applications import Starlette
from starlette.routing import Mount, WebSocketRoute

from tests.routers.asgi_apps import (
    falcon_path,
    inside,
    litestar_path,
    outside,
    starlette_path,
    werkzeug_path,
)
from tests.routers.handlers import HANDLERS, SUB, Handler, served


def opens(handler: Handler) -> bool:
    """Return whether a handler is there for WebSockets too, as it is for GET."""
    return handler.methods is None or "GET" in handler.methods


def _inside() -> Iterable[tuple[Handler, str]]:
    return ((handler, path) for handler, path in inside() if opens(handler))


def _outside() -> Iterable[Handler]:
    return filter(opens, outside())


def _endpoint(name: str) -> Callable[[websockets.WebSocket], Awaitable[None]]:
    async def endpoint(websocket: websockets.WebSocket) -> None:
        served.append(name)
        await websocket.accept()
        await websocket.close()

    return endpoint


def starlette_app() -> Starlette:
    sub = Starlette(
        routes=[WebSocketRoute(path, _endpoint(handler.name)) for handler, path in _inside()]
    )
    routes: list[Any] = []
    for handler in _outside():
        if handler.name == "page":
            routes.append(Mount(SUB, app=sub))
        routes.append(WebSocketRoute(starlette_path(handler.path), _endpoint(handler.name)))
    return Starlette(routes=routes)


def fastapi_app(root_path: str = "") -> FastAPI:
    app, sub = FastAPI(openapi_url=None), FastAPI(openapi_url=None)
    app.root_path = root_path
    for handler, path in _inside():
        sub.add_api_websocket_route(path, _endpoint(handler.name))
    for handler in _outside():
        if handler.name == "page":
            app.mount(SUB, sub)
        app.add_api_websocket_route(starlette_path(handler.path), _endpoint(handler.name))
    return app


def litestar_app() -> Litestar:
    def build(handler: Handler, path: str) -> Any:
        async def endpoint(socket: WebSocket[Any, Any, Any]) -> None:
            served.append(handler.name)
            await socket.accept()
            await socket.close()

        return websocket(litestar_path(path), name=handler.name)(endpoint)

    inner = Litestar(route_handlers=[build(*pair) for pair in _inside()], openapi_config=None)

    async def mounted(scope: Any, receive: Any, send: Any) -> None:
        await inner(scope, receive, send)

    routes = [build(handler, handler.path) for handler in _outside()]
    mount = asgi(SUB, is_mount=True, copy_scope=True)(mounted)
    return Litestar(route_handlers=[*routes[:-1], mount, routes[-1]], openapi_config=None)


def quart_app() -> Quart:
    app = Quart(__name__)

    def build(name: str) -> Callable[..., Awaitable[None]]:
        async def endpoint(**_: Any) -> None:
            served.append(name)

        return endpoint

    for handler in filter(opens, HANDLERS):
        app.add_websocket(werkzeug_path(handler.path), handler.name, build(handler.name))
    return app


def falcon_app() -> falcon.asgi.App:
    app = falcon.asgi.App()
    app.req_options.strip_url_path_trailing_slash = True
    for handler in filter(opens, HANDLERS):
        app.add_route(falcon_path(handler.path), _falcon_resource(handler.name))
    return app


def _falcon_resource(name: str) -> object:
    async def on_websocket(self: object, req: Any, ws: Any, **_: Any) -> None:
        served.append(name)
        await ws.accept()
        await ws.close()

    return type("Resource", (), {"on_websocket": on_websocket})()
