"""Requirements: how they judge, combine, explain themselves, and what would cure them."""

from copy import copy, deepcopy
from pickle import dumps, loads
from typing import Any

import pytest

from jwt_middleware import (
    Claims,
    ConfigurationError,
    Principal,
    Refusal,
    Requirement,
    all_of,
    any_of,
    authenticated,
    capture,
    has_claim,
    has_permission,
    has_role,
    has_scope,
)
from jwt_middleware.principal import ANONYMOUS
from jwt_middleware.rules.requirements import Match, missing_scopes
from jwt_middleware.rules.roles import RoleHierarchy

ALICE = Principal(
    subject="alice",
    scopes=frozenset({"a", "b"}),
    roles=frozenset({"r"}),
    permissions=frozenset({"p"}),
    claims=Claims(
        {"n": 1, "t": True, "list": ["x", {"y": [1.0]}], "none": None, "id": 7, "ids": ["7", 8]}
        | {"object": {"a": 1, "b": 2}}
    ),
)
MATCH = Match({"hole": "7", "eight": "8"})


@pytest.mark.parametrize(
    ("requirement", "is_met"),
    [
        (authenticated(), True),
        (has_scope("a", "b"), True),
        (has_scope("a", "c"), False),
        (has_role("r"), True),
        (has_permission("q"), False),
        (has_scope("c") | has_role("r"), True),
        (has_scope("c") | has_role("s"), False),
        (has_scope("a") & has_role("s"), False),
        (has_scope("a") & has_role("r") & has_permission("p"), True),
        (~has_scope("c"), True),
        (~has_scope("a"), False),
        (has_claim("n"), True),
        (has_claim("missing"), False),
        (~has_claim("missing", value=True), True),
        (has_claim("n", 1.0), True),
        (has_claim("n", value=True), False),
        (has_claim("t", 1), False),
        (has_claim("t", value=True), True),
        (has_claim("none", None), True),
        (has_claim("list", "x"), True),
        (has_claim("list", {"y": [1]}), True),
        (has_claim("list", ["x", {"y": [1]}]), True),
        (has_claim("list", ["x"]), False),
        (has_claim("list", {"y": [1, 2]}), False),
        (has_claim("list", {"z": [1]}), False),
        (has_claim("list", {"y": [True]}), False),
        (has_claim("list", ["x", {"y": [2]}]), False),
        (has_claim("list", ["z", "x"]), False),
        (has_claim("list", 7), False),
        (has_claim("object", {"a": 1, "b": 2}), True),
        (has_claim("object", {"a": 1, "b": 3}), False),
        (has_claim("object", {"a": True, "b": 2}), False),
        (has_claim("id", capture("hole")), True),
        (has_claim("ids", capture("eight")), True),
        (has_claim("n", capture("hole")), False),
    ],
    ids=str,
)
def test_a_requirement_judges(requirement: Requirement, is_met: bool) -> None:
    """As JSON, as sets, as a hole of the path."""
    refusal = requirement.judge(ALICE, MATCH)

    assert (refusal is None) == is_met
    if refusal is not None:
        assert refusal.detail


@pytest.mark.parametrize("requirement", [authenticated(), ~has_role("x"), has_scope("a")])
def test_the_anonymous_meet_nothing(requirement: Requirement) -> None:
    """Not even a negation."""
    assert requirement.judge(ANONYMOUS, MATCH) is not None


def test_a_requirement_is_neither_true_nor_false() -> None:
    """``and`` would silently drop one side."""
    with pytest.raises(TypeError, match=r"& \| ~"):
        bool(has_scope("a"))


def test_a_requirement_speaks() -> None:
    """In the words of the table."""
    asked = (has_scope("b", "a") & ~has_claim("x.y", 1)) | has_claim("z")

    assert str(asked) == "(scope a and b and (not (claim x.y = 1))) or claim z"
    assert str(has_claim("t", capture("tenant"))) == "claim t = {tenant}"
    assert str(authenticated()) == "a valid token"


@pytest.mark.parametrize(
    ("requirement", "scopes"),
    [
        (has_scope("c", "a"), "a c"),
        (has_scope("c") & has_scope("d"), "c d"),
        (has_scope("c") & has_role("s"), ""),
        (has_role("s") | has_scope("c"), "c"),
        (has_role("s"), ""),
        (has_permission("c"), ""),
        (has_scope("c") | has_scope("d"), "c"),
        ((has_scope("c") | has_scope("d")) & has_scope("e"), "c e"),
        ((has_scope("c") & has_role("s")) | (has_scope("d") & has_role("r")), "d"),
        (~has_scope("a"), ""),
        (has_scope("c") & ~has_scope("c"), ""),
    ],
    ids=str,
)
def test_only_scopes_that_would_help_are_named(requirement: Requirement, scopes: str) -> None:
    """And none where more is missing."""
    assert " ".join(sorted(missing_scopes(requirement, ALICE, MATCH))) == scopes


@pytest.mark.parametrize(
    "build",
    [
        has_scope,
        has_role,
        any_of,
        all_of,
        lambda: has_scope("a b"),
        lambda: has_scope("\u00e9"),
        lambda: has_scope('a"b'),
        lambda: has_scope("a\\b"),
        lambda: has_role(["a"]),  # type: ignore[arg-type]
        lambda: has_permission(""),
        lambda: all_of("a"),  # type: ignore[arg-type]
        lambda: has_claim(""),
    ],
)
def test_a_requirement_that_asks_for_nothing_is_refused(build: Any) -> None:
    """With the call in the sentence."""
    with pytest.raises(ConfigurationError):
        build()


def test_roles_bring_others_with_them() -> None:
    """Through several steps; a role may list itself, and a diamond is no cycle."""
    roles = RoleHierarchy({"a": ["b", "c", "a"], "b": ["d"], "c": ["d"]})

    assert roles.expand(frozenset({"a"})) == {"a", "b", "c", "d"}
    assert roles.expand(frozenset({"d"})) == {"d"}
    assert roles.expand(frozenset()) == frozenset()
    assert RoleHierarchy().expand(frozenset({"x"})) == {"x"}
    with pytest.raises(ConfigurationError, match="a -> b -> a"):
        RoleHierarchy({"a": ["b"], "b": ["a"]})


def test_parts_of_one_kind_are_joined() -> None:
    """However they were combined, each part stands once; other kinds stay whole."""
    a, b, c = has_scope("a"), has_scope("b"), has_scope("c")

    assert all_of(a & b, c).parts() == (a, b, c)
    assert any_of(a, b | c).parts() == (a, b, c)
    assert (a & (b | c)).parts() == (a, b | c)
    assert a.parts() == ()


@pytest.mark.parametrize("value", [None, True, 1.5, [None], {}])
def test_only_text_and_whole_numbers_name_a_piece_of_the_path(value: Any) -> None:
    """``null`` is not the hole that is missing, nor is ``true`` the text ``True``."""
    principal = Principal("alice", claims=Claims({"tenant": value}))
    requirement = has_claim("tenant", capture("tenant"))

    assert requirement.judge(principal, Match({"tenant": str(value)})) is not None


UNKNOWN_HOLES: list[Requirement] = [
    has_claim("blocked", capture("tenent")),
    ~has_claim("blocked", capture("tenent")),
    ~~has_claim("blocked", capture("tenent")),
    has_role("a") | ~has_claim("blocked", capture("tenent")),
    ~(has_role("a") & has_claim("blocked", capture("tenent"))),
    ~any_of(has_role("b"), has_claim("id", capture("tenent"))),
]


@pytest.mark.parametrize("requirement", UNKNOWN_HOLES, ids=str)
@pytest.mark.parametrize("claims", [{}, {"blocked": "acme"}, {"blocked": None}])
def test_a_hole_that_is_not_there_is_an_error_and_no_refusal(
    requirement: Requirement, claims: dict[str, Any]
) -> None:
    """A refusal would turn into an admission under ``~``."""
    principal = Principal("alice", claims=Claims(claims))

    with pytest.raises(ConfigurationError, match=r"capture\('tenent'\).*it has \['tenant'\]"):
        requirement.judge(principal, Match({"tenant": "acme"}))


class Broken(Requirement):
    """A requirement that could not be judged, as its own service is down."""

    def judge(self, principal: Principal, match: Match) -> Refusal | None:
        return Refusal(code="entitlements_unavailable", status=503)


def test_what_could_not_be_judged_is_not_met_under_not_either() -> None:
    """A 503 is passed on, however often it is negated."""
    for requirement in (Broken(), ~Broken(), ~~Broken()):
        refusal = requirement.judge(Principal("alice"), Match({}))
        assert refusal is not None
        assert refusal.status == 503


def test_requirements_that_were_copied_judge_as_before() -> None:
    """What stands for an absent value stays itself; a copy of it would admit everybody under ``~``."""
    suspended = Principal("alice", claims=Claims({"suspended": 0, "n": [1, {"a": None}]}))
    nobody = Principal("bob")
    made = [
        ~has_claim("suspended"),
        has_claim("n", {"a": None}) & ~has_claim("missing", None),
        any_of(has_scope("a"), has_role("b"), has_permission("c"), authenticated()),
        has_claim("t", capture("t")),
    ]
    for requirement in made:
        for copied in (copy(requirement), deepcopy(requirement), loads(dumps(requirement))):
            assert copied == requirement
            for who in (suspended, nobody):
                assert copied.judge(who, Match({"t": "x"})) == requirement.judge(
                    who, Match({"t": "x"})
                )


def test_a_value_is_told_as_it_was_written() -> None:
    """In the same words in every process, where a rule is named by them."""
    asked = has_claim("list", ["x", {"y": 1}])

    assert str(asked) == "claim list = ['x', {'y': 1}]"
    assert str(has_claim("id", capture("id"))) == "claim id = {id}"
