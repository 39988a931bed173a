"""Tokens that were verified before: how long they stand, and what makes them fall."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from jwt_middleware import (
    ConfigurationError,
    Guard,
    Issuer,
    ResolverOptions,
    TokenError,
)
from jwt_middleware.errors import AlgorithmNotAllowed, KeyUnknown, SignatureInvalid, TokenExpired
from jwt_middleware.testing import Clock, FakeIssuer, KeyPair, bad_token
from jwt_middleware.testing.issuer import JWKS_PATH
from tests.keys.publisher import Publisher
from tests.support.short_form import HMAC, short_guard, token


def test_a_cached_token_expires_on_time(clock: Clock) -> None:
    """Leeway included, to the second; the wall clock decides."""
    guard = short_guard(clock=clock)
    known = token(clock)
    guard.verify(known)

    clock.tick(89.5)
    assert guard.verify(known).subject == "alice"
    clock.tick(0.5)
    with pytest.raises(TokenExpired):
        guard.verify(known)


def test_a_known_token_is_not_verified_again(issuer: FakeIssuer, clock: Clock) -> None:
    """The very principal comes back, and nobody is asked."""
    guard = Guard(issuers=Issuer(issuer.url, audience="o"), clock=clock)
    known = issuer.token(aud="o")

    assert guard.verify(known) is guard.verify(known)
    assert issuer.requests[JWKS_PATH] == 1


def test_known_tokens_alone_keep_the_keys_renewed(issuer: FakeIssuer, clock: Clock) -> None:
    """Past the soft age a known token starts the renewal, and stands without a second check."""
    guard = Guard(issuers=Issuer(issuer.url, audience="o"), clock=clock)
    known = issuer.token(aud="o", exp=int(clock.now()) + 9_000)
    first = guard.verify(known)
    clock.tick(601)

    assert guard.verify(known) is first
    assert issuer.requests[JWKS_PATH] == 2
    assert guard.verify(known) is first


def test_a_cached_token_falls_with_its_key(issuer: FakeIssuer, clock: Clock) -> None:
    """When the renewed set no longer has the key, the token is refused."""
    guard = Guard(issuers=Issuer(issuer.url, audience="o"), clock=clock)
    known = issuer.token(aud="o", exp=int(clock.now()) + 9_000)
    guard.verify(known)
    issuer.rotate()
    clock.tick(601)

    with pytest.raises(KeyUnknown):
        guard.verify(known)


def test_a_key_replaced_under_its_name_is_noticed(issuer: FakeIssuer, clock: Clock) -> None:
    """The token is verified anew, with the new key, and fails."""
    guard = Guard(issuers=Issuer(issuer.url, audience="o"), clock=clock)
    known = issuer.token(aud="o", exp=int(clock.now()) + 9_000)
    guard.verify(known)
    issuer.keys = [KeyPair.generate("RS256", kid=issuer.key.kid)]
    clock.tick(601)

    with pytest.raises(TokenError) as refused:
        guard.verify(known)
    assert refused.value.code == "signature_invalid"


def test_a_bad_signature_makes_the_guard_look_for_a_replaced_key(
    issuer: FakeIssuer, clock: Clock
) -> None:
    """Where that is asked for, and no more often: anybody can write a bad signature."""
    options = ResolverOptions(replaced_kid_interval=60)
    watchful = Guard(issuers=Issuer(issuer.url, audience="o", resolver=options), clock=clock)
    usual = Guard(issuers=Issuer(issuer.url, audience="o"), clock=clock)
    for guard in (usual, watchful):
        issuer.requests.clear()
        guard.verify(issuer.token(aud="o"))
        issuer.arrived.clear()
        for _ in range(3):
            with pytest.raises(SignatureInvalid):
                guard.verify(bad_token("forged", issuer, aud="o"))
        if guard is watchful:
            assert issuer.arrived.wait(10)
        guard.close()
        assert issuer.requests[JWKS_PATH] == (2 if guard is watchful else 1)


def test_distrust_takes_effect_on_cached_tokens(clock: Clock) -> None:
    """At once, on one key or all; an unknown issuer is a mistake."""
    pair = KeyPair.generate("ES256", kid="a")
    guard = Guard(issuers=Issuer("https://a/", audience=None, keys=pair.jwk), clock=clock)
    known = pair.sign({"iss": "https://a/", "exp": clock.now() + 60})
    guard.verify(known)

    guard.distrust("https://a/", "a")

    with pytest.raises(KeyUnknown):
        guard.verify(known)
    assert not guard.health()["https://a/"].is_ready
    with pytest.raises(ConfigurationError, match="must name a configured or admitted issuer"):
        guard.distrust("https://b/")


class Meddling(Clock):
    """A clock that calls back at one of its readings, as another thread might come between."""

    def __init__(self) -> None:
        super().__init__()
        self.countdown = -1
        self.meddle: Callable[[], object] = list

    def monotonic(self) -> float:
        self.countdown -= 1
        if self.countdown == 0:
            self.meddle()
        return super().monotonic()


@pytest.mark.parametrize(("calls", "age"), [(1, 0), (2, 301)])
def test_a_key_set_that_changes_meanwhile_leaves_nothing_behind(calls: int, age: float) -> None:
    """A token verified or renewed with a set that is no longer the current one is not remembered."""
    clock = Meddling()
    with FakeIssuer(["RS256"], now=clock.now) as issuer:
        guard = Guard(issuers=Issuer(issuer.url, audience="o"), clock=clock)
        known = issuer.token(aud="o", exp=int(clock.now()) + 9_000)
        if age:
            guard.verify(known)
            clock.tick(age)
        else:
            guard.warm()
        trust = next(iter(guard._issuers))
        clock.meddle = lambda: trust.keys.distrust("another")
        clock.countdown = calls

        assert guard.verify(known).subject == "alice"

        entry = guard._authenticator._tokens.get(known)
        assert entry is None or entry.snapshot is not trust.keys.snapshot
        assert guard.verify(known).subject == "alice"
        guard.close()


def test_identity_tells_issuers_apart(clock: Clock) -> None:
    """Subject 42 of A is not subject 42 of B; and A's key signs for A alone."""
    pairs = {name: KeyPair.generate("ES256", kid="same") for name in ("https://a/", "https://b/")}
    guard = Guard(
        issuers=[Issuer(name, audience=None, keys=pair.jwk) for name, pair in pairs.items()],
        clock=clock,
    )

    def made(signer: str, iss: str) -> str:
        return pairs[signer].sign({"iss": iss, "sub": "42", "exp": clock.now() + 60})

    identities = {guard.verify(made(name, name)).identity for name in pairs}

    assert identities == {"https://a/|42", "https://b/|42"}
    with pytest.raises(TokenError) as refused:
        guard.verify(made("https://a/", "https://b/"))
    assert refused.value.code == "signature_invalid"


def test_the_cache_is_bounded_by_count_and_by_bytes(clock: Clock) -> None:
    """A thousand tokens leave ten; none stays with size nought; the rest still verify."""
    small, tight, none = (
        short_guard(clock=clock, **options)
        for options in (
            {"token_cache_size": 10},
            {"token_cache_bytes": 9_000},
            {"token_cache_size": 0},
        )
    )
    for number in range(100):
        for guard in (small, tight, none):
            guard.verify(token(clock, sub=str(number)))

    assert len(small._authenticator._tokens) == 10
    assert 0 < tight._authenticator._tokens.bytes <= 9_000
    assert len(none._authenticator._tokens) == 0


def test_many_threads_agree(clock: Clock) -> None:
    """Eight threads, a cache of four: every answer is right."""
    guard = short_guard(clock=clock, token_cache_size=4)
    tokens = {str(number): token(clock, sub=str(number)) for number in range(16)}
    wrong: list[str] = []

    def ask() -> None:
        for _ in range(40):
            wrong.extend(s for s, text in tokens.items() if guard.verify(text).subject != s)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []
    assert len(guard._authenticator._tokens) <= 4


def test_a_cached_token_falls_when_its_key_goes_and_no_later(
    issuer: FakeIssuer, clock: Clock
) -> None:
    """The set was exchanged because of another token: long before its soft age, it counts."""
    guard = Guard(issuers=Issuer(issuer.url, audience="o"), clock=clock)
    known = issuer.token(aud="o")
    guard.verify(known)
    issuer.rotate()

    assert guard.verify(issuer.token(aud="o", sub="bob")).subject == "bob"
    with pytest.raises(KeyUnknown):
        guard.verify(known)


def test_a_known_token_is_renewed_again_and_again(issuer: FakeIssuer, clock: Clock) -> None:
    """Each time what is remembered belongs to the current set, and the principal is the same."""
    guard = Guard(issuers=Issuer(issuer.url, audience="o"), clock=clock)
    known = issuer.token(aud="o", exp=int(clock.now()) + 9_000)
    first = guard.verify(known)
    (trust,) = guard._issuers

    for _ in range(3):
        clock.tick(601)
        assert guard.verify(known) is first
        entry = guard._authenticator._tokens.get(known)
        assert entry is not None
        assert entry.snapshot is trust.keys.snapshot


@dataclass
class Changeable:
    """Claims that a request may change."""

    sub: str


def test_a_renewed_token_shares_no_claims_that_may_change(issuer: FakeIssuer, clock: Clock) -> None:
    """What one request writes into its typed claims, the one that renews the token never reads."""
    wanted = Issuer(issuer.url, audience="o", claims_type=Changeable)
    guard = Guard(issuers=wanted, clock=clock)
    known = issuer.token(aud="o", exp=int(clock.now()) + 9_000)
    guard.verify(known).typed.sub = "mallory"
    clock.tick(601)

    assert guard.verify(known).typed.sub == "alice"


def test_an_algorithm_of_nobody_is_refused_before_anything_is_read(clock: Clock) -> None:
    """Neither the issuer nor the payload is looked at, so that neither costs anything."""
    guard = Guard(issuers=Issuer("https://a/", audience="o"), clock=clock)

    for payload in ({"iss": "https://nobody/"}, {}, {"iss": 1}):
        with pytest.raises(AlgorithmNotAllowed, match="alg"):
            guard.verify(HMAC.sign(payload))


@pytest.mark.parametrize("is_renewed", [False, True])
def test_a_token_in_use_outlives_those_that_were_seen_once(
    is_renewed: bool, issuer: FakeIssuer, clock: Clock
) -> None:
    """A flood of others that come but once does not push it out of memory."""
    wanted = Issuer(issuer.url, audience="o")
    guard = Guard(issuers=wanted, clock=clock, token_cache_size=8)
    known = issuer.token(aud="o", exp=int(clock.now()) + 9_000)
    first = guard.verify(known)
    if is_renewed:
        clock.tick(601)
    assert guard.verify(known) is first

    for number in range(8):
        guard.verify(issuer.token(aud="o", sub=str(number)))

    assert guard.verify(known) is first


def test_a_cached_token_is_asked_about_after_a_sleep(clock: Clock) -> None:
    """Its key set grew old while the monotonic clock stood still: a removed key is refused."""
    publisher = Publisher("a")
    issuer = Issuer("https://a/", audience=None, jwks_uri="https://a.example/k", fetcher=publisher)
    guard = Guard(issuers=issuer, clock=clock)
    known = publisher.pairs[0].sign({"iss": "https://a/", "sub": "x", "exp": clock.now() + 10**6})
    guard.verify(known)
    publisher.publish("b")
    clock.suspend(601)

    with pytest.raises(KeyUnknown):
        guard.verify(known)


@pytest.mark.parametrize("seconds", [-86_400, 299])
def test_a_cached_token_of_a_fresh_set_asks_nobody_wherever_the_wall_clock_is(
    seconds: float, clock: Clock
) -> None:
    """Back by a day, or forward by less than the set keeps."""
    publisher = Publisher("a")
    issuer = Issuer(
        "https://a/",
        audience=None,
        jwks_uri="https://a.example/k",
        fetcher=publisher,
        resolver=ResolverOptions(refresh_after=400, max_age=600),
    )
    guard = Guard(issuers=issuer, clock=clock)
    known = publisher.pairs[0].sign({"iss": "https://a/", "sub": "x", "exp": clock.now() + 10**6})
    principal = guard.verify(known)
    clock.jump(seconds)

    assert guard.verify(known) is principal
    assert publisher.fetches == 1


def test_a_token_that_expired_during_a_sleep_is_expired(clock: Clock) -> None:
    """And not unknown: its expiry is looked at before its key."""
    publisher = Publisher("a")
    issuer = Issuer("https://a/", audience=None, jwks_uri="https://a.example/k", fetcher=publisher)
    guard = Guard(issuers=issuer, clock=clock)
    known = publisher.pairs[0].sign({"iss": "https://a/", "sub": "x", "exp": clock.now() + 3_000})
    guard.verify(known)
    clock.suspend(86_400)

    with pytest.raises(TokenExpired):
        guard.verify(known)
    assert publisher.fetches == 1


async def test_a_blocking_call_beside_a_running_loop_begins_nothing(
    issuer: FakeIssuer, clock: Clock
) -> None:
    """It is refused before a fetch takes a place that nobody would free; what is known passes."""
    guard = Guard(issuers=Issuer(issuer.url, audience="o"), clock=clock)
    known = issuer.token(aud="o")
    with pytest.raises(ConfigurationError, match=r"await Guard\.averify"):
        guard.verify(known)
    assert not guard.health()[issuer.url].is_fetching

    await guard.awarm(required=True)
    assert guard.verify(known).subject == "alice"
    assert guard.verify(known).subject == "alice"
