"""One route of an application, and how the frameworks' spellings become templates."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from jwt_middleware.rules.templates import REST, Part, Rest, Template

ANY_METHOD = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
"""What is asked about where a framework hands every method to the same function."""

SOCKET = ("WEBSOCKET",)


@dataclass(frozen=True, slots=True)
class Route:
    """Some paths, the methods that are served there, and what serves them."""

    template: Template
    methods: tuple[str, ...]
    source: Any = None
    """The framework's own object."""


@dataclass(frozen=True, slots=True)
class Hole:
    """A parameter of a route."""

    expression: str | None = None
    """What it takes, as a regular expression; ``None`` for a whole segment, whatever it is."""
    spans: bool = False
    """Whether slashes may stand in it."""


Token = str | Hole

EVERYTHING = Hole(spans=True)

# A regular expression without these cannot match a slash.
_MAY_MATCH_A_SLASH = re.compile(r"[./]|\[\^|\\[DSW]")
_ONE_SEGMENT = re.compile(r"\[\^/\](\+|\{1,\})")


def hole_of(expression: str) -> Hole:
    """Return the hole that takes what a regular expression matches.

    Where it could match a slash, it is taken to match everything: more rules may then seem to
    decide, and never fewer.
    """
    if _ONE_SEGMENT.fullmatch(expression):
        return Hole()
    if "[^/]" not in expression and _MAY_MATCH_A_SLASH.search(expression.replace(r"\.", "")):
        return EVERYTHING
    return Hole(expression)


def template_of(text: str, tokens: Iterable[Token]) -> Template:
    """Return the template that a route's literal text and holes make, one after the other."""
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
    """Return what a segment is; nothing for an empty one, which no rule sees."""
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
