"""A ring of public keys publishes and verifies, and cannot sign; property K12."""

import json

import pytest

from jwt_middleware import ConfigurationError, Guard, Issuer
from jwt_middleware.effects import run
from jwt_middleware.endpoints import JWKSEndpoint
from jwt_middleware.issuing import Minter, PublicKeyRing
from jwt_middleware.request.view import WSGIView
from jwt_middleware.testing import KeyPair
from tests.issuing.rings import AUDIENCE, ISSUER, World


def test_it_verifies_what_the_private_half_signs_and_publishes_the_same() -> None:
    world = World()
    token = world.minter().mint("alice")
    public = PublicKeyRing(world.ring.jwks())
    issuer = Issuer(ISSUER, audience=AUDIENCE, keys=public)
    assert Guard(issuers=issuer, clock=world.clock).verify(token).subject == "alice"
    assert public.jwks() == world.ring.jwks()
    assert (
        run(JWKSEndpoint(public).replying(WSGIView({"REQUEST_METHOD": "GET"}), b"")).status == 200
    )


def test_it_has_nothing_to_sign_with() -> None:
    """Neither in the type nor at run time."""
    public = PublicKeyRing(World().ring.jwks())
    assert not {"signer", "signing", "rotate"} & set(dir(public))
    with pytest.raises(ConfigurationError, match="ring="):
        Minter(public, issuer=ISSUER, audience=AUDIENCE)  # type: ignore[arg-type]


def test_a_private_key_leaves_its_private_half_behind() -> None:
    """K10."""
    shown = json.dumps(PublicKeyRing(KeyPair.generate("ES256").private_pem).jwks())
    assert '"d"' not in shown


def test_keys_have_names_and_one_algorithm_and_stand_once() -> None:
    """K11, K13: a key without a name is named by its thumbprint."""
    world = World()
    (jwk,) = world.ring.jwks()["keys"]
    bare = {name: jwk[name] for name in ("kty", "crv", "x", "y")}
    public = PublicKeyRing(bare, jwk)
    assert public.jwks() == world.ring.jwks()
    assert repr(public) == "PublicKeyRing(1 keys)"


def test_keys_of_several_algorithms_are_read_together() -> None:
    keys = [World(algorithm=name).ring.jwks()["keys"][0] for name in ("ES256", "RS256", "EdDSA")]
    public = PublicKeyRing({"keys": keys})
    with pytest.raises(ConfigurationError, match="do not accept that"):
        Issuer(ISSUER, audience=AUDIENCE, keys=public, algorithms=["ES256", "RS256"])
    every = ["ES256", "RS256", "EdDSA"]
    assert Issuer(ISSUER, audience=AUDIENCE, keys=public, algorithms=every).keys is public


def test_a_shared_secret_has_no_public_half() -> None:
    with pytest.raises(ConfigurationError, match="no public half"):
        PublicKeyRing({"kty": "oct", "k": "x"}, algorithm="HS256")
    with pytest.raises(ConfigurationError):
        PublicKeyRing({"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"})


def test_a_key_of_another_type_names_the_fix() -> None:
    (jwk,) = World(algorithm="RS256").ring.jwks()["keys"]
    bare = {name: jwk[name] for name in ("kty", "n", "e")}
    with pytest.raises(ConfigurationError, match="such as algorithm='RS256'"):
        PublicKeyRing(bare)
    assert PublicKeyRing(bare, algorithm="RS256").jwks()["keys"][0]["alg"] == "RS256"
