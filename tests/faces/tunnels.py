"""An application that opens WebSockets below WSGI, for real servers: as a script for Werkzeug's."""

import socket
import sys
from collections.abc import Iterable
from typing import Any

from werkzeug.serving import make_server
from wsproto import WSConnection
from wsproto.connection import ConnectionType
from wsproto.events import AcceptConnection, CloseConnection, Request, TextMessage

from jwt_middleware import JWTWSGIMiddleware, has_role, protect, public
from tests.support.short_form import short_guard

CHAT = has_role("chat")
RULES = [
    public("/open"),
    public("/page", methods=["GET"]),
    protect("/page", requires=CHAT, methods=["WEBSOCKET"]),
    public("/socket", methods=["WEBSOCKET"]),
    protect("/socket", requires=CHAT),
    # One that names no WEBSOCKET: a socket is judged as GET, and POST opens one too.
    public("/posted", methods=["POST"]),
    protect("/posted", requires=CHAT),
]


def tunnel(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Open a socket as simple-websocket does, whatever the method; else say ``page``."""
    connection = environ.get("gunicorn.socket") or environ.get("werkzeug.socket")
    if environ.get("HTTP_UPGRADE", "").lower() != "websocket" or connection is None:
        start_response("200 OK", [("Content-Length", "4")])
        return [b"page"]
    sent = {
        name[5:].replace("_", "-"): value for name, value in environ.items() if name[:5] == "HTTP_"
    }
    lines = [f"{name}: {value}\r\n" for name, value in sent.items()]
    ours = WSConnection(ConnectionType.SERVER)
    ours.receive_data(f"GET / HTTP/1.1\r\n{''.join(lines)}\r\n".encode("latin-1"))
    assert isinstance(next(ours.events()), Request)
    for event in (AcceptConnection(), TextMessage("socket"), CloseConnection(1000)):
        connection.sendall(ours.send(event))
    # The client closes in turn, and only then may the server have the connection back.
    connection.recv(1_000)
    start_response("200 OK", [("Connection", "close"), ("Content-Length", "0")])
    return [b""]


guarded = JWTWSGIMiddleware(tunnel, guard=short_guard(rules=RULES))

if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as listener:
        listener.listen()
        server = make_server("127.0.0.1", 0, guarded, threaded=True, fd=listener.fileno())
        server.serve_forever()
