"""One route of an application, and its template built from the framework's spelling."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from jwt_middleware.rules.templates import REST, Part, Rest, Template

ANY_METHOD = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
"""The methods of a route whose framework calls one function for every method."""

SOCKET = ("WEBSOCKET",)


@dataclass(frozen=True, slots=True)
class Route:
    """The template of a route, the methods that it serves, and the framework's own route."""

    template: Template
    methods: tuple[str, ...]
    source: Any = None
    """The framework's own route object."""
    views: tuple[Any, ...] = ()
    """The functions or classes that serve it, as the application has them."""


@dataclass(frozen=True, slots=True)
class Hole:
    """A parameter of a route."""

    expression: str | None = None
    """What the parameter matches, as a regular expression; ``None`` for any whole segment."""
    spans: bool = False
    """Whether the parameter may match slashes."""


Token = str | Hole

EVERYTHING = Hole(spans=True)

# A regular expression without these, and without a range around the slash, cannot match a slash.
_MAY_MATCH_A_SLASH = re.compile(r"[./]|\[\^|\\[DSWuUxN0-7]")
_RANGE = re.compile(r"(?=(.)-(.))")
_ONE_SEGMENT = re.compile(r"\[\^/\](\+|\{1,\})")


def hole_of(expression: str) -> Hole:
    """Return the parameter that matches what a regular expression matches.

    An expression that could match a slash is taken to match everything. More rules may then seem
    to decide a route, and never fewer.
    """
    if _ONE_SEGMENT.fullmatch(expression):
        return Hole()
    # Neither an escaped dot nor "any character but a slash" matches one.
    rest = expression.replace(r"\.", "").replace("[^/]", "")
    spans = any(first <= "/" <= last for first, last in _RANGE.findall(rest))
    return EVERYTHING if spans or _MAY_MATCH_A_SLASH.search(rest) else Hole(expression)


def template_of(text: str, tokens: Iterable[Token]) -> Template:
    """Return the template of a route from its literal texts and parameters, in order."""
    segment: list[Token] = []
    parts: list[Part | Rest] = []
    for token in tokens:
        first, *others = token.split("/") if isinstance(token, str) else [token]
        segment.append(first)
        for other in others:
            parts += _part(segment)
            segment = [other]
    return Template(text, tuple(parts + _part(segment)))


def _part(segment: list[Token]) -> list[Part | Rest]:
    """Return the part of a segment; empty for an empty segment, which rules ignore."""
    filled = [token for token in segment if token != ""]
    if not filled:
        return []
    if any(isinstance(token, Hole) and token.spans for token in filled):
        return [REST]
    if all(isinstance(token, str) for token in filled):
        return ["".join(str(token) for token in filled)]
    if filled == [Hole()]:
        return [None]
    return [re.compile("".join(_expression(token) for token in filled))]


def _expression(token: Token) -> str:
    if isinstance(token, str):
        return re.escape(token)
    return f"(?:{token.expression or '[^/]+'})"
