"""Tokens that would be refused anyway must not cost a fetch."""

import pytest

from jwt_middleware import Guard, Issuer, TokenError
from jwt_middleware.testing import BAD_TOKENS, FakeIssuer, bad_token

NEEDS_A_KEY = {"with an unknown kid", "tampered", "forged"}


@pytest.mark.parametrize("kind", sorted(set(BAD_TOKENS) - NEEDS_A_KEY))
def test_what_memory_can_refuse_asks_nobody(kind: str) -> None:
    """Shape, algorithm, issuer, audience and times come before any key."""
    with FakeIssuer() as issuer:
        guard = Guard(issuers=Issuer(issuer.url, audience="o"))

        with pytest.raises(TokenError) as refused:
            guard.verify(bad_token(kind, issuer, aud="o"))

        assert refused.value.code == BAD_TOKENS[kind][0]
        assert not issuer.requests
