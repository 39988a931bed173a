"""The bounded memory of verified tokens."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwt_middleware.crypto.algorithms import ALGORITHMS
from jwt_middleware.crypto.jwk import VerificationKey
from jwt_middleware.principal import ANONYMOUS
from jwt_middleware.tokens.cache import Entry, TokenCache

WEIGHT = 2_500
KEY = VerificationKey("oct", None, b"s" * 32)


def entry(trust: object = None) -> Entry:
    return Entry(ANONYMOUS, trust, KEY, ALGORITHMS["HS256"], None, None, math.inf, math.inf)


def test_a_token_is_found_by_its_whole_text() -> None:
    """Nothing else finds it."""
    cache, known = TokenCache(2, 10**6), entry()
    cache.put("token", known)
    assert cache.get("token") is known
    assert cache.get("toke") is None
    assert (len(cache), cache.bytes) == (1, WEIGHT + 15)


def test_a_token_put_again_is_replaced_and_weighs_once() -> None:
    """The newer entry stands."""
    cache, newer = TokenCache(2, 10**6), entry()
    cache.put("a", entry())
    weight = cache.bytes
    cache.put("a", newer)
    assert (len(cache), cache.bytes, cache.get("a")) == (1, weight, newer)


def test_the_oldest_goes_first() -> None:
    """When the count is reached."""
    cache = TokenCache(2, 10**6)
    for token in "abc":
        cache.put(token, entry())
    assert [token for token in "abc" if cache.get(token)] == ["b", "c"]


def test_what_was_used_gets_one_more_chance() -> None:
    """One, not two: its mark is taken when it is passed over."""
    cache, used = TokenCache(2, 10**6), entry()
    cache.put("a", used)
    cache.put("b", entry())
    used.was_used = True
    cache.put("c", entry())
    assert [token for token in "abc" if cache.get(token)] == ["a", "c"]
    assert not used.was_used
    cache.put("d", entry())
    cache.put("e", entry())
    assert [token for token in "abcde" if cache.get(token)] == ["d", "e"]


def test_bytes_bound_it_too() -> None:
    """A long token takes the place of several short ones; one that is too long is not kept."""
    cache = TokenCache(100, 3 * (WEIGHT + 3))
    for token in "abc":
        cache.put(token, entry())
    cache.put("d" * 500, entry())
    assert [token for token in "abc" if cache.get(token)] == ["c"]
    cache.put("e" * 5_000, entry())
    assert cache.get("e" * 5_000) is None
    assert len(cache) == 2


def test_a_cache_of_no_entries_keeps_nothing() -> None:
    """Zero switches it off."""
    cache = TokenCache(0, 10**6)
    cache.put("a", entry())
    assert (len(cache), cache.bytes) == (0, 0)


def test_a_cleared_cache_starts_over() -> None:
    """Its look-up goes on working."""
    cache = TokenCache(1, 10**6)
    look_up = cache.get
    cache.put("a", entry())
    cache.clear()
    assert (len(cache), cache.bytes, look_up("a")) == (0, 0, None)
    for token in "bc":
        cache.put(token, entry())
        assert look_up(token) is not None
    assert len(cache) == 1


def test_the_tokens_of_one_issuer_are_forgotten_alone() -> None:
    """What they weighed is free again, and the others leave in their order."""
    cache, gone, stays = TokenCache(3, 10**6), object(), object()
    for token, trust in (("a", gone), ("b", stays), ("cc", gone)):
        cache.put(token, entry(trust))
    cache.forget(gone)
    assert [token for token in ("a", "b", "cc") if cache.get(token)] == ["b"]
    assert (len(cache), cache.bytes) == (1, WEIGHT + 3)
    for token in "defg":
        cache.put(token, entry())
    assert [token for token in "bdefg" if cache.get(token)] == ["e", "f", "g"]


@pytest.mark.parametrize("count", [1, 2])
def test_tokens_that_fill_all_the_bytes_are_kept(count: int) -> None:
    """One byte less and one of them is not."""
    for lacking in (0, 1):
        cache = TokenCache(9, count * (WEIGHT + 3) - lacking)
        for token in "ab"[:count]:
            cache.put(token, entry())
        assert len(cache) == count - lacking


@given(
    st.lists(st.tuples(st.text("abc", min_size=1, max_size=3), st.booleans()), max_size=30),
    st.integers(1, 4),
    st.integers(WEIGHT, 4 * WEIGHT),
)
def test_it_never_outgrows_its_bounds(
    puts: list[tuple[str, bool]], max_entries: int, max_bytes: int
) -> None:
    """After each step count and bytes are in bounds, and the bytes are those of the entries."""
    cache = TokenCache(max_entries, max_bytes)
    for token, is_used in puts:
        cache.put(token, entry())
        if (found := cache.get(token)) is not None:
            found.was_used = is_used
        kept = [name for name in {name for name, _ in puts} if cache.get(name)]
        assert len(cache) == len(kept) <= max_entries
        assert cache.bytes == sum(WEIGHT + 3 * len(name) for name in kept) <= max_bytes
