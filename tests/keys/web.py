"""A web in memory: a fetcher with an answer for each address."""

import json
from typing import Any

from jwt_middleware.keys.remote.discovery import discovery_urls
from jwt_middleware.keys.remote.http import FetchRequest, FetchResponse
from jwt_middleware.testing import KeyPair

NAME = "https://id.example"


class Web:
    """A fetcher with an answer for each address; for any other, 404."""

    def __init__(self) -> None:
        self.answers: dict[str, FetchResponse] = {}
        self.asked: list[str] = []

    def put(self, url: str, document: Any, status: int = 200, **headers: str) -> None:
        self.answers[url] = FetchResponse(status, headers, json.dumps(document).encode())

    def fetch(self, request: FetchRequest) -> FetchResponse:
        self.asked.append(request.url)
        return self.answers.get(request.url, FetchResponse(404))


def web_of(key: KeyPair, issuer: str = NAME, jwks_uri: str = f"{NAME}/keys") -> Web:
    """Return the web of one issuer with one key."""
    web = Web()
    oidc, _ = discovery_urls(issuer)
    web.put(oidc, {"issuer": issuer, "jwks_uri": jwks_uri})
    web.put(jwks_uri, {"keys": [key.jwk]})
    return web
