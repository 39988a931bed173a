"""A tree of patterns by segment, so that a look-up walks the path instead of the rules."""

from collections.abc import Iterable
from typing import Generic, TypeVar

from jwt_middleware.rules.applications import Fold, Segments
from jwt_middleware.rules.patterns import Pattern
from jwt_middleware.rules.templates import Part

Item = TypeVar("Item")


class _Node(Generic[Item]):
    """A node of the tree."""

    __slots__ = ("below", "here", "hole", "names")

    def __init__(self) -> None:
        self.names: dict[str, _Node[Item]] = {}
        self.hole: _Node[Item] | None = None
        self.here: list[Item] = []
        self.below: list[Item] = []


class PatternTree(Generic[Item]):
    """Finds the items whose patterns match a path."""

    def __init__(self, fold: Fold | None = None) -> None:
        """:param fold: maps equal segments to one spelling; without it, only identical match."""
        self._fold = fold
        self._root: _Node[Item] = _Node()

    def add(self, pattern: Pattern, item: Item) -> None:
        """Add an item at the node of its pattern."""
        node = self._root
        parts = pattern.parts
        for part in (
            parts if self._fold is None else self._fold(parts, is_whole=not pattern.is_open)
        ):
            node = _child(node, part)
        (node.below if pattern.is_open else node.here).append(item)

    def matching(self, path: Segments) -> list[Item]:
        """Return every item whose pattern matches; ``None`` in ``path`` matches only parameters."""
        if self._fold is not None:
            path = self._fold(path, is_whole=True)
        nodes = [self._root]
        found = list(self._root.below)
        for segment in path:
            # A loop instead of calls, because every path without a cached ruling takes this walk.
            children = []
            for node in nodes:
                if segment is not None and (child := node.names.get(segment)) is not None:
                    children.append(child)
                    found += child.below
                if node.hole is not None:
                    children.append(node.hole)
                    found += node.hole.below
            if not children:
                return found
            nodes = children
        for node in nodes:
            found += node.here
        return found

    def meeting(self, parts: tuple[Part, ...]) -> list[Item]:
        """Return every item with a pattern that matches some path of a template."""
        nodes = [self._root]
        found = list(self._root.below)
        for part in parts:
            nodes = [child for node in nodes for child in self._met(node, part)]
            for node in nodes:
                found += node.below
        for node in nodes:
            found += node.here
        return found

    def _met(self, node: _Node[Item], part: Part) -> Iterable[_Node[Item]]:
        if isinstance(part, str):
            name = part if self._fold is None else self._fold((part,), is_whole=False)[0]
            named = [node.names[name]] if name in node.names else []
        else:
            every = node.names.items()
            named = [
                child
                for name, child in every
                # A folded name may have lost the case that the route's expression requires.
                if part is None or self._fold is not None or part.fullmatch(name)
            ]
        return [*named, node.hole] if node.hole else named


def _child(node: _Node[Item], part: str | None) -> _Node[Item]:
    if part is not None:
        return node.names.setdefault(part, _Node())
    node.hole = node.hole or _Node()
    return node.hole
