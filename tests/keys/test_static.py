"""Keys that the configuration holds."""

from dataclasses import replace

import pytest

from jwt_middleware.crypto.algorithms import ALGORITHMS
from jwt_middleware.crypto.jwk import VerificationKey, import_jwk
from jwt_middleware.errors import ConfigurationError, KeyUnknown
from jwt_middleware.keys.snapshot import KeyHealth
from jwt_middleware.keys.source import RemoteKeySource
from jwt_middleware.keys.static import StaticKeys
from jwt_middleware.testing.keys import KeyPair
from tests.keys.publisher import ES256, pair, without_kid

RS256 = ALGORITHMS["RS256"]


def key_of(pair: KeyPair) -> VerificationKey:
    return import_jwk(pair.jwk)


def test_a_named_key_serves_only_its_name() -> None:
    """A token that names another key is not held against this one."""
    key = key_of(pair("a"))
    source = StaticKeys((key,))

    assert source.plan("a", ES256) == (key,)
    assert source.plan(None, ES256) == (key,)
    with pytest.raises(KeyUnknown):
        source.plan("b", ES256)


def test_a_key_without_name_serves_any_token() -> None:
    """A key without a name is tried after the one that is named."""
    named, unnamed = key_of(pair("a")), key_of(without_kid(pair("x")))
    source = StaticKeys((unnamed, named))

    assert source.plan("a", ES256) == (named, unnamed)
    assert source.plan("b", ES256) == (unnamed,)


def test_a_key_serves_only_its_algorithms() -> None:
    """Key type and algorithm must fit."""
    source = StaticKeys((key_of(pair("a")),))

    with pytest.raises(KeyUnknown):
        source.plan("a", RS256)


def test_at_most_four_keys_are_tried() -> None:
    """One token costs no more than four signature checks."""
    source = StaticKeys(tuple(key_of(without_kid(pair("x"))) for _ in range(6)))

    assert len(source.plan(None, ES256)) == 4
    assert len(source.plan("a", ES256)) == 4


def test_distrust_withdraws_keys_for_good() -> None:
    """A withdrawn key is refused at once; the snapshot is another, so cached tokens are too."""
    source = StaticKeys((key_of(pair("a")), key_of(pair("b"))))
    before = source.snapshot
    source.distrust("a")

    assert source.snapshot is not before
    with pytest.raises(KeyUnknown):
        source.plan("a", ES256)
    assert source.plan("b", ES256)
    source.distrust()
    with pytest.raises(KeyUnknown):
        source.plan("b", ES256)
    assert source.health() == KeyHealth("static", is_ready=False, keys=0)


@pytest.mark.parametrize("kid", ["b", "", "A"])
def test_to_withdraw_a_key_that_is_not_there_is_an_error(kid: str) -> None:
    """The key that was meant would go on serving; its name is told, or that it has none."""
    named = StaticKeys((key_of(pair("a")),))
    unnamed = StaticKeys((key_of(without_kid(pair("x"))),))

    with pytest.raises(ConfigurationError, match=r"one of \['a'\]: write kid=None"):
        named.distrust(kid)
    with pytest.raises(ConfigurationError, match=r"one of \[\]"):
        unnamed.distrust("x")
    assert named.plan("a", ES256)
    assert unnamed.plan(None, ES256)


def test_a_key_can_be_withdrawn_twice() -> None:
    """The second time changes nothing; and one that has no name goes with all."""
    source = StaticKeys((key_of(pair("a")), key_of(without_kid(pair("x")))))
    source.distrust("a")
    source.distrust("a")
    assert source.health().keys == 1

    source.distrust()

    assert source.health().keys == 0


def test_a_secret_can_be_distrusted_under_any_name() -> None:
    """A withdrawn key is withdrawn for what it is."""
    secret = KeyPair(bytes(range(32)), "HS256", "a")
    again = replace(secret, kid="b")
    keys = tuple(import_jwk(each.jwk, published=False) for each in (secret, again))
    source = StaticKeys(keys)
    source.distrust("a")

    assert source.health().keys == 0
    assert StaticKeys(keys, source.distrusted).health().keys == 0


def test_fixed_keys_never_grow_old() -> None:
    """They are here, and nobody waits for them: nothing of a remote source is asked of them."""
    source = StaticKeys((key_of(pair("a")),))

    assert source.snapshot.soft_at == float("inf")
    assert source.snapshot.holds(source.plan("a", ES256)[0])
    assert source.health() == KeyHealth("static", is_ready=True, keys=1)
    assert not isinstance(source, RemoteKeySource)
