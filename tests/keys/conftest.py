"""What most tests of this room start from."""

from collections.abc import Iterator

import pytest

from jwt_middleware.keys.remote.resolver import JWKSResolver
from jwt_middleware.testing.clock import Clock
from tests.keys.publisher import Publisher, Record, landed, resolver_of


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    publisher = Publisher("a", "b")
    yield publisher
    publisher.gate.set()


@pytest.fixture
def record() -> Record:
    return Record()


@pytest.fixture
def source(publisher: Publisher, clock: Clock, record: Record) -> Iterator[JWKSResolver]:
    """A resolver that has not fetched anything yet."""
    source = resolver_of(publisher, clock, [record])
    yield source
    publisher.gate.set()
    landed()


@pytest.fixture
def warm(source: JWKSResolver, publisher: Publisher, record: Record) -> JWKSResolver:
    """The same after its first fetch, with the counters at zero."""
    source.warm(required=True)
    landed()
    publisher.requests.clear()
    publisher.threads.clear()
    publisher.arrived.clear()
    record.events.clear()
    return source
