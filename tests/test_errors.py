"""The tree of errors."""

from typing import Any

import pytest

from jwt_middleware import Guard, HTTPFetcher, Issuer
from jwt_middleware.errors import (
    AccessDenied,
    ClaimInvalid,
    ClaimMissing,
    ConfigurationError,
    JWTMiddlewareError,
    KeysUnavailable,
    Refused,
    RequestError,
    TokenError,
    TokenExpired,
    TokenMissing,
    Unavailable,
    refusals,
)

GROUPS = {RequestError: 400, TokenError: 401, AccessDenied: 403, Unavailable: 503}
BUILT = [kind("exp") if kind in {ClaimMissing, ClaimInvalid} else kind() for kind in refusals()]


def test_codes_are_unique_and_stable_words() -> None:
    """Each concrete refusal has one of its own, in lower case."""
    codes = [kind.code for kind in refusals()]
    assert len(set(codes)) == len(codes) == 29
    assert all(code.replace("_", "").isalpha() and code.islower() for code in codes)


@pytest.mark.parametrize("kind", list(refusals()))
def test_every_refusal_has_its_own_words_and_the_status_of_its_group(kind: type[Refused]) -> None:
    """The words are plain ASCII, so that a header can carry them."""
    (group,) = [group for group in GROUPS if issubclass(kind, group)]
    assert kind.status == GROUPS[group]
    assert "public" in vars(kind)
    assert kind.public.isascii()
    assert kind.public.isprintable()


def test_oauth_errors_follow_the_group() -> None:
    """A request is invalid, a token is invalid, and a missing one is no error."""
    assert {kind.error for kind in refusals() if kind.status == 400} == {"invalid_request"}
    assert {kind.error for kind in refusals() if kind.status == 401} == {"invalid_token", None}
    assert TokenMissing.error is None
    assert {kind.error for kind in refusals() if kind.status == 503} == {None}


@pytest.mark.parametrize("refused", BUILT, ids=lambda refused: refused.code)
def test_a_refusal_reads_as_its_detail_or_its_public_words(refused: Refused) -> None:
    """It always says something."""
    assert isinstance(refused, JWTMiddlewareError)
    assert str(refused) == (refused.detail or refused.public)


def test_a_detail_takes_the_place_of_the_public_words() -> None:
    """In the text of the exception alone."""
    refused = TokenExpired("exp lies 3 s back")
    assert (str(refused), refused.detail) == ("exp lies 3 s back", "exp lies 3 s back")
    assert refused.public == "The access token has expired"


def test_claim_errors_name_the_claim() -> None:
    """For the operator; the public words do not."""
    missing, invalid = ClaimMissing("exp"), ClaimInvalid("sub")
    assert (missing.claim, missing.detail) == ("exp", "claim 'exp' is required")
    assert (invalid.claim, invalid.detail) == ("sub", "claim 'sub' has the wrong type or value")
    assert "exp" not in missing.public.split()


def test_what_is_out_of_reach_says_when_to_try_again() -> None:
    """A second by default."""
    assert KeysUnavailable().retry_after == 1.0
    assert KeysUnavailable("down", 7.5).retry_after == 7.5


def test_a_wrong_setting_is_a_value_error() -> None:
    """And no refusal: no request ever meets it."""
    assert issubclass(ConfigurationError, ValueError)
    assert not issubclass(ConfigurationError, Refused)
    assert ConfigurationError.code == "configuration_invalid"


SECRET_TEXT = "s3cret-" * 6


@pytest.mark.parametrize(
    "build",
    [
        lambda: Guard(issuers=[{"issuer": "x", "keys": SECRET_TEXT}]),  # type: ignore[list-item]
        lambda: HTTPFetcher(headers=f"X-Key: {SECRET_TEXT}"),  # type: ignore[arg-type]
        lambda: HTTPFetcher(proxy=f"http://u:{SECRET_TEXT}@p".encode()),  # type: ignore[arg-type]
        lambda: Guard(issuers=Issuer("x", audience="a", jwks_uri=f"https://u:{SECRET_TEXT}@h/")),
        lambda: Guard(issuers=Issuer("x", audience="a", discovery=f"https://{SECRET_TEXT}@h/")),
        lambda: Issuer("x", audience="a", keys={"k": SECRET_TEXT}),
        lambda: Issuer("x", audience="a", keys=SECRET_TEXT),
    ],
)
def test_a_mistake_in_the_configuration_shows_no_secret(build: Any) -> None:
    """The log of a start-up is read by many."""
    with pytest.raises(ConfigurationError) as mistake:
        build()
    assert "s3cret" not in str(mistake.value)
