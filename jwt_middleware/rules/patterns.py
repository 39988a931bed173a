"""Path patterns: exact, with one-segment parameters, or with everything below.

``/admin`` is that path. ``/users/{id}`` has a parameter, which matches one segment and never an
empty one. ``/admin/**`` is that path and all paths below. Patterns match whole segments, and case
counts.
"""

import re
from dataclasses import dataclass

from jwt_middleware.errors import ConfigurationError
from jwt_middleware.rules.paths import segments

_HOLE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
# Other routers write a parameter as <id>, <int:id>, :id, {id:int} or {id:path}. These are detected
# so that the error message can name the right spelling.
_FOREIGN_HOLE = re.compile(r"<(?:\w+:)?(\w+)>|^:(\w+)$|\{(\w+):[^}]*\}")
_NOT_IN_A_PATH = re.compile(r"[?#%\\;\x00-\x20\x7f^$()|]")


@dataclass(frozen=True, slots=True)
class Pattern:
    """A parsed pattern."""

    text: str
    parts: tuple[str | None, ...]
    """Segments; ``None`` for a parameter."""
    holes: tuple[tuple[str, int], ...]
    """Name and position of each parameter."""
    is_open: bool
    """Whether the pattern also matches everything below."""

    def captures(self, path: tuple[str, ...]) -> dict[str, str]:
        """Return the values of the parameters for a path that matches."""
        return {name: path[position] for name, position in self.holes}


def compile_pattern(text: str) -> Pattern:
    """Parse a pattern.

    :raises ConfigurationError: if the pattern is invalid; the message names the nearest valid one.
    """
    if not isinstance(text, str):
        raise ConfigurationError(
            f"pattern {text!r} must be text: write '/path', '/{{id}}' or '/a/**'"
        )
    if not text.startswith("/"):
        raise _wrong(text, "must begin with a slash", _without_regex(text))
    is_open = text.endswith("/**")
    names = segments(text.removesuffix("/**") if is_open else text)
    parts = tuple(_part(text, name) for name in names)
    holes = tuple(
        (name[1:-1], position)
        for position, (name, part) in enumerate(zip(names, parts, strict=True))
        if part is None
    )
    if len({name for name, _ in holes}) < len(holes):
        raise ConfigurationError(
            f"pattern {text!r} cannot have two parameters of one name: rename one"
        )
    return Pattern(text, parts, holes, is_open)


def _part(text: str, segment: str) -> str | None:
    if _HOLE.fullmatch(segment):
        return None
    if foreign := _FOREIGN_HOLE.search(segment):
        name = next(group for group in foreign.groups() if group)
        raise _wrong(
            text, "has another router's parameter syntax", text.replace(segment, f"{{{name}}}")
        )
    if "*" in segment:
        raise _wrong(text, "can have a star only in a final '/**'", _opened(text, segment))
    if "{" in segment or "}" in segment:
        raise _wrong(
            text, "has a brace: a parameter is a whole segment", text.replace(segment, "{name}")
        )
    if segment in {".", ".."} or _NOT_IN_A_PATH.search(segment):
        raise ConfigurationError(
            f"pattern {text!r} cannot have {segment!r}, which is in no decoded path: write plain "
            "text, '{name}' for a segment and a final '/**'; regular expressions do not work"
        )
    return segment


def _without_regex(text: str) -> str:
    """Return the path that a regular expression probably means."""
    path = text.removeprefix("^").removeprefix("\\A").removesuffix("$").removesuffix("\\Z")
    return re.sub(r"/?\.[*+]\Z", "/**", f"/{path.lstrip('/')}")


def _opened(text: str, segment: str) -> str:
    return text[: text.index(segment)] + "**"


def _wrong(text: str, fault: str, right: str) -> ConfigurationError:
    try:
        compile_pattern(right)
    except ConfigurationError:
        # It has another fault too, so it would be refused in turn.
        right = "/path"
    return ConfigurationError(f"pattern {text!r} {fault}: write {right!r}")
