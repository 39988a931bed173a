"""A token that brings its own key, or says where to fetch one (CVE-2018-0114, CVE-2026-27962)."""

from collections.abc import Iterator
from typing import Any

import pytest

from jwt_middleware import Guard, Issuer, TokenError
from jwt_middleware.testing import FakeIssuer, KeyPair
from jwt_middleware.testing.issuer import JWKS_PATH

MALLORY = KeyPair.generate("RS256", kid="mallory")


@pytest.fixture
def issuer() -> Iterator[FakeIssuer]:
    with FakeIssuer(["RS256"]) as issuer:
        yield issuer


@pytest.mark.parametrize(
    "smuggled",
    [
        {"jwk": MALLORY.jwk},
        {"jku": "{theirs}"},
        {"x5u": "{theirs}"},
        {"x5c": ["MIIB"]},
        {"jwk": MALLORY.jwk, "kid": "{ours}"},
        {"jku": "{theirs}", "kid": "{ours}"},
    ],
    ids="+".join,
)
def test_a_key_in_the_header_is_never_used(smuggled: dict[str, Any], issuer: FakeIssuer) -> None:
    """Neither read nor fetched, whatever kid stands beside it."""
    with FakeIssuer(["RS256"]) as theirs:
        theirs.keys = [MALLORY]
        names = {"{theirs}": theirs.jwks_uri, "{ours}": issuer.key.kid}
        headers = {
            name: names.get(value, value) if isinstance(value, str) else value
            for name, value in smuggled.items()
        }
        guard = Guard(issuers=Issuer(issuer.url, audience="o"))
        forged = MALLORY.sign(issuer.claims(aud="o"), headers)

        with pytest.raises(TokenError) as refused:
            guard.verify(forged)

        assert refused.value.code in {"key_unknown", "signature_invalid"}
        assert not theirs.requests


@pytest.mark.parametrize(
    "kid", ["../../dev/null", "' OR 1=1 --", "http://127.0.0.1/", "\x00", "", "k" * 256, "\u2028"]
)
def test_a_kid_is_a_name_and_nothing_else(
    kid: str, issuer: FakeIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    """No path, no query, no address; and it is not written to a log as it came."""
    guard = Guard(issuers=Issuer(issuer.url, audience="o"))
    forged = MALLORY.sign(issuer.claims(aud="o"), {"kid": kid})

    with pytest.raises(TokenError) as refused:
        guard.verify(forged)

    assert refused.value.code == "key_unknown"
    assert set(issuer.requests) <= {JWKS_PATH, "/.well-known/openid-configuration"}
    assert not kid or kid not in caplog.text
