"""Lists the rule that decides each route of an application, and the rules that decide no route.

An application calls it in its own tests, so that a new route cannot be public by mistake.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

from jwt_middleware.asgi.middleware import JWTMiddleware
from jwt_middleware.errors import ConfigurationError
from jwt_middleware.guard.guard import Guard
from jwt_middleware.integrations.exact_rules import lies_under, warnings_on_exact_rules
from jwt_middleware.integrations.routes.route import ANY_METHOD, EVERYTHING, Route, template_of
from jwt_middleware.integrations.standing import warnings_on_standing
from jwt_middleware.integrations.unread_callers import warnings_on_callers
from jwt_middleware.logs import log_of
from jwt_middleware.request.applications import described, shown, wrapped
from jwt_middleware.request.guarded_views import bare_views, name_of
from jwt_middleware.rules.analysis import RouteAnalysis
from jwt_middleware.rules.applications import Application
from jwt_middleware.rules.patterns import compile_pattern
from jwt_middleware.rules.rule import Rule
from jwt_middleware.rules.templates import Template
from jwt_middleware.wsgi import JWTWSGIMiddleware

_log = log_of("jwt_middleware")

_HEADINGS = ("methods", "path", "falls under", "asks for")


@dataclass(frozen=True, slots=True)
class CoveredRoute:
    """The methods of one route that are decided by the same rules."""

    methods: tuple[str, ...]
    path: str
    """The path as the framework spells it."""
    rules: tuple[Rule, ...]
    """The rules that decide some path of the route, in the order of the table; usually one.

    For a mounted application they include the rules of the whole path and of the path below the
    mount point.
    """
    template: Template
    is_public: bool
    """Whether some path of the route is served without checking the token."""

    @property
    def asks(self) -> tuple[str, ...]:
        """The requirement of each of the rules, as text."""
        return tuple(_asks(rule) for rule in self.rules)

    def __str__(self) -> str:
        lines = [f"{', '.join(self.methods)} {self.path}"]
        for rule, asks in zip(self.rules, self.asks, strict=True):
            lines += [f"  falls under  {rule}", f"  asks for     {asks}"]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Coverage:
    """Every route with its rules. ``str()`` is a table."""

    routes: tuple[CoveredRoute, ...]
    unused: tuple[Rule, ...]
    """The rules that decide no route."""
    warnings: tuple[str, ...] = ()
    """What is probably a mistake. Each is logged as well."""

    def __str__(self) -> str:
        lines = list(_aligned([_HEADINGS, *(row for route in self.routes for row in _rows(route))]))
        if self.unused:
            lines += ["", "rules that decide no route:", *(f"  {rule}" for rule in self.unused)]
        if self.warnings:
            lines += ["", "warnings:", *(f"  {warning}" for warning in self.warnings)]
        return "\n".join(lines)


def coverage(guard: Guard, app: Any) -> Coverage:
    """Return the rule of a guard that decides each route of an application.

    :param app: an application of Starlette, FastAPI, Litestar, Flask or Quart, or one of Django's
        handlers or URL configurations. It may be wrapped in the middleware.
    :raises ConfigurationError: if its routes cannot be read.
    """
    routes = [*routes_of(app), *_mounted(app)]
    analysis = analysis_of(guard, app)
    covered = [line for route in routes for line in _covered(analysis, route)]
    used = {rule for line in covered for rule in line.rules}
    unused = tuple(rule for rule in guard.integration.rule_table.rules if rule not in used)
    warnings = (
        *warnings_on_standing(guard, app),
        *_without_requirement(routes),
        *warnings_on_callers(analysis, routes),
        *warnings_on_exact_rules(guard.integration.rule_table.rules, analysis, routes),
    )
    for warning in warnings:
        _log.warning("%s", warning)
    return Coverage(tuple(covered), unused, warnings)


def analysis_of(guard: Guard, app: Any) -> RouteAnalysis:
    """Return the analysis of an application's routes under the rules of a guard."""
    return RouteAnalysis(guard.integration.rule_table, _application(app))


def _without_requirement(routes: Iterable[Route]) -> Iterator[str]:
    """Yield a warning for each view that is registered without the ``requires`` above it."""
    return (sentence for sentence, _ in bare_views(view for each in routes for view in each.views))


def assert_no_public_routes_except(covered: Coverage, *exceptions: str) -> None:
    """Raise ``AssertionError`` if a route is public and is not among the exceptions.

    A route under ``optional`` is not public, because a token that a client sends is verified there.

    :param exceptions: paths as the framework spells them, or patterns as rules have them, such as
        ``/health`` and ``/docs/**``.
    :raises ConfigurationError: for a pattern that cannot match.
    """
    allowed = [compile_pattern(text) for text in exceptions if text not in _paths(covered)]
    found = [
        str(route)
        for route in covered.routes
        if route.is_public
        and route.path not in exceptions
        and not any(lies_under(route.template, pattern) for pattern in allowed)
    ]
    if found:
        raise AssertionError(
            "these routes are public, and not among the exceptions:\n" + "\n".join(found)
        )


def routes_of(app: Any) -> Iterable[Route]:
    """Return the routes of an application, read by its own framework.

    :raises ConfigurationError: if the framework is not one that can be read.
    """
    inner = _unwrapped(app)
    for framework in _frameworks(inner):
        if framework in _READERS:
            # Imported late, because an application rarely has all of these frameworks installed.
            reader = import_module(f"{__package__}.routes.{_READERS[framework]}")
            routes: Iterable[Route] = reader.routes_of(inner)
            return routes
    raise ConfigurationError(
        f"coverage cannot read the routes of {name_of(type(app))}: give "
        "it the application itself, of Starlette, FastAPI, Flask, Quart, Django or Litestar"
    )


def _mounted(app: Any) -> Iterator[Route]:
    """Yield a route for what Werkzeug's dispatchers in front of an application mount elsewhere."""
    for each in wrapped(app):
        mounts = getattr(each, "mounts", None)
        for mount_point in mounts if isinstance(mounts, Mapping) else ():
            # What is mounted may be anything, also the same application once more.
            template = template_of(f"{mount_point}/**", [mount_point, "/", EVERYTHING])
            yield Route(template, ANY_METHOD, each)


_READERS = {
    "starlette": "starlette",
    "fastapi": "starlette",
    "flask": "flask",
    "quart": "flask",
    "django": "django",
    "litestar": "litestar",
}

# Attributes of applications and of Django's URL configurations that middleware around them lacks.
_MARKS = ("routes", "url_map", "urlpatterns", "resolve_request")


def _unwrapped(app: Any) -> Any:
    """Return the application inside middleware that exposes what it wraps."""
    while app is not None and not any(hasattr(app, mark) for mark in _MARKS):
        is_ours = isinstance(app, (JWTMiddleware, JWTWSGIMiddleware))
        app = app._app if is_ours else getattr(app, "app", None)  # noqa: SLF001
    return app


def _application(app: Any) -> Application:
    """Return what the ASGI or WSGI middleware would know of the application."""
    return described(app, paths_are_whole=not _is_wsgi(app))


def _is_wsgi(app: Any) -> bool:
    inner = _unwrapped(app)
    return isinstance(app, JWTWSGIMiddleware) or "flask" in _frameworks(inner)


def _frameworks(app: Any) -> Iterator[str]:
    """Yield the packages that the application's class and its bases come from."""
    if isinstance(app, ModuleType) and hasattr(app, "urlpatterns"):
        yield "django"
    modules = (str(shown(kind, "__module__")) for kind in type(app).__mro__)
    yield from (module.partition(".")[0] for module in modules)


def _covered(analysis: RouteAnalysis, route: Route) -> Iterator[CoveredRoute]:
    """Yield the methods of a route, grouped by the rules that decide them."""
    lines: dict[tuple[Rule, ...], CoveredRoute] = {}
    for method in sorted(route.methods):
        rulings = analysis.rulings(method, route.template)
        rules = analysis.rules(rulings)
        is_public = any(ruling.is_public for ruling in rulings)
        known = lines.get(rules)
        methods = (*(known.methods if known else ()), method)
        lines[rules] = CoveredRoute(methods, route.template.text, rules, route.template, is_public)
    yield from lines.values()


def _asks(rule: Rule) -> str:
    if rule.access == "public":
        return "nothing"
    return "a valid token, or none" if rule.access == "optional" else str(rule.requires)


def _rows(route: CoveredRoute) -> Iterator[tuple[str, ...]]:
    first = (", ".join(route.methods), route.path)
    for rule, asks in zip(route.rules, route.asks, strict=True):
        yield (*first, str(rule), asks)
        first = ("", "")


def _aligned(rows: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def _paths(covered: Coverage) -> set[str]:
    return {route.path for route in covered.routes}
