"""The rule table: the first matching rule decides; without one, a valid token is required.

A look-up walks the segments of the path instead of the rules, so a thousand rules cost as much as
ten.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from jwt_middleware.errors import ConfigurationError
from jwt_middleware.logs import log_of
from jwt_middleware.principal import Principal
from jwt_middleware.rules.applications import UNKNOWN, Application, Fold, Segments, Step, fold_case
from jwt_middleware.rules.methods import SOCKET, Method, normal_method
from jwt_middleware.rules.paths import (
    place,
    raw_segments,
    readings,
    refuse_fragment,
    segments,
    with_empty_segments,
    with_fronts,
)
from jwt_middleware.rules.patterns import Pattern
from jwt_middleware.rules.requirements import (
    NO_CAPTURES,
    Authenticated,
    Has,
    Match,
    Not,
    every_part,
)
from jwt_middleware.rules.rule import NO_RULE, Rule
from jwt_middleware.rules.ruling import Decider, Ruling, ruling_of
from jwt_middleware.rules.templates import Part
from jwt_middleware.rules.tree import PatternTree

_log = log_of("jwt_middleware.rules")

# A service has a few hundred distinct short paths. Longer and rarer paths contain identifiers, for
# which a cache gains nothing over the walk of a few microseconds.
MEMO_ENTRIES = 2_048
MEMO_PATH_LENGTH = 256

# The limit of all cached rulings in bytes: twice the size of 2,048 ordinary ones.
MEMO_BYTES = 4 * 1024 * 1024


class Entry(NamedTuple):
    """A pattern of the table and its rule."""

    order: tuple[int, int]
    """The place of the rule in the table, and of the pattern in the rule."""
    rule: Rule
    pattern: Pattern


_Key = tuple[Method, str, str, bytes | None, Application, str]


class RuleTable:
    """The compiled rules of one guard."""

    def __init__(
        self,
        rules: Sequence[Rule] = (),
        prefixes: Sequence[str] = (),
        *,
        steps: Sequence[Step] = (),
        case_sensitive: bool = True,
    ) -> None:
        """
        :param rules: the rules, in the order in which they are tried.
        :param prefixes: mount points that the application may strip from a path.
        :param steps: further changes that the application's router may make to a path.
        :param case_sensitive: whether segments that differ only by case are different.
        :raises ConfigurationError: for a rule that can never decide a request.
        """
        self.rules = tuple(rules)
        self.prefixes = tuple(prefixes)
        """Mount points that the application may strip from a path."""
        self._steps = tuple(steps)
        self.fold = None if case_sensitive else fold_case
        """Maps equal segments to one spelling; ``None`` if only identical segments are equal."""
        self._tree: PatternTree[Entry] = PatternTree(self.fold)
        self._folded: dict[Fold, PatternTree[Entry]] = {}
        """The same entries for routers that treat more segments as equal."""
        self._memo: dict[_Key, Ruling] = {}
        self._memo_bytes = 0
        depths = (len(pattern.parts) for rule in self.rules for pattern in rule.patterns)
        self.depth = max(depths, default=0)
        """How many segments the longest pattern names."""
        for entry in self._entries():
            self._refuse_if_unreachable(entry)
            self._tree.add(entry.pattern, entry)
        for rule in self.rules:
            _warn_of_open_children(self, rule)
            _warn_of_mere_negation(rule)

    def _entries(self) -> Iterable[Entry]:
        for number, rule in enumerate(self.rules):
            for place_in_rule, pattern in enumerate(rule.patterns):
                yield Entry((number, place_in_rule), rule, pattern)

    @property
    def scopes(self) -> frozenset[str]:
        """Every scope that some rule requires."""
        parts = (part for rule in self.rules for part in every_part(rule.requires))
        asked = (part.names for part in parts if isinstance(part, Has) and part.kind == "scope")
        return frozenset().union(*asked)

    @property
    def is_open_by_default(self) -> bool:
        """Whether a rule opens all paths that no earlier rule names."""
        return any(
            rule.access != "protect" and not pattern.parts and pattern.is_open
            for rule in self.rules
            for pattern in rule.patterns
        )

    def ruling(
        self,
        method: Method,
        path: str,
        mount_point: str = "",
        raw_path: bytes | None = None,
        application: Application = UNKNOWN,
        *,
        inner_root: str = "",
    ) -> Ruling:
        """Return the ruling on a request.

        :param method: the method as sent, or ``SOCKET`` for a WebSocket.
        :param path: the path that the server passes on.
        :param mount_point: ``root_path`` or ``SCRIPT_NAME``.
        :param raw_path: the path before percent-escapes are decoded, if the server provides it.
        :param application: the description of the application that receives the request.
        :param inner_root: a prefix that the application may put in front of the path.
        :raises PathInvalid: if path or method cannot be read with certainty.
        """
        # The application is part of the key, because several integrations may share this table.
        key = (method, path, mount_point, raw_path, application, inner_root)
        known = self._memo.get(key)
        return self._rule_and_keep(key) if known is None else known

    def _rule_and_keep(self, key: _Key) -> Ruling:
        ruling = ruling_of(self._deciders(key))
        method, path, *_, inner_root = key
        letters = max(len(path) + len(inner_root), 0 if method is SOCKET else len(method))
        if letters <= MEMO_PATH_LENGTH:
            self._keep(key, ruling)
        return ruling

    def _keep(self, key: _Key, ruling: Ruling) -> None:
        weight = _weight(key, ruling)
        if len(self._memo) >= MEMO_ENTRIES or self._memo_bytes + weight > MEMO_BYTES:
            self._memo.clear()
            self._memo_bytes = 0
        if weight <= MEMO_BYTES:
            self._memo[key] = ruling
            # Two threads may add at once and lose one update; the next clear() resets the sum.
            self._memo_bytes += weight

    def _deciders(self, key: _Key) -> list[Decider]:
        """Return the decider of each reading of a request."""
        sent, path, mount_point, raw_path, application, inner_root = key
        method = normal_method(sent)
        steps = (*self._steps, *application.steps)
        prefixes = (*self.prefixes, *application.prefixes)
        trees = (self._tree, *map(self._folded_tree, application.folds))
        where = place(path, mount_point, application, self.prefixes)
        found: list[Decider] = []
        for each in _with_root(where.paths, inner_root):
            every = readings(each, prefixes, where.roots, steps)
            every = with_fronts(every, application.fronts, prefixes)
            found += [_decider(tree, method, reading) for tree in trees for reading in every]
            found += _where_nothing_fills_a_hole(trees, method, every)
        if where.whole is not None:
            every = readings(where.whole, prefixes, steps=steps)
            found += _by_name(trees, method, every)
        if isinstance(raw_path, bytes):
            refuse_fragment(raw_path)
            raw = list(raw_segments(raw_path, path, mount_point, application))
            found += [_decide(tree, method, one) for tree in trees for one in raw]
        return found

    def _folded_tree(self, fold: Fold) -> PatternTree[Entry]:
        tree = self._folded.get(fold)
        if tree is None:
            tree = PatternTree(fold)
            for entry in self._entries():
                tree.add(entry.pattern, entry)
            self._folded[fold] = tree
        return tree

    def decider(self, method: Method, reading: str) -> Decider:
        """Return the first rule that matches one reading of a path."""
        return _decider(self._tree, method, reading)

    def patterns_meeting(self, parts: tuple[Part, ...]) -> list[tuple[str | None, ...]]:
        """Return the parts of every pattern that matches some path of a route."""
        return [entry.pattern.parts for entry in self._tree.meeting(parts)]

    def patterns_naming(self, method: Method) -> list[tuple[str | None, ...]]:
        """Return the parts of every pattern whose rule names a method."""
        naming = (rule for rule in self.rules if rule.methods and method in rule.methods)
        return [pattern.parts for rule in naming for pattern in rule.patterns]

    def _refuse_if_unreachable(self, entry: Entry) -> None:
        number, rule, pattern = entry.order[0], entry.rule, entry.pattern
        earlier = [
            other for other in self._tree.matching(pattern.parts) if _is_wider(other, pattern)
        ]
        taken: set[Method] = set()
        for _, other, _ in earlier:
            if rule.methods is not None:
                taken |= _covered(other, rule.methods)
            if other.methods is None or (rule.methods is not None and rule.methods <= taken):
                raise ConfigurationError(
                    f"rule {number + 1}, {rule}: {pattern.text!r} can never decide, because "
                    f"{other} is before it: move it up, or remove it"
                )


def _with_root(paths: tuple[str, ...], inner_root: str) -> tuple[str, ...]:
    """Return the paths, and the same paths with the prefix that a router puts in front."""
    root = inner_root.lstrip("/")
    return (*paths, *(f"/{root}{path}" for path in paths)) if root else paths


_UNDECIDED = Decider(NO_RULE, NO_CAPTURES)


def _decider(tree: PatternTree[Entry], method: Method, reading: str) -> Decider:
    return _UNDECIDED if reading == "*" else _decide(tree, method, segments(reading))


def _decide(tree: PatternTree[Entry], method: Method, path: tuple[str, ...]) -> Decider:
    deciding = _first(tree, method, path)
    return _UNDECIDED if deciding is None else _decided(deciding, path)


def _decided(deciding: Entry, path: tuple[str, ...]) -> Decider:
    pattern = deciding.pattern
    match = Match(pattern.captures(path)) if pattern.holes else NO_CAPTURES
    return Decider(deciding.rule, match, pattern.text)


def _first(tree: PatternTree[Entry], method: Method, path: Segments) -> Entry | None:
    found = tree.matching(path)
    named = method is SOCKET and any(
        entry.rule.methods and method in entry.rule.methods for entry in found
    )
    first: Entry | None = None
    for entry in found:
        # The order counts within one rule too, because the pattern sets the parameter values.
        if (first is None or entry[0] < first[0]) and entry[1].covers(method, named=named):
            first = entry
    return first


def _where_nothing_fills_a_hole(
    trees: Iterable[PatternTree[Entry]], method: Method, every: Iterable[str]
) -> Iterable[Decider]:
    """Yield the deciders of paths in which an empty segment matches a parameter."""
    for reading in every:
        for path in with_empty_segments(reading):
            for tree in trees:
                if (decider := _decide(tree, method, path)) != _UNDECIDED:
                    yield decider


def _by_name(
    trees: Iterable[PatternTree[Entry]], method: Method, every: Iterable[str]
) -> Iterable[Decider]:
    """Yield the deciders whose pattern names the first segment of a path.

    A path with a mount point in front counts only for these rules, because a rule for any first
    segment was not written for the mount point.
    """
    for path in map(segments, every):
        for tree in trees:
            deciding = _first(tree, method, path)
            if deciding is not None and deciding.pattern.parts[:1] not in {(), (None,)}:
                yield _decided(deciding, path)


def _weight(key: _Key, ruling: Ruling) -> int:
    """Return an upper bound for the size of a cached ruling in bytes."""
    method, path, mount_point, raw_path, _, inner_root = key
    captured = [text for one in ruling.deciders for text in one.match.captures.values()]
    # A text has at most four bytes a letter. The other figures were measured: 1,000 for the entry
    # and the ruling, 500 for each decider and 100 for each text.
    letters = len(path) + len(mount_point) + len(inner_root) + sum(map(len, captured))
    letters += 0 if method is SOCKET else len(method)
    objects = 1_000 + 500 * len(ruling.deciders) + 100 * len(captured)
    return objects + 4 * letters + len(raw_path or b"")


def _is_wider(other: Entry, pattern: Pattern) -> bool:
    """Return whether ``other``, which matches the parts of ``pattern``, covers all its paths."""
    return other.pattern.is_open or not pattern.is_open


def _covered(rule: Rule, methods: frozenset[Method]) -> set[Method]:
    return {method for method in methods if rule.covers(method, named=method is SOCKET)}


def asks_for_more(rule: Rule) -> bool:
    """Return whether a rule requires more than a valid token."""
    return rule.access == "protect" and type(rule.requires) is not Authenticated


def _warn_of_open_children(table: RuleTable, rule: Rule) -> None:
    """Warn if a rule for ``/admin`` requires a grant and the paths below it require no token.

    If they require a valid token, that may be meant. Whether the application has such paths is
    known to ``coverage``, which warns then.
    """
    if rule.is_exact or not asks_for_more(rule):
        return
    for pattern in rule.patterns:
        method = min(rule.methods or {"GET"}, key=str)
        child = table.decider(method, "/".join(("", *(p or "_" for p in pattern.parts), "_"))).rule
        if not pattern.is_open and child.access != "protect":
            _log.warning(
                "%s covers only %r; the paths below it fall under %s: write %r to cover both, or "
                "exact=True if that is meant",
                rule,
                pattern.text,
                child,
                f"{pattern.text.rstrip('/')}/**",
            )


def _warn_of_mere_negation(rule: Rule) -> None:
    parts = list(every_part(rule.requires))
    nobody = Principal()
    holes = Match({name: "" for pattern in rule.patterns for name, _ in pattern.holes})
    if any(isinstance(part, Not) for part in parts) and rule.requires.judge(nobody, holes) is None:
        _log.warning("%s admits a token without any claims: add a requirement without ~", rule)
