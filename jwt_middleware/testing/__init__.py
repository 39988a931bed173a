"""The test kit: a clock, key pairs, tokens good and bad, and an issuer over real HTTP."""

from jwt_middleware.testing.clock import Clock
from jwt_middleware.testing.issuer import Answer, FakeIssuer
from jwt_middleware.testing.keys import KeyPair
from jwt_middleware.testing.tokens import BAD_TOKENS, bad_token

__all__ = ["BAD_TOKENS", "Answer", "Clock", "FakeIssuer", "KeyPair", "bad_token"]
