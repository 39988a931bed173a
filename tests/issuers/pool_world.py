"""Many issuers in memory and a rule that admits them, and tokens of theirs, good and bad."""

import threading
from collections.abc import Callable
from typing import Any

from jwt_middleware import (
    AdmittedIssuers,
    Guard,
    Issuer,
    KeysUnavailable,
    TokenError,
)
from jwt_middleware.keys.remote.http import FetchRequest, FetchResponse
from jwt_middleware.testing import Clock, KeyPair
from tests.keys.publisher import SOON
from tests.keys.web import Web


class World:
    """Many issuers with a key each, in memory, and a rule that admits those with a tenant's name."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.web = Web()
        self.keys: dict[str, KeyPair] = {}
        self.seen: list[Any] = []
        self.audience = "api"
        self.gate = threading.Event()
        self.gate.set()
        self.arrived = threading.Semaphore(0)

    def name(self, number: int | str) -> str:
        name = f"https://{number}.tenants.example"
        if name not in self.keys:
            self.keys[name] = KeyPair.generate("ES256", "k")
            self.web.put(f"{name}/keys", {"keys": [self.keys[name].jwk]})
        return name

    def fetch(self, request: FetchRequest) -> FetchResponse:
        answer = self.web.fetch(request)
        self.arrived.release()
        assert self.gate.wait(SOON)
        return answer

    def admit(self, name: str) -> Issuer | None:
        self.seen.append(name)
        if name not in self.keys:
            return None
        return Issuer(name, audience=self.audience, jwks_uri=f"{name}/keys", fetcher=self)

    def token(self, name: str, **claims: Any) -> str:
        good = {"iss": name, "aud": "api", "sub": "42", "exp": int(self.clock.now()) + 9_000}
        return self.keys[name].sign(good | claims)

    def guard(self, rule: Callable[[str], Any] | None = None, **options: Any) -> Guard:
        return Guard(issuers=AdmittedIssuers(rule or self.admit, **options), clock=self.clock)


def code_of(guard: Guard, text: str) -> str:
    try:
        guard.verify(text)
    except (TokenError, KeysUnavailable) as refused:
        return refused.code
    return "passed"


def crafted(world: World, number: int, **claims: Any) -> str:
    """Return a token that nobody signed, of an issuer that the rule admits."""
    good = {"iss": world.name(f"crafted-{number}"), "aud": "api", "sub": "1"}
    return KeyPair.generate("ES256", "k").sign(good | {"exp": int(world.clock.now()) + 60} | claims)


def full(world: World, **options: Any) -> tuple[Guard, list[str]]:
    """Return a guard all of whose places belong to proven issuers, and their names."""
    guard = world.guard(most=2, max_flights=1, **options)
    names = [world.name(f"proven-{number}") for number in range(2)]
    for name in names:
        guard.verify(world.token(name))
    return guard, names


def forged(world: World, name: str) -> str:
    """Return a token that somebody else signed."""
    good = {"iss": name, "aud": "api", "sub": "1", "exp": int(world.clock.now()) + 60}
    return KeyPair.generate("ES256", "k").sign(good)


def roles_by(world: World, places: list[str]) -> Callable[[str], Issuer]:
    """Return a rule whose issuers have roles in the claim that stands last in a list."""

    def rule(asked: str) -> Issuer:
        return Issuer(
            asked,
            audience="api",
            jwks_uri=f"{asked}/keys",
            fetcher=world,
            roles_claim=places[-1],
        )

    return rule
