"""The rule table: patterns, methods, mistakes, and what decides."""

import gc
import logging
import sys
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwt_middleware import (
    ConfigurationError,
    Rule,
    authenticated,
    capture,
    has_claim,
    has_role,
    has_scope,
    optional,
    protect,
    public,
)
from jwt_middleware.rules.applications import Application
from jwt_middleware.rules.methods import SOCKET, named_method
from jwt_middleware.rules.paths import segments
from jwt_middleware.rules.patterns import Pattern
from jwt_middleware.rules.rule import NO_RULE
from jwt_middleware.rules.table import MEMO_BYTES, MEMO_ENTRIES, MEMO_PATH_LENGTH, RuleTable

MISTAKES: dict[str, tuple[Any, str]] = {
    "no slash": (lambda: public("api"), "write '/api'"),
    "no text": (lambda: public(1), "must be text"),  # type: ignore[arg-type]
    "one star": (lambda: public("/api/*"), "write '/api/**'"),
    "stars inside": (lambda: public("/a/**/b"), "write '/a/**'"),
    "a colon": (lambda: public("/users/:id"), "write '/users/{id}'"),
    "Flask's hole": (lambda: public("/users/<int:id>"), "write '/users/{id}'"),
    "Starlette's hole": (lambda: public("/users/{id:int}"), "write '/users/{id}'"),
    "half a segment": (lambda: public("/users/x{id}"), "a parameter is a whole segment"),
    "two of a name": (lambda: public("/{a}/{a}"), "two parameters of one name"),
    "a regular expression": (lambda: public("^/api$"), "write '/api'"),
    "all of Python's anchors": (lambda: public(r"\A/api\Z"), "write '/api'"),
    "a regular expression with an open end": (lambda: public("^/api/.*$"), "write '/api/**'"),
    "a prefix as a regular expression": (lambda: public("^api.*"), "write '/api/**'"),
    "any path": (lambda: public(".*"), "write '/**'"),
    "Django's group": (lambda: public(r"^users/(?P<id>\d+)/$"), "write '/path'"),
    "a group": (lambda: public("/(a|b)"), "regular expressions do not work"),
    "dots": (lambda: public("/a/../b"), "in no decoded path"),
    "methods as text": (lambda: public("/", methods="GET"), "must be a list"),
    "no methods": (lambda: public("/", methods=[]), "must be a list"),
    "lower case": (lambda: public("/", methods=["get"]), "write 'GET'"),
    "a typo": (lambda: public("/", methods=["PSOT"]), "did you mean 'POST'"),
    "a requirement as text": (lambda: protect("/", requires="admin"), "must have a requirement"),  # type: ignore[arg-type]
    "a hole that is not": (
        lambda: protect("/a/{b}", requires=has_claim("t", capture("c"))),
        "must name a parameter",
    ),
    "a word of optional": (lambda: optional("/", on_invalid="pass"), "'refuse' or 'anonymous'"),  # type: ignore[arg-type]
    "a rule twice": (lambda: RuleTable([public("/a"), protect("/a")]), "is before it"),
    "a rule below": (lambda: RuleTable([public("/**"), protect("/a")]), "is before it"),
    "a rule in a hole": (lambda: RuleTable([public("/{x}"), protect("/a")]), "is before it"),
    "methods together": (
        lambda: RuleTable(
            [
                public("/a", methods=["GET"]),
                public("/a", methods=["PUT"]),
                public("/a", methods=["PUT", "HEAD"]),
            ]
        ),
        "is before it",
    ),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_a_mistake_is_a_sentence_with_the_right_thing(kind: str) -> None:
    """At construction."""
    build, sentence = MISTAKES[kind]

    with pytest.raises(ConfigurationError) as mistake:
        build()

    assert sentence in str(mistake.value)


@pytest.mark.parametrize(
    "rules",
    [
        [public("/a"), protect("/a/**")],
        [public("/a", methods=["GET"]), protect("/a")],
        [public("/a"), protect("/{x}")],
        [public("/{x}"), protect("/{x}/**")],
        [public("/a", methods=["BREW"]), public("/a", methods=["GET", "BREW"])],
        [protect("/ws", methods=["GET"]), public("/ws", methods=["WEBSOCKET"])],
    ],
)
def test_a_rule_that_still_decides_something_may_stand(rules: list[Rule]) -> None:
    """Narrower before wider, methods apart."""
    assert RuleTable(rules).rules == tuple(rules)


def test_a_websocket_is_a_get_unless_it_is_named() -> None:
    """By whatever rule that matches."""
    get = public("/a", methods=["GET"])
    named = protect("/a", methods=["WEBSOCKET"])

    assert RuleTable([get]).decider(SOCKET, "/a").rule is get
    assert RuleTable([get, named]).decider(SOCKET, "/a").rule is named


def test_the_star_of_options_matches_nothing() -> None:
    """Not even everything."""
    table = RuleTable([public("/**")])

    assert table.decider("OPTIONS", "*").rule is NO_RULE
    assert not table.ruling("OPTIONS", "*").is_public
    assert table.ruling("GET", "/*").is_public
    assert table.ruling("GET", "").is_public


def test_every_reading_must_be_allowed() -> None:
    """Anonymous only where all readings admit it, requirements of all together."""
    table = RuleTable(
        [optional("/a/**", on_invalid="anonymous"), protect("/b", requires=has_role("r"))]
    )

    both = table.ruling("GET", "/b;/../a".replace("/../", "/x/")[:2] + ";x")

    assert table.ruling("GET", "/a/x").forgives_invalid
    assert [str(requirement) for requirement, _ in both.demands] == ["role r"]
    assert not both.admits_anonymous


def test_the_memory_of_paths_is_bounded() -> None:
    """It starts over when full, keeps no long path, and prefixes are told apart."""
    table = RuleTable([public("/a"), protect("/b")])
    for number in range(MEMO_ENTRIES + 1):
        table.ruling("GET", f"/{number}")
    table.ruling("GET", "/" + "x" * 300)

    assert len(table._memo) == 1
    mounted = Application(mount_points=["/m"])
    assert table.ruling("GET", "/m/a", application=mounted) is not table.ruling("GET", "/m/a")


ADMIN = protect("/admin", requires=has_role("a"))


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ([ADMIN, public("/**")], "write '/admin/**' to cover both"),
        ([ADMIN, optional("/admin/**")], "or exact=True if that is meant"),
        ([protect("/x/**", requires=~has_role("a"))], "without any claims"),
    ],
)
def test_rules_that_are_likely_a_slip_are_warned_of(
    rules: list[Rule], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    """In the log, at start-up."""
    with caplog.at_level(logging.WARNING):
        RuleTable(rules)

    assert words in caplog.text


@pytest.mark.parametrize(
    "rules",
    [
        [ADMIN],
        [ADMIN, protect("/**")],
        [protect("/admin", requires=has_role("a"), exact=True), public("/**")],
        [protect("/admin/**", requires=has_role("a")), public("/**")],
        [protect("/admin"), public("/**")],
    ],
)
def test_what_may_well_be_meant_is_not_warned_of(
    rules: list[Rule], caplog: pytest.LogCaptureFixture
) -> None:
    """A warning that people learn to ignore protects nobody."""
    with caplog.at_level(logging.WARNING):
        RuleTable(rules)

    assert caplog.text == ""


def test_children_with_a_rule_of_their_own_are_no_slip(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is said where the next rule asks for something too."""
    wider = protect("/admin/**", requires=has_scope("b") & ~has_role("c"))
    weaker = [protect("/a/x", requires=has_role("a"), methods=["PUT"]), public("/a/**")]
    with caplog.at_level(logging.WARNING):
        RuleTable([protect("/admin", requires=has_role("a")), wider])
    assert caplog.text == ""

    with caplog.at_level(logging.WARNING):
        RuleTable(weaker)
    assert "fall under public('/a/**')" in caplog.text


def test_a_rule_says_what_it_is() -> None:
    """As it was written."""
    rule = protect("/a/{b}", "/c", requires=has_scope("s"), methods=["GET"])

    assert str(rule) == "protect('/a/{b}', '/c', requires scope s, methods=['GET'])"
    assert RuleTable([rule]).ruling("GET", "/a/1").rule == str(rule)
    assert RuleTable([]).ruling("GET", "/").rule == "no rule: a valid token"
    assert str(protect("/a", requires=authenticated())) == "protect('/a')"


NAMES = st.sampled_from(["a", "b", "{x}", "c"])
PATTERNS = st.tuples(st.lists(NAMES, max_size=3, unique=True), st.booleans()).map(
    lambda drawn: "/" + "/".join(drawn[0]) + ("/**" if drawn[1] else "")
)
VERBS = st.sampled_from(["GET", "HEAD", "POST", "WEBSOCKET"])
METHODS = st.none() | st.sets(VERBS, min_size=1)


def matches(pattern: Pattern, path: tuple[str, ...]) -> bool:
    """Say it once more, slowly."""
    if len(path) < len(pattern.parts) or (len(path) > len(pattern.parts) and not pattern.is_open):
        return False
    return all(part in {None, name} for part, name in zip(pattern.parts, path, strict=False))


@given(
    drawn=st.lists(st.tuples(PATTERNS, METHODS), max_size=6),
    names=st.lists(st.sampled_from("abcd"), max_size=4),
    method=st.sampled_from(["GET", "HEAD", "POST"]),
)
def test_the_tree_decides_as_a_list_would(
    drawn: list[tuple[str, set[str] | None]], names: list[str], method: str
) -> None:
    """The first rule from the top that matches."""
    rules = [protect(pattern, methods=methods) for pattern, methods in drawn]
    try:
        table = RuleTable(rules)
    except ConfigurationError:
        return
    path = "/" + "/".join(names)
    found = [
        rule
        for rule in rules
        if matches(rule.patterns[0], segments(path)) and rule.covers(method, named=False)
    ]

    assert table.decider(method, path).rule is (found[0] if found else NO_RULE)


def test_the_first_pattern_of_a_rule_says_what_is_captured() -> None:
    """Where two patterns of one rule match, the one that was written first."""
    rule = protect("/{id}/x", "/a/{id}", requires=has_claim("sub", capture("id")) & has_scope("s"))

    assert RuleTable([rule]).decider("GET", "/a/x").match.captures == {"id": "a"}


def slowly(rules: list[Rule], method: str, path: tuple[str, ...]) -> tuple[Rule, dict[str, str]]:
    """Go through the rules and their patterns one after another."""
    rows = [(rule, p) for rule in rules for p in rule.patterns if matches(p, path)]
    named = [{str(name) for name in rule.methods or ()} for rule, _ in rows]
    stands_for = {"HEAD": {"HEAD", "GET"}, "WEBSOCKET": {"WEBSOCKET", "GET"}}.get(method, {method})
    is_named = any("WEBSOCKET" in names for names in named)
    spoken = {method} if method == "WEBSOCKET" and is_named else stands_for
    for (rule, pattern), names in zip(rows, named, strict=True):
        if rule.methods is None or names & spoken:
            return rule, pattern.captures(path)
    return NO_RULE, {}


@given(
    drawn=st.lists(st.tuples(st.lists(PATTERNS, min_size=1, max_size=2), METHODS), max_size=5),
    names=st.lists(st.sampled_from("abcd"), max_size=4),
    method=st.sampled_from(["GET", "HEAD", "POST", "WEBSOCKET"]),
)
def test_rules_of_several_patterns_decide_in_order_too(
    drawn: list[tuple[list[str], set[str] | None]], names: list[str], method: str
) -> None:
    """Rule and captures are those of a plain walk from top to bottom."""
    rules = [public(*patterns, methods=methods) for patterns, methods in drawn]
    try:
        table = RuleTable(rules)
    except ConfigurationError:
        return
    decider = table.decider(named_method(method), "/" + "/".join(names))

    assert (decider.rule, decider.match.captures) == slowly(rules, method, tuple(names))


MANY_HOLES = "/".join(f"{{h{number}}}" for number in range(40))
HOSTILE: dict[str, Any] = {
    "ordinary": lambda n: ("GET", f"/orders/{n}"),
    "long": lambda n: ("GET", f"/{n}".ljust(MEMO_PATH_LENGTH, "x")),
    "wide letters": lambda n: ("GET", f"/{n}".ljust(MEMO_PATH_LENGTH, "\U0001f600")),
    "many captures": lambda n: ("GET", "/holes/" + "/".join([f"{n:x}", *["\u00e9"] * 39])),
    "many readings": lambda n: ("GET", f"/{n}/a%25252525b;x/%5c%255cb;y".replace("%", "%25")),
    "long methods": lambda n: ("M" * 200 + str(n), "/"),
    "mounted": lambda n: ("GET", f"/{n}/holes/a", f"/{n}"),
    "raw": lambda n: ("GET", f"/{n}/a", "", b"/" + b"%2F" * 600 + str(n).encode()),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", HOSTILE)
def test_what_remembered_paths_weigh_is_bounded_whatever_they_are(kind: str) -> None:
    """By their bytes, not only by their number; measured."""
    table = RuleTable([public(f"/holes/{MANY_HOLES}"), public("/orders/**"), public("/{a}/**")])
    asked = [HOSTILE[kind](number) for number in range(MEMO_ENTRIES)]
    table.ruling("GET", "/warm")
    gc.collect()
    tracemalloc.start()
    try:
        for one in asked:
            # As a server hands them over: new each time.
            arguments: list[Any] = [part[:1] + part[1:] for part in one]
            table.ruling(*arguments)
        gc.collect()
        weight = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    texts = sum(sys.getsizeof(part) for key in table._memo for part in key[1:4] if part)

    assert weight + texts <= MEMO_BYTES
    assert table._memo


def test_what_alone_would_fill_the_memory_is_not_remembered() -> None:
    """A path is short; a mount point and a target are as long as a server lets them be."""
    table = RuleTable([public("/**")])

    table.ruling("GET", "/a", "/" + "m" * MEMO_BYTES)
    table.ruling("GET", "/a", "", b"/" + b"r" * MEMO_BYTES)

    assert not table._memo


def test_readings_that_fall_to_one_rule_ask_for_it_once() -> None:
    """Two readings, one rule; where they fall to two, both are asked."""
    rule = protect("/a/**", requires=has_scope("s"))
    table = RuleTable([rule, public("/b")])

    assert [decider.rule for decider in table.ruling("GET", "/a/%62").deciders] == [rule]
    assert [decider.rule for decider in table.ruling("GET", "/%61").deciders] == [NO_RULE, rule]


def test_a_hole_that_a_router_fills_with_nothing_is_judged_too() -> None:
    """Falcon serves ``/orgs//members`` as the members of an organisation without a name."""
    members = protect("/orgs/{org}/members", requires=has_role("auditor"))
    table = RuleTable([public("/orgs/{org}"), members, public("/a/b")])

    assert not table.ruling("GET", "/orgs//members").is_public
    assert table.ruling("GET", "/orgs//members").demands[0][0] == has_role("auditor")
    assert table.ruling("GET", "/orgs/members/").is_public
    # Where no hole is filled with nothing, a path may have as many slashes as it likes.
    assert table.ruling("GET", "//a//b//").is_public


def test_the_asterisk_is_also_a_path_of_one_segment() -> None:
    """Flask serves ``OPTIONS *`` where a route has a hole, so the rule of that hole counts too."""
    asking = protect("/{page}", requires=has_role("editor"))

    assert RuleTable([asking]).ruling("OPTIONS", "*").demands[0][0] == has_role("editor")
    assert not RuleTable([public("/**")]).ruling("OPTIONS", "*").is_public


def test_each_reading_has_to_admit_the_anonymous() -> None:
    """An optional rule opens nothing that another reading protects, and forgives nothing there."""
    rules = [protect("/b/**"), optional("/{any}", on_invalid="anonymous")]

    both = RuleTable(rules).ruling("GET", "/b\\x")

    assert {decider.rule for decider in both.deciders} == set(rules)
    assert not both.admits_anonymous
    assert not both.forgives_invalid
    assert RuleTable(rules).ruling("GET", "/c").admits_anonymous
    assert RuleTable(rules).ruling("GET", "/c").forgives_invalid


def test_one_reading_whose_rule_names_options_is_enough() -> None:
    """Then no preflight passes by itself."""
    table = RuleTable([protect("/b/**", methods=["OPTIONS"]), protect("/{any}")])

    assert table.ruling("OPTIONS", "/b\\x").names_options
    assert not table.ruling("OPTIONS", "/c").names_options


def test_a_long_method_is_not_remembered() -> None:
    """It is the client's to choose, as the path is."""
    table = RuleTable()

    table.ruling("M" * (MEMO_PATH_LENGTH + 1), "/")
    table.ruling("GET", "/".ljust(MEMO_PATH_LENGTH + 1, "x"))
    assert not table._memo
    table.ruling("M" * MEMO_PATH_LENGTH, "/".ljust(MEMO_PATH_LENGTH, "x"))
    assert len(table._memo) == 1
