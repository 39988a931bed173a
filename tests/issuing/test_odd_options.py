"""Every option of rings and minters, set to values of every kind: taken, or refused in a sentence."""

from contextlib import suppress
from inspect import signature
from typing import Any

import pytest

from jwt_middleware import ConfigurationError
from jwt_middleware.issuing import KeyRing, Minter
from jwt_middleware.stores.memory import MemoryStore
from tests.support.odd_values import odd_values

OF_RINGS = [name for name in signature(KeyRing).parameters if name != "store"]
OF_MINTERS = [name for name in signature(Minter).parameters if name != "ring"]
OF_TOKENS = [name for name in signature(Minter.mint).parameters if name != "self"]


@pytest.mark.parametrize("name", OF_RINGS)
def test_an_option_of_a_ring(name: str) -> None:
    """What is taken signs."""
    for value in odd_values():
        chosen: dict[str, Any] = {name: value}
        with suppress(ConfigurationError):
            ring = KeyRing(MemoryStore(), **chosen)
            ring.load()
            assert ring.status()


@pytest.mark.parametrize("name", [*OF_MINTERS, "ring"])
def test_an_option_of_a_minter(name: str) -> None:
    known: dict[str, Any] = {"ring": KeyRing(MemoryStore()), "issuer": "https://a/"}
    for value in odd_values():
        with suppress(ConfigurationError):
            minter = Minter(**{**known, "audience": "a", name: value})
            # What a function raises that is no hook for claims is raised.
            assert name == "claims_of" or minter.mint("alice")


@pytest.mark.parametrize("name", OF_TOKENS)
def test_a_value_for_a_token(name: str) -> None:
    minter = Minter(KeyRing(MemoryStore()), issuer="https://a/", audience="a")
    for value in odd_values():
        with suppress(ConfigurationError):
            assert minter.mint(**{"subject": "alice", name: value})


def test_a_value_for_a_store_and_for_given_keys() -> None:
    for value in odd_values():
        with suppress(ConfigurationError):
            KeyRing(value)
        with suppress(ConfigurationError):
            KeyRing.from_keys(value)
        with suppress(ConfigurationError):
            KeyRing.from_keys(value, algorithm="HS256")
