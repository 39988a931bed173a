"""What tests of admitted issuers start from."""

from collections.abc import Iterator

import pytest

from jwt_middleware.testing import Clock
from tests.issuers.pool_world import World
from tests.keys.publisher import landed


@pytest.fixture
def world(clock: Clock) -> Iterator[World]:
    world = World(clock)
    yield world
    world.gate.set()
    landed()
