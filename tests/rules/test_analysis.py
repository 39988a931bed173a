"""What the table says of a route is what it says of the requests to it, mounted or not."""

from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jwt_middleware import (
    ConfigurationError,
    Rule,
    has_role,
    optional,
    protect,
    public,
)
from jwt_middleware.rules.analysis import RouteAnalysis
from jwt_middleware.rules.applications import Application
from jwt_middleware.rules.methods import SOCKET, Method
from jwt_middleware.rules.rule import NO_RULE
from jwt_middleware.rules.table import RuleTable
from jwt_middleware.rules.templates import REST, Part, Rest, Template

ADMIN = protect("/api/admin/**", requires=has_role("admin"))
OPEN = public("/admin/**")


def combinations(table: RuleTable, application: Application, *parts: Part | Rest) -> set[Any]:
    analysis = RouteAnalysis(table, application)
    return {frozenset(r.rules) for r in analysis.rulings("GET", Template("/", tuple(parts)))}


def test_a_mounted_route_falls_under_the_rules_of_both_its_paths() -> None:
    """As a request does: the whole path counts, and what is below the mount point."""
    table = RuleTable([ADMIN, OPEN])
    mounted = Application(mount_points=["/api"])

    assert combinations(table, Application(), "admin", None) == {frozenset({OPEN})}
    assert combinations(table, mounted, "admin", None) == {
        frozenset({OPEN}),
        frozenset({ADMIN, OPEN}),
    }
    assert not table.ruling("GET", "/api/admin/1", application=mounted).is_public


def test_a_prefix_that_the_operator_names_is_a_mount_point_too() -> None:
    """Before FastAPI behind a proxy that strips nothing."""
    table = RuleTable([ADMIN], prefixes=["/api"])

    found = combinations(table, Application(), "admin", "users")

    assert found == {frozenset({NO_RULE}), frozenset({ADMIN, NO_RULE})}


def test_two_rules_may_decide_together_that_name_different_segments() -> None:
    """One goes by the whole path, the other by what is below the mount point."""
    whole, below = protect("/m/{one}/b"), protect("/a/{two}")
    table = RuleTable([whole, below], prefixes=["/m"])

    assert frozenset({whole, below}) in combinations(table, Application(), None, None)


def test_a_path_that_nobody_can_send_says_nothing() -> None:
    """A route with a dot segment is refused for every request."""
    assert combinations(RuleTable([public("/**")]), Application(), "..", "a") == set()


segments = st.sampled_from(["a", "b", "m", "{h}"])
rules = st.lists(
    st.tuples(
        st.sampled_from([public, optional, protect]),
        st.lists(segments, max_size=2),
        st.booleans(),
        st.sampled_from([None, ["GET"], ["POST"], ["WEBSOCKET"]]),
    ),
    min_size=1,
    max_size=5,
)
templates = st.lists(st.sampled_from(["a", "b", None, REST]), max_size=2).filter(
    lambda parts: parts.count(REST) <= 1
)
NAMES = {None: "abmx", "a": "a", "b": "b"}


def table_of(drawn: list[Any], prefixes: list[str]) -> RuleTable | None:
    made: list[Rule] = []
    for kind, names, is_open, methods in drawn:
        texts = [f"{{h{place}}}" if name == "{h}" else name for place, name in enumerate(names)]
        made.append(kind("/" + "/".join(texts + ["**"] * is_open), methods=methods))
    try:
        return RuleTable(made, prefixes)
    except ConfigurationError:
        return None


def paths_of(parts: list[Any]) -> list[str]:
    """Every path of a route of up to five segments of four names."""
    found: list[str] = []
    for extra in range(5):
        choices: list[str] = []
        for part in parts:
            choices += ["abmx"] * extra if part is REST else [NAMES[part]]
        found += ["/" + "/".join(path) for path in product(*choices)]
    return found


situations = st.tuples(
    st.sampled_from(["GET", "POST", "WEBSOCKET"]),
    st.sampled_from([[], ["/m"], ["/m", "/b"]]),
    st.booleans(),
    st.booleans(),
)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(rules, templates, situations)
def test_a_route_gets_what_some_request_to_it_gets(
    drawn: list[Any], parts: list[Any], situation: tuple[str, list[str], bool, bool]
) -> None:
    """And each request to it gets one of these: with and without mount points, on both faces."""
    method, mounts, are_own, is_asgi = situation
    table = table_of(drawn, [] if are_own else mounts)
    if table is None:
        return
    application = Application(mount_points=mounts if are_own else [], paths_are_whole=is_asgi)
    meant: Method = SOCKET if method == "WEBSOCKET" else method
    asked = set()
    for path in paths_of(parts):
        for sent, mount in [(path, ""), *[each for m in mounts for each in both(path, m, is_asgi)]]:
            ruling = table.ruling(meant, sent, mount, application=application)
            asked.add((frozenset(ruling.rules), ruling.is_public))

    found = RouteAnalysis(table, application).rulings(method, Template("/", tuple(parts)))

    assert {(frozenset(ruling.rules), ruling.is_public) for ruling in found} == asked


def both(path: str, mount: str, is_asgi: bool) -> list[tuple[str, str]]:
    return [(mount + path, ""), (mount + path if is_asgi else path, mount)]
