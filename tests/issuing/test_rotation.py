"""K3: verifiers elsewhere that fetch the key set once per max-age miss no token, whatever happens."""

import random
from typing import Any

import jwt
import pytest
from joserfc import jwt as joserfc_jwt
from joserfc.jwk import KeySet

from jwt_middleware.issuing import KeyRing
from tests.issuing.rings import AUDIENCE, DAY, World, phases

HOUR = 3600.0
UNTIMED: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}


class Verifier:
    """Fetches the published set when its copy is as old as max-age, as a foreign service does."""

    def __init__(self, world: World, ring: KeyRing, offset: float) -> None:
        self.world, self.ring = world, ring
        self.expires_at = world.clock.now() + offset
        self.fetched = ring.jwks()

    def verify(self, token: str) -> None:
        now = self.world.clock.now()
        if now >= self.expires_at:
            self.fetched, self.expires_at = self.ring.jwks(), now + self.ring.max_age
        key = jwt.PyJWKSet.from_dict(self.fetched)[jwt.get_unverified_header(token)["kid"]]
        jwt.decode(token, key, [key.algorithm_name], audience=AUDIENCE, options=UNTIMED)
        keys = KeySet.import_key_set(self.fetched)  # type: ignore[arg-type]
        joserfc_jwt.decode(token, keys, [key.algorithm_name])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_a_hundred_rotations_lose_no_token(seed: int) -> None:
    """Several processes mint and publish, keys rotate early and late, tokens are verified late."""
    chance = random.Random(seed)
    world = World(rotate_every=7 * DAY)
    processes = [world.ring, *(world.process(rotate_every=7 * DAY) for _ in range(2))]
    minters = [world.minter(each) for each in processes]
    verifiers = [
        Verifier(world, chance.choice(processes), chance.random() * HOUR) for _ in range(4)
    ]
    alive: list[tuple[float, str]] = []
    seen: set[str] = set()
    while len(seen) < 100:
        world.clock.tick(chance.choice([60, 900, HOUR, DAY / 2, DAY, 3 * DAY]))
        now = world.clock.now()
        if chance.random() < 0.3:
            chance.choice(processes).rotate()
        alive = [(ends, token) for ends, token in alive if now < ends]
        for minter in minters:
            token = minter.mint("alice")
            seen.add(jwt.get_unverified_header(token)["kid"])
            alive.append((now + 900 + 30, token))
        for _, token in alive:
            for verifier in verifiers:
                verifier.verify(token)


def test_a_verifier_that_keeps_the_set_for_too_long_would_miss_a_key() -> None:
    """The simulation sees what it is there to see."""
    world = World()
    verifier = Verifier(world, world.ring, 10 * DAY)
    world.ring.rotate()
    world.clock.tick(DAY)

    with pytest.raises(KeyError):
        verifier.verify(world.minter().mint("alice"))


def test_another_algorithm_is_a_rotation_for_verifiers_too() -> None:
    """K13."""
    world = World()
    token = world.minter().mint("alice")
    ring = world.process(algorithm="RS256")
    verifier = Verifier(world, ring, 0)
    guard = world.guard(ring, algorithms=["ES256", "RS256"])

    for _ in range(3):
        verifier.verify(token)
        assert guard.verify(token).subject == "alice"
        world.clock.tick(DAY / 2)
        token = world.minter(ring).mint("alice")
    assert jwt.get_unverified_header(token)["alg"] == "RS256"
    assert phases(ring) == ["retiring", "active"]
