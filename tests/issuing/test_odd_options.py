"""Every option of rings and minters, set to values of every kind: taken, or refused in a sentence."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from inspect import signature
from pathlib import Path
from typing import Any

import pytest

from jwt_middleware import ConfigurationError, Guard, Issuer, KeyFile
from jwt_middleware.checks import shown
from jwt_middleware.crypto.signing import generate
from jwt_middleware.endpoint_errors import ScopeNotGranted
from jwt_middleware.errors import TokenError
from jwt_middleware.issuing import KeyRing, Login, Minter, PublicKeyRing, TokenPairs
from jwt_middleware.stores import SQLiteStore, connect
from jwt_middleware.stores.memory import MemoryStore
from tests.issuing.test_given_keys import pem
from tests.support import odd_values as odd

HUGE = 10**5_000
"""Python does not even write it: it has more than 4,300 digits."""


def odd_values() -> Iterator[Any]:
    yield from odd.odd_values()
    yield from (HUGE, -HUGE, [HUGE], {"a": HUGE}, {HUGE: 1})


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


OF_PAIRS = [name for name in signature(TokenPairs).parameters if name not in {"minter", "store"}]
OF_LOGINS = list(signature(Login).parameters)
OF_CALLS = {
    "issue": ("subject", "claims", "login", "device"),
    "refresh": ("token", "scope"),
    "revoke": ("token",),
    "revoke_subject": ("subject", "but"),
    "revoke_family": ("sid",),
    "families": ("subject",),
}


@pytest.mark.parametrize("name", [*OF_PAIRS, "minter", "store"])
def test_an_option_of_pairs(name: str) -> None:
    minter = Minter(KeyRing(MemoryStore()), issuer="https://a/", audience="a")
    for value in odd_values():
        with suppress(ConfigurationError):
            pairs = TokenPairs(**{"minter": minter, "store": MemoryStore(), name: value})
            assert name == "subject_check" or pairs.issue("alice").sid


@pytest.mark.parametrize("name", OF_LOGINS)
def test_a_value_for_a_login(name: str) -> None:
    """What is taken is in a token that a guard reads."""
    minter = Minter(KeyRing(MemoryStore()), issuer="https://a/", audience="a")
    pairs = TokenPairs(minter, MemoryStore())
    guard = Guard(issuers=Issuer("https://a/", audience="a", keys=minter.ring))
    for value in (*odd_values(), -1, 2**53, 2**53 - 1):
        chosen: dict[str, Any] = {name: value}
        with suppress(ConfigurationError):
            pair = pairs.issue("alice", login=Login(**chosen))
            assert guard.verify(pair.access_token).subject == "alice"


@pytest.mark.parametrize(("call", "name"), [(c, n) for c, names in OF_CALLS.items() for n in names])
def test_a_value_for_a_call_of_pairs(call: str, name: str) -> None:
    minter = Minter(KeyRing(MemoryStore()), issuer="https://a/", audience="a")
    pairs = TokenPairs(minter, MemoryStore())
    for value in odd_values():
        known = {"token": pairs.issue("alice").refresh_token} if name == "scope" else {}
        needed = {"subject": "alice"} if "subject" in OF_CALLS[call] else known
        # A token of another kind is refused as a token.
        with suppress(ConfigurationError, TokenError, ScopeNotGranted):
            getattr(pairs, call)(**{**needed, name: value})


def test_a_value_for_other_calls() -> None:
    ring = KeyRing(MemoryStore())
    for value in odd_values():
        calls: list[Callable[[Any], object]] = [
            ring.revoke_key,
            connect,
            SQLiteStore,
            PublicKeyRing,
            lambda value: KeyRing.from_keys("x", algorithm=value),
            lambda value: PublicKeyRing(algorithm=value),
            lambda value: connect("sqlite:///a", timeout=value),
        ]
        for call in calls:
            with suppress(ConfigurationError):
                call(value)


def test_no_message_shows_a_password_or_a_key() -> None:
    """Such as an address or a text of a key that was given in the wrong place."""
    text = pem(generate("ES256")).decode()
    jwk = json.dumps(generate("ES256").private_jwk())
    minter = Minter(KeyRing(MemoryStore()), issuer="https://a/", audience="a")
    urls: list[Any] = ["postgresql://u:s3cret@h/db", b"redis://:s3cret@h", ["mysql://u:s3cret@h"]]
    mistakes: list[Callable[[], object]] = [
        *(lambda url=url: KeyRing(url) for url in urls),
        *(lambda url=url: TokenPairs(minter, url) for url in urls),
        *(lambda url=url: connect(url) for url in urls[1:]),
        *(lambda url=url: TokenPairs(url, MemoryStore()) for url in urls),
        lambda: SQLiteStore(urls[1]),
        lambda: KeyRing(MemoryStore(), clock=urls[0]),
        *(lambda key=key: KeyRing(MemoryStore(), algorithm=key) for key in (text, jwk)),
        *(lambda key=key: KeyRing.from_keys(Path(key)) for key in (text, jwk)),
        *(lambda key=key: KeyFile(key) for key in (text, jwk)),
        *(lambda key=key: KeyRing.from_keys("x", algorithm=key) for key in (text, jwk)),
        lambda: KeyRing(MemoryStore(), max_lag=json.loads(jwk)),
    ]
    parts = ["s3cret", text.splitlines()[1], json.loads(jwk)["d"]]
    for mistake in mistakes:
        with pytest.raises(ConfigurationError) as found:
            mistake()
        each: BaseException | None = found.value
        while each is not None:
            assert not any(part in f"{each!r} {vars(each)}" for part in parts)
            each = each.__context__
    with pytest.raises(ConfigurationError, match=r"store=str must be a store: write connect\("):
        KeyRing(urls[0])


def test_a_value_is_shown_as_code_where_that_does_no_harm() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    assert [shown(each) for each in ("x", 7, ["a"], None)] == ["'x'", "7", "['a']", "None"]
    assert shown("https://a.example/b?c=d") == "'https://a.example/b?c=d'"
    assert [shown(each) for each in (HUGE, {"a": HUGE}, deep)] == ["<int>", "<dict>", "<list>"]
