"""Which rules decide the paths of a route."""

import re
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jwt_middleware import ConfigurationError, Rule, has_role, optional, protect, public
from jwt_middleware.rules.analysis import RouteAnalysis
from jwt_middleware.rules.methods import named_method
from jwt_middleware.rules.rule import NO_RULE
from jwt_middleware.rules.table import RuleTable
from jwt_middleware.rules.templates import REST, Part, Rest, Template
from jwt_middleware.rules.tree import PatternTree

ONLY_A = re.compile("[ax]")
"""A hole that takes one of the names, and others that no rule has."""


def decided(table: RuleTable, method: str, template: Template) -> tuple[Rule, ...]:
    analysis = RouteAnalysis(table)
    return analysis.rules(analysis.rulings(method, template))


def deciding(rules: list[Rule], method: str, *parts: Part | Rest) -> tuple[Rule, ...]:
    return decided(RuleTable(rules), method, Template("/", parts))


def test_a_hole_may_be_a_name_of_the_rules() -> None:
    """``/users/{id}`` is also ``/users/me``, unless its segments are numbers."""
    me, one = public("/users/me"), protect("/users/{id}", requires=has_role("r"))

    assert deciding([me, one], "GET", "users", None) == (me, one)
    assert deciding([me, one], "GET", "users", re.compile("[0-9]+")) == (one,)
    assert deciding([me, one], "GET", "users", "me") == (me,)
    assert deciding([me, one], "GET", "users") == (NO_RULE,)


def test_the_rest_may_be_of_any_length() -> None:
    """Nothing, what a rule names, and what is deeper than any rule."""
    root, deep, below = public("/"), optional("/a/b/c"), protect("/a/**", requires=has_role("r"))

    assert deciding([root, deep, below], "GET", REST) == (root, deep, below, NO_RULE)
    assert deciding([root, deep, below], "GET", "a", REST) == (deep, below)
    assert deciding([root, deep, below], "GET", "a", REST, "c") == (deep, below)
    assert deciding([root, deep, below], "GET", "b", REST) == (NO_RULE,)
    assert deciding([root], "GET", REST) == (root, NO_RULE)
    assert deciding([root], "GET", REST, REST) == (root, NO_RULE)


def test_a_socket_falls_to_a_later_rule_where_another_names_it() -> None:
    """The rule for GET steps back at one path of the route only."""
    get = public("/a/{x}", methods=["GET"])
    every = optional("/a/**")
    named = protect("/{y}/7", methods=["WEBSOCKET"], requires=has_role("r"))

    assert deciding([get, every, named], "WEBSOCKET", "a", None) == (get, every)
    assert deciding([get, every, named], "GET", "a", None) == (get,)
    # Of the route without names, neither rule alone leads to the path where the last one does that.
    found = deciding([get, every, named], "WEBSOCKET", None, None)
    assert found == (get, every, named, NO_RULE)


def test_a_rule_for_sockets_elsewhere_changes_nothing() -> None:
    """One of another name, one that lies deeper, and one that the numbers of the route are not."""
    get = public("/a/{x}", methods=["GET"])
    elsewhere = [protect(path, methods=["WEBSOCKET"]) for path in ("/b", "/a/x/y", "/a/me")]

    number = re.compile("[0-9]+")

    assert deciding([*elsewhere, get], "WEBSOCKET", "a", number) == (get,)
    assert deciding([*elsewhere, get], "WEBSOCKET", "a", None) == (elsewhere[2], get)


segments = st.sampled_from(["a", "b", "{h}"])
methods = st.one_of(
    st.none(),
    st.lists(
        st.sampled_from(["GET", "HEAD", "POST", "WEBSOCKET"]), min_size=1, max_size=2, unique=True
    ),
)
rules = st.lists(
    st.tuples(st.lists(segments, max_size=3), st.booleans(), methods), min_size=1, max_size=6
)
templates = st.lists(st.sampled_from(["a", "b", None, ONLY_A, REST]), max_size=3).filter(
    lambda parts: parts.count(REST) <= 2
)


def table_of(drawn: list[tuple[list[str], bool, Any]]) -> RuleTable | None:
    made = []
    for names, is_open, of in drawn:
        texts = [f"{{h{place}}}" if name == "{h}" else name for place, name in enumerate(names)]
        made.append(protect("/" + "/".join(texts + ["**"] * is_open), methods=of))
    try:
        return RuleTable(made)
    except ConfigurationError:
        return None


def expression_of(parts: list[Any]) -> re.Pattern[str]:
    spelt = {None: "/[abx]", ONLY_A: "/[ax]", REST: "(/[abx])*"}
    return re.compile("".join(spelt.get(part, f"/{part}") for part in parts))


EVERY_PATH = [
    "".join(f"/{name}" for name in path) for n in range(7) for path in product("abx", repeat=n)
]


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(rules, templates, st.sampled_from(["GET", "HEAD", "POST", "WEBSOCKET", "PUT"]))
def test_exactly_the_rules_that_decide_some_path(
    drawn: list[Any], parts: list[Any], method: str
) -> None:
    """As asking for every path of the route tells, of up to six segments of three names."""
    if (table := table_of(drawn)) is None:
        return
    matches = expression_of(parts).fullmatch
    meant = named_method(method)
    asked = {table.decider(meant, path or "/").rule for path in EVERY_PATH if matches(path)}

    found = decided(table, method, Template("/", tuple(parts)))

    assert set(found) == asked
    assert len(found) == len(asked)
    assert [rule for rule in (*table.rules, NO_RULE) if rule in asked] == list(found)


def test_the_work_grows_with_what_the_route_meets_and_not_with_the_table(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A thousand rules beside the path are never looked at."""
    looked_at: list[object] = []
    table = RuleTable([public(f"/other/{number}/{{id}}") for number in range(1_000)])
    plain = PatternTree.matching

    def counting(tree: Any, path: Any) -> Any:
        looked_at.append(path)
        return plain(tree, path)

    monkeypatch.setattr(PatternTree, "matching", counting)

    assert decided(table, "GET", Template("/", ("mine", None))) == (NO_RULE,)
    assert len(looked_at) == 1
