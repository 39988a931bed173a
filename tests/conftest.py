"""A clock that stands still, and an issuer that goes by it."""

from collections.abc import Iterator

import pytest

from jwt_middleware.testing import Clock, FakeIssuer


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer(clock: Clock) -> Iterator[FakeIssuer]:
    with FakeIssuer(["RS256"], now=clock.now) as issuer:
        yield issuer
