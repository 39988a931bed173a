"""An issuer over real HTTP, on this machine, that does as a test tells it."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from jwt_middleware.testing.keys import KeyPair

OIDC_PATH = "/.well-known/openid-configuration"
OAUTH_PATH = "/.well-known/oauth-authorization-server"
JWKS_PATH = "/jwks.json"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the issuer answers with; a test may put another in its place."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class FakeIssuer:
    """A real HTTP server with discovery and a key set, for as long as a ``with`` block lasts.

    ::

        with FakeIssuer() as issuer:
            guard = Guard(issuers=Issuer(issuer.url, audience="orders"))
            guard.verify(issuer.token(aud="orders"))

    :param algorithms: one key is published for each.
    :param now: where the times of tokens come from, such as ``clock.now``.
    """

    def __init__(
        self,
        algorithms: Sequence[str] = ("RS256", "ES256", "EdDSA"),
        now: Callable[[], float] = time.time,
    ) -> None:
        self.keys = [KeyPair.generate(alg) for alg in algorithms]
        self.requests: Counter[str] = Counter()
        """How often each path was asked."""
        self.answers: dict[str, Answer] = {}
        """Answers by path, in place of the true ones."""
        self.gate = threading.Event()
        """While it is clear, every answer waits for it."""
        self.gate.set()
        self._now = now
        self._is_out = False
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.jwks_uri = self.url + JWKS_PATH

    def __enter__(self) -> Self:
        # shutdown() waits for the next poll: a short one lets a block end at once.
        serve = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        serve.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def key(self) -> KeyPair:
        """The key that signs by default: the first."""
        return self.keys[0]

    def key_for(self, alg: str) -> KeyPair:
        """Return the newest key of an algorithm."""
        return next(key for key in reversed(self.keys) if key.alg == alg)

    def claims(self, **claims: Any) -> dict[str, Any]:
        """Return the claims of a good token for ``alice``, with others in their place.

        :param claims: a value of ``None`` leaves the claim out.
        """
        now = int(self._now())
        good = {"iss": self.url, "sub": "alice", "iat": now, "exp": now + 300}
        return {name: value for name, value in (good | claims).items() if value is not None}

    def token(self, alg: str | None = None, **claims: Any) -> str:
        """Return a token signed by this issuer; see :meth:`claims`."""
        key = self.key if alg is None else self.key_for(alg)
        return key.sign(self.claims(**claims))

    def rotate(self, alg: str | None = None, *, keep: bool = False) -> KeyPair:
        """Publish a new key in place of the first, or of the one for ``alg``.

        :param keep: leave the old one published beside it.
        """
        old = self.key if alg is None else self.key_for(alg)
        new = KeyPair.generate(old.alg)
        kept = [key for key in self.keys if keep or key is not old]
        self.keys = [new, *kept] if alg is None else [*kept, new]
        return new

    def outage(self, is_out: bool = True) -> None:
        """Answer everything with 503 from now on, or no longer."""
        self._is_out = is_out

    def answer(self, path: str) -> Answer:
        """Return what a path answers at the moment."""
        self.requests[path] += 1
        self.gate.wait(30)
        if self._is_out:
            return Answer(503)
        if path in self.answers:
            return self.answers[path]
        document = self._documents().get(path)
        return Answer(404) if document is None else _json(document)

    def _documents(self) -> dict[str, Any]:
        metadata = {"issuer": self.url, "jwks_uri": self.jwks_uri}
        key_set = {"keys": [key.jwk for key in self.keys]}
        return {OIDC_PATH: metadata, OAUTH_PATH: metadata, JWKS_PATH: key_set}


def _json(document: Any) -> Answer:
    return Answer(200, json.dumps(document).encode(), {"Content-Type": "application/json"})


def _handler(issuer: FakeIssuer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            answer = issuer.answer(self.path)
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            # One request a connection: no thread of the server is left waiting for a second.
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
            """Say nothing: a test looks at what it asks for."""

    return Handler
