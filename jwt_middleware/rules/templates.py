"""Templates: the paths that a framework's routes match.

A rule has patterns with a syntax of their own. A route may also have a parameter that matches only
certain segments (``{id:int}``), or one that matches several (``{rest:path}``).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from jwt_middleware.rules.applications import Fold


class Rest(Enum):
    """The type of :data:`REST`, a parameter that matches any number of segments, even zero."""

    REST = "/**"


REST = Rest.REST

Part = str | re.Pattern[str] | None
"""A segment: its name, an expression that the whole segment matches, or ``None`` for any."""


@dataclass(frozen=True, slots=True)
class Template:
    """The paths of one route."""

    text: str
    """The route in its framework's syntax."""
    parts: tuple[Part | Rest, ...]
    """The segments of the route, below its mount point."""

    def expanded(self, depth: int) -> Iterable[tuple[Part, ...]]:
        """Yield the template once for each number of segments that a pattern can distinguish.

        :param depth: the number of segments of the longest pattern; later segments do not matter.
        """
        rests = sum(part is REST for part in self.parts)
        fixed = len(self.parts) - rests
        for length in range(fixed, fixed + rests * (depth + 1) + 1):
            yield from _of_length(self.parts, length)


def _of_length(parts: tuple[Part | Rest, ...], length: int) -> Iterable[tuple[Part, ...]]:
    head: list[Part] = []
    for place, part in enumerate(parts):
        if isinstance(part, Rest):
            for width in range(length - place + 1):
                for tail in _of_length(parts[place + 1 :], length - place - width):
                    yield (*head, *[None] * width, *tail)
            return
        head.append(part)
    if len(head) == length:
        yield tuple(head)


def narrow(
    parts: tuple[Part, ...], pattern: tuple[str | None, ...], fold: Fold | None = None
) -> tuple[Part, ...] | None:
    """Return the template limited to paths that match a pattern; ``None`` if no path does.

    :param fold: maps equal segments to one spelling.
    """
    if len(pattern) > len(parts):
        return None
    found = list(parts)
    for place, name in enumerate(pattern):
        if name is not None:
            if not _admits(parts[place], name, fold):
                return None
            found[place] = name
    return tuple(found)


def _admits(part: Part, name: str, fold: Fold | None) -> bool:
    if isinstance(part, str):
        return part == name or (
            fold is not None and fold((part,), is_whole=False) == fold((name,), is_whole=False)
        )
    # With a fold, the route's expression may match the name in another case than the rule's.
    return part is None or fold is not None or part.fullmatch(name) is not None


def abstract(parts: tuple[Part, ...]) -> tuple[str | None, ...]:
    """Return the names of the segments, with ``None`` for each open segment."""
    return tuple(part if isinstance(part, str) else None for part in parts)
