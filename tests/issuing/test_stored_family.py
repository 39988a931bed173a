"""What a store has of families: documents that cannot be read, and which of them make room."""

import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from jwt_middleware.effects import Steps
from jwt_middleware.errors import RefreshBurnt, RefreshUnknown, StoreUnavailable
from jwt_middleware.issuing import Login, TokenPair, TokenPairs
from jwt_middleware.issuing.family import Family, Generation
from jwt_middleware.issuing.stored_family import Stored, displaced
from jwt_middleware.stores.contract import Exchange, Exchanged
from tests.issuing.rings import Faulty
from tests.issuing.test_token_pairs import Logins


def rewritten(world: Logins, sid: str, change: Callable[[Any], object]) -> None:
    """Change the document of a login behind the back of the service."""
    document = world.logins._documents["family", sid]
    members = json.loads(document.body)
    change(members)
    body = json.dumps(members).encode()
    world.logins._documents["family", sid] = replace(document, body=body)


def in_login(name: str, value: object) -> Callable[[Any], object]:
    return lambda members: members["login"].update({name: value})


ODD: dict[str, tuple[Any, ...]] = {
    "epoch": (None, 7, "7", "7 x", [], 1e300),
    "number": (None, True, -1, 1.5, "1", [], 10**400),
    "claims": (None, [], "x", 7),
    "realm": (None, 7, []),
    "amr": ("pwd", [7], {}),
    "acr": (7, None),
    "client_id": (7, []),
    "csrf": (7, {}),
    "auth_time": ("now", 1.5, True),
}
CORRUPT: dict[str, Callable[[Any], object]] = {
    **{
        f"{name} {value!r:.20}": in_login(name, value)
        for name, values in ODD.items()
        for value in values
    },
    "another sid": lambda members: members.update(sid="f" * 32),
    "no login": lambda members: members.update(login={}),
}


@pytest.mark.parametrize("kind", CORRUPT)
def test_a_login_that_was_not_written_so_cannot_be_read(kind: str) -> None:
    """It is refused, passed over by others, and ended with the others."""
    world = Logins()
    odd, good = world.pairs.issue("alice"), world.pairs.issue("alice")
    rewritten(world, odd.sid, CORRUPT[kind])

    with pytest.raises(StoreUnavailable, match="something else than a login"):
        world.pairs.refresh(odd.refresh_token)
    assert [each.sid for each in world.pairs.families("alice")] == [good.sid]
    good = world.pairs.refresh(good.refresh_token)
    assert world.pairs.issue("alice").sid
    asked = world.logins.asked
    world.pairs.revoke_subject("alice")
    assert world.logins.asked - asked < 10
    with pytest.raises(RefreshUnknown):
        world.pairs.refresh(odd.refresh_token)
    assert world.pairs.families("alice") == ()


def test_a_login_of_another_subject_is_not_renewed() -> None:
    """A store that was mixed up must not log one user in as another."""
    world = Logins()
    pair = world.pairs.issue("alice")
    rewritten(world, pair.sid, lambda members: members.update(subject="bob"))
    with pytest.raises(StoreUnavailable, match="something else than a login"):
        world.pairs.refresh(pair.refresh_token)


def test_to_end_all_logins_comes_to_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where one stays, whatever is done to it."""
    world = Logins()
    pair = world.pairs.issue("alice")
    rewritten(world, pair.sid, CORRUPT["no login"])
    monkeypatch.setattr(world.logins, "_forget", lambda key: None)
    asked = world.logins.asked
    with pytest.raises(StoreUnavailable, match="too many processes"):
        world.pairs.revoke_subject("alice")
    assert world.logins.asked - asked < 200


# Which logins make room.


def family(sid: str, number: int, used_at: float) -> Stored:
    known = Family(sid, "alice", 0.0, 90.0, 0, Generation("j", 0, 90), last_used_at=used_at)
    return Stored(replace(known, login={"number": number}), 1)


def test_those_that_were_used_least_recently_make_room() -> None:
    """Of two that were used at once, the one that began earlier."""
    found = [family("a", 1, 9.0), family("b", 2, 0.0), family("c", 3, 5.0), family("d", 1, 0.0)]

    def names(most: int) -> list[str]:
        return [each.family.sid for each in displaced(found, most)]

    assert [names(most) for most in (4, 3, 2, 1)] == [[], ["d"], ["d", "b"], ["d", "b", "c"]]
    many = [family(f"{number:03}", number, 0.0) for number in range(100)]
    assert [each.family.sid for each in displaced(many, 2)] == [f"{n:03}" for n in range(20)]


class Task:
    """A call that stops before each question to the store."""

    def __init__(self, steps: Steps[TokenPair]) -> None:
        self.steps = steps
        self.effect: Any = None
        self.is_over = False

    def go_on(self) -> None:
        try:
            answer = None if self.effect is None else self.effect.perform(1e18)
            self.effect = self.steps.send(answer)
        except (StopIteration, RefreshBurnt):
            # The login that was refreshed may have made room.
            self.is_over = True


@pytest.mark.parametrize("most", [1, 2, 3])
def test_logins_at_once_leave_as_many_as_there_may_be(most: int) -> None:
    """In some hundred orders of two logins and the refreshes of others."""
    chance = random.Random(most)
    world = Logins()
    for number in range(150):
        subject = f"user-{number}"
        pairs = TokenPairs(world.minter(), world.logins, max_families=most)
        old = []
        for _ in range(most):
            old.append(pairs.issue(subject))
            world.clock.tick(10)
        tasks = [
            *(Task(pairs.steps.issuing(subject, None, Login(), {})) for _ in range(2)),
            Task(pairs.steps.refreshing(chance.choice(old).refresh_token)),
        ]
        while running := [each for each in tasks if not each.is_over]:
            chance.choice(running).go_on()
            world.clock.tick(0.001)
        assert len(pairs.families(subject)) == most


def test_a_clock_that_was_ahead_denies_no_login() -> None:
    """Those that were used then are not always used more recently than the one that begins."""
    world = Logins(max_families=2)
    world.clock.tick(86_400)
    old = [world.pairs.issue("alice") for _ in range(2)]
    world.clock.tick(-80_000)
    for _ in range(3):
        pair = world.pairs.issue("alice")
        assert pair.sid in {each.sid for each in world.pairs.families("alice")}
        assert world.pairs.refresh(pair.refresh_token).sid
    assert {each.sid for each in world.told} >= {each.sid for each in old}


class Reluctant(Faulty):
    """Nothing that is there already is changed, as where others are always faster."""

    is_slow = False

    def answer(self, statement: Any, deadline: float) -> Any:
        is_exchange = isinstance(statement, Exchange)
        if self.is_slow and is_exchange and any(each.expected for each in statement.changes):
            return Exchanged(is_done=False, now=0.0)
        return super().answer(statement, deadline)


def test_a_login_that_can_end_no_other_is_good_nevertheless() -> None:
    """The next one makes room for both."""
    world = Logins()
    store = Reluctant(world.clock)
    pairs = TokenPairs(world.minter(), store, max_families=1)
    pairs.issue("alice")
    store.is_slow = True
    second = pairs.issue("alice")
    assert second.sid in {each.sid for each in pairs.families("alice")}
    store.is_slow = False
    last = pairs.issue("alice")
    assert [each.sid for each in pairs.families("alice")] == [last.sid]
