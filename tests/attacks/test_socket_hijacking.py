"""A foreign page opens a WebSocket, and the browser sends our cookie along."""

import pytest

from jwt_middleware import CookieToken, Guard
from jwt_middleware.testing import KeyPair
from tests.faces.calls import InProcess

PAIR = KeyPair(b"0123456789abcdefghijklmnopqrstuv", "HS256", None)


@pytest.mark.parametrize("face", ["asgi", "wsgi"])
@pytest.mark.parametrize("upgrade", ["websocket", "WebSocket", "h2c, websocket"])
@pytest.mark.parametrize(
    ("origin", "status"), [("https://evil.example", 403), ("https://app.example", 200)]
)
async def test_an_upgrade_is_no_harmless_get(
    face: str, upgrade: str, origin: str, status: int
) -> None:
    """Below WSGI an extension of the server opens sockets from a plain GET."""
    guard = Guard(
        key=PAIR.private,
        algorithms=["HS256"],
        token_sources=[CookieToken("session")],
        trusted_origins=["https://app.example"],
    )
    cookie = f"session={PAIR.sign({'exp': 4_000_000_000})}"
    headers = [("Cookie", cookie), ("Upgrade", upgrade), ("Origin", origin)]

    answer = await InProcess(guard).ask(face, "GET", "/", headers)

    assert answer.status == status
