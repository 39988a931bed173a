"""Finds views that ask for a caller under a rule that reads no token.

A ``public`` rule looks at no token, so that such a view refuses every caller, or all its callers
are anonymous.
"""

import sys
from collections.abc import Iterable, Iterator
from typing import Any

from jwt_middleware.guard.integration import REFUSED, unread
from jwt_middleware.integrations.routes.route import Route
from jwt_middleware.request.guarded_views import required_by
from jwt_middleware.rules.analysis import RouteAnalysis

_ANONYMOUS = "its caller is always anonymous"


def warnings_on_callers(analysis: RouteAnalysis, routes: Iterable[Route]) -> Iterator[str]:
    """Yield a warning for each route that asks for a caller where a rule reads no token."""
    for route in routes:
        found: dict[tuple[str, str], list[str]] = {}
        # The view seldom answers OPTIONS: frameworks and CORS middleware do.
        for method in (each for each in route.methods if each != "OPTIONS"):
            if consequence := _consequence(route, method):
                for rule in _public_rules(analysis, route, method):
                    found.setdefault((rule, consequence), []).append(method)
        for (rule, consequence), methods in found.items():
            yield f"{', '.join(methods)} {route.template.text} {unread(rule, consequence)}"


def _public_rules(analysis: RouteAnalysis, route: Route, method: str) -> set[str]:
    rulings = analysis.rulings(method, route.template)
    return {ruling.rule for ruling in rulings if ruling.is_public}


def _consequence(route: Route, method: str) -> str:
    """Return what happens to the callers of a route; empty if it asks for none."""
    served = [part for view in route.views for part in _served_by(view, method)]
    if any(required_by(part) is not None or _is_locked_view_set(part) for part in served):
        return REFUSED
    dependant = getattr(route.source, "dependant", None)
    if dependant is None:
        return ""
    if any(required_by(each.call) is not None for each in _dependencies(dependant)):
        return REFUSED
    # What a whole router depends on may serve other routes. A parameter is for this one.
    named = (each.call for each in dependant.dependencies if each.name)
    return _ANONYMOUS if any(map(_returns_principal, named)) else ""


def _served_by(view: Any, method: str) -> Iterator[Any]:
    """Yield a view, and the method of its class that serves a method of HTTP."""
    yield view
    kind = view if isinstance(view, type) else getattr(view, "view_class", None)
    name = "get" if method == "HEAD" and not hasattr(kind, "head") else method.lower()
    if isinstance(kind, type):
        yield getattr(kind, name, None)


def _dependencies(dependant: Any) -> Iterator[Any]:
    for each in dependant.dependencies:
        yield each
        yield from _dependencies(each)


def _returns_principal(call: Any) -> bool:
    module = sys.modules.get("jwt_middleware.integrations.fastapi")
    return module is not None and isinstance(call, module.JWTBearer)


def _is_locked_view_set(view: Any) -> bool:
    """Return whether a view of Django REST framework asks for the caller of our middleware."""
    module = sys.modules.get("jwt_middleware.integrations.drf")
    is_one = isinstance(getattr(view, "cls", None), type)
    return module is not None and is_one and bool(module.needs_caller(view))
