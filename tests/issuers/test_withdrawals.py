"""Admitted issuers without a place: what was withdrawn of them, and whose keys were waited for."""

import gc
import os
import signal
import ssl
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from jwt_middleware import AdmittedIssuers, ConfigurationError, Guard, Issuer
from jwt_middleware.guard.explain import SampleRequest
from jwt_middleware.issuers import admitted_pool, trusted
from jwt_middleware.keys.remote.http import FetchRequest, FetchResponse, HTTPFetcher
from jwt_middleware.testing import Clock, KeyPair
from tests.issuers.pool_world import World, code_of, full
from tests.keys.publisher import SOON


def test_a_key_of_an_issuer_without_a_place_is_withdrawn_for_good(world: World) -> None:
    """All places are taken by proven issuers, and nobody else holds what was withdrawn."""
    guard, _ = full(world)
    name = world.name("newcomer")
    guard.distrust(name, "k")
    gc.collect()

    assert code_of(guard, world.token(name)) == "key_unknown"
    assert name not in guard.health()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_withdrawal_without_a_place_holds_in_a_forked_child(world: World) -> None:
    """It is known by the name of the issuer, which the child knows as well."""
    guard, _ = full(world)
    name = world.name("newcomer")
    guard.distrust(name, "k")
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        os._exit(0 if code_of(guard, world.token(name)) == "key_unknown" else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_withdrawal_reaches_the_keys_that_a_request_waits_with(world: World) -> None:
    """Its issuer has no place: the request holds keys that nobody else finds."""
    guard, _ = full(world)
    name = world.name("waiting")
    steps: Any = guard.decide(SampleRequest("GET", "/", world.token(name)))
    waited = next(steps).perform(time.monotonic() + SOON)
    guard.distrust(name, "k")

    with pytest.raises(StopIteration) as end:
        steps.send(waited)

    assert end.value.value.code == "key_unknown"


def test_all_keys_that_a_request_waits_with_are_withdrawn_without_naming_them(
    world: World,
) -> None:
    """There are some, although the issuer has no place."""
    guard, _ = full(world)
    name = world.name("waiting")
    steps: Any = guard.decide(SampleRequest("GET", "/", world.token(name)))
    waited = next(steps).perform(time.monotonic() + SOON)
    guard.distrust(name)

    with pytest.raises(StopIteration) as end:
        steps.send(waited)

    assert end.value.value.code == "key_unknown"
    assert code_of(guard, world.token(name)) == "key_unknown"


def test_all_keys_of_a_name_share_what_was_withdrawn(world: World) -> None:
    """Also those of other settings, in service and put aside, and those to come."""
    name = world.name("a")
    addresses = [f"{name}/keys", f"{name}/keys?2", f"{name}/keys?3"]
    for address in addresses:
        world.web.put(address, {"keys": [world.keys[name].jwk]})

    def rule(asked: str) -> Issuer:
        return Issuer(asked, audience="api", jwks_uri=addresses[0], fetcher=world)

    guard = world.guard(rule, readmit_after=60)
    guard.verify(world.token(name))
    first = next(iter(guard._issuers)).keys
    del addresses[0]
    world.clock.tick(61)
    guard.verify(world.token(name))
    guard.distrust(name, "k")

    assert first.snapshot is not None
    assert first.snapshot.keys == ()
    del addresses[0]
    world.clock.tick(61)
    assert code_of(guard, world.token(name, sub="43")) == "key_unknown"
    assert next(iter(guard._issuers)).keys.distrusted is first.distrusted


class Interrupted(Clock):
    """A clock at whose next reading another thread comes between."""

    meanwhile: Callable[[], object] | None = None

    def monotonic(self) -> float:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return super().monotonic()


def test_two_first_requests_share_keys_and_what_was_withdrawn() -> None:
    """The second comes and goes while the first makes its source: there is one in the end."""
    clock = Interrupted()
    world = World(clock)
    guard = world.guard()
    (pool,) = guard._issuers._pools
    name = world.name("a")
    faster: list[Any] = []

    def come_between() -> None:
        faster.append(pool.get(name))
        # Its place is taken by others before the first goes on.
        pool._issuers.clear()

    clock.meanwhile = come_between
    first = pool.get(name)

    assert first is not None
    assert first.members[0].keys is faster[0].keys


def test_an_issuer_admitted_while_the_guard_is_closed_stays_closed(world: World) -> None:
    """The rule was asked before, and answers after: nothing is left open, and nobody is served."""
    name = world.name("a")
    is_asked = False

    def rule(asked: str) -> Issuer | None:
        nonlocal is_asked
        if not is_asked:
            is_asked = True
            guard.close()
        return world.admit(asked)

    guard = world.guard(rule)

    assert code_of(guard, world.token(name)) == "keys_unavailable"
    assert guard.health() == {}
    assert world.web.asked == []
    guard.warm()
    assert code_of(guard, world.token(name)) == "passed"


def test_keys_that_a_request_waits_for_are_closed_with_the_guard(world: World) -> None:
    """They have no place, and are found all the same; after ``warm`` there are new ones."""
    guard, _ = full(world)
    name = world.name("waiting")
    steps: Any = guard.decide(SampleRequest("GET", "/", world.token(name)))
    effect = next(steps)
    guard.close()

    assert effect.waiter.fetch.future.done()
    guard.warm()
    assert code_of(guard, world.token(name, sub="43")) == "passed"
    steps.close()


class Fetching(HTTPFetcher):
    """A fetcher of one's own class, made each time."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def fetch(self, request: FetchRequest) -> FetchResponse:
        return self._world.fetch(request)


def test_a_rule_that_makes_a_fetcher_each_time_serves_a_newcomer(world: World) -> None:
    """All places are taken: whoever waited is held against the issuer whose keys it waited for."""

    def rule(asked: str) -> Issuer:
        return Issuer(asked, audience="api", jwks_uri=f"{asked}/keys", fetcher=Fetching(world))

    guard, _ = full(world, rule=rule)
    name = world.name("newcomer")

    assert code_of(guard, world.token(name)) == "passed"
    assert world.web.asked.count(f"{name}/keys") == 1
    assert code_of(guard, world.token(name, sub="43")) == "passed"
    assert world.web.asked.count(f"{name}/keys") == 1


def test_fetchers_of_the_same_settings_are_the_same_settings() -> None:
    """A rule that makes one each time it is asked does not have the keys fetched anew."""

    def keys_of(**settings: Any) -> object:
        fetcher = HTTPFetcher(**settings)
        return Issuer("https://a/", audience=None, fetcher=fetcher).key_settings

    assert keys_of(public_only=True) == keys_of(public_only=True)
    assert keys_of(headers={"X": "1"}) == keys_of(headers={"X": "1"})
    kept = [HTTPFetcher(headers=dict), HTTPFetcher(verify=ssl.create_default_context())]
    others: list[dict[str, Any]] = [
        {},
        {"public_only": True},
        {"trust_env": False},
        {"verify": False},
        {"proxy": "http://p:1"},
        {"headers": {"X": "1"}},
        {"headers": {"X": "2"}},
        {"client": httpx.Client()},
    ]
    values = [keys_of(**each) for each in others]
    values += [Issuer("https://a/", audience=None, fetcher=each).key_settings for each in kept]
    assert len(set(values)) == len(values)


def static_rule(published: list[KeyPair]) -> Callable[[str], Issuer]:
    """Return a rule that knows the keys of its issuers by itself."""
    return lambda name: Issuer(
        name, audience="api", keys={"keys": [each.jwk for each in published]}
    )


def signed(world: World, key: KeyPair) -> str:
    exp = int(world.clock.now()) + 9_000
    return key.sign({"iss": "https://a.example", "aud": "api", "sub": "42", "exp": exp})


def test_a_key_is_withdrawn_of_keys_that_were_being_made_meanwhile(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rule named other keys, and they were not in service yet when the operator spoke."""
    published = [KeyPair.generate("ES256", "old")]
    guard = world.guard(static_rule(published))
    guard.verify(signed(world, published[0]))
    in_service = next(iter(guard._issuers))
    published.append(KeyPair.generate("ES256", "new"))
    world.clock.tick(301)
    make = trusted.source_of

    def overtaken(*settings: Any, **more: Any) -> Any:
        made = make(*settings, **more)
        in_service.keys.distrust("old")
        return made

    monkeypatch.setattr(admitted_pool, "source_of", overtaken)

    assert code_of(guard, signed(world, published[0])) == "key_unknown"
    assert code_of(guard, signed(world, published[1])) == "passed"


def test_a_key_is_withdrawn_though_older_keys_of_its_issuer_do_not_have_it(world: World) -> None:
    """A request may still hold the keys of a time before that one was known."""
    published = [KeyPair.generate("ES256", "old")]
    guard = world.guard(static_rule(published))
    guard.verify(signed(world, published[0]))
    held = next(iter(guard._issuers))
    published.append(KeyPair.generate("ES256", "new"))
    world.clock.tick(301)
    guard.verify(signed(world, published[1]))

    guard.distrust("https://a.example", "new")

    assert code_of(guard, signed(world, published[1])) == "key_unknown"
    assert code_of(guard, signed(world, published[0])) == "passed"
    assert held.keys.distrusted.names("new")
    with pytest.raises(ConfigurationError):
        guard.distrust("https://a.example", "never")


def two_rules(world: World) -> tuple[Guard, list[bool]]:
    """Return a guard with two rules for every issuer; the first admits while its switch is on."""
    switch = [True]
    first = AdmittedIssuers(lambda name: world.admit(name) if switch[0] else None)
    return Guard(issuers=[first, AdmittedIssuers(world.admit)], clock=world.clock), switch


@pytest.mark.parametrize("has_served", [False, True])
def test_what_was_withdrawn_holds_for_every_rule(world: World, has_served: bool) -> None:
    """The issuer is admitted by one rule today and by another tomorrow."""
    guard, switch = two_rules(world)
    name = world.name("moving")
    if has_served:
        switch[0] = False
        assert code_of(guard, world.token(name)) == "passed"
        switch[0] = True
        world.clock.tick(301)
        assert code_of(guard, world.token(name)) == "passed"

    guard.distrust(name, "k")
    switch[0] = False
    world.clock.tick(301)

    assert code_of(guard, world.token(name)) == "key_unknown"


def test_a_withdrawn_key_is_recognised_in_the_keys_of_another_rule(world: World) -> None:
    """There it has another name, and those keys are in service as well."""
    pair, clock = KeyPair.generate("ES256", "k"), world.clock
    renamed = replace(pair, kid="renamed")
    switch = [True]

    def rule_of(key: KeyPair, is_on: Callable[[], bool]) -> AdmittedIssuers:
        return AdmittedIssuers(
            lambda name: Issuer(name, audience="api", keys=key.jwk) if is_on() else None
        )

    rules = [rule_of(renamed, lambda: switch[0]), rule_of(pair, lambda: True)]
    guard = Guard(issuers=rules, clock=clock)
    assert code_of(guard, signed(world, renamed)) == "passed"
    held = next(iter(guard._issuers))
    switch[0] = False
    clock.tick(301)
    assert code_of(guard, signed(world, pair)) == "passed"

    guard.distrust("https://a.example", "k")
    switch[0] = True
    clock.tick(301)

    assert code_of(guard, signed(world, renamed)) == "key_unknown"
    assert held.keys.snapshot is not None
    assert not held.keys.snapshot.keys


def test_a_withdrawal_that_cannot_be_recorded_raises(world: World) -> None:
    """No rule admits the name at the moment, and a mistyped name must not look like success."""
    with pytest.raises(ConfigurationError, match="configured or admitted issuer"):
        world.guard().distrust("https://stranger.example", "k")
