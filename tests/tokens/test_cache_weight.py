"""What remembered tokens weigh: the bound is one of bytes, whatever their claims become."""

import gc
import itertools
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from jwt_middleware.testing import Clock
from jwt_middleware.tokens.cache import TokenCache
from jwt_middleware.tokens.claims import MAX_KNOWN_TEXT, _split
from jwt_middleware.tokens.compact import MAX_KNOWN_HEADER_LENGTH, Header, KnownHeaders
from tests.support.short_form import HMAC, short_guard

SIZE = 9_000
"""Letters that a payload has at the most here; base64 and signature make a token of 12 KB."""


def many(thing: Any, weight: int) -> list[Any]:
    return [thing] * (SIZE // weight)


def distinct(spell: Callable[[str], Any], weight: int) -> list[Any]:
    letters = "abcdefghijklmnopqrstuvwxyz"
    # None is the name of a registered claim.
    pairs = ("q" + "".join(pair) for pair in itertools.product(letters, repeat=3))
    return [spell(next(pairs)) for _ in range(SIZE // weight)]


HOSTILE: dict[str, dict[str, Any]] = {
    "an ordinary token": {"scope": "read write", "roles": ["a"], "email": "alice@example.org"},
    "empty objects": {"a": many({}, 3)},
    "empty arrays": {"a": many([], 3)},
    "arrays of one": {"a": [[number] for number in range(1_000, 1_000 + SIZE // 8)]},
    "objects of one": {"a": distinct(lambda name: {name: 1}, 10)},
    "numbers": {"a": list(range(1_000, 1_000 + SIZE // 6))},
    "fractions": {"a": [number / 10 for number in range(SIZE // 6)]},
    "large numbers": {"a": [10**15 + number for number in range(SIZE // 18)]},
    "short texts": {"a": distinct(str, 6)},
    "short wide texts": {"a": distinct(lambda name: name[:2] + "\u5c71", 9)},
    "members": dict(distinct(lambda name: (name, 7), 8)),
    "one wide letter": {"a": "x" * SIZE + "\U0001f600"},
    "scopes": {"scope": " ".join(distinct(str, 4))},
    "roles": {"roles": distinct(str, 6)},
    "everything three times": {
        "scope": " ".join(distinct(str, 12)),
        "roles": distinct(str, 18),
        "permissions": distinct(str, 18),
    },
    "nested": {"a": {"b": {"c": many([[], {}], 9)}}},
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", HOSTILE)
def test_tokens_weigh_no_more_than_they_are_counted_for(kind: str, clock: Clock) -> None:
    """Measured, for a dozen tokens whose claims differ in nothing that could be shared."""
    guard = short_guard(clock=clock)
    tokens = [
        HMAC.sign({"iss": "https://a/", "exp": 4_000_000_000, "sub": f"{n}", **HOSTILE[kind]})
        for n in range(12)
    ]
    guard.verify(HMAC.sign({"iss": "https://a/", "exp": 4_000_000_000, "sub": "first"}))
    cache: TokenCache = guard._authenticator._tokens
    counted = cache.bytes
    _split.cache_clear()
    gc.collect()
    tracemalloc.start()
    try:
        for token in tokens:
            # As a server hands it over: a text of its own, each time.
            guard.verify("".join(list(token)))
        _split.cache_clear()
        gc.collect()
        weight = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()

    assert len(cache) == 13
    assert weight <= cache.bytes - counted


def test_ten_thousand_ordinary_tokens_fit_the_default(clock: Clock) -> None:
    """A dozen claims, two scopes and two roles."""
    guard = short_guard(clock=clock)
    claims = {"scope": "orders:read orders:write", "roles": ["admin", "editor"], "sub": "1"}
    more = {f"claim_{number}": f"value number {number}" for number in range(10)}
    token = HMAC.sign({"iss": "https://a/", "exp": 4_000_000_000, **claims, **more})
    guard.verify(token)

    assert 10_000 * guard._authenticator._tokens.bytes < 64 * 1024 * 1024


def test_long_headers_are_read_each_time() -> None:
    """A header with a chain of certificates would fill the memory of headers."""
    headers = KnownHeaders()
    headers.learn(b"h" * MAX_KNOWN_HEADER_LENGTH, Header("HS256", None, None))
    headers.learn(b"h" * (MAX_KNOWN_HEADER_LENGTH + 1), Header("HS256", None, None))

    assert len(headers) == 1


def test_long_texts_of_names_are_split_each_time(clock: Clock) -> None:
    """What is read out of them is the same, and is kept with the token alone."""
    guard = short_guard(clock=clock)
    names = [f"s{number}" for number in range(MAX_KNOWN_TEXT)]
    before = _split.cache_info().currsize
    token = HMAC.sign({"iss": "https://a/", "exp": 4_000_000_000, "scope": " ".join(names)})

    assert guard.verify(token).scopes == frozenset(names)
    assert _split.cache_info().currsize == before
