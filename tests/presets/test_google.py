"""Google's accounts, its proxy, and Firebase."""

from typing import Any

import pytest

from jwt_middleware import ConfigurationError, Guard, Issuer
from jwt_middleware.presets import firebase, google, google_iap
from jwt_middleware.testing import Clock, KeyPair
from tests.presets.documents import Provider, certificate, code_of


@pytest.fixture
def provider() -> Provider:
    return Provider(Clock())


def test_google_under_both_spellings(provider: Provider) -> None:
    """One caller whichever spelling the token has, even beside other issuers."""
    issuer = google("client.apps.googleusercontent.com", fetcher=provider.web)
    provider.publish("https://www.googleapis.com/oauth2/v3/certs")
    other = Issuer("https://b.example", audience="x", keys=provider.key.jwk)
    guard = Guard(issuers=[issuer, other], clock=provider.clock)
    claims = {"aud": "client.apps.googleusercontent.com", "at_hash": "x", "sub": "1"}

    callers = {
        guard.verify(provider.token({**claims, "iss": iss})).identity
        for iss in ("accounts.google.com", "https://accounts.google.com")
    }

    assert callers == {"https://accounts.google.com|1"}
    odd = provider.token({**claims, "iss": "https://accounts.google.com/"})
    assert code_of(guard, odd) == "issuer_untrusted"
    other_key = provider.token({**claims, "iss": "accounts.google.com"}, provider.other)
    assert code_of(guard, other_key) == "passed"


@pytest.mark.parametrize(
    ("hd", "code"),
    [("acme.example", "passed"), ("evil.example", "claim_invalid"), (None, "claim_missing")],
)
def test_google_within_one_organisation(provider: Provider, hd: str | None, code: str) -> None:
    """``hosted_domain`` asks for the claim that only accounts of the organisation carry."""
    issuer = google("client", hosted_domain="acme.example", fetcher=provider.web)
    provider.publish("https://www.googleapis.com/oauth2/v3/certs")
    claims = {"iss": "https://accounts.google.com", "aud": "client", "hd": hd}

    assert code_of(provider.guard(issuer), provider.token(claims)) == code


def test_google_iap() -> None:
    """ES256, keys as ``text/html`` that have an age already."""
    provider = Provider(Clock(), KeyPair.generate("ES256", "iap"))
    issuer = google_iap("/projects/1/global/backendServices/2", fetcher=provider.web)
    address = "https://www.gstatic.com/iap/verify/public_key-jwk"
    headers = {
        "content-type": "text/html",
        "cache-control": "public, max-age=3000",
        "age": "2900",
    }
    provider.publish(address, headers=headers)
    guard = provider.guard(issuer)
    claims = {
        "iss": "https://cloud.google.com/iap",
        "aud": "/projects/1/global/backendServices/2",
        "google": {"access_levels": []},
    }

    assert code_of(guard, provider.token(claims)) == "passed"
    # A hundred seconds are left of its lifetime; then it is asked for again, behind or before.
    provider.clock.tick(101)
    assert code_of(guard, provider.token(claims)) == "passed"
    assert provider.web.asked == [address] * 2
    assert code_of(guard, provider.token({**claims, "aud": "/projects/1/x"})) == "audience_mismatch"


def test_firebase(provider: Provider) -> None:
    """Certificates by name, past their dates; a user is somebody who has signed in."""
    issuer = firebase("acme-shop", fetcher=provider.web)
    account = "securetoken@system.gserviceaccount.com"
    provider.web.put(
        f"https://www.googleapis.com/robot/v1/metadata/x509/{account}",
        {each.kid: certificate(each) for each in (provider.other, provider.key)},
    )
    guard = provider.guard(issuer)
    now = int(provider.clock.now())
    claims: dict[str, Any] = {
        "iss": "https://securetoken.google.com/acme-shop",
        "aud": "acme-shop",
        "auth_time": now,
        "user_id": "alice",
        "firebase": {"sign_in_provider": "password"},
    }

    for key in (provider.key, provider.other):
        assert guard.verify(provider.token(claims, key)).subject == "alice"
    for name in ("sub", "auth_time"):
        assert code_of(guard, provider.token({**claims, name: None})) == "claim_missing"
    elsewhere = {**claims, "iss": "https://securetoken.google.com/other", "aud": "other"}
    assert code_of(guard, provider.token(elsewhere)) == "issuer_untrusted"
    with pytest.raises(ConfigurationError, match="project="):
        firebase("acme/shop")
