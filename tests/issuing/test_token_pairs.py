"""Token pairs: logins, refreshes, reuse, and what ends a login; properties F1 to F15."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jwt
import pytest
from joserfc import jwt as joserfc_jwt
from joserfc.jwk import KeySet, OctKey

from jwt_middleware import ConfigurationError, Secret
from jwt_middleware.errors import (
    AlgorithmNotAllowed,
    AudienceMismatch,
    ClaimInvalid,
    ClaimMissing,
    IssuerUntrusted,
    KeyUnknown,
    RefreshBurnt,
    RefreshReused,
    RefreshUnknown,
    SignatureInvalid,
    StoreUnavailable,
    TokenError,
    TokenExpired,
    TokenMalformed,
    TypeNotAllowed,
    UserUnknown,
)
from jwt_middleware.events import LoginEnded
from jwt_middleware.issuing import KeyRing, Login, TokenPair, TokenPairs, family_store
from jwt_middleware.stores.contract import Change, Exchange, Exchanged, Read
from jwt_middleware.stores.memory import MemoryStore
from jwt_middleware.testing import Clock, KeyPair
from tests.issuing.rings import DAY, ISSUER, Faulty, World

NEVER = 1e12


class Logins(World):
    """A service with logins, and what it was told of them."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.told: list[Any] = []
        self.logins = Faulty(self.clock)
        self.pairs = self.another(**options)

    def another(self, **options: Any) -> TokenPairs:
        """Return the same service in another process."""
        minter = self.minter(self.process(), claims_of=options.pop("claims_of", None))
        return TokenPairs(minter, self.logins, observers=[self.told.append], **options)

    def claims(self, pair: TokenPair) -> dict[str, Any]:
        """Return the claims of an access token that the guard accepts."""
        return self.guard().verify(pair.access_token).claims.to_dict()


def said(token: str) -> dict[str, Any]:
    found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return found


@pytest.fixture
def world() -> Logins:
    return Logins()


def test_a_login_gives_a_pair_and_a_refresh_the_next(world: Logins) -> None:
    """RFC 6749 §5.1. The access token is accepted by the guard, and names its login (F9)."""
    first = world.pairs.issue("alice", claims={"roles": ["staff"]})
    world.clock.tick(600)
    second = world.pairs.refresh(first.refresh_token)

    assert set(first.as_json()) == {
        "access_token",
        "refresh_token",
        "token_type",
        "expires_in",
        "refresh_expires_in",
    }
    assert (first.token_type, first.expires_in) == ("Bearer", 900)
    assert first.refresh_expires_in == second.refresh_expires_in == 14 * DAY
    for pair in (first, second):
        claims = world.claims(pair)
        assert (claims["sub"], claims["sid"], claims["roles"]) == ("alice", first.sid, ["staff"])
    assert world.claims(first)["jti"] != world.claims(second)["jti"]
    assert first.refresh_token != second.refresh_token
    assert "eyJ" not in repr(first)


async def test_each_blocking_call_has_an_awaiting_twin(world: Logins) -> None:
    pairs = world.pairs
    first, other = await pairs.aissue("alice"), await pairs.aissue("alice")
    second = await pairs.arefresh(first.refresh_token)
    assert len(await pairs.afamilies("alice")) == 2
    await pairs.arevoke(second.refresh_token)
    assert [each.sid for each in await pairs.afamilies("alice")] == [other.sid]
    third = await pairs.aissue("alice")
    await pairs.arevoke_family(third.sid)
    await pairs.arevoke_subject("alice")
    assert await pairs.afamilies("alice") == ()


def test_a_hundred_refreshes_at_once_have_one_successor(world: Logins) -> None:
    """F1, F3: each gets it, and no branch begins."""
    first = world.pairs.issue("alice")
    services = [world.another() for _ in range(4)]

    with ThreadPoolExecutor(25) as pool:
        found = list(
            pool.map(lambda place: services[place % 4].refresh(first.refresh_token), range(100))
        )

    assert len({said(each.refresh_token)["jti"] for each in found}) == 1
    assert len({each.refresh_token for each in found}) == 1
    (family,) = world.pairs.families("alice")
    assert family.generation == 1


def test_two_tabs_that_refresh_at_once_stay_logged_in(world: Logins) -> None:
    """The second one gets a fresh access token and the same successor, not the old one again."""
    first = world.pairs.issue("alice")
    one = world.pairs.refresh(first.refresh_token)
    world.clock.tick(4.9)
    other = world.pairs.refresh(first.refresh_token)

    assert one.refresh_token == other.refresh_token != first.refresh_token
    assert world.claims(other)["jti"] != world.claims(one)["jti"]
    assert world.pairs.refresh(other.refresh_token).sid


@pytest.mark.parametrize("order", ["the thief first", "the owner first"])
def test_a_stolen_token_ends_the_login_of_both(world: Logins, order: str) -> None:
    """F2: whoever comes second shows that there are two."""
    stolen = world.pairs.issue("alice").refresh_token
    fresh = world.pairs.refresh(stolen)
    world.clock.tick(5)

    with pytest.raises(RefreshReused):
        world.pairs.refresh(stolen)
    for token in (stolen, fresh.refresh_token):
        with pytest.raises(RefreshBurnt):
            world.pairs.refresh(token)
    assert world.told == [LoginEnded("alice", fresh.sid, "refresh_reused")]
    assert world.pairs.families("alice") == ()


def test_without_a_grace_the_second_use_is_reuse() -> None:
    world = Logins(grace=0)
    first = world.pairs.issue("alice")
    world.pairs.refresh(first.refresh_token)

    with pytest.raises(RefreshReused):
        world.pairs.refresh(first.refresh_token)


def test_a_login_ends_when_it_is_not_used_and_in_any_case(world: Logins) -> None:
    """F5: the last token ends with the login, and the answer says when."""
    unused = world.pairs.issue("alice")
    used = world.pairs.issue("bob")
    for _ in range(8):
        world.clock.tick(11 * DAY)
        used = world.pairs.refresh(used.refresh_token)
    assert used.refresh_expires_in == 2 * DAY

    with pytest.raises(TokenExpired):
        world.pairs.refresh(unused.refresh_token)
    world.clock.tick(2 * DAY)
    with pytest.raises(TokenExpired):
        world.pairs.refresh(used.refresh_token)
    assert world.pairs.families("bob") == ()


def test_a_response_that_was_lost_is_given_again(world: Logins) -> None:
    """F6: the step in the store was made, and the client tries the same token again."""
    first = world.pairs.issue("alice")
    real = world.logins.answer

    def losing(statement: Any, deadline: float) -> Any:
        answer = real(statement, deadline)
        if isinstance(statement, Exchange):
            from jwt_middleware.stores.contract import StoreFailed

            return StoreFailed("the connection broke", may_be_done=True)
        return answer

    world.logins.answer = losing  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailable, match="the connection broke"):
        world.pairs.refresh(first.refresh_token)
    world.logins.answer = real  # type: ignore[method-assign]

    second = world.pairs.refresh(first.refresh_token)
    assert world.pairs.refresh(second.refresh_token).sid


def test_a_store_that_is_away_is_a_503_and_consumes_nothing(world: Logins) -> None:
    """F7."""
    first = world.pairs.issue("alice")
    world.logins.is_away = True
    calls: list[Callable[[], object]] = [
        lambda: world.pairs.refresh(first.refresh_token),
        lambda: world.pairs.issue("alice"),
        lambda: world.pairs.revoke(first.refresh_token),
        lambda: world.pairs.families("alice"),
    ]
    for call in calls:
        with pytest.raises(StoreUnavailable) as refusal:
            call()
        assert (refusal.value.status, refusal.value.code) == (503, "store_unavailable")
    world.logins.is_away = False

    assert world.pairs.refresh(first.refresh_token).sid
    assert world.told == []


def test_a_subject_that_may_not_go_on_is_logged_out() -> None:
    """F8: it is asked before anything is consumed; no login begins either."""
    asked: list[str] = []
    locked: set[str] = set()

    def check(subject: str) -> bool:
        asked.append(subject)
        return subject not in locked

    world = Logins(subject_check=check)
    first = world.pairs.issue("alice")
    locked.add("alice")

    with pytest.raises(UserUnknown):
        world.pairs.refresh(first.refresh_token)
    with pytest.raises(UserUnknown):
        world.pairs.issue("alice")
    locked.clear()
    with pytest.raises(RefreshBurnt):
        world.pairs.refresh(first.refresh_token)
    assert world.told == [LoginEnded("alice", first.sid, "subject_refused")]
    assert asked == ["alice"] * 3


async def test_hooks_may_be_async_and_may_fail() -> None:
    """F8, M8: what a hook raises ends the call with nothing consumed."""
    fails: list[Exception] = []

    async def check(subject: str) -> bool:
        return True

    def claims_of(subject: str) -> dict[str, Any]:
        if fails:
            raise fails.pop()
        return {"roles": [subject]}

    world = Logins(subject_check=check, claims_of=claims_of)
    first = await world.pairs.aissue("alice")
    fails.append(LookupError("the database is away"))
    with pytest.raises(LookupError):
        await world.pairs.arefresh(first.refresh_token)
    second = await world.pairs.arefresh(first.refresh_token)
    assert said(second.access_token)["roles"] == ["alice"]
    with pytest.raises(ConfigurationError, match="check is async"):
        world.pairs.refresh(second.refresh_token)
    maybe: Any = lambda _: None  # noqa: E731
    with pytest.raises(ConfigurationError, match="subject_check returned NoneType"):
        world.another(subject_check=maybe).refresh(second.refresh_token)
    assert (await world.pairs.arefresh(second.refresh_token)).sid


def test_the_logins_of_a_subject_can_be_listed_and_ended(world: Logins) -> None:
    """F10: with what the application knows of the device."""
    device = {"name": "Firefox", "address": "192.0.2.1", "agent": "x" * 1_000}
    first = world.pairs.issue("alice", device=device)
    world.clock.tick(60)
    second = world.pairs.issue("alice")
    third = world.pairs.issue("alice")
    world.pairs.issue("bob")
    world.clock.tick(60)
    world.pairs.refresh(first.refresh_token)

    listed = world.pairs.families("alice")
    assert listed[0].sid == first.sid
    assert listed[0].device == {**device, "agent": "x" * 300}
    assert listed[0].last_used_at - listed[0].created_at == 120
    world.pairs.revoke_family(second.sid)
    for unknown in ("unknown", "", "ü", "a" * 300, "0" * 32):
        world.pairs.revoke_family(unknown)
    world.pairs.revoke_subject("alice", but=first.sid)
    assert [each.sid for each in world.pairs.families("alice")] == [first.sid]
    assert len(world.pairs.families("bob")) == 1
    with pytest.raises(RefreshBurnt):
        world.pairs.refresh(third.refresh_token)
    assert [each.because for each in world.told] == ["logout", "subject_revoked"]


def test_a_login_after_all_were_ended_is_good_at_once(world: Logins) -> None:
    """F11: with a new password, in the same second."""
    world.pairs.issue("alice")
    world.pairs.revoke_subject("alice")
    pair = world.pairs.issue("alice")

    assert world.pairs.refresh(pair.refresh_token).sid
    assert world.claims(pair)["sub"] == "alice"


def test_the_login_that_was_used_least_recently_makes_room() -> None:
    """Where a subject has as many as it may have."""
    world = Logins(max_families=3)
    pairs = []
    for _ in range(3):
        pairs.append(world.pairs.issue("alice"))
        world.clock.tick(60)
    world.pairs.refresh(pairs[0].refresh_token)
    world.pairs.issue("alice")

    left = {each.sid for each in world.pairs.families("alice")}
    assert len(left) == 3
    assert pairs[1].sid not in left
    assert world.told == [LoginEnded("alice", pairs[1].sid, "displaced")]
    lower = world.another(max_families=1)
    last = lower.issue("alice")
    assert [each.sid for each in lower.families("alice")] == [last.sid]


def test_when_and_how_a_login_was_made_stays_with_it(world: Logins) -> None:
    """F12: a refresh is no new login, so that a rule can ask for a fresh one."""
    login = Login(auth_time=1_700_000_000, acr="gold", amr=("pwd", "otp"), client_id="web")
    pair = world.pairs.issue("alice", login=login)
    plain = world.pairs.issue("alice")
    began = int(world.clock.now())
    world.clock.tick(DAY)

    claims = world.claims(world.pairs.refresh(pair.refresh_token))
    assert (claims["auth_time"], claims["acr"]) == (1_700_000_000, "gold")
    assert (claims["amr"], claims["client_id"]) == (["pwd", "otp"], "web")
    claims = world.claims(world.pairs.refresh(plain.refresh_token))
    assert claims["auth_time"] == began
    assert not {"acr", "amr", "client_id"} & set(claims)


def test_no_refresh_token_passes_as_an_access_token(world: Logins) -> None:
    """F13, M9: its key is not published, and its type and audience are its own."""
    token = world.pairs.issue("alice").refresh_token
    claims, header = said(token), jwt.get_unverified_header(token)

    assert (header["alg"], header["typ"]) == ("HS256", "rt+jwt")
    assert (claims["iss"], claims["aud"]) == (ISSUER, ISSUER)
    published = world.ring.jwks()
    assert header["kid"] not in {key["kid"] for key in published["keys"]}
    with pytest.raises(AlgorithmNotAllowed):
        world.guard().verify(token)
    symmetric = KeyRing(world.store, clock=world.clock, name="symmetric", algorithm="HS256")
    with pytest.raises(TokenError):
        world.guard(symmetric).verify(token)
    for keys in (published, {"keys": [OctKey.generate_key().as_dict()]}):
        with pytest.raises(Exception, match=r".*"):
            joserfc_jwt.decode(token, KeySet.import_key_set(keys), ["HS256", "ES256"])  # type: ignore[arg-type]


def test_the_secret_of_refresh_tokens_rotates_like_the_others(world: Logins) -> None:
    """F13: a token of the old one is good for as long as it lasts."""
    tokens = [world.pairs.issue("alice").refresh_token]
    world.clock.tick(89 * DAY)
    tokens.append(world.pairs.issue("bob").refresh_token)
    world.clock.tick(2 * DAY)
    world.pairs.issue("carol")
    world.clock.tick(120)
    tokens.append(world.pairs.issue("dave").refresh_token)
    kids = [jwt.get_unverified_header(token)["kid"] for token in tokens]

    assert kids[0] == kids[1] != kids[2]
    world.clock.tick(10 * DAY)
    assert world.pairs.refresh(tokens[1]).sid
    assert world.pairs.refresh(tokens[2]).sid


def signed(world: Logins, pair: KeyPair | None = None, **changes: Any) -> str:
    """Return a refresh token with other claims, signed with the real secret or another."""
    pairs = world.pairs
    token = pairs.issue("alice").refresh_token
    key = pairs.minter.ring.signer("refresh")
    assert key is not None
    claims = {**said(token), **changes}
    claims = {name: value for name, value in claims.items() if value is not None}
    real = KeyPair(key.private, "HS256", key.kid)
    return (pair or real).sign(claims, {"typ": "rt+jwt", "kid": key.kid})


BAD: dict[str, tuple[Any, type[TokenError]]] = {
    "an access token": (lambda world: world.pairs.issue("a").access_token, TypeNotAllowed),
    "rubbish": (lambda world: "rubbish", TokenMalformed),
    "no text": (lambda world: 7, TokenMalformed),
    "another secret": (
        lambda world: signed(world, KeyPair(b"x" * 32, "HS256", None)),
        SignatureInvalid,
    ),
    "another audience": (lambda world: signed(world, aud="orders"), AudienceMismatch),
    "another issuer": (lambda world: signed(world, iss="https://b/"), IssuerUntrusted),
    "no login": (lambda world: signed(world, sid=None), ClaimMissing),
    "a number for a login": (lambda world: signed(world, sid=7), ClaimInvalid),
    "a fraction for an end": (lambda world: signed(world, exp=4e9), ClaimInvalid),
    "a login that nobody knows": (lambda world: signed(world, sid="0" * 32), RefreshUnknown),
    "another key": (
        lambda world: Logins().pairs.issue("alice").refresh_token,
        KeyUnknown,
    ),
    "another algorithm": (
        lambda world: KeyPair.generate("ES256").sign({"a": 1}, {"typ": "rt+jwt"}),
        AlgorithmNotAllowed,
    ),
    "a token of another type": (
        lambda world: KeyPair(b"x" * 32, "HS256", None).sign({"a": 1}),
        TypeNotAllowed,
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_refresh_token_of_ours_is_refused(world: Logins, kind: str) -> None:
    """Each with its own code, and no login ends by it."""
    build, code = BAD[kind]
    token = build(world)
    with pytest.raises(code):
        world.pairs.refresh(token)
    if code is not RefreshUnknown:
        with pytest.raises(code):
            world.pairs.revoke(token)
    assert world.told == []


def test_a_token_of_an_older_generation_burns_the_login(world: Logins) -> None:
    """Also within the grace of a newer one."""
    tokens = [world.pairs.issue("alice").refresh_token]
    for _ in range(3):
        tokens.append(world.pairs.refresh(tokens[-1]).refresh_token)

    with pytest.raises(RefreshReused):
        world.pairs.refresh(tokens[0])
    with pytest.raises(RefreshBurnt):
        world.pairs.refresh(tokens[-1])


def test_logging_out_twice_is_no_error(world: Logins) -> None:
    """RFC 7009 §2.2; nor is a login that has been forgotten."""
    pair = world.pairs.issue("alice")
    world.pairs.revoke(pair.refresh_token)
    world.pairs.revoke(pair.refresh_token)
    with pytest.raises(RefreshBurnt):
        world.pairs.refresh(pair.refresh_token)
    world.clock.tick(20 * DAY)
    world.pairs.revoke(pair.refresh_token)

    assert [each.because for each in world.told] == ["logout"]


def test_something_else_in_the_store_is_not_a_login(world: Logins) -> None:
    pair = world.pairs.issue("alice")
    found: Any = world.logins.answer(Read("family", pair.sid), NEVER)
    world.logins.answer(
        Exchange((Change("family", pair.sid, found.document.version, b"{}"),)), NEVER
    )

    with pytest.raises(StoreUnavailable, match="something else than a login"):
        world.pairs.refresh(pair.refresh_token)


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "no store": ({"store": "sqlite:"}, "store=str must be a store"),
    "no minter": ({"minter": 7}, "minter=7 must be of type Minter"),
    "no lifetime": ({"refresh_lifetime": 0}, "refresh_lifetime=0 must be"),
    "for ever": ({"family_lifetime": 1e300}, "family_lifetime=1e+300 must be seconds"),
    "half a second": ({"family_lifetime": 0.5}, "family_lifetime=0.5 must be"),
    "a grace of an hour": ({"grace": 3600}, "grace=3600 must be"),
    "no login at all": ({"max_families": 0}, "max_families=0"),
    "no check": ({"subject_check": "users"}, "subject_check='users' must be a function"),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_a_mistake_is_a_sentence(world: Logins, kind: str) -> None:
    options, sentence = MISTAKES[kind]
    known: dict[str, Any] = {"minter": world.minter(), "store": MemoryStore()}
    with pytest.raises(ConfigurationError) as mistake:
        TokenPairs(**known | options)
    assert sentence in str(mistake.value)


def test_a_ring_of_configured_keys_has_no_secret_for_refresh_tokens(world: Logins) -> None:
    ring = KeyRing.from_keys(Secret(b"x" * 32), algorithm="HS256")
    with pytest.raises(ConfigurationError, match=r"in place of KeyRing\.from_keys"):
        TokenPairs(world.minter(ring), MemoryStore())


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a number for a subject": ({"subject": 7}, "subject must be text"),
    "its own claims": ({"claims": {"sid": "x"}}, "claims['sid'] cannot be set"),
    "an odd device": ({"device": {"os": "x"}}, "must have name, address and agent alone"),
    "a number for a device": ({"device": {"name": 7}}, "device['name'] must be text"),
    "a list for a device": ({"device": ["x"]}, "must have name, address and agent alone"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_login_that_cannot_be_is_a_sentence(world: Logins, kind: str) -> None:
    """And none begins."""
    options, sentence = WRONG[kind]
    with pytest.raises(ConfigurationError) as mistake:
        world.pairs.issue(**{"subject": "alice", **options})
    assert sentence in str(mistake.value)
    assert world.pairs.families("alice") == ()


@pytest.mark.parametrize(
    "options", [{"auth_time": 1.5}, {"acr": 7}, {"amr": "pwd"}, {"amr": [7]}, {"client_id": ""}]
)
def test_a_login_says_what_json_can_say(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Login(**options)


class Overtaken(Faulty):
    """Every change comes too late, from some time on."""

    is_slow = False

    def answer(self, statement: Any, deadline: float) -> Any:
        if self.is_slow and isinstance(statement, Exchange):
            return Exchanged(is_done=False, now=0.0)
        return super().answer(statement, deadline)


def test_who_is_always_overtaken_gives_up(world: Logins) -> None:
    """With a 503; nothing is consumed, and no login is burnt."""
    store = Overtaken(world.clock)
    pairs = TokenPairs(world.minter(), store)
    first = pairs.issue("alice")
    second = pairs.refresh(first.refresh_token)
    store.is_slow = True
    world.clock.tick(10)
    calls: list[Callable[[], object]] = [
        lambda: pairs.refresh(second.refresh_token),
        lambda: pairs.refresh(first.refresh_token),
        lambda: pairs.revoke(second.refresh_token),
        lambda: pairs.revoke_subject("alice"),
    ]
    for call in calls:
        with pytest.raises(StoreUnavailable, match="too many processes"):
            call()
    with pytest.raises(RefreshBurnt):
        pairs.issue("alice")
    store.is_slow = False
    assert pairs.refresh(second.refresh_token).sid == first.sid
    pairs.revoke_subject("alice")


def test_hooks_use_up_no_grace() -> None:
    """F1, F6: two tabs, and a response that was lost, while each hook takes as long as the grace."""
    slow: list[Logins] = []

    def claims_of(_: str) -> dict[str, Any]:
        if slow:
            slow[0].clock.tick(6)
        return {}

    world = Logins(claims_of=claims_of)
    first = world.pairs.issue("alice")
    slow.append(world)
    second = world.pairs.refresh(first.refresh_token)

    assert world.pairs.refresh(second.refresh_token).sid == first.sid
    assert world.told == []


def test_who_lost_a_race_is_judged_by_when_it_asked() -> None:
    """The other request was made while this one waited for its hook."""
    nested: list[TokenPair] = []
    waiting: list[str] = []

    def check(_: str) -> bool:
        if waiting:
            nested.append(service.another().refresh(waiting.pop()))
            service.clock.tick(20)
        return True

    service = Logins(subject_check=check)
    first = service.pairs.issue("alice")
    waiting.append(first.refresh_token)
    pair = service.pairs.refresh(first.refresh_token)

    assert pair.refresh_token == nested[0].refresh_token
    assert service.told == []


def test_a_login_of_one_service_is_none_of_another() -> None:
    """Two audiences of one issuer, one ring and one store; nor do they end each other's logins."""
    world = Logins()
    minter = world.minter(world.process(), audience="admin")
    admin = TokenPairs(minter, world.logins, max_families=1)
    shop = world.pairs.issue("alice")

    with pytest.raises(RefreshUnknown):
        admin.refresh(shop.refresh_token)
    admin.revoke(shop.refresh_token)
    admin.revoke_family(shop.sid)
    admin.revoke_subject("alice")
    admin.issue("alice")
    assert admin.families("alice") != world.pairs.families("alice")
    assert world.pairs.refresh(shop.refresh_token).sid == shop.sid


def test_a_login_that_is_under_way_does_not_outlive_the_end_of_all() -> None:
    """With a stolen password one could go on logging in otherwise."""
    ending: list[str] = []

    def claims_of(subject: str) -> dict[str, Any]:
        if ending:
            service.another().revoke_subject(ending.pop())
        return {}

    service = Logins(claims_of=claims_of)
    service.pairs.issue("alice")
    ending.append("alice")
    with pytest.raises(RefreshBurnt):
        service.pairs.issue("alice")
    assert service.pairs.families("alice") == ()
    assert service.pairs.issue("alice").sid


def test_refreshing_denies_no_login_to_others() -> None:
    """Logins that are displaced are ended one by one, and hooks are asked once."""
    asked: list[str] = []

    def claims_of(subject: str) -> dict[str, Any]:
        asked.append(subject)
        return {}

    world = Logins(max_families=2, claims_of=claims_of)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: world.another(max_families=2).issue("alice"), range(24)))
    assert len(found) == 24
    assert len(world.pairs.families("alice")) == 2


def test_a_key_that_another_process_made_is_read() -> None:
    """Once a second, because clients can invent key ids."""
    world = Logins()
    world.pairs.issue("alice")
    other = world.another()
    token = other.issue("bob").refresh_token
    kid = jwt.get_unverified_header(token)["kid"]
    assert [key.use for key in world.ring.status()] == ["access", "refresh"]
    KeyRing(world.store, clock=world.clock).revoke_key(kid)
    world.clock.tick(60)
    fresh = world.another().issue("carol").refresh_token

    assert world.pairs.refresh(fresh).sid
    with pytest.raises(KeyUnknown):
        world.pairs.refresh(token)
    asked = world.store.asked
    for _ in range(5):
        with pytest.raises(KeyUnknown):
            world.pairs.refresh(token)
    assert world.store.asked == asked


def test_a_login_that_has_ended_leaves_little_behind(world: Logins) -> None:
    """And nothing after an hour."""
    pair = world.pairs.issue("alice", claims={"name": "Alice"}, device={"name": "Firefox"})
    world.pairs.revoke(pair.refresh_token)
    found: Any = world.logins.answer(Read("family", pair.sid), NEVER)

    assert b"Alice" not in found.document.body
    assert b"Firefox" not in found.document.body
    world.clock.tick(3_600)
    with pytest.raises(RefreshUnknown):
        world.pairs.refresh(pair.refresh_token)


def test_a_hook_does_not_say_how_a_login_was_made() -> None:
    """F12: the claims of the login count."""
    hook = {"amr": ["otp"], "acr": "gold", "auth_time": 1, "csrf": "c"}
    world = Logins(claims_of=lambda _: hook)
    plain = world.pairs.issue("alice", claims=hook)
    for each in (plain, world.pairs.refresh(plain.refresh_token)):
        claims = said(each.access_token)
        assert {"amr", "acr", "csrf"}.isdisjoint(claims)
        assert claims["auth_time"] == int(world.clock.now())
    pair = world.pairs.issue("alice", login=Login(amr=("pwd",), acr="bronze"))

    claims = said(world.pairs.refresh(pair.refresh_token).access_token)
    assert (claims["amr"], claims["acr"]) == (["pwd"], "bronze")


def test_a_login_must_be_a_login(world: Logins) -> None:
    login: Any = {"acr": "gold"}
    with pytest.raises(ConfigurationError, match="must be of type Login"):
        world.pairs.issue("alice", login=login)


def test_the_order_of_an_audience_makes_no_difference() -> None:
    """A set has another one in each process."""
    world = Logins()
    one, other = (
        TokenPairs(world.minter(world.process(), audience=names), world.logins)
        for names in (["b", "a"], {"a", "b"})
    )
    pair = one.issue("alice")
    assert other.refresh(pair.refresh_token).sid == pair.sid
    assert said(pair.access_token)["aud"] == ["a", "b"]


def test_the_second_tab_is_judged_by_when_it_asked() -> None:
    """Its hook takes as long as the grace, after the token was exchanged."""
    slow: list[float] = []

    def claims_of(_: str) -> dict[str, Any]:
        if slow:
            service.clock.tick(slow.pop())
        return {}

    service = Logins(claims_of=claims_of)
    first = service.pairs.issue("alice")
    second = service.pairs.refresh(first.refresh_token)
    service.clock.tick(1)
    slow.append(6)

    assert service.pairs.refresh(first.refresh_token).refresh_token == second.refresh_token
    assert service.told == []


def test_a_login_that_began_later_is_not_ended_by_an_earlier_one() -> None:
    """Neither by one that makes room, nor by the end of all that came before it."""
    world = Logins(max_families=1)
    with ThreadPoolExecutor(8) as pool:
        services = [world.another(max_families=1) for _ in range(8)]
        found = list(pool.map(lambda each: each.issue("alice"), services))
    (left,) = world.pairs.families("alice")
    assert left.sid in {each.sid for each in found}
    assert world.pairs.issue("alice").sid == world.pairs.families("alice")[0].sid


def test_a_login_whose_epoch_is_lost_ends_like_the_others() -> None:
    """An epoch is kept as long as the logins of the options that wrote it last."""
    world = Logins()
    for _ in range(3):
        world.pairs.revoke_subject("alice")
    old = world.pairs.issue("alice")
    shorter = world.another(family_lifetime=DAY)
    shorter.revoke_subject("alice", but=old.sid)
    world.clock.tick(2 * DAY)
    shorter.revoke_subject("alice")
    with pytest.raises(RefreshBurnt):
        world.pairs.refresh(old.refresh_token)


def test_logins_of_any_number_end_with_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than one reading of a group returns, also if most of them have expired."""
    monkeypatch.setattr(family_store, "_PAGE", 10)
    world = Logins(refresh_lifetime=300.0)
    expired = [world.pairs.issue("alice") for _ in range(30)]
    world.clock.tick(300)
    kept = [world.pairs.issue("alice") for _ in range(20)]

    assert len(world.pairs.families("alice")) == 20
    world.pairs.revoke_subject("alice", but=kept[0].sid)
    assert [each.sid for each in world.pairs.families("alice")] == [kept[0].sid]
    for pair in (*expired[:3], *kept[1:]):
        with pytest.raises((RefreshBurnt, TokenExpired)):
            world.pairs.refresh(pair.refresh_token)


def test_logins_of_one_subject_do_not_wait_for_each_other() -> None:
    """Nor does the end of all of them wait for those that begin."""
    world = Logins()
    asked = world.logins.asked
    world.pairs.issue("alice")
    one = world.logins.asked - asked
    services = [world.another() for _ in range(8)]
    asked = world.logins.asked
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: services[number % 8].issue("alice"), range(80)))
    assert world.logins.asked - asked == 80 * one


def test_a_login_that_cannot_be_read_ends_with_the_others(world: Logins) -> None:
    """As one that a later release has written. It cannot be kept by a release that is older."""
    odd, other, kept = (world.pairs.issue("alice") for _ in range(3))
    for pair in (odd, kept):
        found: Any = world.logins.answer(Read("family", pair.sid), NEVER)
        document = found.document
        change = Change("family", pair.sid, document.version, b"{}", document.group)
        world.logins.answer(Exchange((change,)), NEVER)
    world.pairs.revoke_subject("alice", but=kept.sid)

    for pair, error in ((odd, RefreshUnknown), (other, RefreshBurnt), (kept, StoreUnavailable)):
        with pytest.raises(error):
            world.pairs.refresh(pair.refresh_token)
    assert world.pairs.issue("alice").sid


def test_an_odd_epoch_is_a_store_that_fails(world: Logins) -> None:
    world.pairs.revoke_subject("alice")
    name = world.pairs.steps._families._group("alice")
    found: Any = world.logins.answer(Read("subject", name), NEVER)
    change = Change("subject", name, found.document.version, b"x")
    world.logins.answer(Exchange((change,)), NEVER)
    with pytest.raises(StoreUnavailable, match="something else than an epoch"):
        world.pairs.issue("alice")


def test_a_long_subject_can_refresh_and_log_out(world: Logins) -> None:
    """As long as one of which an access token can be minted."""
    pair = world.pairs.issue("ü" * 900)
    second = world.pairs.refresh(pair.refresh_token)
    world.pairs.revoke(second.refresh_token)
    with pytest.raises(RefreshBurnt):
        world.pairs.refresh(second.refresh_token)


class Meanwhile:
    """Encrypts nothing, and does something while a key is opened."""

    def __init__(self) -> None:
        self.todo: list[Callable[[], object]] = []

    def encrypt(self, data: bytes, bound_to: bytes) -> bytes:
        return data

    def decrypt(self, data: bytes, bound_to: bytes) -> bytes:
        if self.todo:
            self.todo.pop()()
        return data


def test_pairs_may_be_made_while_another_thread_reads_the_ring() -> None:
    """Their keys are there from the first login on."""
    world, meanwhile = Logins(), Meanwhile()
    TokenPairs(world.minter(world.process(encryption=meanwhile)), world.logins).issue("alice")
    ring = world.process(encryption=meanwhile)
    made: list[TokenPairs] = []
    minter = world.minter(ring)
    meanwhile.todo.append(lambda: made.append(TokenPairs(minter, world.logins)))
    minter.mint("alice")
    assert made[0].issue("alice").sid


class Busy(Clock):
    """A clock that does something each time it is read."""

    def __init__(self) -> None:
        super().__init__()
        self.todo: list[Callable[[], object]] = []

    def now(self) -> float:
        if self.todo:
            self.todo.pop(0)()
        return super().now()


def test_pairs_may_be_made_while_another_thread_puts_a_ring_into_service() -> None:
    """It was read for access tokens alone."""
    world, clock = Logins(), Busy()
    world.pairs.issue("alice")
    ring = KeyRing(world.store, clock=clock)
    made: list[TokenPairs] = []
    minter = world.minter(ring)
    clock.todo += [lambda: None, lambda: made.append(TokenPairs(minter, world.logins))]
    ring.load()
    assert made[0].issue("alice").sid


class Interrupted(Faulty):
    """Something happens before a change of several documents."""

    todo: Callable[[], object] | None = None

    def answer(self, statement: Any, deadline: float) -> Any:
        if self.todo and isinstance(statement, Exchange) and len(statement.changes) > 1:
            todo, self.todo = self.todo, None
            todo()
        return super().answer(statement, deadline)


def test_a_login_that_is_used_meanwhile_ends_with_the_others(world: Logins) -> None:
    """Each is told once."""
    store = Interrupted(world.clock)
    pairs = TokenPairs(world.minter(), store, observers=[world.told.append])
    begun = [pairs.issue("alice") for _ in range(3)]

    def use() -> None:
        pairs.revoke(begun[0].refresh_token)
        with pytest.raises(RefreshBurnt):
            pairs.refresh(begun[1].refresh_token)

    store.todo = use
    pairs.revoke_subject("alice")
    assert pairs.families("alice") == ()
    assert sorted(each.sid for each in world.told) == sorted(each.sid for each in begun)
