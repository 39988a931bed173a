"""Reads the routes of Starlette and FastAPI: includes, mounts, hosts, classes, WebSockets."""

import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from starlette.endpoints import HTTPEndpoint
from starlette.routing import Host, Mount, WebSocketRoute
from starlette.routing import Route as HTTPRoute
from starlette.staticfiles import StaticFiles

from jwt_middleware.integrations.routes.route import (
    ANY_METHOD,
    EVERYTHING,
    SOCKET,
    Hole,
    Route,
    Token,
    hole_of,
    template_of,
)

_PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")


def routes_of(app: Any) -> Iterator[Route]:
    """Yield every route of a Starlette or FastAPI application."""
    yield from _below(app, "", [])


def _below(app: Any, text: str, prefix: list[Token]) -> Iterator[Route]:
    for each in _flat(app.routes):
        yield from _read(each, text, prefix)
    # FastAPI serves files from here if no route matches.
    if getattr(getattr(app, "router", app), "_low_priority_routes", ()):
        yield _everything(text, prefix, ("GET", "HEAD"), app)


def _flat(routes: Iterable[Any]) -> Iterable[Any]:
    """Return the routes, with included ones that newer FastAPI releases expand only on request."""
    # Not imported, because the module is loaded in every process that has a FastAPI application.
    expand = getattr(sys.modules.get("fastapi.routing"), "iter_route_contexts", None)
    return routes if expand is None else expand(routes)


def _read(each: Any, text: str, prefix: list[Token]) -> Iterator[Route]:
    route = getattr(each, "original_route", each)
    if isinstance(route, Host):
        yield from _inside(route.app, f"{text}//{route.host}", prefix, each)
    elif isinstance(route, Mount):
        tokens = [*prefix, *_tokens(each.path, each.param_convertors)]
        yield from _inside(route._base_app, text + each.path, tokens, each)  # noqa: SLF001
    elif isinstance(route, (HTTPRoute, WebSocketRoute)):
        tokens = [*prefix, *_tokens(each.path, each.param_convertors)]
        methods = SOCKET if isinstance(route, WebSocketRoute) else _methods(each)
        yield Route(template_of(text + each.path, tokens), methods, each, (route.endpoint,))
    else:
        # An unknown route class could serve every path and method below it.
        yield _everything(text, prefix, (*ANY_METHOD, *SOCKET), each)


def _inside(app: Any, text: str, prefix: list[Token], mount: Any) -> Iterator[Route]:
    if hasattr(app, "routes"):
        yield from _below(app, text, prefix)
    else:
        is_static = isinstance(app, StaticFiles)
        methods = ("GET", "HEAD") if is_static else (*ANY_METHOD, *SOCKET)
        yield _everything(text, prefix, methods, mount)


def _everything(text: str, prefix: list[Token], methods: tuple[str, ...], source: Any) -> Route:
    return Route(template_of(f"{text}/**", [*prefix, "/", EVERYTHING]), methods, source)


def _methods(route: Any) -> tuple[str, ...]:
    if route.methods:
        return tuple(sorted(route.methods))
    endpoint = route.endpoint
    if not (isinstance(endpoint, type) and issubclass(endpoint, HTTPEndpoint)):
        return ANY_METHOD
    served = {method for method in ANY_METHOD if hasattr(endpoint, method.lower())}
    return tuple(sorted(served | ({"HEAD"} if "GET" in served else set())))


def _tokens(path: str, convertors: dict[str, Any]) -> Iterator[Token]:
    end = 0
    for parameter in _PARAMETER.finditer(path):
        yield path[end : parameter.start()]
        yield _hole(convertors[parameter[1]])
        end = parameter.end()
    yield path[end:]


def _hole(convertor: Any) -> Hole:
    return hole_of(convertor.regex)
