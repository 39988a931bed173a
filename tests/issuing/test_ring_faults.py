"""Rings among processes that are configured wrongly, and on stores that fail or lose what they had."""

import json
from contextlib import suppress
from typing import Any

import pytest

from jwt_middleware import ConfigurationError, KeysUnavailable, Secret
from jwt_middleware.crypto.algorithms import ALGORITHMS
from jwt_middleware.crypto.signing import generate
from jwt_middleware.effects import run
from jwt_middleware.errors import KeyUnknown, StoreUnavailable, TokenError
from jwt_middleware.issuing import KeyRing, TokenPairs, shared_ring
from jwt_middleware.keys.remote import shared_fetch
from jwt_middleware.keys.remote.shared_fetch import Waiter
from jwt_middleware.stores.contract import (
    ABSENT,
    Change,
    Document,
    Exchange,
    Exchanged,
    Read,
    StoreFailed,
)
from jwt_middleware.stores.memory import MemoryStore
from jwt_middleware.testing import Clock
from tests.issuing.rings import DAY, Faulty, World, phases

SECRET = Secret(b"0123456789abcdefghijklmnopqrstuv")
OTHER = Secret(b"another secret of thirty-two bytes")
NEVER = 1e12


KEY = {
    "kid": "k",
    "use": "access",
    "algorithm": "ES256",
    "sealed": "clear.e30",
    "published_at": 0.0,
    "signs_from": 0.0,
    "revoked_at": None,
    "kept_until": 0.0,
    "is_pinned": False,
}


def stored(world: World) -> Document:
    found: Any = world.store.answer(Read("ring", "keys"), NEVER)
    document: Document = found.document
    return document


def put(world: World, body: bytes | None) -> None:
    """Set the store to another content, behind the back of the ring."""
    known: Any = world.store.answer(Read("ring", "keys"), NEVER)
    version = ABSENT if known.document is None else known.document.version
    answer: Any = world.store.answer(Exchange((Change("ring", "keys", version, body),)), NEVER)
    assert answer.is_done


@pytest.mark.parametrize("options", [{"encryption": OTHER}, {}])
@pytest.mark.parametrize("due", [0.0, 89.5])
def test_a_process_with_another_secret_writes_nothing(options: dict[str, Any], due: float) -> None:
    """Whatever it does: the others would not be able to open the key that it made."""
    world = World(encryption=SECRET)
    world.kid()
    before = stored(world)
    world.clock.tick(due * DAY)
    for algorithm in ("ES256", "RS256"):
        wrong = world.process(algorithm=algorithm, **options)
        for call in (wrong.load, wrong.rotate, lambda: wrong.revoke_key("x")):  # noqa: B023
            with pytest.raises(ConfigurationError, match="encryption="):
                call()
    assert stored(world) == before
    assert [key.phase for key in world.process(**options).status()] == ["active"]


class Forgetful:
    """A key management service whose answer cannot be decrypted again."""

    def encrypt(self, content: bytes, bound_to: bytes) -> bytes:
        return b"rubbish"

    def decrypt(self, encrypted: bytes, bound_to: bytes) -> bytes:
        return encrypted


class Talkative(Forgetful):
    """It raises errors that quote what they are about."""

    def __init__(self, *, decrypts: bool) -> None:
        self._decrypts = decrypts

    def encrypt(self, content: bytes, bound_to: bytes) -> bytes:
        if not self._decrypts:
            raise ValueError(content)
        return content[::-1]

    def decrypt(self, encrypted: bytes, bound_to: bytes) -> bytes:
        raise ValueError(encrypted[::-1])


@pytest.mark.parametrize("decrypts", [False, True])
def test_what_an_encryption_raises_shows_no_key(decrypts: bool) -> None:
    """Reporters of errors show the contexts of an error too."""
    world = World()
    ring = KeyRing(world.store, clock=world.clock, encryption=Talkative(decrypts=decrypts))
    with pytest.raises(StoreUnavailable, match="ValueError") as met:
        ring.load()
    each: BaseException | None = met.value
    while each is not None:
        assert '"d"' not in repr(each)
        each = each.__context__


class Strange(Forgetful):
    def encrypt(self, content: bytes, bound_to: bytes) -> Any:
        return None


@pytest.mark.parametrize("service", [Forgetful(), Strange()])
def test_a_key_that_cannot_be_opened_again_is_not_written(service: Any) -> None:
    world = World()
    ring = KeyRing(world.store, clock=world.clock, encryption=service)
    with pytest.raises((ConfigurationError, StoreUnavailable)):
        ring.load()
    found: Any = world.store.answer(Read("ring", "keys"), NEVER)
    assert found.document is None


def test_keys_of_two_rings_do_not_open_under_each_others_name() -> None:
    """With one secret, in one store."""
    world = World(encryption=SECRET)
    world.kid()
    world.store.answer(Exchange((Change("ring", "another", ABSENT, stored(world).body),)), NEVER)
    with pytest.raises(ConfigurationError, match="encryption= is another secret"):
        world.process(encryption=SECRET, name="another").load()


def test_a_store_that_was_set_back_gets_the_ring_again() -> None:
    """A revoked key stays revoked, and every process goes on."""
    world = World()
    minter, guard = world.minter(), world.guard()
    backup = stored(world).body if world.kid() else b""
    stolen = minter.mint("alice")
    world.ring.revoke_key(world.kid())
    world.ring.rotate()
    put(world, backup)
    other = world.process()
    world.clock.tick(60)

    token = minter.mint("bob")
    assert guard.verify(token).subject == "bob"
    assert phases(world.ring) == ["revoked", "active", "announced"]
    assert world.kid(other) == world.kid()
    for each in (guard, world.guard(other)):
        with pytest.raises(KeyUnknown):
            each.verify(stolen)
        assert each.verify(token).subject == "bob"


@pytest.mark.parametrize("is_lost", [False, True])
def test_a_write_that_fails_makes_a_process_forget_nothing(is_lost: bool) -> None:
    """The store was set back or lost, another process went on, and this one cannot write."""
    world = World()
    known = Faulty(world.clock)
    known._documents = world.store._documents
    mine = KeyRing(known, clock=world.clock)
    minter, guard = world.minter(mine, max_lifetime=2 * DAY), world.guard(mine)
    stolen = minter.mint("mallory", lifetime=DAY)
    backup = stored(world).body
    mine.revoke_key(world.kid(mine))
    token = minter.mint("alice", lifetime=DAY)
    put(world, None if is_lost else backup)
    other = world.process()
    world.kid(other)
    other.rotate()
    world.minter(other, max_lifetime=3 * DAY).mint("bob")
    known.is_read_only = True
    world.clock.tick(61)

    for _ in range(2):
        with suppress(StoreUnavailable):
            minter.mint("carol")
        with pytest.raises((KeyUnknown, KeysUnavailable)):
            guard.verify(stolen)
        assert guard.verify(token).subject == "alice"
        known.is_read_only = False
        world.clock.tick(61)


def test_a_process_that_began_with_an_older_ring_signs_nothing_that_is_refused() -> None:
    """The store was set back by weeks, and a process was started before others read it again."""
    options: dict[str, Any] = {"rotate_every": 10 * DAY}
    world = World(**options)
    TokenPairs(world.minter(), world.store).issue("alice")
    backup = stored(world).body
    for _ in range(12):
        world.clock.tick(DAY)
        world.minter().mint("alice")
    put(world, backup)
    late = world.process(**options)
    pairs = TokenPairs(world.minter(late), world.store)
    login = pairs.issue("bob")

    for ring in (world.ring, late, world.ring, late):
        world.clock.tick(61)
        world.minter(ring).mint("carol")
        for each in (world.ring, late):
            assert world.guard(each).verify(login.access_token).subject == "bob"
        login = TokenPairs(world.minter(ring), world.store).refresh(login.refresh_token)


def test_a_revocation_survives_a_process_that_has_not_heard_of_it() -> None:
    """It writes the ring that it knows to a store that has lost it."""
    world = World()
    late = world.process()
    world.kid(late)
    stolen = world.minter().mint("alice")
    world.ring.revoke_key(world.kid())
    put(world, None)
    world.clock.tick(60)
    late.load()
    world.ring.load()
    world.clock.tick(60)

    for ring in (world.ring, late):
        token = world.minter(ring).mint("bob")
        with pytest.raises(KeyUnknown):
            world.guard(ring).verify(stolen)
        assert world.guard(world.ring).verify(token).subject == "bob"


def test_a_fresh_process_on_an_empty_store_takes_no_key_away() -> None:
    """It makes a ring of its own, and what the others know comes back to it."""
    world = World()
    token = world.minter().mint("alice")
    world.clock.tick(1)
    put(world, None)
    fresh = world.process()
    kid = world.kid(fresh)
    world.clock.tick(60)
    world.ring.load()
    world.clock.tick(60)

    for ring in (world.ring, fresh):
        assert world.guard(ring).verify(token).subject == "alice"
        assert world.kid(ring) == kid


def test_a_store_that_fails_is_not_asked_for_each_token() -> None:
    """Once a second, whatever clients send."""
    world = World()
    minter, guard = world.minter(lifetime=DAY), world.guard()
    token = minter.mint("alice")
    guard.verify(token)
    world.clock.tick(4_000)
    world.store.is_away = True
    asked = world.store.asked
    for _ in range(20):
        with pytest.raises(StoreUnavailable):
            minter.mint("alice")
        with pytest.raises(KeysUnavailable, match="the server is away"):
            guard.verify(token)
    assert world.store.asked - asked == 1


def test_a_store_that_fails_is_not_asked_for_each_key_set() -> None:
    """Any client may ask for it; a moment ago is good enough."""
    world = World()
    world.kid()
    world.clock.tick(61)
    world.store.is_away = True
    asked = world.store.asked
    for _ in range(20):
        assert world.ring.jwks()["keys"]
    # And once in the background.
    assert world.store.asked - asked <= 2
    world.store.is_away = False
    world.clock.tick(1)
    assert world.minter().mint("alice")


class Raising(World):
    """Its store raises what it likes."""

    def fail(self) -> None:
        def answer(statement: Any, deadline: float) -> Any:
            raise OSError("postgresql://user:secret@host")

        self.store.answer = answer  # type: ignore[method-assign]


async def test_a_store_that_raises_is_one_that_fails() -> None:
    """S8: what it raises is not told, because it may have a credential."""
    world = Raising()
    world.kid()
    world.fail()
    world.clock.tick(61)
    assert world.ring.jwks()["keys"]
    world.clock.tick(61)
    assert (await world.ring.ajwks())["keys"]
    for call in (world.ring.rotate, world.minter().mint):
        with pytest.raises(StoreUnavailable, match=r"it raised OSError$") as refusal:
            call(*() if call == world.ring.rotate else ("alice",))
        assert "secret" not in str(refusal.value)


def test_a_change_that_may_have_been_made_is_read_at_once() -> None:
    """The connection broke after a key was revoked."""
    world = World()
    minter, guard = world.minter(), world.guard()
    token = minter.mint("alice")
    guard.verify(token)
    real, kid = world.store.answer, world.kid()

    def losing(statement: Any, deadline: float) -> Any:
        answer = real(statement, deadline)
        is_change = isinstance(statement, Exchange)
        return StoreFailed("the connection broke", may_be_done=True) if is_change else answer

    world.store.answer = losing  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailable, match="the connection broke"):
        world.ring.revoke_key(kid)
    world.store.answer = real  # type: ignore[method-assign]
    world.clock.tick(1)

    assert minter.mint("alice") != token
    assert world.kid() != kid
    with pytest.raises(KeyUnknown):
        guard.verify(token)


def test_secrets_and_public_keys_do_not_follow_each_other_in_one_ring() -> None:
    """No issuer accepts both, so that each token would be refused for a day."""
    world = World()
    world.kid()
    with pytest.raises(ConfigurationError, match="no issuer accepts shared secrets and public"):
        world.process(algorithm="HS256").load()


def test_an_issuer_may_accept_both_algorithms_of_a_change() -> None:
    world = World()
    token = world.minter().mint("alice")
    ring = world.process(algorithm="RS256")
    guard = world.guard(ring, algorithms=["ES256", "RS256"])

    assert guard.verify(token).subject == "alice"
    assert guard.verify(world.minter(ring).mint("alice")).subject == "alice"
    with pytest.raises(TokenError):
        world.guard(ring, algorithms=["RS256"]).verify(token)


@pytest.mark.parametrize(
    "changes",
    [
        {"written_at": float("nan")},
        {"written_at": "now"},
        {"longest": {"access": None}},
        {"keys": [{}]},
        {"keys": 7},
        {"revision": None},
        {"revision": float("inf")},
        {"revision": 10**4_299},
        {"revision": 1.5},
        {"revision": -1},
        {"origin": 7},
        {"keys": [{**KEY, "is_pinned": "yes"}]},
        {"keys": [{**KEY, "kid": 7}]},
        {"keys": [{**KEY, "algorithm": "none"}]},
        {"keys": [{**KEY, "revoked_at": "now"}]},
    ],
)
def test_a_document_that_was_changed_by_hand_is_a_sentence(changes: dict[str, Any]) -> None:
    world = World()
    world.kid()
    put(world, json.dumps({**json.loads(stored(world).body), **changes}).encode())
    with pytest.raises(ConfigurationError, match="something else than a ring"):
        world.process().load()


@pytest.mark.parametrize("text", ["A", "\u00e9", "\ud800", "AAAA", "W10", "e30", "bnVsbA", "", "="])
def test_a_key_that_was_changed_by_hand_is_a_sentence(text: str) -> None:
    """In a call, and in the background too."""
    world = World()
    world.kid()
    document = json.loads(stored(world).body)
    document["keys"][0]["sealed"] = f"clear.{text}"
    put(world, json.dumps(document).encode())
    known = world.ring
    world.clock.tick(61)
    for ring in (world.process(), known):
        for call in (ring.load, ring.rotate):
            with pytest.raises(ConfigurationError, match=r"is not that key|something else"):
                call()


def test_a_ring_whose_clock_is_set_back_still_shows_the_key_that_signs() -> None:
    """K1, K8."""
    world = World(rotate_every=3 * DAY)
    world.kid()
    for _ in range(4):
        world.clock.tick(DAY)
        world.ring.load()
    world.clock.jump(-DAY / 2)

    assert phases(world.ring).count("active") == 1


class Overtaken(MemoryStore):
    """Every change comes too late."""

    def answer(self, statement: Any, deadline: float) -> Any:
        if isinstance(statement, Exchange):
            return Exchanged(is_done=False, now=0.0)
        return super().answer(statement, deadline)


def test_who_is_always_overtaken_gives_up() -> None:
    """With a 503, and without an endless loop."""
    with pytest.raises(StoreUnavailable, match="too many processes"):
        KeyRing(Overtaken()).load()


def test_the_status_needs_the_store() -> None:
    world = World()
    world.store.is_away = True
    with pytest.raises(StoreUnavailable, match="the server is away"):
        world.ring.status()


def test_a_ring_of_the_future_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """A clock was wrong, or is. The key that signs stays, and rotations wait for an operator."""
    world = World()
    kid = world.kid()
    behind = Clock(world.clock.now() - 10 * DAY)
    world.clock.jump(-10 * DAY)
    ring = KeyRing(world.store, clock=behind)
    assert world.kid(ring) == kid
    assert "was written by a clock that was 10 days ahead of this one" in caplog.text


def test_a_key_changes_its_phase_between_two_reads() -> None:
    """K4: without asking the store, at the instant."""
    world = World()
    source = world.ring.key_source("the ring", None)
    world.ring.load()
    heir = world.ring.rotate()
    old = world.kid()
    world.clock.tick(DAY - 5)
    world.ring.load()
    asked = world.store.asked
    assert world.kid() == old
    world.clock.tick(5)

    assert world.kid() == heir.kid
    assert source.has(old, ALGORITHMS["ES256"])
    assert world.store.asked == asked


def test_where_no_thread_can_be_started_the_ring_is_read_when_it_must(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    guard, minter = world.guard(), world.minter()
    token = minter.mint("alice")
    guard.verify(token)
    for module in (shared_ring, shared_fetch):
        monkeypatch.setattr(module, "start_daemon", lambda *_: False)
    world.clock.tick(31)
    for _ in range(2):
        assert minter.mint("alice") != token
    world.clock.tick(61)
    assert minter.mint("alice") != token
    assert guard.verify(token).subject == "alice"
    world.clock.tick(61)
    assert guard.verify(token).subject == "alice"
    fresh = world.guard(world.process())
    with pytest.raises(KeysUnavailable, match="no thread can be started"):
        fresh.verify(token)


def test_callers_share_one_read() -> None:
    """As those of one fetch do."""
    world = World()
    source = world.process().key_source("the ring", None)
    first, second = (source.plan("x", ALGORITHMS["ES256"]) for _ in range(2))
    assert isinstance(first, Waiter)
    assert isinstance(second, Waiter)
    assert first.fetch.claim()
    warming = source.start_warming()

    assert warming is not None
    assert first.fetch is second.fetch is warming.fetch
    first.fetch.start()
    assert warming.perform(NEVER).is_over
    assert source.start_warming() is None


def test_a_guard_says_why_its_ring_cannot_be_read() -> None:
    world = World(encryption=SECRET)
    token = world.minter().mint("alice")
    guard = world.guard(world.process(encryption=OTHER))

    with pytest.raises(KeysUnavailable, match="encryption= is another secret"):
        guard.verify(token)


def test_a_guard_over_a_ring_does_what_guards_do() -> None:
    """Warm-up, withdrawal, export; before and after the ring was read, and in a forked child."""
    world = World()
    guard = world.guard()
    name = "https://shop.example/"
    with pytest.raises(ConfigurationError, match=r"load\(\) the ring first"):
        guard.distrust(name)
    source = world.ring.key_source(name, None)
    source.apply_withdrawals()
    guard.warm()
    guard.warm(required=True)
    assert source.start_warming() is None
    assert guard.export_keys(name) is None
    source.signature_failed()
    source.after_fork()
    world.ring.shared.after_fork()
    token = world.minter().mint("alice")
    assert guard.verify(token).subject == "alice"
    guard.distrust(name, world.kid())
    guard.distrust(name, world.kid())
    with pytest.raises(TokenError):
        guard.verify(token)
    guard.close()


def test_configured_keys_are_all_that_there_are() -> None:
    """An unknown key id asks no store, and there is no secret for refresh tokens."""
    world = World()
    ring = KeyRing.from_keys(generate("ES256").private, clock=world.clock)
    other = KeyRing.from_keys(generate("ES256").private, clock=world.clock)
    with pytest.raises(KeyUnknown):
        world.guard(ring).verify(world.minter(other).mint("alice"))
    with pytest.raises(ConfigurationError, match="no key for refresh tokens"):
        run(ring.signing("refresh"))
