"""Issuers that a rule admits: what the rule is told, what they cost, and when they end."""

import gc
import logging
import socket
import threading
import time
import weakref
from typing import Any

import pytest

from jwt_middleware import (
    ANY_GRANTS,
    AdmittedIssuers,
    Guard,
    Issuer,
    KeysUnavailable,
    Secret,
)
from jwt_middleware.errors import ConfigurationError, IssuerUntrusted, KeyUnknown
from jwt_middleware.forks import _after_fork
from jwt_middleware.guard.explain import SampleRequest
from jwt_middleware.issuers import admitted_pool
from jwt_middleware.issuers.admitted_pool import LOG_BURST, LOG_INTERVAL
from jwt_middleware.keys.remote.pool_limits import (
    UNPROVEN_BURST,
    UNPROVEN_INTERVAL,
)
from jwt_middleware.testing import Clock, KeyPair
from tests.faces.calls import InProcess
from tests.issuers.pool_world import World, code_of, crafted, roles_by
from tests.keys.publisher import SOON, in_threads, landed

HMAC = KeyPair(b"0123456789abcdefghijklmnopqrstuv", "HS256", None)


def test_an_admitted_issuer_is_trusted_like_any_other(world: World) -> None:
    """The rule is asked once; a subject is told apart by its issuer although only one is known."""
    name = world.name("a")
    guard = world.guard()

    assert guard.verify(world.token(name)).identity == f"{name}|42"
    assert code_of(guard, world.token(name, aud="elsewhere")) == "audience_mismatch"
    assert world.seen == [name]


def test_the_rule_is_given_the_exact_name_and_nothing_else(world: World) -> None:
    """One string a token, byte for byte; what is no text never reaches it (P55)."""
    guard = world.guard()
    key = KeyPair.generate("ES256", "k")
    good = {"aud": "api", "exp": int(world.clock.now()) + 60}
    for name in ("https://A.example/", "https://a.example", " ", "", "x" * 5_000):
        assert code_of(guard, key.sign({**good, "iss": name})) == "issuer_untrusted"
    for odd in (7, None, ["https://a.example"]):
        assert code_of(guard, key.sign({**good, "iss": odd})) == "claim_invalid"
    assert code_of(guard, key.sign(good)) == "claim_missing"

    assert world.seen == ["https://A.example/", "https://a.example", " ", "", "x" * 5_000]


def test_a_name_that_is_not_admitted_leaves_nothing_behind(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No fetch, no look-up of a name, no memory (P55)."""
    guard = world.guard()
    monkeypatch.setattr(socket, "getaddrinfo", None)
    key = KeyPair.generate("ES256", "k")
    for number in range(300):
        text = key.sign({"iss": f"https://{number}.example", "aud": "api"})
        assert code_of(guard, text) == "issuer_untrusted"

    (pool,) = guard._issuers._pools
    assert world.web.asked == []
    assert guard.health() == {}
    assert not pool._issuers
    assert not pool._sources
    assert not pool._withdrawals._kept
    assert not pool._withdrawals._shared
    assert not pool._proven


def test_a_fixed_issuer_wins_by_its_exact_name(world: World) -> None:
    """The rule is not asked for whom the list names, and decides for everybody else."""
    fixed, ruled = world.name("fixed"), world.name("ruled")
    listed = Issuer(fixed, audience="listed", jwks_uri=f"{fixed}/keys", fetcher=world)
    guard = Guard(issuers=[AdmittedIssuers(world.admit), listed], clock=world.clock)

    assert guard.verify(world.token(fixed, aud="listed")).issuer == fixed
    assert code_of(guard, world.token(fixed)) == "audience_mismatch"
    assert guard.verify(world.token(ruled)).issuer == ruled
    assert world.seen == [ruled]


def test_several_rules_are_asked_in_turn(world: World) -> None:
    """The first that admits decides."""
    name = world.name("a")
    first: list[str] = []
    rules = [AdmittedIssuers(first.append), AdmittedIssuers(world.admit)]
    guard = Guard(issuers=rules, clock=world.clock)

    assert guard.verify(world.token(name)).issuer == name
    assert set(first) == set(world.seen) == {name}


def test_a_key_of_one_tenant_does_not_vouch_for_another(world: World) -> None:
    """Although both publish the kid (P56)."""
    one, other = world.name("a"), world.name("b")
    guard = world.guard()
    guard.verify(world.token(one))
    guard.verify(world.token(other))

    assert code_of(guard, world.token(one, iss=other)) == "signature_invalid"


def raising(name: str) -> Issuer:
    raise LookupError(f"no row for {name}")


@pytest.mark.parametrize(
    ("rule", "kind"),
    [
        (raising, "LookupError"),
        (lambda name: "yes", "TypeError"),
        (lambda name: True, "TypeError"),
        (lambda name: Issuer("https://other.example", audience="api"), "ValueError"),
        (lambda name: Issuer(name, audience="api", aliases=["x"]), "ValueError"),
        (lambda name: Issuer(name, audience=""), "ConfigurationError"),
        (lambda name: Issuer(name, audience="api", jwks_uri="http://x.example"), "Configuration"),
    ],
)
async def test_a_rule_that_fails_refuses(
    world: World, rule: Any, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """503 and a stable code, since there is no telling; the log has the place and not the name."""
    name = world.name("secret-customer")
    guard = world.guard(rule)
    header = [("Authorization", f"Bearer {world.token(name)}")]
    with caplog.at_level(logging.ERROR, "jwt_middleware"):
        answer = await InProcess(guard).ask("asgi", "GET", "/", header)

    assert (answer.status, answer.json()["code"]) == (503, "keys_unavailable")
    assert int(answer.header("retry-after") or 0) >= 1
    assert kind in caplog.text
    assert "issuer_admission_failed" in caplog.text
    assert "secret-customer" not in caplog.text
    assert "secret-customer" not in answer.body.decode()
    assert guard.health() == {}


def test_a_rule_is_not_asked_while_a_lock_is_held(world: World) -> None:
    """It may ask the guard itself (P6)."""
    name, other = world.name("a"), world.name("b")
    guard = world.guard(
        lambda asked: guard.health() and None if asked == other else world.admit(asked)
    )

    assert code_of(guard, world.token(name)) == "passed"
    assert code_of(guard, world.token(other)) == "issuer_untrusted"


def test_threads_that_meet_agree_on_one_issuer(world: World) -> None:
    """A herd of first tokens makes one key source and one fetch."""
    name = world.name("a")
    guard = world.guard()
    text = world.token(name)

    assert in_threads(40, lambda: code_of(guard, text)) == ["passed"] * 40
    assert world.web.asked == [f"{name}/keys"]
    assert len(guard.health()) == 1


def test_a_rule_that_is_overtaken_changes_nothing(world: World) -> None:
    """While it makes up its mind, another thread may have admitted the same issuer."""
    name = world.name("a")
    inner: list[str] = []

    def rule(asked: str) -> Issuer | None:
        if not inner:
            inner.append(asked)
            guard.verify(known)
        return world.admit(asked)

    known = world.token(name)
    guard = world.guard(rule)

    assert guard.verify(world.token(name, sub="43")).issuer == name
    assert world.web.asked == [f"{name}/keys"]
    assert guard._authenticator._tokens.get(known) is not None


def test_a_forked_child_does_not_wait_for_a_lock_of_its_parent(world: World) -> None:
    """Another thread of the parent may have held it at that moment (P51)."""
    name = world.name("a")
    guard = world.guard()
    (pool,) = guard._issuers._pools
    pool._lock.acquire()
    _after_fork()

    assert guard.verify(world.token(name)).issuer == name


def test_an_issuers_own_algorithms_count(clock: Clock) -> None:
    """Any algorithm may belong to somebody whom the rule admits, and only his own to each."""
    pair = KeyPair.generate("ES256", "k")
    rule = AdmittedIssuers(
        lambda name: Issuer(name, audience=None, keys=pair.jwk, algorithms=["ES256"])
    )
    guard = Guard(issuers=rule, clock=clock)
    claims = {"iss": "https://a.example", "exp": int(clock.now()) + 60}

    assert code_of(guard, pair.sign(claims)) == "passed"
    assert code_of(guard, HMAC.sign(claims)) == "algorithm_not_allowed"


def test_so_many_issuers_are_kept(world: World) -> None:
    """The least recently proven make room (P61)."""
    guard = world.guard(most=3, max_flights=2)
    names = [world.name(number) for number in range(4)]
    for name in names[:3]:
        guard.verify(world.token(name))
    guard.verify(world.token(names[0], sub="43"))
    guard.verify(world.token(names[3]))

    assert set(guard.health()) == {names[0], names[2], names[3]}


def test_names_without_a_good_token_never_drive_out_one_with(world: World) -> None:
    """Anybody can write an admitted name into a token; the places of others are safe (P61)."""
    guard = world.guard(most=4, max_flights=2)
    forgotten: list[Any] = []
    guard._issuers._pools[0]._forget = forgotten.append
    proven = [world.name(f"good-{number}") for number in range(3)]
    for name in proven:
        guard.verify(world.token(name))
    somebody = KeyPair.generate("ES256", "k")
    for number in range(30):
        name = world.name(f"crafted-{number}")
        good = {"iss": name, "aud": "api", "exp": int(world.clock.now()) + 60}
        assert code_of(guard, somebody.sign(good)) == "signature_invalid"

    assert len(guard.health()) == 4
    assert set(proven) < set(guard.health())
    # To go through the remembered tokens for each of them would be the dearer attack.
    assert forgotten == []


def test_an_issuer_whose_keys_are_being_fetched_keeps_its_place(world: World) -> None:
    """Eviction passes over it, and it is served when its keys arrive (P61)."""
    guard = world.guard(most=3, max_flights=1)
    idle = [world.name(number) for number in range(6)]
    for name in idle[:2]:
        guard.verify(world.token(name))
    busy = world.name("busy")
    world.arrived = threading.Semaphore(0)
    world.gate.clear()
    answers: list[str] = []
    waiting = threading.Thread(target=lambda: answers.append(code_of(guard, world.token(busy))))
    waiting.start()
    assert world.arrived.acquire(timeout=SOON)
    for name in idle[2:]:
        assert code_of(guard, world.token(name)) == "key_unknown"

    assert busy in guard.health()
    world.gate.set()
    waiting.join(SOON)
    assert answers == ["passed"]


def test_fetches_are_limited_over_all_of_them(world: World) -> None:
    """The next must wait its turn, and is served then (P61)."""
    guard = world.guard(max_flights=2)
    names = [world.name(number) for number in range(3)]
    world.gate.clear()
    threads = [
        threading.Thread(target=lambda name=name: code_of(guard, world.token(name)))
        for name in names[:2]
    ]
    for thread in threads:
        thread.start()
        assert world.arrived.acquire(timeout=SOON)

    with pytest.raises(KeyUnknown) as refused:
        guard.verify(world.token(names[2]))
    assert not refused.value.condemns_token
    assert len(world.web.asked) == 2
    world.gate.set()
    for thread in threads:
        thread.join(SOON)
    assert code_of(guard, world.token(names[2])) == "passed"


def test_whoever_waits_is_served_though_the_issuer_lost_its_place(world: World) -> None:
    """The keys arrive, others take the place before the request goes on: no 503, no second fetch."""
    guard = world.guard(most=2, max_flights=1)
    waiting, *others = (world.name(number) for number in range(4))
    steps: Any = guard.decide(SampleRequest("GET", "/", world.token(waiting)))
    effect = next(steps)
    waited = effect.perform(time.monotonic() + SOON)
    for name in others:
        guard.verify(world.token(name))
    assert waiting not in guard.health()

    with pytest.raises(StopIteration) as end:
        steps.send(waited)

    assert end.value.value.principal.subject == "42"
    assert world.web.asked.count(f"{waiting}/keys") == 1


def test_a_cached_token_goes_with_its_issuer(world: World) -> None:
    """What was remembered of an evicted issuer is forgotten, and verified anew when it is back."""
    guard = world.guard(most=2, max_flights=1)
    names = [world.name(number) for number in range(3)]
    texts = [world.token(name) for name in names]
    for text in texts:
        guard.verify(text)

    assert guard._authenticator._tokens.get(texts[0]) is None
    assert guard._authenticator._tokens.get(texts[1]) is not None
    assert guard.verify(texts[0]).issuer == names[0]
    assert world.seen.count(names[0]) == 2


def test_what_is_evicted_is_freed(world: World) -> None:
    """Keys of an issuer without a place are nowhere held."""
    guard = world.guard(most=2, max_flights=1)
    names = [world.name(number) for number in range(3)]
    guard.verify(world.token(names[0]))
    source = weakref.ref(next(iter(guard._issuers)).keys)
    for name in names[1:]:
        guard.verify(world.token(name))
    landed()
    gc.collect()

    assert source() is None


def test_an_issuer_that_is_no_longer_admitted_ends(world: World) -> None:
    """``readmit_after`` seconds later at the most, for known tokens and new ones alike."""
    name = world.name("a")
    guard = world.guard(readmit_after=60)
    known = world.token(name)
    guard.verify(known)
    del world.keys[name]
    world.clock.tick(59)
    assert guard.verify(known).issuer == name
    world.clock.tick(1)

    with pytest.raises(IssuerUntrusted):
        guard.verify(known)
    assert guard.health() == {}
    assert guard._authenticator._tokens.get(known) is None


def test_an_issuer_that_is_still_admitted_stays_as_it_is(world: World) -> None:
    """Asked again, the rule makes a new value that says the same: no fetch, no second check."""
    name = world.name("a")
    guard = world.guard(readmit_after=60)
    known = world.token(name)
    first = guard.verify(known)
    world.clock.tick(61)

    assert guard.verify(known) is first
    assert world.seen == [name, name]
    assert world.web.asked == [f"{name}/keys"]


def test_a_rule_that_fails_when_asked_again_refuses_known_tokens(world: World) -> None:
    """There is no telling any more; when there is, nothing was lost."""
    name = world.name("a")
    is_broken = False

    def rule(asked: str) -> Issuer | None:
        return raising(asked) if is_broken else world.admit(asked)

    guard = world.guard(rule, readmit_after=60)
    known = world.token(name)
    guard.verify(known)
    is_broken = True
    world.clock.tick(61)
    assert code_of(guard, known) == "keys_unavailable"
    is_broken = False

    assert code_of(guard, known) == "passed"
    assert world.web.asked == [f"{name}/keys"]


def test_new_settings_hold_for_known_tokens(world: World) -> None:
    """An audience that the rule no longer gives ends; the keys are not fetched again for it."""
    name = world.name("a")
    guard = world.guard(readmit_after=60)
    known = world.token(name)
    guard.verify(known)
    world.audience = "new"
    world.clock.tick(61)

    assert code_of(guard, known) == "audience_mismatch"
    assert code_of(guard, world.token(name, aud="new")) == "passed"
    assert world.web.asked == [f"{name}/keys"]


def test_known_tokens_are_read_as_the_new_settings_say(world: World) -> None:
    """What a rule moves to another claim is taken from there, not from memory."""
    name = world.name("a")
    places = ["roles"]
    guard = world.guard(roles_by(world, places), readmit_after=60, grants=ANY_GRANTS)
    known = world.token(name, roles=["admin"], groups=["reader"])
    assert guard.verify(known).roles == {"admin"}
    places.append("groups")
    world.clock.tick(61)

    assert guard.verify(known).roles == {"reader"}


CLAIMED = {"roles": ["admin", "reader"], "scope": "read write", "permissions": ["buy"]}
NOTHING: set[str] = set()


@pytest.mark.parametrize(
    ("of_rule", "of_issuer", "granted"),
    [
        (None, None, (NOTHING, NOTHING, NOTHING)),
        ({"roles": ["reader"]}, None, ({"reader"}, NOTHING, NOTHING)),
        ({"scopes": ["read"], "permissions": ["buy"]}, None, (NOTHING, {"read"}, {"buy"})),
        (ANY_GRANTS, None, ({"admin", "reader"}, {"read", "write"}, {"buy"})),
        # What the issuer says counts more, whether it is more or less.
        (None, {"roles": ["admin"]}, ({"admin"}, NOTHING, NOTHING)),
        (ANY_GRANTS, {"roles": ["admin"]}, ({"admin"}, NOTHING, NOTHING)),
        (ANY_GRANTS, {}, (NOTHING, NOTHING, NOTHING)),
        ({"roles": ["reader"]}, ANY_GRANTS, ({"admin", "reader"}, {"read", "write"}, {"buy"})),
    ],
)
def test_an_admitted_issuer_grants_what_was_said_and_no_more(
    world: World, of_rule: Any, of_issuer: Any, granted: Any
) -> None:
    """Whatever it writes into its tokens; for a known token too, and after the rule is asked again."""
    name = world.name("a")

    def rule(asked: str) -> Issuer:
        return Issuer(
            asked, audience="api", jwks_uri=f"{asked}/keys", fetcher=world, grants=of_issuer
        )

    guard = world.guard(rule, grants=of_rule, readmit_after=60)
    token = world.token(name, **CLAIMED)
    for seconds in (0, 0, 61):
        world.clock.tick(seconds)
        principal = guard.verify(token)
        assert (principal.roles, principal.scopes, principal.permissions) == granted
        assert list(principal.claims["roles"]) == CLAIMED["roles"]
    # The same issuer stays in service, since nothing about it has changed.
    (trust,) = guard._issuers
    world.clock.tick(61)
    guard.verify(token)
    assert list(guard._issuers) == [trust]


def test_new_grants_hold_for_known_tokens(world: World) -> None:
    """A rule takes away what it granted before."""
    name = world.name("a")
    may: list[Any] = [ANY_GRANTS]

    def rule(asked: str) -> Issuer:
        return Issuer(
            asked, audience="api", jwks_uri=f"{asked}/keys", fetcher=world, grants=may[-1]
        )

    guard = world.guard(rule, readmit_after=60)
    token = world.token(name, **CLAIMED)
    assert guard.verify(token).roles == {"admin", "reader"}
    may.append({"roles": ["reader"]})
    world.clock.tick(61)

    assert guard.verify(token).roles == {"reader"}


def test_a_tenants_secret_may_change(clock: Clock) -> None:
    """A rule may hold keys, symmetric ones too; a new secret ends the tokens of the old."""
    secrets = [HMAC]

    def rule(name: str) -> Issuer:
        keys = Secret(secrets[-1].private)
        return Issuer(name, audience=None, keys=keys, algorithms=["HS256"])

    guard = Guard(issuers=AdmittedIssuers(rule, readmit_after=60), clock=clock)
    known = HMAC.sign({"iss": "a", "exp": int(clock.now()) + 9_000})
    assert code_of(guard, known) == "passed"
    secrets.append(KeyPair(bytes(reversed(HMAC.private)), "HS256", None))
    clock.tick(61)

    assert code_of(guard, known) == "signature_invalid"


def test_distrust_outlives_the_place(world: World) -> None:
    """A withdrawn key stays withdrawn when its issuer is dropped and admitted again."""
    guard = world.guard(most=2, max_flights=1)
    names = [world.name(number) for number in range(3)]
    known = world.token(names[0])
    guard.verify(known)
    guard.distrust(names[0])
    with pytest.raises(KeyUnknown):
        guard.verify(known)
    for name in names[1:]:
        guard.verify(world.token(name))
    landed()
    gc.collect()
    assert names[0] not in guard.health()

    assert code_of(guard, known) == "key_unknown"


def test_a_key_can_be_distrusted_before_its_issuer_came(world: World) -> None:
    """By the name of the key; whom the rule refuses is a mistake, and whom it cannot tell a 503."""
    name = world.name("a")
    guard = world.guard()
    guard.distrust(name, "k")

    assert code_of(guard, world.token(name)) == "key_unknown"
    with pytest.raises(ConfigurationError, match="must name a configured or admitted issuer"):
        guard.distrust("https://nobody.example")
    with pytest.raises(KeysUnavailable):
        world.guard(raising).distrust(name)


def test_distrust_of_a_held_key_outlives_a_new_value(clock: Clock) -> None:
    """Where the rule holds the keys, a value made anew does not bring a withdrawn one back."""
    pair = KeyPair.generate("ES256", "k")
    rule = AdmittedIssuers(
        lambda name: Issuer(name, audience=None, keys=pair.jwk), readmit_after=60
    )
    guard = Guard(issuers=rule, clock=clock)
    known = pair.sign({"iss": "https://a.example", "exp": int(clock.now()) + 9_000})
    guard.verify(known)
    guard.distrust("https://a.example", "k")
    clock.tick(61)

    assert code_of(guard, known) == "key_unknown"


def test_a_source_that_was_put_aside_brings_no_withdrawn_key_back(world: World) -> None:
    """Settings that change and change back, while somebody still holds the first keys."""
    name = world.name("a")
    addresses = [f"{name}/keys", f"{name}/keys?2", f"{name}/keys"]
    world.web.put(addresses[1], {"keys": [world.keys[name].jwk]})

    def rule(asked: str) -> Issuer:
        return Issuer(asked, audience="api", jwks_uri=addresses[0], fetcher=world)

    guard = world.guard(rule, readmit_after=60)
    known = world.token(name)
    guard.verify(known)
    first = next(iter(guard._issuers)).keys
    del addresses[0]
    world.clock.tick(61)
    assert code_of(guard, known) == "passed"
    guard.distrust(name, "k")
    del addresses[0]
    world.clock.tick(61)
    assert code_of(guard, known) == "key_unknown"
    assert next(iter(guard._issuers)).issuer.jwks_uri == f"{name}/keys"

    assert first.snapshot is not None
    assert code_of(guard, world.token(name, sub="43")) == "key_unknown"


def test_a_closed_guard_admits_nobody_until_it_is_warmed(world: World) -> None:
    """Neither an issuer that was there nor a new one; ``warm`` opens and fetches those in service."""
    name, new = world.name("a"), world.name("b")
    guard = world.guard()
    guard.verify(world.token(name))
    guard.close()
    seen = list(world.seen)
    assert guard.health()[name].state == "closed"
    assert code_of(guard, world.token(name)) == "keys_unavailable"
    assert code_of(guard, world.token(new)) == "keys_unavailable"
    assert world.seen == seen
    guard.warm(required=True)

    assert guard.health()[name].state == "fresh"
    assert code_of(guard, world.token(new)) == "passed"


def test_a_flood_of_names_costs_a_small_budget_of_fetches(world: World) -> None:
    """Whatever names it invents, and however often their issuers are dropped and come back (P61)."""
    guard = world.guard(most=9)
    tokens = [crafted(world, number) for number in range(UNPROVEN_BURST + 60)]
    outcomes = [code_of(guard, text) for text in tokens]

    assert len(world.web.asked) == UNPROVEN_BURST
    assert outcomes == ["signature_invalid"] * UNPROVEN_BURST + ["key_unknown"] * 60
    for text in tokens:
        code_of(guard, text)
    assert len(world.web.asked) == UNPROVEN_BURST
    world.clock.tick(5 * UNPROVEN_INTERVAL)
    for text in tokens:
        code_of(guard, text)
    assert len(world.web.asked) == UNPROVEN_BURST + 5


def test_over_that_budget_no_balancer_is_told_that_this_instance_is_ill(world: World) -> None:
    """401 with the time to come back, and no verdict on the token; an honest issuer comes in then."""
    guard = world.guard()
    for number in range(UNPROVEN_BURST):
        code_of(guard, crafted(world, number))
    honest = world.token(world.name("honest"))

    with pytest.raises(KeyUnknown) as refused:
        guard.verify(honest)

    assert refused.value.status == 401
    assert refused.value.retry_after == UNPROVEN_INTERVAL
    assert not refused.value.condemns_token
    world.clock.tick(UNPROVEN_INTERVAL)
    assert guard.verify(honest).subject == "42"


def test_a_flood_takes_nothing_from_an_issuer_that_has_shown_a_good_token(world: World) -> None:
    """Neither its place, nor its cached tokens, nor the renewal of its keys."""
    guard = world.guard(most=3, max_flights=2)
    names = [world.name(number) for number in range(3)]
    known = [world.token(name) for name in names]
    for text in known:
        guard.verify(text)
    cached = [guard._authenticator._tokens.get(text) for text in known]
    for number in range(UNPROVEN_BURST + 20):
        code_of(guard, crafted(world, number))

    assert set(guard.health()) == set(names)
    assert [guard._authenticator._tokens.get(text) for text in known] == cached
    world.clock.tick(700)
    asked = len(world.web.asked)
    # No place for new names is free, and their budget is spent.
    for number in range(20):
        code_of(guard, crafted(world, 100 + number))
    for text in known:
        guard.verify(text)
    landed()
    assert {f"{name}/keys" for name in names} <= set(world.web.asked[asked:])
    assert {health.state for health in guard.health().values()} == {"fresh"}


def test_hanging_new_names_hold_no_place_of_a_proven_issuer(world: World) -> None:
    """All their places are taken; a proven issuer's keys are renewed all the same."""
    guard = world.guard(max_flights=2)
    proven = world.name("proven")
    guard.verify(world.token(proven))
    world.clock.tick(700)
    world.arrived = threading.Semaphore(0)
    world.gate.clear()
    invented = [crafted(world, number) for number in range(3)]
    threads = [threading.Thread(target=code_of, args=(guard, text)) for text in invented[:2]]
    for thread in threads:
        thread.start()
        assert world.arrived.acquire(timeout=SOON)
    # Within the budget, but all places are taken: no verdict, and no sign that anything is ill.
    assert code_of(guard, invented[2]) == "key_unknown"

    steps: Any = guard.decide(SampleRequest("GET", "/", world.token(proven, sub="43")))

    effect = next(steps)
    assert effect.waiter.fetch.reason == "expired"
    world.gate.set()
    for thread in threads:
        thread.join(SOON)
    steps.close()


def test_an_issuer_that_lost_its_place_comes_back_as_proven(world: World) -> None:
    """A flood in between takes no place of its own budget, since it has none."""
    guard = world.guard(most=2, max_flights=1)
    names = [world.name(number) for number in range(3)]
    for name in names:
        guard.verify(world.token(name))
    assert names[0] not in guard.health()
    for number in range(UNPROVEN_BURST + 5):
        code_of(guard, crafted(world, number))

    assert guard.verify(world.token(names[0], sub="43")).subject == "43"


def test_only_so_many_proven_names_are_remembered(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names that are too long to be addresses not at all."""
    monkeypatch.setattr(admitted_pool, "MAX_RETURNING", 2)
    guard = world.guard(most=2, max_flights=1)
    for name in [*(world.name(number) for number in range(5)), world.name("x" * 600)]:
        guard.verify(world.token(name))
    guard.verify(world.token(world.name(6)))
    guard.verify(world.token(world.name(7)))

    (pool,) = guard._issuers._pools
    assert list(pool._returning) == [world.name(3), world.name(4)]


def test_a_rule_that_fails_fills_no_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Anybody can make it fail: a few lines, and one more a minute."""
    guard = world.guard(raising)
    for number in range(50):
        assert code_of(guard, crafted(world, number)) == "keys_unavailable"

    assert caplog.text.count("issuer_admission_failed") == LOG_BURST
    world.clock.tick(LOG_INTERVAL)
    code_of(guard, crafted(world, 1))
    code_of(guard, crafted(world, 2))
    assert caplog.text.count("issuer_admission_failed") == LOG_BURST + 1


def test_a_rule_is_asked_again_after_a_sleep(world: World) -> None:
    """For so long an issuer stays trusted that the rule no longer admits, by either clock."""
    guard = world.guard(readmit_after=60)
    name = world.name("a")
    known = world.token(name)
    guard.verify(known)
    del world.keys[name]
    world.clock.suspend(61)

    assert code_of(guard, known) == "issuer_untrusted"


def test_issuers_whose_keys_are_configured_have_nothing_to_close() -> None:
    """And are admitted again once the guard is opened."""
    pair = KeyPair.generate("ES256", "k")
    rule = AdmittedIssuers(lambda name: Issuer(name, audience=None, keys=pair.jwk))
    clock = Clock()
    guard = Guard(issuers=rule, clock=clock)
    text = pair.sign({"iss": "https://a.example", "sub": "1", "exp": clock.now() + 60})
    guard.verify(text)

    guard.close()

    assert code_of(guard, text) == "passed"
