"""Path patterns: exact, with one-segment holes, or open below.

``/admin`` is that path; ``/users/{id}`` has a hole that takes one segment, never an empty one;
``/admin/**`` is that path and all below. Matching is by whole segments and knows no case folding.
"""

import re
from dataclasses import dataclass

from jwt_middleware.errors import ConfigurationError
from jwt_middleware.rules.paths import segments

_HOLE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
# Spellings of other routers for a hole: <id>, <int:id>, :id, {id:int}, {id:path}.
_FOREIGN_HOLE = re.compile(r"<(?:\w+:)?(\w+)>|^:(\w+)$|\{(\w+):[^}]*\}")
_NOT_IN_A_PATH = re.compile(r"[?#%\\;\x00-\x20\x7f^$()|]")


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern, taken apart."""

    text: str
    parts: tuple[str | None, ...]
    """Segments; ``None`` for a hole."""
    holes: tuple[tuple[str, int], ...]
    """Name and position of each hole."""
    is_open: bool
    """Whether everything below belongs to it."""

    def captures(self, path: tuple[str, ...]) -> dict[str, str]:
        """Return what stands in the holes of a path that matches."""
        return {name: path[position] for name, position in self.holes}


def compile_pattern(text: str) -> Pattern:
    """Return the pattern that ``text`` spells.

    :raises ConfigurationError: naming the pattern and the nearest right one.
    """
    if not isinstance(text, str):
        raise ConfigurationError(
            f"pattern {text!r} is not text: write '/path', '/{{id}}' or '/a/**'"
        )
    if not text.startswith("/"):
        raise _wrong(text, "does not begin with a slash", f"/{text}")
    is_open = text.endswith("/**")
    names = segments(text.removesuffix("/**") if is_open else text)
    parts = tuple(_part(text, name) for name in names)
    holes = tuple(
        (name[1:-1], position)
        for position, (name, part) in enumerate(zip(names, parts, strict=True))
        if part is None
    )
    if len({name for name, _ in holes}) < len(holes):
        raise ConfigurationError(f"pattern {text!r} has two holes of one name: rename one")
    return Pattern(text, parts, holes, is_open)


def _part(text: str, segment: str) -> str | None:
    if _HOLE.fullmatch(segment):
        return None
    if foreign := _FOREIGN_HOLE.search(segment):
        name = next(group for group in foreign.groups() if group)
        raise _wrong(
            text, "names a hole in another router's way", text.replace(segment, f"{{{name}}}")
        )
    if "*" in segment:
        raise _wrong(text, "has a star that is not a final '/**'", _opened(text, segment))
    if "{" in segment or "}" in segment:
        raise _wrong(
            text, "has a brace: a hole is a whole segment", text.replace(segment, "{name}")
        )
    if segment in {".", ".."} or _NOT_IN_A_PATH.search(segment):
        raise ConfigurationError(
            f"pattern {text!r} has {segment!r}, which is in no decoded path: a pattern is plain "
            "text, '{hole}' and a final '/**'; there are no regular expressions"
        )
    return segment


def _opened(text: str, segment: str) -> str:
    return text[: text.index(segment)] + "**"


def _wrong(text: str, fault: str, right: str) -> ConfigurationError:
    return ConfigurationError(f"pattern {text!r} {fault}: write {right!r}")
