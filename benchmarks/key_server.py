"""A publisher of keys on this machine that can be slow, down, or grow."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from jwt_middleware.testing import KeyPair

MOST_KEYS = 100


class KeyServer(ThreadingHTTPServer):
    """Publishes the first ``count`` keys of ``k0``, ``k1`` and so on."""

    daemon_threads = True
    request_queue_size = 1_024

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.keys = [KeyPair.generate("RS256", f"k{number}").jwk for number in range(MOST_KEYS)]
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.reset()

    def reset(self) -> None:
        """Be quick, up and of two keys again, and reset the count of fetches."""
        self.state: dict[str, float] = {"latency": 0.0, "status": 200, "count": 2}
        self.fetches = 0

    def handle_error(self, request: Any, client_address: Any) -> None:
        """No-op: a killed client is not an error."""

    def answer(self, path: str) -> tuple[int, Any]:
        """Return the status and the document for a path."""
        parts = urlsplit(path)
        if parts.path == "/control":
            self.state |= {name: float(value) for name, value in parse_qsl(parts.query)}
            return 200, self.fetches
        if parts.path != "/jwks.json":
            names = ("jwks_uri", "authorization_endpoint", "token_endpoint")
            return 200, {"issuer": self.url, **dict.fromkeys(names, f"{self.url}/jwks.json")}
        self.fetches += 1
        time.sleep(self.state["latency"])
        return int(self.state["status"]), {"keys": self.keys[: int(self.state["count"])]}


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, KeyServer)
        status, document = server.answer(self.path)
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        pass


@contextmanager
def serving() -> Iterator[KeyServer]:
    """Serve for as long as the block lasts."""
    server = KeyServer()
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
