"""Routes of a framework, as far as they say which paths they take.

A rule has patterns of its own spelling; a route may also have a hole of certain segments only
(``{id:int}``) and one that takes several (``{rest:path}``).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from jwt_middleware.rules.applications import Fold


class Rest(Enum):
    """A hole that takes any number of segments, also none."""

    REST = "/**"


REST = Rest.REST

Part = str | re.Pattern[str] | None
"""A segment: its name, what all of it must match, or ``None`` for any."""


@dataclass(frozen=True, slots=True)
class Template:
    """The paths of one route."""

    text: str
    """As its framework writes it."""
    parts: tuple[Part | Rest, ...]
    """Segment by segment, below whatever it is mounted at."""

    def expanded(self, depth: int) -> Iterable[tuple[Part, ...]]:
        """Yield the template once for each number of segments that tells paths apart.

        :param depth: how many segments the longest pattern names. What comes after is all the same.
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
    """Return the part of a template that begins as a pattern says; ``None`` if there is none.

    :param fold: gives one spelling to segments that count as the same.
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
    # A route that tells cases apart may take a name in another case than the rule's.
    return part is None or fold is not None or part.fullmatch(name) is not None


def abstract(parts: tuple[Part, ...]) -> tuple[str | None, ...]:
    """Return the names in it, and ``None`` for each segment that is left open."""
    return tuple(part if isinstance(part, str) else None for part in parts)
