"""A guard in the short form, tokens for it, and the header that carries them."""

from typing import Any

from jwt_middleware import Guard
from jwt_middleware.testing import Clock, KeyPair

SECRET = b"0123456789abcdefghijklmnopqrstuv"
HMAC = KeyPair(SECRET, "HS256", None)


def short_guard(**options: Any) -> Guard:
    given: dict[str, Any] = {"key": SECRET, "algorithms": ["HS256"], "issuer": "https://a/"}
    return Guard(**{**given, **options})


def token(clock: Clock, **claims: Any) -> str:
    return HMAC.sign({"iss": "https://a/", "exp": clock.now() + 60, "sub": "alice", **claims})


def bearer(text: str) -> list[tuple[str, str]]:
    return [("Authorization", f"Bearer {text}")]
