"""The handlers behind the routers of Starlette, FastAPI, Litestar, Quart and Falcon (ASGI)."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

import falcon.asgi
from fastapi import FastAPI
from litestar import Litestar, asgi, route
from quart import Quart
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from tests.routers.handlers import ANY_METHOD, HANDLERS, SUB, Handler, served

HOLE = re.compile(r"\{(\w+)\}")


def methods_of(handler: Handler) -> list[str]:
    return list(handler.methods or ANY_METHOD)


def outside(handlers: tuple[Handler, ...] = HANDLERS) -> list[Handler]:
    """Return the handlers of the outer application."""
    return [handler for handler in handlers if not handler.path.startswith(f"{SUB}/")]


def inside() -> list[tuple[Handler, str]]:
    """Return those of the mounted application, with their paths inside it."""
    mounted = [handler for handler in HANDLERS if handler.path.startswith(f"{SUB}/")]
    return [(handler, handler.path.removeprefix(SUB)) for handler in mounted]


def _starlette_endpoint(name: str) -> Callable[[Request], Awaitable[PlainTextResponse]]:
    async def endpoint(request: Request) -> PlainTextResponse:
        served.append(name)
        return PlainTextResponse(name)

    return endpoint


class Hook(HTTPEndpoint):
    """A class-based endpoint: Starlette looks its method up by the name in lower case."""

    async def get(self, request: Request) -> PlainTextResponse:
        served.append("hook")
        return PlainTextResponse("hook")

    post = put = delete = patch = get


def starlette_path(path: str) -> str:
    if path.endswith("/**"):
        return f"{path.removesuffix('**')}{{rest:path}}"
    return path.replace("{number}", "{number:int}")


def starlette_app() -> Starlette:
    routes: list[Any] = []
    for handler in outside():
        if handler.name == "hook":
            routes.append(Route(handler.path, Hook))
            continue
        if handler.name == "page":
            routes.append(Mount(SUB, app=_starlette_sub()))
        endpoint = _starlette_endpoint(handler.name)
        path = starlette_path(handler.path)
        routes.append(Route(path, endpoint, methods=methods_of(handler)))
    return Starlette(routes=routes)


def _starlette_sub() -> Starlette:
    return Starlette(
        routes=[Route(path, _starlette_endpoint(handler.name)) for handler, path in inside()]
    )


def _fastapi_endpoint(name: str) -> Callable[[], Awaitable[str]]:
    async def endpoint() -> str:
        served.append(name)
        return name

    return endpoint


def fastapi_app(root_path: str = "") -> FastAPI:
    app = FastAPI(openapi_url=None)
    # As its argument sets it, which newer versions warn of.
    app.root_path = root_path
    sub = FastAPI(openapi_url=None)
    for handler, path in inside():
        sub.add_api_route(path, _fastapi_endpoint(handler.name), methods=methods_of(handler))
    for handler in outside():
        if handler.name == "page":
            app.mount(SUB, sub)
        app.add_api_route(
            starlette_path(handler.path),
            _fastapi_endpoint(handler.name),
            methods=methods_of(handler),
        )
    return app


def litestar_path(path: str) -> str:
    """Litestar asks that parameters of one place have one name and are declared."""
    if path.endswith("/**"):
        return path.removesuffix("**") + "{rest:path}"
    return HOLE.sub(r"{\1:str}", path).replace("{number:str}", "{number:int}")


def litestar_app() -> Litestar:
    def build(handler: Handler, path: str) -> Any:
        async def endpoint() -> str:
            served.append(handler.name)
            return handler.name

        return route(
            litestar_path(path),
            http_method=methods_of(handler),  # type: ignore[arg-type]
            name=handler.name,
            status_code=200,
            sync_to_thread=None,
        )(endpoint)

    inner = Litestar(route_handlers=[build(*pair) for pair in inside()], openapi_config=None)

    async def mounted(scope: Any, receive: Any, send: Any) -> None:
        # Litestar leaves the path below the mount in the scope, and knows no root_path.
        await inner(scope, receive, send)

    handlers = [build(handler, handler.path) for handler in outside() if handler.name != "page"]
    page = [build(handler, handler.path) for handler in HANDLERS if handler.name == "page"]
    return Litestar(
        route_handlers=[*handlers, asgi(SUB, is_mount=True, copy_scope=True)(mounted), *page],
        openapi_config=None,
    )


def quart_app() -> Quart:
    app = Quart(__name__)

    def build(name: str) -> Callable[..., Awaitable[str]]:
        async def endpoint(**_: Any) -> str:
            served.append(name)
            return name

        return endpoint

    for handler in HANDLERS:
        app.add_url_rule(
            werkzeug_path(handler.path),
            handler.name,
            build(handler.name),
            methods=methods_of(handler),
        )
    return app


def werkzeug_path(path: str) -> str:
    """Return a path as Flask and Quart write it."""
    if path.endswith("/**"):
        return f"{path.removesuffix('**')}<path:rest>"
    return HOLE.sub(r"<\1>", path).replace("<number>", "<int:number>")


def falcon_app() -> falcon.asgi.App:
    app = falcon.asgi.App()
    app.req_options.strip_url_path_trailing_slash = True
    for path, methods in by_path().items():
        app.add_route(falcon_path(path), _falcon_resource(methods, is_async=True))
    return app


def by_path() -> dict[str, dict[str, str]]:
    """Return for each path the name of the handler of each method."""
    found: dict[str, dict[str, str]] = {}
    for handler in HANDLERS:
        names = dict.fromkeys(methods_of(handler), handler.name)
        found.setdefault(handler.path, {}).update(names)
    return found


def falcon_path(path: str) -> str:
    if path.endswith("/**"):
        return f"{path.removesuffix('**')}{{rest:path}}"
    return path.replace("{number}", "{number:int}")


def _falcon_resource(methods: dict[str, str], *, is_async: bool) -> object:
    def respond(name: str) -> Callable[..., Any]:
        def on_request(self: object, req: Any, resp: Any, **_: Any) -> None:
            served.append(name)

        async def on_request_async(self: object, req: Any, resp: Any, **_: Any) -> None:
            served.append(name)

        return on_request_async if is_async else on_request

    members = {f"on_{method.lower()}": respond(name) for method, name in methods.items()}
    if "on_get" in members:
        # Falcon has no HEAD of its own accord.
        members["on_head"] = members["on_get"]
    return type("Resource", (), members)()


def falcon_as_it_comes() -> falcon.App:
    app = falcon.App()
    for path, methods in by_path().items():
        app.add_route(falcon_path(path), _falcon_resource(methods, is_async=False))
    return app


def falcon_wsgi_app() -> falcon.App:
    app = falcon_as_it_comes()
    app.req_options.strip_url_path_trailing_slash = True
    return app
