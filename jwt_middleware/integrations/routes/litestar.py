"""Reads the routes of Litestar: controllers, routers, mounts and WebSockets."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from litestar.routes import ASGIRoute, HTTPRoute, WebSocketRoute

from jwt_middleware.integrations.routes.route import (
    ANY_METHOD,
    EVERYTHING,
    SOCKET,
    Hole,
    Route,
    Token,
    template_of,
)

# Matches all that ``int()`` reads, but not a word, so that a rule for a word is not taken to match.
_NUMBER = Hole(r"[+-]?[\d_]+")


def routes_of(app: Any) -> Iterator[Route]:
    """Yield every route of the application."""
    for route in app.routes:
        tokens = list(_tokens(route))
        if isinstance(route, ASGIRoute) and route.route_handler.is_mount:
            tokens += ["/", EVERYTHING]
        handlers = getattr(route, "route_handlers", None) or (route.route_handler,)
        views = tuple(handler.fn for handler in handlers)
        yield Route(template_of(route.path, tokens), _methods(route), route, views)


def _methods(route: Any) -> tuple[str, ...]:
    if isinstance(route, HTTPRoute):
        return tuple(sorted(str(method) for method in route.methods))
    return SOCKET if isinstance(route, WebSocketRoute) else (*ANY_METHOD, *SOCKET)


def _tokens(route: Any) -> Iterator[Token]:
    for component in route.path_components:
        yield "/"
        yield component if isinstance(component, str) else _hole(component.type)


def _hole(kind: Any) -> Hole:
    if kind is Path:
        return EVERYTHING
    return _NUMBER if kind is int else Hole()
