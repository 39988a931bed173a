"""The table of algorithms and the choice among them."""

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from hypothesis import given
from hypothesis import strategies as st

from jwt_middleware.crypto.algorithms import ALGORITHMS, ASYMMETRIC, Algorithm, select
from jwt_middleware.crypto.jwk import import_jwk
from jwt_middleware.errors import ConfigurationError
from jwt_middleware.testing.keys import KeyPair

PAIRS = {name: KeyPair.generate(name) for name in ALGORITHMS}


def parts(name: str) -> tuple[bytes, bytes]:
    implementation = ALGORITHMS[name].implementation
    return b"signed text", implementation.sign(b"signed text", PAIRS[name].private)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_each_algorithm_verifies_what_it_signed_and_nothing_else(name: str) -> None:
    """A good signature is good; over another text or under another key it is not."""
    algorithm = ALGORITHMS[name]
    text, signature = parts(name)
    key = import_jwk(PAIRS[name].jwk, published=False)
    other = import_jwk(KeyPair.generate(name).jwk, published=False)

    assert algorithm.verifies(key.material, text, signature)
    assert not algorithm.verifies(key.material, text + b".", signature)
    assert not algorithm.verifies(other.material, text, signature)


@given(st.sampled_from(sorted(ALGORITHMS)), st.binary(max_size=140))
def test_any_other_bytes_are_just_a_wrong_signature(name: str, signature: bytes) -> None:
    """Impossible lengths and values never raise."""
    key = import_jwk(PAIRS[name].jwk, published=False)
    assert not ALGORITHMS[name].verifies(key.material, b"signed text", signature)


def test_a_curve_that_the_library_lacks_is_just_a_wrong_signature() -> None:
    """What the build of the library cannot do does not verify, and does not raise."""

    class Lacking:
        def verify(self, *_: object) -> bool:
            raise UnsupportedAlgorithm("no such curve")

    algorithm = Algorithm("X", "EC", (), 256, Lacking())  # type: ignore[arg-type]
    assert algorithm.verifies(None, b"", b"") is False


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_key_fits_by_type_and_curve(name: str) -> None:
    """Both must agree; an algorithm without curves asks for none."""
    algorithm = ALGORITHMS[name]
    jwk = PAIRS[name].jwk
    assert algorithm.fits(jwk["kty"], jwk.get("crv"))
    assert not algorithm.fits("other", jwk.get("crv"))
    assert algorithm.fits(jwk["kty"], "P-1") is (not algorithm.curves)


def test_eddsa_takes_both_curves_and_its_new_names_one_each() -> None:
    """The polymorphic name serves either curve."""
    assert ALGORITHMS["EdDSA"].curves == ("Ed25519", "Ed448")
    assert not ALGORITHMS["Ed25519"].fits("OKP", "Ed448")
    assert not ALGORITHMS["Ed448"].fits("OKP", "Ed25519")


def test_none_is_no_algorithm() -> None:
    """There is no row for it, in any spelling."""
    assert not {name for name in ALGORITHMS if name.lower() == "none"}


def test_the_default_is_every_asymmetric_algorithm_but_one() -> None:
    """No shared secret, and not the curve that services have no reason to accept."""
    assert set(ALGORITHMS) - set(ASYMMETRIC) == {"HS256", "HS384", "HS512", "ES256K"}
    assert [row.name for row in select(ASYMMETRIC)] == list(ASYMMETRIC)


def test_each_name_is_chosen_once_and_in_order() -> None:
    """A repeated name changes nothing."""
    assert [row.name for row in select(["ES256", "RS256", "ES256"])] == ["ES256", "RS256"]


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ("RS256", r"is text: write a list, such as \['RS256'\]"),
        ([], "cannot be empty"),
        (["none"], "unsigned"),
        (["NoNe"], "unsigned"),
        (["rs256"], "did you mean 'RS256'"),
        (["zzzz"], "known are HS256"),
        ([None], "None is not known"),
        (["HS256", "RS256"], "cannot mix shared secrets"),
    ],
)
def test_a_wrong_choice_is_explained(names: list[str], sentence: str) -> None:
    """Every mistake names what to write instead."""
    with pytest.raises(ConfigurationError, match=sentence):
        select(names)
