"""The rules of refresh families, each case of the table, and every order of a few presentations."""

import ast
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise, permutations
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwt_middleware.issuing import families, family, family_bytes
from jwt_middleware.issuing.families import (
    Again,
    Family,
    FamilyTerms,
    Generation,
    Outcome,
    Refused,
    Successor,
    begun,
    burnt,
    presented,
)

NOW = 1_800_000_000.0
HOUR = 3_600.0
GRACE = 5.0
TERMS = FamilyTerms(refresh_lifetime=HOUR, family_lifetime=10 * HOUR, grace=GRACE)
NO_GRACE = replace(TERMS, grace=0.0)
SHORT = FamilyTerms(refresh_lifetime=6.0, family_lifetime=12.0, grace=GRACE)


def login(terms: FamilyTerms = TERMS, now: float = NOW) -> Family:
    return begun("s", "ada", "t0", now, terms, {"amr": ["pwd"]}, {"name": "Laptop"})


def present(
    family: Family, token: Generation, now: float, terms: FamilyTerms = TERMS
) -> tuple[Family, Outcome]:
    """Present a token. Its successor would be named after its number."""
    return presented(family, token.jti, token.expires_at, now, terms, f"t{family.generation + 1}")


def used(times: int, terms: FamilyTerms = TERMS) -> tuple[Family, list[Generation]]:
    """Return a family that was refreshed so often, a minute apart, and all tokens that it had."""
    family = login(terms)
    tokens = [family.newest]
    for each in range(1, times + 1):
        family, _ = present(family, tokens[-1], NOW + 60 * each, terms)
        tokens.append(family.newest)
    return family, tokens


# The table.


def test_a_login_begins_a_family() -> None:
    """F9, F12: it has the id, the subject and what the login said, and no predecessor."""
    assert login() == Family(
        sid="s",
        subject="ada",
        created_at=NOW,
        ends_at=NOW + 10 * HOUR,
        generation=0,
        newest=Generation("t0", NOW, NOW + HOUR),
        last_used_at=NOW,
        login={"amr": ["pwd"]},
        device={"name": "Laptop"},
    )


def test_a_family_keeps_its_own_copy_of_the_login() -> None:
    """F12: what the application does to its dictionaries later does not change the family."""
    said, device = {"acr": "1"}, {"name": "Laptop"}
    family = begun("s", "ada", "t0", NOW, TERMS, said, device)
    said["acr"] = device["name"] = "2"

    assert (family.login, family.device) == ({"acr": "1"}, {"name": "Laptop"})


def test_the_newest_gets_a_successor() -> None:
    """Row 1: it becomes the predecessor, and all that the login said stays (F12)."""
    family, outcome = present(login(), login().newest, NOW + 60.5)

    successor = Generation("t1", NOW + 60, NOW + 60 + HOUR)
    assert outcome == Successor(successor)
    assert family == replace(
        login(),
        generation=1,
        newest=successor,
        previous=families.Predecessor("t0", NOW + 60.5),
        last_used_at=NOW + 60.5,
    )


def test_a_hundred_tabs_get_one_successor() -> None:
    """F1: row 2; the family is the same object, so that nothing is written."""
    family, first = present(login(), login().newest, NOW)
    assert isinstance(first, Successor)

    for tab in range(99):
        after, outcome = presented(
            family, "t0", NOW + HOUR, NOW + tab * 0.05, TERMS, f"not used {tab}"
        )
        assert outcome == Again(first.generation)
        assert after is family


@pytest.mark.parametrize("step", [-4.999, -0.001, 0.0, 4.999])
def test_inside_the_grace(step: float) -> None:
    """Row 2, strictly inside; a store's clock that is set back by less does not sign out."""
    family, tokens = used(1)

    assert present(family, tokens[0], NOW + 60 + step) == (family, Again(family.newest))


@pytest.mark.parametrize("step", [-60.0, -GRACE, GRACE, 5.001, 60.0])
def test_outside_the_grace(step: float) -> None:
    """Row 3, on the boundary and after it; a clock that is set back does not lengthen the grace."""
    family, tokens = used(1)
    now = NOW + 60 + step

    after, outcome = present(family, tokens[0], now)

    assert outcome == Refused("refresh_reused")
    assert after == replace(family, burnt_at=now, burnt_because="refresh_reused")


def test_without_a_grace_every_reuse_burns() -> None:
    """Row 3 with ``grace=0``: even at the instant of the exchange."""
    family, tokens = used(1, NO_GRACE)

    after, outcome = present(family, tokens[0], NOW + 60, NO_GRACE)

    assert outcome == Refused("refresh_reused")
    assert after.burnt_because == "refresh_reused"


def test_after_the_newest_was_presented_there_is_no_grace() -> None:
    """Row 3: its successor has taken its place."""
    family, tokens = used(1)
    exchanged, _ = present(family, tokens[1], NOW + 61)

    after, outcome = present(exchanged, tokens[0], NOW + 61)
    assert outcome == Refused("refresh_reused")
    assert after.burnt_at == NOW + 61


def test_an_older_one_burns() -> None:
    """Row 4: every token before the predecessor, and a jti that the family never had."""
    family, tokens = used(5)
    unknown = replace(tokens[0], jti="another")

    for each in (*tokens[:4], unknown):
        after, outcome = present(family, each, NOW + 300)
        assert outcome == Refused("refresh_reused")
        assert after == burnt(family, NOW + 300, "refresh_reused")


def test_a_burnt_family_refuses_all_its_tokens() -> None:
    """Row 5: also those that have expired, and after its end; nothing is written."""
    family, tokens = used(3)
    family = burnt(family, NOW + 180, "logout")

    for each in tokens:
        for now in (NOW, NOW + 181, each.expires_at, family.ends_at):
            after, outcome = present(family, each, now)
            assert outcome == Refused("refresh_burnt")
            assert after is family


def test_the_first_reason_stays() -> None:
    """Row 5: a family that is burnt twice was burnt by the first."""
    family = burnt(login(), NOW + 1, "logout")

    assert (family.burnt_at, family.burnt_because) == (NOW + 1, "logout")
    assert burnt(family, NOW + 2, "subject_revoked") is family
    with pytest.raises(ValueError, match="because"):
        burnt(login(), NOW, "")


def test_an_expired_token_is_refused_and_burns_nothing() -> None:
    """Row 6: newest, predecessor and older, on their ``exp`` and after it (RFC 7519 §4.1.4)."""
    family, tokens = used(3)

    for each in tokens:
        for now in (each.expires_at, each.expires_at + 1):
            after, outcome = present(family, each, now)
            assert outcome == Refused("token_expired")
            assert after is family


def test_after_the_end_of_the_family_all_tokens_are_expired() -> None:
    """Row 6: whatever the token itself says."""
    family, tokens = used(3)

    for each in tokens:
        late = replace(each, expires_at=family.ends_at + HOUR)
        assert present(family, late, family.ends_at) == (family, Refused("token_expired"))


def test_what_the_token_says_lengthens_nothing() -> None:
    """F14: the newest ends when the family says so, and so does the successor within the grace."""
    brief = replace(TERMS, refresh_lifetime=1.0)
    family, _ = present(login(), login().newest, NOW, brief)
    late = replace(family.newest, expires_at=NOW + HOUR)

    assert isinstance(present(family, late, NOW + 0.999)[1], Successor)
    assert present(family, late, NOW + 1) == (family, Refused("token_expired"))
    assert isinstance(present(family, login().newest, NOW + 0.999)[1], Again)
    assert present(family, login().newest, NOW + 1) == (family, Refused("token_expired"))


def test_an_exchange_that_is_tried_again_is_found_done() -> None:
    """F6: the store's answer was lost, and the same call reads the family that it has written."""
    written, first = presented(login(), "t0", NOW + HOUR, NOW, TERMS, "mine")

    assert isinstance(first, Successor)
    assert presented(written, "t0", NOW + HOUR, NOW + 1, TERMS, "mine") == (
        written,
        Again(first.generation),
    )


def test_one_jti_twice_is_a_mistake_of_the_caller() -> None:
    """F3: two generations of one id could not be told apart."""
    family, tokens = used(1)

    for each in tokens:
        with pytest.raises(ValueError, match="next_jti"):
            presented(family, "t1", NOW + HOUR, NOW + 61, TERMS, each.jti)


def test_last_used_never_goes_back() -> None:
    """F10: a store's clock that is set back a little does not make a family look idle."""
    family, tokens = used(1)

    after, _ = present(family, tokens[1], NOW + 59)

    assert after.last_used_at == NOW + 60
    assert after.newest.issued_at == NOW + 59


# F5.


@pytest.mark.parametrize(
    ("now", "ends"),
    [
        (NOW, NOW + HOUR),
        (NOW + 0.999, NOW + HOUR),
        (NOW + 9 * HOUR - 1, NOW + 10 * HOUR - 1),
        (NOW + 9 * HOUR - 0.001, NOW + 10 * HOUR - 1),
        (NOW + 9 * HOUR, NOW + 10 * HOUR),
        (NOW + 9 * HOUR + 1, NOW + 10 * HOUR),
        (NOW + 10 * HOUR - 0.001, NOW + 10 * HOUR),
    ],
)
def test_a_successor_ends_with_the_family_at_the_latest(now: float, ends: float) -> None:
    """F5: in whole seconds, rounded down, and never in the past."""
    family = replace(login(), newest=Generation("t0", NOW, NOW + 10 * HOUR))

    after, outcome = present(family, family.newest, now)

    assert outcome == Successor(Generation("t1", float(int(now)), ends))
    assert after.ends_at == family.ends_at
    assert ends > now


def test_terms_that_change_leave_the_end_of_a_family() -> None:
    """F5: the end is that of the login; the idle time is that of each refresh."""
    longer = FamilyTerms(refresh_lifetime=20 * HOUR, family_lifetime=100 * HOUR, grace=GRACE)

    after, _ = present(login(), login().newest, NOW + 1, longer)

    assert after.ends_at == after.newest.expires_at == NOW + 10 * HOUR


@given(
    begins=st.floats(0, 2e9),
    lifetimes=st.tuples(st.floats(1, 1e8), st.floats(1, 1e8)),
    waits=st.lists(st.floats(0, 1), max_size=6),
)
def test_no_token_is_issued_that_has_ended(
    begins: float, lifetimes: tuple[float, float], waits: list[float]
) -> None:
    """F5: for any terms, each end is whole, in the future, and not after that of the family."""
    terms = FamilyTerms(*lifetimes, GRACE)
    family, now = login(terms, begins), begins
    for wait in waits:
        assert now < family.newest.expires_at <= family.ends_at <= begins + lifetimes[1]
        assert family.newest.issued_at <= now
        assert family.newest.expires_at <= now + lifetimes[0]
        assert family.newest.expires_at.is_integer()
        assert family.newest.issued_at.is_integer()
        step = now + wait * (family.newest.expires_at - now)
        family, outcome = present(family, family.newest, step, terms)
        assert isinstance(outcome, Successor) == (step < family.newest.expires_at)
        if not isinstance(outcome, Successor):
            return
        now = step


# F2 and F3: every order of presentations. The owner has two tabs, which do not share what they
# receive, and the thief copies what the owner has at any time. A party presents any token that it
# has received, which covers all subsets that it may have kept.

OWNER, TAB, THIEF = 0, 1, 2


class State(NamedTuple):
    """A family, and the tokens that each party has received."""

    family: Family
    now: float
    held: tuple[frozenset[Generation], ...]

    @property
    def issued(self) -> frozenset[Generation]:
        return frozenset().union(*self.held)


class Exploration(NamedTuple):
    """What is explored, from a family that was refreshed so often."""

    terms: FamilyTerms = TERMS
    waits: tuple[float, ...] = (0.0, GRACE / 2, GRACE)
    refreshes: int = 0
    steals_later: bool = True

    def states(self, steps: int) -> set[State]:
        """Return all states after so many presentations, in every order, by every party."""
        family, tokens = used(self.refreshes, self.terms)
        everything = frozenset(tokens)
        theirs = frozenset() if self.steals_later else everything
        reached = {State(family, NOW + 60 * self.refreshes, (everything, everything, theirs))}
        for _ in range(steps):
            reached = {after for each in reached for after in self.after(each)}
        return reached

    def after(self, state: State) -> Iterator[State]:
        """Yield the states after one more presentation, and after one more theft before it."""
        for each in {state, stolen(state)} if self.steals_later else {state}:
            for wait in self.waits:
                for party, tokens in enumerate(each.held):
                    for token in tokens:
                        yield self.step(each, party, token, each.now + wait)

    def step(self, state: State, party: int, token: Generation, now: float) -> State:
        family, outcome = present(state.family, token, now, self.terms)
        assert type(outcome) is expected(state.family, token, now, self.terms)
        held = list(state.held)
        if not isinstance(outcome, Refused):
            assert outcome.generation == family.newest
            held[party] |= {outcome.generation}
        return State(family, now, tuple(held))


def stolen(state: State) -> State:
    """Return the state in which the thief has a copy of all that the owner has."""
    owner, tab, thief = state.held
    return state._replace(held=(owner, tab, thief | owner))


def expected(family: Family, token: Generation, now: float, terms: FamilyTerms) -> type[Outcome]:
    """Return what the table says, by the number in the name of a token."""
    behind = family.generation - int(token.jti[1:])
    if family.burnt_at is not None or behind > 1 or now >= token.expires_at:
        return Refused
    if behind == 0:
        return Successor
    assert family.previous
    in_time = now < min(family.newest.expires_at, family.previous.exchanged_at + terms.grace)
    return Again if in_time else Refused


EXPLORATIONS = {
    "a new family": Exploration(),
    "an old family": Exploration(refreshes=2),
    "a thief from the start": Exploration(steals_later=False),
    "without a grace": Exploration(NO_GRACE),
    "tokens that end soon": Exploration(SHORT),
}


@pytest.mark.parametrize("steps", [2, 3, 4])
@pytest.mark.parametrize("name", EXPLORATIONS)
def test_thief_and_owner_in_every_order(name: str, steps: int) -> None:
    """F2, F3: no branch is ever made, and two parties that go on apart burn the family."""
    exploration = EXPLORATIONS[name]
    states = exploration.states(steps)

    assert any(each.family.burnt_at is None for each in states)
    assert any(each.family.burnt_at is not None for each in states)
    for each in states:
        assert_that_no_party_is_apart(each)
        if each.family.burnt_at is None:
            assert_one_branch(each, exploration.terms)
            assert_that_going_on_apart_burns(each, exploration.terms)
        else:
            assert_that_all_are_out(each, exploration.terms)


def assert_that_no_party_is_apart(state: State) -> None:
    """F2: only one party has tokens that another has not. Of two parties, one has all of both."""
    assert all(a <= b or b <= a for a, b in permutations(state.held, 2))


def is_good(state: State) -> bool:
    """Return whether the newest token has not expired yet."""
    return state.now < state.family.newest.expires_at


def assert_one_branch(state: State, terms: FamilyTerms) -> None:
    """F3: of all tokens ever issued, one at most gets a successor; others lead to that one."""
    outcomes = {each: present(state.family, each, state.now, terms)[1] for each in state.issued}

    fruitful = [each for each, outcome in outcomes.items() if isinstance(outcome, Successor)]
    assert fruitful == [state.family.newest][: is_good(state)]
    for outcome in outcomes.values():
        assert not isinstance(outcome, Again) or outcome.generation == state.family.newest


def assert_that_going_on_apart_burns(state: State, terms: FamilyTerms) -> None:
    """F2: a party refreshes, and another that missed this for the grace is noticed."""
    family, outcome = present(state.family, state.family.newest, state.now, terms)
    assert isinstance(outcome, Successor) == is_good(state)
    for token in state.issued if is_good(state) else ():
        after, late = present(family, token, state.now + terms.grace, terms)
        if late == Refused("token_expired"):
            assert state.now + terms.grace >= token.expires_at
            continue
        assert late == Refused("refresh_reused")
        for each in {*state.issued, family.newest}:
            assert present(after, each, state.now, terms) == (after, Refused("refresh_burnt"))


def assert_that_all_are_out(state: State, terms: FamilyTerms) -> None:
    """F2: no token of a burnt family is good, at any instant, for any party."""
    for each in state.issued:
        for now in (state.now, state.now + terms.grace):
            after, outcome = present(state.family, each, now, terms)
            assert outcome == Refused("refresh_burnt")
            assert after is state.family


@pytest.mark.parametrize("steps", [2, 3, 4])
@pytest.mark.parametrize(
    "exploration",
    [
        Exploration(NO_GRACE, steals_later=False),
        Exploration(TERMS, waits=(GRACE, 60.0), steals_later=False),
    ],
    ids=["without a grace", "outside the grace"],
)
def test_only_one_party_ever_gets_a_successor(exploration: Exploration, steps: int) -> None:
    """F2, outside the grace: only one of them ever got a successor, or the family is burnt."""
    for each in exploration.states(steps):
        winners = [held for held in each.held if held != {login(exploration.terms).newest}]
        assert len(winners) <= 1 or each.family.burnt_at is not None


def test_a_thief_within_the_grace_has_what_the_owner_has() -> None:
    """F2, inside the grace: both have the same successor, until one of them uses it."""
    shared, outcome = present(login(), login().newest, NOW)
    _, again = present(shared, login().newest, NOW + 1)
    assert isinstance(outcome, Successor)
    assert again == Again(outcome.generation)

    apart, _ = present(shared, outcome.generation, NOW + HOUR / 2)
    _, late = present(apart, outcome.generation, NOW + HOUR / 2 + GRACE)
    assert late == Refused("refresh_reused")


# Any sequence, and F15.


@given(
    steps=st.lists(
        st.tuples(
            st.integers(0, 12),
            st.sampled_from([0.0, 0.5, 4.999, 5.0, 60.0, HOUR - 1, HOUR, 4 * HOUR])
            | st.floats(0, 2 * HOUR),
        ),
        max_size=12,
    ),
    terms=st.sampled_from([TERMS, NO_GRACE, replace(TERMS, refresh_lifetime=3.0)]),
)
def test_any_sequence_of_presentations(steps: list[tuple[int, float]], terms: FamilyTerms) -> None:
    """F3: one jti is the newest, the generation never decreases, a burnt family stays burnt."""
    seen, now = [login(terms)], NOW
    tokens = [seen[0].newest]
    for back, wait in steps:
        now += wait
        family, outcome = present(seen[-1], tokens[-1 - back % len(tokens)], now, terms)
        if isinstance(outcome, Successor):
            tokens.append(outcome.generation)
        seen.append(family)
        assert family.newest == tokens[-1]

    assert len({each.jti for each in tokens}) == len(tokens)
    for before, after in pairwise(seen):
        assert after.generation - before.generation == (after.newest != before.newest)
        assert after is before or after != before
        assert before.burnt_at is None or after is before


def test_the_same_question_has_the_same_answer() -> None:
    """F15: asked twice, of a family that neither call changes."""
    family, tokens = used(3)
    copy, _ = used(3)

    for token in tokens:
        for now in (NOW, NOW + 181, NOW + 190, NOW + 2 * HOUR):
            assert present(family, token, now) == present(copy, token, now)
    assert family == copy


PURE = {
    "collections.abc",
    "dataclasses",
    "json",
    "math",
    "typing",
    "jwt_middleware.checks",
    "jwt_middleware.errors",
    "jwt_middleware.formats.strict_json",
    "jwt_middleware.issuing.family",
    "jwt_middleware.issuing.family_bytes",
}


@pytest.mark.parametrize("module", [families, family, family_bytes], ids=lambda each: each.__name__)
def test_the_rules_know_no_clock_and_no_chance(module: ModuleType) -> None:
    """F15: only modules that compute are imported, and no built-in function that reads or runs."""
    tree = ast.parse(Path(str(module.__file__)).read_text("utf-8"))
    imported: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module or "")
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}

    assert imported <= PURE
    assert not names & {"open", "input", "print", "exec", "eval", "__import__", "globals"}
    assert not any(isinstance(node, ast.Global | ast.Nonlocal) for node in ast.walk(tree))
