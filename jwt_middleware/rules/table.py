"""The rule table: the first rule that matches decides, and where none does, a valid token is asked.

Patterns stand in a tree of segments, so that a look-up walks the path and not the table: a thousand
rules cost what ten cost.
"""

import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Literal

from jwt_middleware.errors import ConfigurationError
from jwt_middleware.principal import Principal
from jwt_middleware.rules.paths import normal_method, readings, segments, with_empty_segments
from jwt_middleware.rules.patterns import Pattern, compile_pattern
from jwt_middleware.rules.requirements import (
    NO_CAPTURES,
    Authenticated,
    Capture,
    Has,
    HasClaim,
    Match,
    Not,
    Requirement,
    every_part,
)
from jwt_middleware.rules.templates import Part, Template, abstract, narrow

_log = logging.getLogger("jwt_middleware.rules")

Access = Literal["public", "optional", "protect"]

# A service answers a few hundred distinct short paths; past that, identifiers vary and the walk
# (a few microseconds) is as good. 2,048 of 256 characters stay under 2 MB.
MEMO_ENTRIES = 2_048
MEMO_PATH_LENGTH = 256

_KNOWN_METHODS = [
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "QUERY",
    "WEBSOCKET",
    "PROPFIND",
    "REPORT",
]


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One line of the table."""

    access: Access
    patterns: tuple[Pattern, ...]
    methods: frozenset[str] | None
    requires: Requirement
    on_invalid: str = "refuse"
    _words: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_words", self._in_words())

    def _in_words(self) -> str:
        if not self.patterns:
            return "no rule: a valid token"
        paths = ", ".join(repr(pattern.text) for pattern in self.patterns)
        asks = "" if type(self.requires) is Authenticated else f", requires {self.requires}"
        methods = "" if self.methods is None else f", methods={sorted(self.methods)}"
        return f"{self.access}({paths}{asks}{methods})"

    def __str__(self) -> str:
        return self._words

    def covers(self, method: str, *, named: bool) -> bool:
        """Return whether the rule speaks of ``method``.

        :param named: for WebSockets: some matching rule names them, so that GET no longer does.
        """
        if self.methods is None or method in self.methods:
            return True
        # A HEAD is a GET without the body (RFC 9110 §9.3.2); a WebSocket opens with a GET.
        stands_for_get = method == "HEAD" or (method == "WEBSOCKET" and not named)
        return stands_for_get and "GET" in self.methods


NO_RULE = Rule("protect", (), None, Authenticated())


def public(pattern: str, *more: str, methods: Collection[str] | None = None) -> Rule:
    """Let everybody pass; no token is looked at.

    :param pattern: ``/path``, ``/with/{hole}`` or ``/below/**``.
    :param methods: the methods it speaks of, in upper case; all if left out.
    :raises ConfigurationError: for a pattern or method that cannot match.
    """
    return _rule("public", (pattern, *more), methods, Authenticated())


def optional(
    pattern: str,
    *more: str,
    methods: Collection[str] | None = None,
    on_invalid: Literal["refuse", "anonymous"] = "refuse",
) -> Rule:
    """Let a request without a token pass as anonymous, and one with a good token as its owner.

    :param on_invalid: what becomes of a bad token: it is refused, or passes as anonymous with its
        code in ``principal.refusal``.
    :raises ConfigurationError: for a pattern or method that cannot match.
    """
    if on_invalid not in ("refuse", "anonymous"):
        raise ConfigurationError(
            f"optional(on_invalid={on_invalid!r}): write 'refuse' or 'anonymous'"
        )
    return _rule("optional", (pattern, *more), methods, Authenticated(), on_invalid)


def protect(
    pattern: str,
    *more: str,
    requires: Requirement | None = None,
    methods: Collection[str] | None = None,
) -> Rule:
    """Ask for a valid token, and for what ``requires`` says.

    :param requires: such as ``has_scope("orders:read")``; a valid token if left out.
    :raises ConfigurationError: for a pattern, method or requirement that cannot work.
    """
    requirement = Authenticated() if requires is None else requires
    if not isinstance(requirement, Requirement):
        raise ConfigurationError(
            f"protect({pattern!r}, requires={requires!r}): that is no requirement, "
            "such as has_scope('orders:read')"
        )
    return _rule("protect", (pattern, *more), methods, requirement)


def _rule(
    access: Access,
    texts: tuple[str, ...],
    methods: Collection[str] | None,
    requires: Requirement,
    on_invalid: str = "refuse",
) -> Rule:
    patterns = tuple(compile_pattern(text) for text in texts)
    for part in every_part(requires):
        if isinstance(part, HasClaim) and isinstance(part.value, Capture):
            _check_capture(patterns, part.value.name)
    return Rule(access, patterns, _methods(texts[0], methods), requires, on_invalid)


def _check_capture(patterns: Iterable[Pattern], name: str) -> None:
    for pattern in patterns:
        known = [hole for hole, _ in pattern.holes]
        if name not in known:
            raise ConfigurationError(
                f"capture({name!r}): pattern {pattern.text!r} has no such hole; it has {known}"
            )


def _methods(pattern: str, methods: Collection[str] | None) -> frozenset[str] | None:
    if methods is None:
        return None
    if isinstance(methods, str) or not isinstance(methods, Collection) or not methods:
        raise ConfigurationError(
            f"rule {pattern!r}: methods={methods!r} must be a list such as ['GET', 'POST']"
        )
    for method in methods:
        if not isinstance(method, str) or method not in _KNOWN_METHODS:
            _check_method(pattern, method)
    return frozenset(methods)


def _check_method(pattern: str, method: object) -> None:
    upper = str(method).upper()
    if not isinstance(method, str) or method != upper or not method.isalpha():
        raise ConfigurationError(
            f"rule {pattern!r}: method {method!r} is not in upper case: write {upper!r}"
        )
    if near := get_close_matches(upper, _KNOWN_METHODS, n=1, cutoff=0.75):
        raise ConfigurationError(
            f"rule {pattern!r}: method {method!r} is not known: did you mean {near[0]!r}?"
        )


Entry = tuple[tuple[int, int], Rule, Pattern]
"""A pattern in the tree, with its rule, the place of that in the table and its own in the rule."""

_Abstract = tuple[str | None, ...]
"""Segments of a path; ``None`` for one that no pattern names."""


class _Node:
    """One place in the tree of patterns."""

    __slots__ = ("below", "here", "hole", "names")

    def __init__(self) -> None:
        self.names: dict[str, _Node] = {}
        self.hole: _Node | None = None
        self.here: list[Entry] = []
        self.below: list[Entry] = []


@dataclass(frozen=True, slots=True)
class Decider:
    """The rule that decides one reading of a path, and how the path fell under it."""

    rule: Rule
    match: Match


@dataclass(frozen=True, slots=True, eq=False)
class Ruling:
    """What the table says of one request: the rules of all readings together."""

    deciders: tuple[Decider, ...]
    rule: str
    """The rule of the path as sent, in words."""
    is_public: bool
    admits_anonymous: bool
    forgives_invalid: bool
    demands: tuple[tuple[Requirement, Match], ...]
    """What a principal must meet beyond a valid token."""
    names_options: bool
    """Whether a deciding rule speaks of OPTIONS by name."""


def _ruling(deciders: tuple[Decider, ...]) -> Ruling:
    is_public = admits_anonymous = forgives_invalid = True
    names_options = False
    demands = []
    for decider in deciders:
        rule = decider.rule
        names_options |= rule.methods is not None and "OPTIONS" in rule.methods
        if rule.access == "public":
            continue
        is_public = False
        admits_anonymous &= rule.access == "optional"
        forgives_invalid &= rule.on_invalid == "anonymous"
        if type(rule.requires) is not Authenticated:
            demands.append((rule.requires, decider.match))
    return Ruling(
        deciders,
        str(deciders[0].rule),
        is_public,
        admits_anonymous,
        forgives_invalid,
        tuple(demands),
        names_options,
    )


_Key = tuple[str, str, tuple[str, ...], str]


class RuleTable:
    """The compiled rules of one guard."""

    def __init__(self, rules: Sequence[Rule] = (), prefixes: Sequence[str] = ()) -> None:
        """
        :param rules: in the order in which they are asked.
        :param prefixes: mount points that the application may strip from a path.
        :raises ConfigurationError: for a rule that can never decide anything.
        """
        self.rules = tuple(rules)
        self._prefixes = tuple(prefixes)
        self._root = _Node()
        self._memo: dict[_Key, Ruling] = {}
        depths = (len(pattern.parts) for rule in self.rules for pattern in rule.patterns)
        self._depth = max(depths, default=0)
        for number, rule in enumerate(self.rules):
            self._add(number, rule)
        for rule in self.rules:
            _warn_of_open_children(self, rule)
            _warn_of_mere_negation(rule)

    @property
    def scopes(self) -> frozenset[str]:
        """Every scope that some rule asks for."""
        parts = (part for rule in self.rules for part in every_part(rule.requires))
        asked = (part.names for part in parts if isinstance(part, Has) and part.kind == "scope")
        return frozenset().union(*asked)

    def ruling(
        self, method: str, path: str, prefixes: tuple[str, ...] = (), root: str = ""
    ) -> Ruling:
        """Return what decides a request.

        :param method: as sent, or ``WEBSOCKET``.
        :param path: as the wrapped application receives it.
        :param prefixes: more mount points, of the application at hand.
        :param root: see :func:`~jwt_middleware.rules.paths.readings`.
        :raises PathInvalid: if path or method cannot be read with certainty.
        """
        # Two faces may share this table and differ in their prefixes: they are part of the key.
        key = (method, path, prefixes, root)
        known = self._memo.get(key)
        return self._rule_and_keep(key) if known is None else known

    def _rule_and_keep(self, key: _Key) -> Ruling:
        method, path, prefixes, root = key
        upper = normal_method(method)
        every = readings(path, (*self._prefixes, *prefixes), root)
        deciders = [self.decider(upper, reading) for reading in every]
        deciders += self._where_nothing_fills_a_hole(upper, every)
        if len(deciders) > 1:
            deciders = [one for place, one in enumerate(deciders) if one not in deciders[:place]]
        ruling = _ruling(tuple(deciders))
        if len(path) <= MEMO_PATH_LENGTH and len(method) <= MEMO_PATH_LENGTH:
            if len(self._memo) >= MEMO_ENTRIES:
                self._memo.clear()
            self._memo[key] = ruling
        return ruling

    def decider(self, method: str, reading: str) -> Decider:
        """Return the first rule that matches one reading of a path."""
        return _UNDECIDED if reading == "*" else self._decider(method, segments(reading))

    def _where_nothing_fills_a_hole(self, method: str, every: Iterable[str]) -> Iterable[Decider]:
        """Yield what decides where an empty segment stands in a hole, if any rule has one there."""
        for reading in every:
            for path in with_empty_segments(reading):
                if (decider := self._decider(method, path)) != _UNDECIDED:
                    yield decider

    def _decider(self, method: str, path: tuple[str, ...]) -> Decider:
        deciding = self._first(method, path)
        if deciding is None:
            return _UNDECIDED
        _, rule, pattern = deciding
        return Decider(rule, Match(pattern.captures(path)) if pattern.holes else NO_CAPTURES)

    def _first(self, method: str, path: _Abstract) -> Entry | None:
        found = self._candidates(path)
        named = method == "WEBSOCKET" and any(
            rule.methods and method in rule.methods for _, rule, _ in found
        )
        first: Entry | None = None
        for entry in found:
            # Of two patterns of one rule the first counts too: it says what stands in the holes.
            if (first is None or entry[0] < first[0]) and entry[1].covers(method, named=named):
                first = entry
        return first

    def deciding(self, method: str, template: Template) -> tuple[Rule, ...]:
        """Return every rule that decides some path of a route, in the order of the table.

        One that asks for nothing but a valid token stands last where no rule decides.

        :param method: in upper case, or ``WEBSOCKET``.
        """
        found: dict[int, Rule] = {}
        for parts in template.expanded(self._depth):
            for path in self._representatives(method, parts):
                first = self._first(method, path)
                number, rule = (first[0][0], first[1]) if first else (len(self.rules), NO_RULE)
                found[number] = rule
        return tuple(found[number] for number in sorted(found))

    def _representatives(self, method: str, parts: tuple[Part, ...]) -> Iterable[_Abstract]:
        """Return paths of which one is decided by each rule that decides any of these.

        A rule that decides a path decides that too in which every segment its pattern leaves open
        is one that no pattern names, because fewer others match there. WebSockets have a second
        way: the rules for GET step back where another rule names WEBSOCKET.
        """
        met = [pattern.parts for _, _, pattern in self._meeting(parts)]
        found = {narrowed for other in met if (narrowed := narrow(parts, other)) is not None}
        found.add(parts)
        if method == "WEBSOCKET":
            naming = [
                pattern.parts
                for rule in self.rules
                if rule.methods and method in rule.methods
                for pattern in rule.patterns
            ]
            narrower = (narrow(one, other) for one in tuple(found) for other in naming)
            found.update(one for one in narrower if one is not None)
        return {abstract(one) for one in found}

    def _meeting(self, parts: tuple[Part, ...]) -> list[Entry]:
        """Return every rule with a pattern that matches some path of these parts."""
        nodes = [self._root]
        found = list(self._root.below)
        for part in parts:
            nodes = [child for node in nodes for child in _met(node, part)]
            for node in nodes:
                found += node.below
        for node in nodes:
            found += node.here
        return found

    def _candidates(self, path: _Abstract) -> list[Entry]:
        """Return every rule whose pattern matches; ``None`` in ``path`` matches only holes."""
        nodes = [self._root]
        found = list(self._root.below)
        for segment in path:
            # A loop in place of calls: a path that was not seen before takes this walk.
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

    def _add(self, number: int, rule: Rule) -> None:
        for place, pattern in enumerate(rule.patterns):
            self._refuse_if_unreachable(number, rule, pattern)
            node = self._root
            for part in pattern.parts:
                node = _child(node, part)
            entries = node.below if pattern.is_open else node.here
            entries.append(((number, place), rule, pattern))

    def _refuse_if_unreachable(self, number: int, rule: Rule, pattern: Pattern) -> None:
        earlier = [
            entry for entry in self._candidates(pattern.parts) if _is_wider(entry[2], pattern)
        ]
        taken: set[str] = set()
        for _, other, _ in earlier:
            if other.methods is None or (
                rule.methods is not None
                and rule.methods <= (taken := taken | _covered(other, rule.methods))
            ):
                raise ConfigurationError(
                    f"rule {number + 1}, {rule}: {pattern.text!r} can never decide, because "
                    f"{other} stands before it: move it up, or remove it"
                )


_UNDECIDED = Decider(NO_RULE, NO_CAPTURES)


def _met(node: _Node, part: Part) -> Iterable[_Node]:
    if isinstance(part, str):
        named = [node.names[part]] if part in node.names else []
    else:
        every = node.names.items()
        named = [child for name, child in every if part is None or part.fullmatch(name)]
    return [*named, node.hole] if node.hole else named


def _child(node: _Node, part: str | None) -> _Node:
    if part is not None:
        return node.names.setdefault(part, _Node())
    node.hole = node.hole or _Node()
    return node.hole


def _is_wider(other: Pattern, pattern: Pattern) -> bool:
    """Return whether ``other``, which matches the parts of ``pattern``, matches all it matches."""
    return other.is_open or not pattern.is_open


def _covered(rule: Rule, methods: frozenset[str]) -> set[str]:
    return {method for method in methods if rule.covers(method, named=method == "WEBSOCKET")}


def _warn_of_open_children(table: RuleTable, rule: Rule) -> None:
    """Warn where ``/admin`` asks for more than what lies below it."""
    if rule.access != "protect" or type(rule.requires) is Authenticated:
        return
    for pattern in rule.patterns:
        method = min(rule.methods or {"GET"})
        child = table.decider(method, "/".join(("", *(p or "_" for p in pattern.parts), "_")))
        asks_more = (
            child.rule.access == "protect" and type(child.rule.requires) is not Authenticated
        )
        if not pattern.is_open and not asks_more:
            _log.warning(
                "%s speaks of %r alone; what lies below it falls to %s: write %r to cover both",
                rule,
                pattern.text,
                "no rule and needs only a valid token" if child.rule is NO_RULE else child.rule,
                f"{pattern.text.rstrip('/')}/**",
            )


def _warn_of_mere_negation(rule: Rule) -> None:
    parts = list(every_part(rule.requires))
    nobody = Principal()
    if (
        any(isinstance(part, Not) for part in parts)
        and rule.requires.judge(nobody, NO_CAPTURES) is None
    ):
        _log.warning("%s is met by a token that says nothing at all: add what must be there", rule)
