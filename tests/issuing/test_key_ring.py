"""Key rings: several processes and one document; properties K1 to K14 (see also the ring's state)."""

import copy
import json
import logging
import pickle
import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from jwt_middleware import (
    ConfigurationError,
    Issuer,
    KeysUnavailable,
    Secret,
)
from jwt_middleware.crypto.algorithms import ALGORITHMS
from jwt_middleware.errors import KeyUnknown, StoreUnavailable
from jwt_middleware.formats import base64url
from jwt_middleware.issuing import KeyRing
from jwt_middleware.stores.contract import Change, Exchange, Read
from jwt_middleware.stores.memory import MemoryStore
from jwt_middleware.testing import Clock
from tests.issuing.rings import DAY, World, phases

SECRET = Secret(b"0123456789abcdefghijklmnopqrstuv")
NEVER = 1e12


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_signs_and_verifies(algorithm: str) -> None:
    """Through the guard that takes the ring itself as keys."""
    world = World(algorithm=algorithm)
    token = world.minter().mint("alice")

    assert world.guard().verify(token).subject == "alice"
    published = world.ring.jwks()["keys"]
    assert [key["alg"] for key in published] == ([] if algorithm.startswith("HS") else [algorithm])


def test_every_process_has_the_same_key() -> None:
    """K1: the one that comes first makes it."""
    world = World()
    others = [world.process() for _ in range(3)]

    assert {world.kid(each) for each in (world.ring, *others)} == {world.kid()}


def test_a_hundred_threads_that_find_a_rotation_due_make_one() -> None:
    """K5: with a document that is exchanged only if nobody else has."""
    world = World()
    world.kid()
    world.clock.tick(89.5 * DAY)
    rings = [world.process() for _ in range(4)]

    with ThreadPoolExecutor(25) as pool:
        for _ in pool.map(lambda place: rings[place % 4].load(), range(100)):
            pass

    assert phases(world.process()) == ["active", "announced"]


def test_minting_asks_no_store_and_takes_no_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """K14: as long as the ring was read within half of max_lag."""
    world = World()
    minter = world.minter()
    minter.mint("alice")
    asked = world.store.asked

    class Locked:
        def __enter__(self) -> None:
            raise AssertionError

        acquire = __exit__ = __enter__

    monkeypatch.setattr(world.ring.shared, "_lock", Locked())
    for _ in range(10):
        world.clock.tick(2.9)
        minter.mint("alice")
    assert world.store.asked == asked


def test_nothing_is_signed_by_what_was_read_too_long_ago() -> None:
    """K6: where another process may have revoked the key since."""
    world = World()
    minter = world.minter()
    minter.mint("alice")
    world.store.is_away = True

    world.clock.tick(59)
    minter.mint("alice")
    world.clock.tick(1)
    with pytest.raises(StoreUnavailable, match="the server is away"):
        minter.mint("alice")
    world.store.is_away = False
    world.clock.tick(1)
    minter.mint("alice")


def test_a_machine_that_slept_signs_nothing_before_it_has_read() -> None:
    """K6: its monotonic clock stood still meanwhile."""
    world = World()
    minter = world.minter()
    minter.mint("alice")
    world.store.is_away = True
    world.clock.suspend(61)

    with pytest.raises(StoreUnavailable):
        minter.mint("alice")


def test_a_key_that_another_process_revoked_signs_no_more_after_max_lag() -> None:
    """K6: and its tokens are refused by every guard of the ring."""
    world = World()
    other = world.process()
    minter, guard = world.minter(), world.guard()
    token = minter.mint("alice")
    assert guard.verify(token).subject == "alice"
    other.revoke_key(world.kid())

    world.clock.tick(60)
    fresh = minter.mint("alice")
    assert guard.verify(fresh).subject == "alice"
    with pytest.raises(KeyUnknown):
        guard.verify(token)


def test_a_revoked_key_is_refused_at_once_where_it_was_revoked() -> None:
    """The guard has a cached token of it. What steps in is accepted at once."""
    world = World()
    minter, guard = world.minter(), world.guard()
    token = minter.mint("alice")
    for _ in range(3):
        guard.verify(token)

    world.ring.revoke_key(world.kid())

    with pytest.raises(KeyUnknown):
        guard.verify(token)
    assert guard.verify(minter.mint("alice")).subject == "alice"
    assert phases(world.ring) == ["revoked", "active"]


def test_a_key_that_steps_in_elsewhere_is_read_when_its_token_comes() -> None:
    """As a set would be fetched for an unknown key; invented ones are asked for once a second."""
    world = World()
    other = world.process()
    guard = world.guard()
    guard.verify(world.minter().mint("alice"))
    other.revoke_key(world.kid())
    token = world.minter(other).mint("bob")

    assert guard.verify(token).subject == "bob"

    asked = world.store.asked
    invented = token.replace(token.split(".")[0], _header(kid="invented"))
    for _ in range(20):
        with pytest.raises(KeyUnknown):
            guard.verify(invented)
    assert world.store.asked == asked
    world.clock.tick(1)
    with pytest.raises(KeyUnknown):
        guard.verify(invented)
    assert world.store.asked == asked + 1


def _header(**members: Any) -> str:
    text = json.dumps({"alg": "ES256", "typ": "at+jwt", **members})
    return base64url.encode(text.encode()).decode()


def test_what_is_published_and_what_the_guard_accepts_agree_at_every_instant() -> None:
    """K4: through two rotations, hour by hour, without a rotation of the set that was written."""
    world = World(rotate_every=3 * DAY)
    source = world.ring.key_source("the ring", None)
    es256 = ALGORITHMS["ES256"]
    every: set[str] = set()
    for _ in range(10 * 24):
        world.clock.tick(3600)
        published = {key["kid"] for key in world.ring.jwks()["keys"]}
        every = {key.kid for key in world.ring.status()}
        accepted = {kid for kid in every if source.has(kid, es256)}
        assert accepted == published
        assert world.kid() in published
    assert len(every) >= 3


def test_a_token_outlives_the_rotation_of_its_key() -> None:
    """K3: until it expires, leeway included."""
    world = World()
    guard = world.guard()
    world.ring.load()
    world.ring.rotate()
    minter = world.minter(lifetime=900)
    world.clock.tick(DAY - 1)
    token = minter.mint("alice")
    world.clock.tick(929)

    assert guard.verify(token).subject == "alice"
    assert phases(world.ring) == ["retiring", "active"]
    assert world.kid() != token


def test_the_longest_lifetime_keeps_a_retired_key() -> None:
    """Also that of another process, which has written it before it signs."""
    world = World()
    world.minter(max_lifetime=900).mint("alice")
    world.minter(world.process(), max_lifetime=7 * DAY).mint("alice", lifetime=7 * DAY)
    world.ring.rotate()
    world.clock.tick(DAY + 6 * DAY)

    assert phases(world.ring) == ["retiring", "active"]
    world.clock.tick(DAY + 600)
    assert phases(world.ring) == ["gone", "active"]


def test_a_minter_with_a_longer_lifetime_writes_that_before_it_signs() -> None:
    """Otherwise its key could be gone before its tokens."""
    world = World()
    world.minter(max_lifetime=900).mint("alice")
    longer = world.minter(max_lifetime=7 * DAY)
    world.store.is_read_only = True

    with pytest.raises(StoreUnavailable, match="read-only"):
        longer.mint("alice")


def test_what_is_due_waits_for_a_store_that_cannot_be_written_to() -> None:
    """The active key signs on, and rotates later."""
    world = World()
    minter = world.minter()
    minter.mint("alice")
    world.store.is_read_only = True
    world.clock.tick(89.5 * DAY)

    assert minter.mint("alice")
    assert phases(world.ring) == ["active"]
    world.store.is_read_only = False
    world.clock.tick(60)
    minter.mint("alice")
    assert phases(world.ring) == ["active", "announced"]


def test_a_store_that_has_lost_the_ring_gets_it_back(caplog: pytest.LogCaptureFixture) -> None:
    """So that no verifier loses a key, and it is said."""
    world = World()
    minter, guard = world.minter(), world.guard()
    token = minter.mint("alice")
    (found,) = [world.store.answer(Read("ring", "keys"), NEVER)]
    version = found.document.version  # type: ignore[union-attr]
    world.store.answer(Exchange((Change("ring", "keys", version, None),)), NEVER)
    world.clock.tick(60)

    assert guard.verify(token).subject == "alice"
    assert guard.verify(minter.mint("alice")).subject == "alice"
    assert world.kid(world.process()) == world.kid()
    assert "the store has lost a part of the ring 'keys'" in caplog.text


def test_rotating_twice_says_so() -> None:
    """K7: no third key is announced."""
    world = World()
    first, second = world.ring.rotate(), world.ring.rotate()

    assert (first.is_new, second.is_new) == (True, False)
    assert (first.kid, first.signs_from) == (second.kid, second.signs_from)
    assert first.signs_from == world.clock.now() + DAY
    assert phases(world.ring) == ["active", "announced"]


async def test_each_blocking_call_has_an_awaiting_twin() -> None:
    world = World()
    await world.ring.aload()
    rotation = await world.ring.arotate()
    await world.ring.arevoke_key(rotation.kid)

    assert [key.phase for key in await world.ring.astatus()] == ["active", "revoked"]
    assert len((await world.ring.ajwks())["keys"]) == 1
    guard, minter = world.guard(), world.minter()
    assert (await guard.averify(await minter.amint("alice"))).subject == "alice"
    world.clock.tick(61)
    assert (await guard.averify(await minter.amint("alice"))).subject == "alice"


def test_a_guard_without_the_store_verifies_on_for_an_hour() -> None:
    """As with a key set that cannot be fetched again; then it is a 503."""
    world = World()
    guard = world.guard()
    token = world.minter(max_lifetime=DAY).mint("alice", lifetime=DAY)
    guard.verify(token)
    world.store.is_away = True

    world.clock.tick(3600)
    assert guard.verify(token).subject == "alice"
    assert guard.health()["https://shop.example/"].is_degraded
    assert world.ring.jwks()["keys"]
    world.clock.tick(61)
    with pytest.raises(KeysUnavailable, match="the server is away"):
        guard.verify(token)
    with pytest.raises(StoreUnavailable):
        world.ring.jwks()


def test_a_guard_whose_store_was_never_there_is_unavailable() -> None:
    world = World()
    token = world.minter().mint("alice")
    world.store.is_away = True
    guard = world.guard(world.process())

    with pytest.raises(KeysUnavailable, match="the server is away"):
        guard.verify(token)
    with pytest.raises(KeysUnavailable):
        guard.warm(required=True)
    world.store.is_away = False
    world.clock.tick(1)
    guard.warm(required=True)
    assert guard.verify(token).subject == "alice"


def test_private_keys_are_encrypted_at_rest() -> None:
    """K9, S10: and another secret does not read them."""
    world = World(encryption=SECRET)
    world.kid()
    found = world.store.answer(Read("ring", "keys"), NEVER)
    body = found.document.body  # type: ignore[union-attr]
    private = world.ring.signer().private_jwk()["d"]  # type: ignore[union-attr]

    assert private.encode() not in body
    assert b"sealed." in body
    assert world.kid(world.process(encryption=SECRET)) == world.kid()
    other = world.process(encryption=Secret(b"another secret of thirty-two bytes"))
    with pytest.raises(ConfigurationError, match="encryption= is another secret"):
        other.load()
    with pytest.raises(ConfigurationError, match="write KeyRing\\(store, encryption="):
        world.process().load()


def test_a_key_in_the_clear_is_not_taken_where_keys_are_encrypted() -> None:
    """Otherwise whoever can write to the store could sign."""
    world = World()
    world.kid()

    with pytest.raises(ConfigurationError, match="in the clear in the store"):
        world.process(encryption=SECRET).load()


def test_a_key_under_the_name_of_another_is_not_taken() -> None:
    """Whoever can write to the store could exchange them."""
    world = World()
    world.kid()
    world.ring.rotate()
    found = world.store.answer(Read("ring", "keys"), NEVER)
    document: Any = found.document  # type: ignore[union-attr]
    members = json.loads(document.body)
    first, second = members["keys"]
    first["sealed"], second["sealed"] = second["sealed"], first["sealed"]
    body = json.dumps(members).encode()
    world.store.answer(Exchange((Change("ring", "keys", document.version, body),)), NEVER)

    with pytest.raises(ConfigurationError, match="in the store of the ring is not that key"):
        world.process().load()


def test_what_was_read_late_does_not_undo_what_came_after() -> None:
    """K6: a thread that read before a revocation may go on after it."""
    world = World()
    old = world.kid()
    before = world.ring.shared.current
    assert before is not None
    world.ring.revoke_key(old)
    world.clock.tick(1)
    world.ring.shared.accept(before.state, world.clock.monotonic(), before.wall_offset)

    assert world.kid() != old
    assert phases(world.ring) == ["revoked", "active"]


class Service:
    """A key management service that may be away."""

    is_away = False

    def encrypt(self, content: bytes, bound_to: bytes) -> bytes:
        return bound_to + b"|" + bytes(reversed(content))

    def decrypt(self, encrypted: bytes, bound_to: bytes) -> bytes:
        if self.is_away:
            raise TimeoutError
        assert encrypted.startswith(bound_to + b"|")
        return bytes(reversed(encrypted.removeprefix(bound_to + b"|")))


def test_a_key_management_service_may_encrypt() -> None:
    """K9: it is asked once for each key; if it is away, that is a store that is away."""
    world = World()
    service = Service()
    ring = KeyRing(world.store, clock=world.clock, name="managed", encryption=service)
    kid = world.kid(ring)
    other = KeyRing(world.store, clock=world.clock, name="managed", encryption=service)
    service.is_away = True

    with pytest.raises(StoreUnavailable, match=r"decrypt.* TimeoutError"):
        other.load()
    service.is_away = False
    assert world.kid(other) == kid
    service.is_away = True
    world.clock.tick(61)
    assert world.kid(other) == kid


def test_keys_in_the_clear_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """K9: where a store keeps them; memory does not."""

    class Kept(MemoryStore): ...

    KeyRing(Kept(), encryption=SECRET)
    KeyRing(MemoryStore())
    assert not caplog.records
    elsewhere: Any = type("Elsewhere", (), {"answer": print})()
    KeyRing(elsewhere)
    assert "in the clear in the store: write KeyRing(store, encryption=" in caplog.text


@pytest.mark.parametrize("algorithm", ["HS256", "ES256", "RS256", "EdDSA"])
def test_no_private_key_leaves(algorithm: str, caplog: pytest.LogCaptureFixture) -> None:
    """K10: not by jwks(), a repr, a log, a pickle, a copy or an exception."""
    caplog.set_level(logging.DEBUG)
    world = World(algorithm=algorithm)
    world.ring.load()
    key = world.ring.signer()
    assert key is not None
    secrets = {v for n, v in key.private_jwk().items() if n in {"d", "p", "q", "k"}}
    shown = [repr(key), repr(world.ring), repr(world.ring.status()), json.dumps(world.ring.jwks())]
    shown.append(repr(world.ring.shared.current))
    try:
        world.minter().mint("alice", claims={"exp": 1})
    except ConfigurationError as mistake:
        shown.append("".join(traceback.format_exception(mistake)))
    text = "\n".join(shown) + caplog.text

    assert not [each for each in secrets if each in text]
    world.ring.shared.sign_for("refresh", 900.0)
    world.ring.load()
    current = world.ring.shared.current
    assert current is not None
    for thing in (key, world.ring, current.state, current.state.keys[0]):
        for call in (pickle.dumps, copy.deepcopy if thing is current.state else copy.copy):
            with pytest.raises(TypeError, match="cannot be pickled"):
                call(thing)
    for verifier in current.verifiers["refresh"]:
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps(verifier)
    if algorithm != "HS256":
        assert copy.copy(current.verifiers["access"][0]).kid == key.kid
    assert copy.deepcopy(world.ring) is world.ring


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown algorithm": ({"algorithm": "ES999"}, "'ES999' is not known"),
    "none": ({"algorithm": "none"}, "would accept unsigned tokens"),
    "a set that is kept too long": ({"max_age": 0.6 * DAY}, "must be at most half of announce"),
    "no time at all": ({"rotate_every": 0}, "rotate_every=0 must be"),
    "text for a time": ({"announce": "1d"}, "announce='1d' must be"),
    "a lag that is too long": ({"max_lag": 3600, "announce": 4000, "max_age": 500}, "together"),
    "a lag of a day": ({"max_lag": DAY}, "max_lag=86400.0 must be"),
    "a short secret": ({"encryption": Secret("short")}, "needs at least 32"),
    "text for a secret": ({"encryption": "secret"}, "encryption=str must be a Secret"),
    "no name": ({"name": ""}, "name= must be up to 255"),
    "no clock": ({"clock": 1}, "clock=1 must have now()"),
    "a rotation within the announcement": ({"rotate_every": DAY / 2}, "rotate_every="),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_a_mistake_is_a_sentence(kind: str) -> None:
    options, said = MISTAKES[kind]
    with pytest.raises(ConfigurationError) as mistake:
        KeyRing(MemoryStore(), **options)
    assert said in str(mistake.value)


def test_no_store_is_a_sentence() -> None:
    """S8: without the URL, which may have a password."""
    store: Any = "postgresql://u:hunter2@h/d"
    with pytest.raises(ConfigurationError, match=r"store=str must be a store: write connect\("):
        KeyRing(store)


def test_a_document_of_something_else_is_not_overwritten() -> None:
    """Nor one of a later release."""
    clock = Clock()
    for body, said in ((b"{}", "something else"), (b'{"format": 2}', "of format 2")):
        store = MemoryStore(clock)
        store.answer(Exchange((Change("ring", "keys", 0, body),)), NEVER)
        with pytest.raises(ConfigurationError, match=said):
            KeyRing(store, clock=clock).load()


def test_an_issuer_must_accept_what_the_ring_signs() -> None:
    """An issuer accepts no shared secrets by default."""
    ring = KeyRing(MemoryStore(), algorithm="HS256")
    with pytest.raises(ConfigurationError, match=r"write algorithms=\['HS256'\]"):
        Issuer("https://a/", audience="a", keys=ring)
    issuer = Issuer("https://a/", audience="a", keys=ring, algorithms=["HS256"])
    assert issuer == Issuer("https://a/", audience="a", keys=ring, algorithms=["HS256"])
    assert copy.deepcopy(issuer) == issuer
    assert issuer != Issuer(
        "https://a/", audience="a", keys=KeyRing(MemoryStore()), algorithms=["ES256"]
    )


def test_a_key_of_the_ring_can_be_withdrawn_from_one_guard() -> None:
    """``Guard.distrust``, which other guards do not follow."""
    world = World()
    guard, other = world.guard(), world.guard()
    token = world.minter().mint("alice")
    guard.verify(token)
    guard.distrust("https://shop.example/", world.kid())

    with pytest.raises(KeyUnknown):
        guard.verify(token)
    world.clock.tick(61)
    with pytest.raises(KeyUnknown):
        guard.verify(token)
    assert other.verify(token).subject == "alice"
    with pytest.raises(ConfigurationError, match="must name a key of the ring"):
        guard.distrust("https://shop.example/", "invented")
    with pytest.raises(ConfigurationError, match=r"revoke_key\('invented'\) must name"):
        world.ring.revoke_key("invented")
