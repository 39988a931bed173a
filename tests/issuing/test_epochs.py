"""Logins that are ended all at once: none is left, whatever the store and its clock do meanwhile."""

from collections.abc import Callable
from typing import Any

import pytest

from jwt_middleware.errors import RefreshBurnt, RefreshUnknown, TokenError
from jwt_middleware.issuing.epochs import Epoch, named, of_document
from tests.issuing.rings import DAY
from tests.issuing.test_token_pairs import Logins

SID = "0123456789abcdef0123456789abcdef"


def test_an_epoch_is_read_as_it_was_written() -> None:
    """In its document with the one login that goes on, and in a login without."""
    first = Epoch().following(7.9, None)
    second = first.following(1.0, SID)

    assert (first.number, second.number) == (7, 8)
    assert first.mark != second.mark
    assert [of_document(each.body) for each in (first, second)] == [first, second]
    assert named(second.name) == Epoch(8, second.mark)
    assert first.following(0, "not an id").kept is None


@pytest.mark.parametrize(
    "body", [b"", b"7", b"7 x", b"07 0123456789abcdef", b"1e999", b"9" * 5_000, b"\xff"]
)
def test_something_else_is_not_an_epoch(body: bytes) -> None:
    for read in (of_document, lambda body: named(body.decode("latin-1"))):
        with pytest.raises(ValueError, match=r"epoch|ascii"):
            read(body)
    with pytest.raises(ValueError, match="epoch"):
        named(7)


def meanwhile() -> tuple[Logins, list[Callable[[], object]]]:
    """Return a service, and what happens during its next login."""
    todo: list[Callable[[], object]] = []

    def check(_: str) -> bool:
        if todo:
            todo.pop()()
        return True

    return Logins(subject_check=check), todo


def is_refused(world: Logins) -> bool:
    """Return whether a login gives no lasting access."""
    try:
        pair = world.pairs.issue("alice")
        world.pairs.refresh(pair.refresh_token)
    except RefreshBurnt:
        return world.pairs.families("alice") == ()
    return False


def test_an_epoch_that_expires_during_a_login_does_not_save_it() -> None:
    """The version of the next one is that of the first again."""
    world, todo = meanwhile()
    world.pairs.revoke_subject("alice")
    world.clock.tick(90 * DAY + 3_599)

    def end() -> None:
        world.clock.tick(2)
        world.another().revoke_subject("alice")

    todo.append(end)
    assert is_refused(world)
    assert not is_refused(world)


@pytest.mark.parametrize(("between", "step"), [(3, 5), (3, 0), (0, 0), (0, -3)])
def test_a_store_that_is_set_back_during_a_login_does_not_save_it(
    between: float, step: float
) -> None:
    """Also where the number of the epoch is the same once more."""
    world, todo = meanwhile()
    world.pairs.revoke_subject("alice")
    backup = dict(world.logins._documents)
    world.clock.tick(between)
    world.pairs.revoke_subject("alice")

    def end() -> None:
        world.logins._documents.clear()
        world.logins._documents.update(backup)
        world.clock.tick(step)
        world.another().revoke_subject("alice")

    todo.append(end)
    assert is_refused(world)
    assert not is_refused(world)


@pytest.mark.parametrize("ahead", [14 * DAY - 10, 14 * DAY + 600, 14 * DAY + 3_600, 100 * DAY])
@pytest.mark.parametrize("call", ["revoke_subject", "revoke", "revoke_family"])
def test_a_login_that_only_seemed_expired_has_ended(call: str, ahead: float) -> None:
    """The clock of the store was ahead for a while."""
    world = Logins()
    pair, kept = world.pairs.issue("alice"), world.pairs.issue("bob")
    said: dict[str, Any] = {"revoke": pair.refresh_token, "revoke_family": pair.sid}
    world.clock.tick(ahead)
    for _ in range(2):
        getattr(world.pairs, call)(said.get(call, "alice"))
    world.clock.tick(60 - ahead)

    is_gone = ("family", pair.sid) not in world.logins._documents
    with pytest.raises(RefreshUnknown if is_gone else RefreshBurnt):
        world.pairs.refresh(pair.refresh_token)
    if ahead < 14 * DAY + 3_600:
        assert world.pairs.refresh(kept.refresh_token).sid == kept.sid
    assert len(world.told) <= 1


def test_to_end_an_unknown_login_leaves_nothing_behind() -> None:
    """After an hour. Nor does it end that of another service."""
    world = Logins()
    shop = world.pairs.issue("alice")
    for sid in (SID, "x", shop.sid):
        world.pairs.revoke_family(sid)
    assert world.told
    world.clock.tick(3_601)
    world.pairs.issue("bob")
    assert ("family", SID) not in world.logins._documents


def test_the_login_that_goes_on_is_not_refused() -> None:
    """Until all are ended once more without it."""
    world = Logins()
    kept, other = world.pairs.issue("alice"), world.pairs.issue("alice")
    world.pairs.revoke_subject("alice", but=kept.sid)
    kept = world.pairs.refresh(kept.refresh_token)
    with pytest.raises(RefreshBurnt):
        world.pairs.refresh(other.refresh_token)
    world.pairs.revoke_subject("alice", but=other.sid)
    with pytest.raises(RefreshBurnt):
        world.pairs.refresh(kept.refresh_token)


def test_a_refresh_asks_the_store_for_the_epoch_at_no_cost() -> None:
    """Family and epoch are read in one step, once for the hooks and once more after them."""
    world = Logins()
    pair = world.pairs.issue("alice")
    asked = world.logins.asked
    world.pairs.refresh(pair.refresh_token)
    assert world.logins.asked - asked == 4


def test_an_epoch_that_the_store_has_lost_ends_nothing() -> None:
    world = Logins()
    world.pairs.revoke_subject("alice")
    pair = world.pairs.issue("alice")
    for key in [key for key in world.logins._documents if key[0] == "subject"]:
        del world.logins._documents[key]
    assert world.pairs.refresh(pair.refresh_token).sid == pair.sid
    world.pairs.revoke_subject("alice")
    with pytest.raises(TokenError) as refused:
        world.pairs.refresh(pair.refresh_token)
    assert not isinstance(refused.value, RefreshUnknown)
