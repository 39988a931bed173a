"""Reads the routes of Flask and Quart, whose maps are alike: blueprints and WebSockets."""

import re
from collections.abc import Iterator
from typing import Any

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

_PARAMETER = re.compile(r"<(?:\w+(?:\([^>]*\))?:)?(\w+)>")


def routes_of(app: Any) -> Iterator[Route]:
    """Yield every route of the application's map."""
    for rule in app.url_map.iter_rules():
        methods = SOCKET if rule.websocket else tuple(sorted(rule.methods or ANY_METHOD))
        view = app.view_functions.get(rule.endpoint)
        yield Route(template_of(rule.rule, _tokens(rule)), methods, rule, (view,))


def _tokens(rule: Any) -> Iterator[Token]:
    converters = rule._converters  # noqa: SLF001 - Werkzeug has no public way
    end = 0
    for parameter in _PARAMETER.finditer(rule.rule):
        yield rule.rule[end : parameter.start()]
        yield _hole(converters[parameter[1]])
        end = parameter.end()
    yield rule.rule[end:]


def _hole(converter: Any) -> Hole:
    return hole_of(converter.regex) if converter.part_isolating else EVERYTHING
