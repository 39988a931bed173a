"""An issuer over real HTTP, on this machine, that a test controls."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from jwt_middleware.checks import listed
from jwt_middleware.errors import ConfigurationError
from jwt_middleware.testing.keys import KeyPair

OIDC_PATH = "/.well-known/openid-configuration"
OAUTH_PATH = "/.well-known/oauth-authorization-server"
JWKS_PATH = "/jwks.json"


@dataclass(frozen=True, slots=True)
class Answer:
    """A response of the issuer, which a test may replace."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    pause: float = 0.0
    """Seconds between two bytes, for a slow response."""
    drips_headers: bool = False
    """Whether the header fields drip too."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that arrived."""

    path: str
    headers: Mapping[str, str]
    """With names in lower case."""


class FakeIssuer:
    """A real HTTP server with discovery and a key set, for as long as a ``with`` block lasts.

    ::

        with FakeIssuer() as issuer:
            guard = Guard(issuers=Issuer(issuer.url, audience="orders"))
            guard.verify(issuer.token(aud="orders"))

    :param algorithms: one key is published for each.
    :param now: where the times of tokens come from, such as ``clock.now``.
    :param path: a path in the issuer's name, such as ``/tenant``.
    """

    def __init__(
        self,
        algorithms: Sequence[str] = ("RS256", "ES256", "EdDSA"),
        now: Callable[[], float] = time.time,
        path: str = "",
    ) -> None:
        if not isinstance(path, str):
            raise ConfigurationError(f"path={path!r} must be text, such as '/tenant'")
        if not callable(now):
            raise ConfigurationError(f"now={now!r} must be a function, such as clock.now")
        names = listed("algorithms", algorithms, "['RS256']")
        if not names:
            raise ConfigurationError("algorithms=[] leaves no key to sign with: name one")
        self.keys = [KeyPair.generate(alg) for alg in names]
        """The keys that are published. The first signs, or the first of an algorithm."""
        self.requests: Counter[str] = Counter()
        """How often each path was requested."""
        self.asked: list[Asked] = []
        """Every request that arrived, in order."""
        self.answers: dict[str, Answer | Iterator[Answer]] = {}
        """Responses by path that replace the normal ones; a request takes one from an iterator."""
        self.headers: dict[str, str] = {}
        """Header fields of the key set, such as ``Cache-Control``."""
        self.gate = threading.Event()
        """While this event is clear, every response waits for it."""
        self.gate.set()
        self.arrived = threading.Event()
        """Set by each request that arrives, before it waits for the gate."""
        self._now = now
        self._path = path
        self._is_out = False
        self._has_ended = threading.Event()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        origin = f"http://127.0.0.1:{self._server.server_port}"
        self.url = origin + path
        self.jwks_uri = origin + JWKS_PATH

    def __enter__(self) -> Self:
        # shutdown() waits for the next poll: a short one lets a block end at once.
        serve = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        serve.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._has_ended.set()
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def key(self) -> KeyPair:
        """The key that signs by default: the first."""
        return self.keys[0]

    def key_for(self, alg: str) -> KeyPair:
        """Return the newest key of an algorithm."""
        return next(key for key in self.keys if key.alg == alg)

    def claims(self, **claims: Any) -> dict[str, Any]:
        """Return the claims of a good token for ``alice``, with others in their place.

        :param claims: a value of ``None`` leaves the claim out.
        """
        now = int(self._now())
        good = {"iss": self.url, "sub": "alice", "iat": now, "exp": now + 300}
        return {name: value for name, value in (good | claims).items() if value is not None}

    def token(self, alg: str | None = None, **claims: Any) -> str:
        """Return a token signed by this issuer; see :meth:`claims`."""
        return self.sign(self.claims(**claims), alg)

    def sign(
        self,
        payload: Mapping[str, Any] | bytes,
        alg: str | None = None,
        headers: Mapping[str, Any] | None = None,
    ) -> str:
        """Return any payload, signed with the key for ``alg``; see :meth:`KeyPair.sign`."""
        key = self.key if alg is None else self.key_for(alg)
        return key.sign(payload, headers)

    def rotate(self, alg: str | None = None, *, keep: bool = False) -> KeyPair:
        """Publish a new key in place of the first, or of the one for ``alg``.

        :param keep: leave the old one published beside it.
        """
        old = self.key if alg is None else self.key_for(alg)
        new = KeyPair.generate(old.alg)
        others = [key for key in self.keys if keep or key is not old]
        self.keys = [new, *others] if old is self.key else [others[0], new, *others[1:]]
        return new

    def outage(self, is_out: bool = True) -> None:
        """Answer everything with 503 from now on, or no longer."""
        self._is_out = is_out

    def jwks(self) -> dict[str, Any]:
        """Return the key set as it is published."""
        return {"keys": [key.jwk for key in self.keys]}

    def answer(self, asked: Asked) -> Answer:
        """Return the current response to a request."""
        with self._lock:
            self.requests[asked.path] += 1
            self.asked.append(asked)
        self.arrived.set()
        self.gate.wait(30)
        if self._is_out:
            return Answer(503)
        instead = self.answers.get(asked.path)
        if instead is not None:
            with self._lock:
                return instead if isinstance(instead, Answer) else next(instead)
        return self._true_answer(asked)

    def _true_answer(self, asked: Asked) -> Answer:
        metadata = {"issuer": self.url, "jwks_uri": self.jwks_uri}
        if asked.path in {self._path.rstrip("/") + OIDC_PATH, OAUTH_PATH + self._path.rstrip("/")}:
            return _json(metadata)
        if asked.path != JWKS_PATH:
            return Answer(404)
        answer = _json(self.jwks())
        etag = f'"{sha256(answer.body).hexdigest()[:16]}"'
        headers = {**answer.headers, **self.headers, "ETag": etag}
        if asked.headers.get("if-none-match") == etag:
            return Answer(304, headers=headers)
        return Answer(200, answer.body, headers)

    def wait_between_bytes(self, pause: float) -> bool:
        """Wait, and return whether the issuer is still there."""
        return not self._has_ended.wait(pause)


def _json(document: Any) -> Answer:
    return Answer(200, json.dumps(document).encode(), {"Content-Type": "application/json"})


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Tests often send many requests at once; with the default of five some would wait a second.
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """No-op: a client that has disconnected is not an error."""


def _handler(issuer: FakeIssuer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = issuer.answer(Asked(self.path, headers))
            head = self._head(answer)
            drip = answer.pause if answer.drips_headers else 0.0
            if self._send(head, drip):
                self._send(b"" if answer.status == 304 else answer.body, answer.pause)
            # One request per connection, so that no server thread is left waiting for another.
            self.close_connection = True

        def _head(self, answer: Answer) -> bytes:
            length = {"Content-Length": str(len(answer.body))}
            fields = {**length, **answer.headers, "Connection": "close"}
            lines = [f"HTTP/1.1 {answer.status} {self.responses.get(answer.status, ('',))[0]}"]
            lines += [f"{name}: {value}" for name, value in fields.items()]
            return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

        def _send(self, data: bytes, pause: float) -> bool:
            if not pause:
                self.wfile.write(data)
                return True
            for byte in data:
                self.wfile.write(bytes([byte]))
                if not issuer.wait_between_bytes(pause):
                    return False
            return True

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
            """No-op: a test reads ``FakeIssuer.asked`` instead of a log."""

    return Handler
