"""Reads the routes of Django: includes, nested includes, function views and class views."""

import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.resolvers import LocalePrefixPattern, RegexPattern

from jwt_middleware.integrations.routes.route import (
    ANY_METHOD,
    EVERYTHING,
    Route,
    Token,
    hole_of,
    template_of,
)

_PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")
# A group without inner groups, an escaped character, or a literal character.
_PIECE = re.compile(r"\((?:\?P<\w+>|\?:)?([^()]*)\)(?![*+?{])|\\([^A-Za-z0-9])|([\w/ ,:;@~%&=!-])")


def routes_of(app: Any) -> Iterator[Route]:
    """Yield every route of a URL configuration, or of a handler, which uses that of the settings.

    :param app: what ``get_asgi_application()`` or ``get_wsgi_application()`` returns, or a module.
    """
    # ``Any``, because Django accepts a module but its types know only the name of one.
    urlconf: Any = app if isinstance(app, ModuleType) else None
    yield from _below(get_resolver(urlconf).url_patterns, "/", ["/"])


def _below(patterns: list[Any], text: str, prefix: list[Token]) -> Iterator[Route]:
    for each in patterns:
        path, tokens = text + str(each.pattern), [*prefix, *_tokens(each)]
        if isinstance(each, URLResolver):
            yield from _below(each.url_patterns, path, tokens)
        else:
            view = each.callback
            yield Route(template_of(path, tokens), _methods(view), each, (view,))


def _methods(view: Any) -> tuple[str, ...]:
    if actions := getattr(view, "actions", None):
        # A view set of Django REST framework maps methods to actions.
        return tuple(sorted({method.upper() for method in actions} | {"OPTIONS"}))
    kind = getattr(view, "view_class", None) or getattr(view, "cls", None)
    if kind is None:
        return ANY_METHOD
    served = {name.upper() for name in kind.http_method_names if hasattr(kind, name)}
    return tuple(sorted(served | ({"HEAD"} if "GET" in served else set())))


def _tokens(each: Any) -> Iterator[Token]:
    pattern = each.pattern
    if isinstance(pattern, LocalePrefixPattern):
        yield EVERYTHING
        yield "/"
    elif isinstance(pattern, RegexPattern):
        yield from _tokens_of_expression(str(pattern), is_last=isinstance(each, URLPattern))
    else:
        yield from _tokens_of_path(str(pattern), pattern.converters)


def _tokens_of_path(path: str, converters: dict[str, Any]) -> Iterator[Token]:
    end = 0
    for parameter in _PARAMETER.finditer(path):
        yield path[end : parameter.start()]
        yield hole_of(converters[parameter[1]].regex)
        end = parameter.end()
    yield path[end:]


def _tokens_of_expression(text: str, *, is_last: bool) -> Iterator[Token]:
    """Yield the literal text and the groups of an expression; the rest may match everything."""
    body = text.removeprefix("^").removesuffix("$").removesuffix(r"\Z")
    if not text.startswith("^") or "|" in re.sub(r"\([^()]*\)", "", body):
        yield EVERYTHING
        return
    end = 0
    for piece in _PIECE.finditer(body):
        if piece.start() != end:
            yield EVERYTHING
        group, escaped, plain = piece.groups()
        follows = body[piece.end() : piece.end() + 1]
        if follows in {"*", "+", "?", "{"}:
            yield EVERYTHING
        else:
            yield hole_of(group) if group is not None else escaped or plain
        end = piece.end()
    if end != len(body) or (is_last and not text.endswith(("$", r"\Z"))):
        yield EVERYTHING
