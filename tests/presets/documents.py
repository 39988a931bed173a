"""What providers publish, in its shape: other keys, other names, the peculiarities."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from jwt_middleware import Guard, Issuer, KeysUnavailable, TokenError
from jwt_middleware.testing import Clock, KeyPair
from tests.keys.web import Web

SUBJECT = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "keys.example")])


class Provider:
    """A provider that signs and publishes as one of the well-known ones does."""

    def __init__(self, clock: Clock, key: KeyPair | None = None) -> None:
        self.clock = clock
        self.key = key or KeyPair.generate("RS256", "k1")
        self.other = KeyPair.generate(self.key.alg, "k2")
        self.web = Web()

    def publish(self, url: str, *without: str, headers: Any = None, **members: Any) -> None:
        """Publish both keys at ``url``, without some members of a JWK and with others."""
        keys = [{**each.jwk, **members} for each in (self.other, self.key)]
        for name in without:
            for key in keys:
                del key[name]
        self.web.put(url, {"keys": keys}, **(headers or {}))

    def discover(self, url: str, issuer: str, jwks_uri: str) -> None:
        """Publish a discovery document."""
        self.web.put(url, {"issuer": issuer, "jwks_uri": jwks_uri, "id_token_signing_alg": []})

    def token(self, claims: dict[str, Any], key: KeyPair | None = None, **headers: Any) -> str:
        now = int(self.clock.now())
        good = {"sub": "alice", "iat": now, "exp": now + 3600, **claims}
        kept = {name: value for name, value in good.items() if value is not None}
        return (key or self.key).sign(kept, {"typ": None, **headers} if headers else None)

    def guard(self, issuer: Issuer) -> Guard:
        return Guard(issuers=issuer, clock=self.clock)


def code_of(guard: Guard, text: str) -> str:
    """Return ``passed``, or the code of the refusal."""
    try:
        guard.verify(text)
    except (TokenError, KeysUnavailable) as refused:
        return refused.code
    return "passed"


def certificate(key: KeyPair) -> str:
    """Return an expired certificate of a key, as PEM: its dates play no part."""
    then = datetime(2020, 1, 1, tzinfo=UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(SUBJECT)
        .issuer_name(SUBJECT)
        .public_key(key.private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(then)
        .not_valid_after(then + timedelta(days=14))
        .sign(key.private, hashes.SHA256())
    )
    return built.public_bytes(Encoding.PEM).decode()


def body(document: Any) -> bytes:
    """Return a document as it is sent."""
    return json.dumps(document).encode()
