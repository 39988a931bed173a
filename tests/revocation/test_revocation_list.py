"""What is revoked is refused: at once here, and within the lag elsewhere; properties R1 to R12."""

import math
from typing import Any

import jwt
import pytest

from jwt_middleware import ConfigurationError, Guard, Issuer
from jwt_middleware.errors import LifetimeTooLong, StoreUnavailable, TokenRevoked
from jwt_middleware.revocation import RevocationList
from jwt_middleware.stores.contract import ABSENT, Exchange
from jwt_middleware.stores.memory import MemoryStore
from jwt_middleware.testing import KeyPair
from tests.issuing.rings import AUDIENCE, DAY, ISSUER
from tests.revocation.world import Revoking, outcome

MODES = ["replica", "strict"]


@pytest.fixture(params=MODES)
def world(request: pytest.FixtureRequest) -> Revoking:
    return Revoking(mode=request.param)


def test_a_token_that_is_cached_is_refused_from_the_next_request_on(world: Revoking) -> None:
    """And no other token of its subject is."""
    token, other = world.token(), world.token()
    assert [outcome(world.checking, each) for each in (token, token, other)] == ["good"] * 3
    claims = world.claims(token)
    world.list.revoke_token(ISSUER, claims["jti"], claims["exp"])
    assert [outcome(world.checking, token) for _ in range(3)] == ["revoked"] * 3
    assert outcome(world.checking, other) == "good"


def test_a_session_is_revoked_with_all_its_tokens(world: Revoking) -> None:
    pairs = world.pairs()
    first, other = pairs.issue("alice"), pairs.issue("alice")
    second = pairs.refresh(first.refresh_token)
    world.list.revoke_session(ISSUER, first.sid)
    every = [each.access_token for each in (first, second, other)]
    assert [outcome(world.checking, each) for each in every] == ["revoked", "revoked", "good"]


def test_a_subject_is_revoked_with_what_was_issued_until_now(world: Revoking) -> None:
    """R2: with the whole second, and no other subject."""
    world.clock.tick(0.4)
    earlier, bobs = world.token(), world.token("bob")
    world.clock.tick(0.3)
    same_second = world.token()
    world.list.revoke_subject(ISSUER, "alice")
    world.clock.tick(1)
    later = world.token()
    every = [outcome(world.checking, each) for each in (earlier, same_second, later, bobs)]
    assert every == ["revoked", "revoked", "good", "good"]


def test_a_later_revocation_of_a_subject_joins_the_earlier(world: Revoking) -> None:
    """And an earlier one takes nothing back."""
    world.list.revoke_subject(ISSUER, "alice")
    world.clock.tick(10)
    token = world.token()
    world.list.revoke_subject(ISSUER, "alice")
    world.list.revoke_subject(ISSUER, "alice", before=world.clock.now() - 100)
    assert outcome(world.checking, token) == "revoked"
    assert outcome(world.checked_by(world.another(mode="strict")), token) == "revoked"


def test_a_key_is_revoked_with_what_it_signed(world: Revoking) -> None:
    token = world.token()
    world.list.revoke_key(ISSUER, world.kid())
    assert outcome(world.checking, token) == "revoked"


def test_nothing_of_another_issuer_is_revoked(world: Revoking) -> None:
    token = world.token()
    claims = world.claims(token)
    for issuer in ("https://other.example/", None):
        world.list.revoke_token(issuer, claims["jti"])
        world.list.revoke_subject(issuer, "alice")
        world.list.revoke_key(issuer, world.kid())
    assert outcome(world.checking, token) == "good"


def plain(world: Revoking, key: KeyPair, revocations: RevocationList, **options: Any) -> Guard:
    """Return a guard for tokens that a test makes by hand."""
    issuer = Issuer("x", audience=AUDIENCE, keys=key.jwk, algorithms=["ES256"], **options)
    return Guard(issuers=issuer, clock=world.clock, revocation=revocations)


def test_a_token_without_a_jti_is_revoked_by_its_text(world: Revoking) -> None:
    """R1. Only a digest of it is stored, and a token with a jti is not asked for by it (S10)."""
    key = KeyPair.generate("ES256")
    now = int(world.clock.now())
    claims = {"iss": "x", "aud": AUDIENCE, "sub": "alice", "iat": now, "exp": now + 600}
    token, other = key.sign(claims), key.sign({**claims, "sub": "bob"})
    guard = plain(world, key, world.list)
    world.list.revoke_text("x", token)
    assert [outcome(guard, each) for each in (token, other)] == ["revoked", "good"]
    # The signature is not a part of what is signed, and a second one would be another text.
    assert outcome(guard, key.sign(claims)) == "revoked"


def test_a_token_with_a_jti_can_be_revoked_by_its_text_too(world: Revoking) -> None:
    """Also one whose jti is empty."""
    key = KeyPair.generate("ES256")
    now = int(world.clock.now())
    claims = {"iss": "x", "aud": AUDIENCE, "sub": "alice", "iat": now, "exp": now + 600}
    guard = plain(world, key, world.list)
    for jti in ("j", ""):
        token = key.sign({**claims, "jti": jti})
        assert outcome(guard, token) == "good"
        world.list.revoke_text("x", token)
        assert outcome(guard, token) == "revoked"


def test_a_process_that_only_revokes_does_not_grow(world: Revoking) -> None:
    """R12: what has expired is forgotten there too, and strict mode keeps nothing."""
    for number in range(2_500):
        world.list.revoke_token(ISSUER, f"j{number}", world.clock.now() + 1)
        world.clock.tick(1)
    assert len(world.list.replica) <= 2_000


def test_a_token_without_iat_counts_as_issued_before(world: Revoking) -> None:
    """R2."""
    key = KeyPair.generate("ES256")
    exp = int(world.clock.now()) + 600
    token = key.sign({"iss": "x", "aud": AUDIENCE, "sub": "alice", "exp": exp, "jti": "j"})
    mode = {"mode": "strict"} if world.list.is_strict else {}
    for_ever = world.another(longest_lifetime=None, **mode)
    for_ever.revoke_subject("x", "alice", before=0)
    assert outcome(plain(world, key, for_ever), token) == "revoked"


@pytest.mark.parametrize("claim", [{"sid": ["a"]}, {"sid": {"a": 1}}, {"sid": None}])
def test_claims_of_other_types_name_nothing(world: Revoking, claim: dict[str, Any]) -> None:
    key = KeyPair.generate("ES256")
    exp = int(world.clock.now()) + 600
    iat = exp - 600
    token = key.sign({"iss": "x", "aud": AUDIENCE, "sub": "a", "iat": iat, "exp": exp, **claim})
    world.list.revoke_token("x", "a")
    world.list.revoke_session("x", "a")
    world.list.revoke_text("x", "another.token.x")
    assert outcome(plain(world, key, world.list), token) == "good"


def test_a_revocation_is_known_elsewhere_when_it_was_read(world: Revoking) -> None:
    """R4."""
    elsewhere = world.another(mode="strict" if world.list.is_strict else "replica")
    guard, token = world.checked_by(elsewhere), world.token()
    assert outcome(guard, token) == "good"
    world.list.revoke_subject(ISSUER, "alice")
    elsewhere.follower.read()
    assert outcome(guard, token) == "revoked"


async def test_each_blocking_call_has_an_awaiting_twin(world: Revoking) -> None:
    tokens = [world.token(each) for each in "abcd"]
    jti = world.claims(tokens[0])["jti"]
    await world.list.arevoke_token(ISSUER, jti)
    await world.list.arevoke_session(ISSUER, "s")
    await world.list.arevoke_subject(ISSUER, "b")
    await world.list.arevoke_text(ISSUER, tokens[2])
    assert (await world.checking.averify(tokens[3])).subject == "d"
    for token in tokens[:3]:
        with pytest.raises(TokenRevoked):
            await world.checking.averify(token)
    await world.list.arevoke_key(ISSUER, world.kid())
    with pytest.raises(TokenRevoked):
        await world.checking.averify(tokens[3])


def test_an_entry_ends_when_its_tokens_have_expired(world: Revoking) -> None:
    """R1, S4: with the largest leeway and a minute; one of a key never does."""
    token = world.token()
    claims = world.claims(token)
    world.list.revoke_token(ISSUER, claims["jti"], claims["exp"])
    world.list.revoke_session(ISSUER, "s")
    world.list.revoke_key(ISSUER, "k")
    found = world.entries()
    ends = {each.expires_at for each in found}
    assert ends == {claims["exp"] + 360, world.clock.now() + 30 * DAY + 360, None}


def test_what_has_expired_is_not_even_written(world: Revoking) -> None:
    """R12."""
    before = len(world.shared)
    world.list.revoke_token(ISSUER, "j", world.clock.now() - 1000)
    assert len(world.shared) == before


def test_a_revocation_may_be_made_again(world: Revoking) -> None:
    """R12: it is one entry, and ends with the later of the two."""
    for exp in (1000, 5000, 2000):
        world.list.revoke_token(ISSUER, "j", world.clock.now() + exp)
    found = world.entries()
    (only,) = found
    assert (only.expires_at, only.version) == (world.clock.now() + 5360, 2)


def test_a_token_that_outlives_its_revocation_is_refused(world: Revoking) -> None:
    """From its first day to its last, or it would be good again one day. Without iat, always."""
    key = KeyPair.generate("ES256")
    now = int(world.clock.now())
    claims = {"iss": "x", "aud": AUDIENCE, "sub": "alice", "jti": "j"}
    guard = plain(world, key, world.list)
    long = key.sign({**claims, "iat": now, "exp": now + 31 * int(DAY)})
    for _ in range(4):
        with pytest.raises(LifetimeTooLong, match="longest_lifetime"):
            guard.verify(long)
        world.clock.tick(10 * DAY)
    now = int(world.clock.now())
    with pytest.raises(LifetimeTooLong):
        guard.verify(key.sign({**claims, "exp": now + 600}))
    assert outcome(guard, key.sign({**claims, "iat": now, "exp": now + 30 * int(DAY)})) == "good"


def test_what_is_revoked_until_later_stays_so_for_as_long(world: Revoking) -> None:
    """R1: counted from the latest token that is meant."""
    world.list.revoke_subject(ISSUER, "alice", before=world.clock.now() + 5 * DAY)
    (entry,) = world.entries()
    assert entry.expires_at == world.clock.now() + 35 * DAY + 360


def test_a_key_is_revoked_whatever_a_header_says(world: Revoking) -> None:
    """Who has stolen it may leave its id out."""
    key = KeyPair.generate("ES256", "k1")
    now = int(world.clock.now())
    claims = {"iss": "x", "aud": AUDIENCE, "sub": "alice", "iat": now, "exp": now + 600}
    guard = plain(world, key, world.list)
    bare = jwt.encode(claims, key.private_pem, "ES256")
    assert outcome(guard, bare) == "good"
    world.list.revoke_key("x", "k1")
    assert [outcome(guard, each) for each in (bare, key.sign(claims))] == ["revoked"] * 2


def test_a_client_that_needs_a_loop_cannot_be_followed() -> None:
    class Looping(MemoryStore):
        needs_loop = True

    with pytest.raises(ConfigurationError, match="follows its store on a thread"):
        RevocationList(Looping(), on_lag="refuse")
    assert RevocationList(Looping(), mode="strict").is_strict


def test_tokens_that_never_expire_need_revocations_that_never_do() -> None:
    world = Revoking()
    key = KeyPair.generate("ES256")
    with pytest.raises(ConfigurationError, match="longest_lifetime=None"):
        plain(world, key, world.list, require_exp=False)
    for_ever = world.another(longest_lifetime=None)
    guard = plain(world, key, for_ever, require_exp=False)
    token = key.sign({"iss": "x", "aud": AUDIENCE, "sub": "alice"})
    assert outcome(guard, token) == "good"
    for_ever.revoke_subject("x", "alice")
    world.clock.tick(1000 * DAY)
    for_ever.follower.read()
    assert outcome(guard, token) == "revoked"


def test_a_store_that_fails_does_not_revoke_and_says_so(world: Revoking) -> None:
    world.shared.is_away = True
    with pytest.raises(StoreUnavailable):
        world.list.revoke_session(ISSUER, "s")
    world.shared.is_away, world.shared.is_read_only = False, True
    with pytest.raises(StoreUnavailable, match="read-only"):
        world.list.revoke_session(ISSUER, "s")


def test_until_the_first_reading_requests_are_refused(world: Revoking) -> None:
    """R6, R10: never let through because no answer came."""
    world.shared.is_away = True
    assert outcome(world.checking, world.token()) == "unavailable"


def test_a_lag_refuses_or_serves_as_was_chosen() -> None:
    """R5, R6: by the age of the reading alone. What is known stays revoked either way."""
    for on_lag, expected in (("refuse", "unavailable"), ("serve", "good")):
        world = Revoking(on_lag=on_lag)
        token, revoked = world.token(), world.token("bob")
        world.list.revoke_subject(ISSUER, "bob")
        assert outcome(world.checking, token) == "good"
        world.shared.is_away = True
        world.clock.tick(5)
        assert world.list.follower.read() is False
        assert outcome(world.checking, token) == expected
        assert outcome(world.checking, revoked) in {"revoked", "unavailable"}
        world.shared.is_away = False
        assert world.list.follower.read()
        assert outcome(world.checking, token) == "good"
        assert outcome(world.checking, revoked) == "revoked"


def test_a_replica_that_was_never_read_does_not_serve() -> None:
    """R6: nothing is known yet, which is not the same as nothing being revoked."""
    world = Revoking(on_lag="serve")
    world.shared.is_away = True
    assert outcome(world.checking, world.token()) == "unavailable"


def test_a_known_token_asks_no_store_and_looks_nothing_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """R3: until the version changes."""
    world = Revoking()
    token = world.token()
    assert outcome(world.checking, token) == "good"
    assert outcome(world.checking, token) == "good"
    world.list.close()
    asked = world.shared.asked
    known = world.list.replica.revokes
    looked: list[object] = []

    def counting(*given: Any) -> Any:
        looked.append(given)
        return known(*given)

    monkeypatch.setattr(world.list.replica, "revokes", counting)
    for _ in range(5):
        world.checking.verify(token)
    assert (world.shared.asked, looked) == (asked, [])
    world.list.replica.version += 1
    world.checking.verify(token)
    assert len(looked) == 1


def test_strict_asks_once_for_each_request() -> None:
    """R10: for everything that may be revoked of a token, in one statement."""
    world = Revoking(mode="strict")
    token = world.token()
    world.checking.verify(token)
    asked = world.shared.asked
    world.checking.verify(token)
    assert world.shared.asked == asked + 1
    world.shared.is_away = True
    assert outcome(world.checking, token) == "unavailable"


def test_an_entry_of_a_later_release_counts_in_strict(world: Revoking) -> None:
    """It stands under the name of what it revokes. A replica passes over what it cannot read."""
    token = world.token()
    world.list.revoke_session(ISSUER, "s")
    from jwt_middleware.revocation.entries import KIND, name_of
    from jwt_middleware.stores.contract import Change

    name = name_of(ISSUER, "token", world.claims(token)["jti"])
    odd = Change(KIND, name, ABSENT, b'{"what": "later"}')
    world.shared.answer(Exchange((odd,)), math.inf)
    world.list.follower.read()
    expected = "revoked" if world.list.is_strict else "good"
    assert outcome(world.checking, token) == expected


def test_explain_tells_of_revocations(world: Revoking) -> None:
    token = world.token()
    assert ("revocation", "holds") in world.checking.explain("GET", "/", token).checks
    world.list.revoke_subject(ISSUER, "alice")
    explained = world.checking.explain("GET", "/", token)
    assert ("revocation", "fails: token_revoked") in explained.checks
    assert "earlier tokens of its subject" in explained.because


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "on_lag= must be chosen"),
        ({"on_lag": "ignore"}, "on_lag='ignore'"),
        ({"mode": "fast"}, "mode='fast'"),
        ({"max_lag": 0, "on_lag": "refuse"}, "max_lag=0"),
        ({"max_lag": 61, "on_lag": "refuse"}, "max_lag=61"),
        ({"timeout": -1, "mode": "strict"}, "timeout=-1"),
        ({"longest_lifetime": "a day", "mode": "strict"}, "longest_lifetime"),
        ({"clock": "now", "mode": "strict"}, "clock"),
    ],
)
def test_a_wrong_option_is_a_mistake(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        RevocationList(MemoryStore(), **options)


def test_what_is_no_store_or_no_list_is_a_mistake() -> None:
    with pytest.raises(ConfigurationError, match="must be a store"):
        RevocationList("redis://:s3cret@h", on_lag="refuse")  # type: ignore[arg-type]
    issuer = Issuer("x", audience="a", keys=KeyPair.generate("ES256").jwk)
    with pytest.raises(ConfigurationError, match="RevocationList"):
        Guard(issuers=issuer, revocation=MemoryStore())  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["", None, 5, b"x"])
def test_what_is_revoked_is_text(world: Revoking, value: Any) -> None:
    for call in (world.list.revoke_session, world.list.revoke_subject, world.list.revoke_key):
        with pytest.raises(ConfigurationError):
            call(ISSUER, value)
    for odd in (True, math.nan, "soon", 10**400):
        with pytest.raises(ConfigurationError):
            world.list.revoke_token(ISSUER, "j", odd)  # type: ignore[arg-type]
        with pytest.raises(ConfigurationError):
            world.list.revoke_subject(ISSUER, "a", odd)  # type: ignore[arg-type]
