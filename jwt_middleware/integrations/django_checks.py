"""The checks of a Django project that read its addresses, for ``manage.py check``."""

from collections.abc import Iterator
from typing import Any

from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as CheckWarning

from jwt_middleware.guard.guard import Guard
from jwt_middleware.integrations.exact_rules import warnings_on_exact_rules
from jwt_middleware.integrations.routes.django import routes_of
from jwt_middleware.integrations.unread_callers import warnings_on_callers
from jwt_middleware.request.guarded_views import bare_views
from jwt_middleware.rules.analysis import RouteAnalysis
from jwt_middleware.rules.applications import Application

_DJANGO = Application(("django",), paths_are_whole=False)


def mistakes_in_routes(guard: Guard) -> Iterator[CheckMessage]:
    """Yield the mistakes that views and rules show together."""
    routes = list(routes_of(None))
    views: list[Any] = [view for route in routes for view in route.views]
    for sentence, is_certain in bare_views(views):
        kind, number = (Error, "E004") if is_certain else (CheckWarning, "W006")
        hint = "Give the addresses the function that requires(...) returns."
        yield kind(f"{sentence}.", hint=hint, id=f"jwt_middleware.{number}")
    analysis = RouteAnalysis(guard.integration.rule_table, _DJANGO)
    for warning in warnings_on_callers(analysis, routes):
        yield CheckWarning(
            f"{warning}.",
            hint="A rule that reads no token knows no caller.",
            id="jwt_middleware.W007",
        )
    for warning in warnings_on_exact_rules(guard.integration.rule_table.rules, analysis, routes):
        yield CheckWarning(
            f"{warning}.",
            hint="A pattern without '/**' is one path.",
            id="jwt_middleware.W008",
        )
