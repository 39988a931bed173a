"""A provider that other people wrote, over real HTTP, from discovery to the answer."""

import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import httpx
import pytest

from jwt_middleware import Guard, Issuer, TokenError
from tests.provider.real import ALGORITHMS, AUDIENCES, RealProvider, audience, key_pairs, running
from tests.support.serving import serve

pytestmark = [pytest.mark.service, pytest.mark.slow]


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealProvider]:
    with running(tmp_path_factory.mktemp("provider")) as provider:
        yield provider


@pytest.fixture
def guard(provider: RealProvider) -> Guard:
    return Guard(issuers=Issuer(provider.issuer, audience=AUDIENCES))


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_an_access_token_passes(provider: RealProvider, guard: Guard, alg: str) -> None:
    """Of each algorithm (RFC 9068), with keys that its own discovery leads to."""
    principal = guard.verify(provider.token(alg))

    assert principal.issuer == provider.issuer
    assert principal.audience == (audience(alg),)
    assert principal.scopes == {"orders:read"}
    assert principal.claims["client_id"] == provider.client


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_a_changed_access_token_does_not(provider: RealProvider, guard: Guard, alg: str) -> None:
    """One character of the payload, or the signature of another token."""
    header, payload, signature = provider.token(alg).split(".")
    other = provider.token(alg).split(".")[2]
    middle = len(payload) // 2
    changed = payload[:middle] + ("A" if payload[middle] != "A" else "B") + payload[middle + 1 :]

    for text in (f"{header}.{changed}.{signature}", f"{header}.{payload}.{other}"):
        with pytest.raises(TokenError):
            guard.verify(text)


def test_a_token_for_another_resource_does_not(provider: RealProvider) -> None:
    """The audience is what the client asked the provider for."""
    guard = Guard(issuers=Issuer(provider.issuer, audience=audience("ES256")))
    guard.verify(provider.token("ES256"))

    with pytest.raises(TokenError) as refused:
        guard.verify(provider.token("RS256"))
    assert refused.value.code == "audience_mismatch"


def test_the_key_set_holds_what_it_should(provider: RealProvider, guard: Guard) -> None:
    """One fetch, four keys, none passed over."""
    guard.warm(required=True)
    health = guard.health()[provider.issuer]

    assert (health.state, health.keys, health.generation) == ("fresh", len(ALGORITHMS), 1)


@pytest.mark.server
def test_a_rotation_under_load_fails_no_request(tmp_path: Path) -> None:
    """The provider comes back with new keys beside the old: tokens of both pass all the time."""
    with running(tmp_path) as provider:
        old = [provider.token(alg) for alg in ALGORITHMS]
        command = [sys.executable, "-m", "uvicorn", "--fd", "{fd}", "tests.provider.app:app"]
        env = {"ISSUER": provider.issuer, "AUDIENCES": " ".join(AUDIENCES)}
        with serve(command, env) as base, Load(base, old) as load:
            load.wait_for(200)
            provider.start([*key_pairs(), *provider.keys])
            load.tokens = [*(provider.token(alg) for alg in ALGORITHMS), *old]
            load.wait_for(400)

    assert set(load.answers) == {200}
    assert load.answers[200] >= 600


class Load:
    """Eight clients that send one request after another."""

    def __init__(self, base: str, tokens: list[str]) -> None:
        self.tokens = tokens
        self.answers: Counter[int] = Counter()
        self._base = base
        self._more = threading.Condition()
        self._is_over = False
        self._threads = [threading.Thread(target=self._work, args=(number,)) for number in range(8)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        for thread in self._threads:
            thread.join()

    def wait_for(self, count: int) -> None:
        """Wait until so many more requests were answered."""
        with self._more:
            wanted = self.answers.total() + count
            assert self._more.wait_for(lambda: self.answers.total() >= wanted, 60)

    def _work(self, number: int) -> None:
        with httpx.Client(base_url=self._base, trust_env=False, timeout=30) as client:
            while not self._is_over:
                tokens = self.tokens
                token = tokens[number % len(tokens)]
                number += 1
                answer = client.get("/orders", headers={"Authorization": f"Bearer {token}"})
                with self._more:
                    self.answers[answer.status_code] += 1
                    self._more.notify_all()
