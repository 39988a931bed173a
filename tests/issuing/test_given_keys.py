"""Rings of configured keys: every kind of private key that people have."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from jwt_middleware import ConfigurationError, KeyFile, Secret
from jwt_middleware.crypto.signing import SigningKey, generate
from jwt_middleware.issuing import KeyRing
from jwt_middleware.stores.contract import Change, Exchange, Read
from tests.issuing.rings import World, phases

SECRET = b"0123456789abcdefghijklmnopqrstuv"


def pem(key: SigningKey, password: bytes | None = None) -> bytes:
    encryption = NoEncryption() if password is None else BestAvailableEncryption(password)
    found: bytes = key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    return found


def test_every_way_to_name_a_key_names_the_same_one(tmp_path: Path) -> None:
    """K9, K11: the same key twice is one key."""
    key = generate("ES256")
    plain, encrypted, jwk = tmp_path / "key.pem", tmp_path / "encrypted.pem", tmp_path / "key.json"
    plain.write_bytes(pem(key))
    encrypted.write_bytes(pem(key, b"a password"))
    jwk.write_text(json.dumps(key.private_jwk()))
    named: list[Any] = [
        pem(key),
        pem(key).decode(),
        plain,
        KeyFile(plain),
        KeyFile(encrypted, password="a password"),
        jwk,
        key.private_jwk(),
        {name: value for name, value in key.private_jwk().items() if name != "alg"},
        key.private,
    ]

    for each in named:
        ring = KeyRing.from_keys(each)
        assert [found.kid for found in ring.status()] == [key.kid]
    assert len(KeyRing.from_keys(*named).status()) == 1


def test_the_first_key_signs_and_all_verify() -> None:
    """And none of them leaves, however long it takes."""
    world = World()
    old, new = generate("ES256"), generate("RS256")
    before = KeyRing.from_keys(old.private_jwk(), new.private_jwk(), clock=world.clock)
    after = KeyRing.from_keys(new.private_jwk(), old.private_jwk(), clock=world.clock)
    guard = world.guard(before, algorithms=["ES256", "RS256"])
    tokens = [world.minter(ring).mint("alice") for ring in (before, after)]

    assert [guard.verify(each).subject for each in tokens] == ["alice", "alice"]
    assert (before.algorithm, after.algorithm) == ("ES256", "RS256")
    world.clock.tick(1e9)
    assert phases(after) == ["retiring", "active"]
    assert {key["kid"] for key in after.jwks()["keys"]} == {old.kid, new.kid}
    assert world.kid(after) == new.kid
    assert guard.health()["https://shop.example/"].state == "static"


def test_a_shared_secret_signs_too() -> None:
    """It is not published."""
    world = World()
    ring = KeyRing.from_keys(Secret(SECRET), algorithm="HS256", clock=world.clock)

    assert world.guard(ring).verify(world.minter(ring).mint("alice")).subject == "alice"
    assert ring.jwks() == {"keys": []}


def public_pem() -> bytes:
    key = generate("ES256").private.public_key()
    found: bytes = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return found


MISTAKES: dict[str, tuple[Any, str, str]] = {
    "nothing": ([], "ES256", "must have a private key"),
    "a public key": ([public_pem()], "ES256", "(not a private key)"),
    "a public key object": ([generate("ES256").private.public_key()], "ES256", "not a private key"),
    "a public JWK": ([generate("ES256").public_jwk], "ES256", "(not a private key)"),
    "another algorithm": ([pem(generate("RS256"))], "ES256", "write the algorithm of the key"),
    "a secret for ES256": ([Secret(SECRET)], "ES256", "write algorithm='HS256'"),
    "a short secret": ([Secret(b"short")], "HS256", "needs at least 32"),
    "an encrypted key": ([pem(generate("ES256"), b"x" * 8)], "ES256", "password=..."),
    "no PEM": (["key.pem"], "ES256", "write KeyFile('signing.pem')"),
    "broken JSON": (['{"kty":'], "ES256", "(not JSON)"),
    "deep JSON": (['{"kty":' + "[" * 200_000], "ES256", "(not JSON)"),
    "a number": ([7], "ES256", "a key of type int"),
    "no file": ([Path("/nowhere/key.pem")], "ES256", "KeyFile('/nowhere/key.pem')"),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_what_cannot_sign_is_a_sentence(kind: str) -> None:
    """K12: a public key can only verify, and so it is no ring."""
    keys, algorithm, said = MISTAKES[kind]
    with pytest.raises(ConfigurationError) as mistake:
        KeyRing.from_keys(*keys, algorithm=algorithm)
    assert said in str(mistake.value)


async def test_configured_keys_do_not_rotate() -> None:
    """Their configuration does."""
    ring = KeyRing.from_keys(generate("ES256").private)
    for call in (ring.rotate, lambda: ring.revoke_key("x")):
        with pytest.raises(ConfigurationError, match=r"change KeyRing\.from_keys"):
            call()
    with pytest.raises(ConfigurationError, match=r"change KeyRing\.from_keys"):
        await ring.arotate()


def test_an_error_carries_no_key_in_its_context() -> None:
    """Reporters of errors show the contexts too, and the text that could not be read."""
    broken = '{"kty":"oct","k":"' + SECRET.decode() + '",}'
    with pytest.raises(ConfigurationError) as met:
        KeyRing.from_keys(broken, algorithm="HS256")
    world = World()
    world.ring.load()
    found: Any = world.store.answer(Read("ring", "keys"), 1e12)
    change = Change("ring", "keys", found.document.version, found.document.body[:-1])
    world.store.answer(Exchange((change,)), 1e12)
    with pytest.raises(ConfigurationError) as met_later:
        world.process().load()
    for error in (met.value, met_later.value):
        each: BaseException | None = error
        while each is not None:
            assert not hasattr(each, "doc")
            each = each.__context__
