"""What the comparison takes for a server's reading of a target is what real servers make of it."""

import json
import re
import socket
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.routers.servers import (
    gunicorn_path,
    h11_path,
    httptools_path,
    httptools_raw_path,
    raw_path,
)
from tests.routers.spellings import MOUNT, Spelling, sample
from tests.support.serving import serve

pytestmark = pytest.mark.server

UVICORN = [sys.executable, "-m", "uvicorn", "--fd", "{fd}", "--lifespan", "off"]
HYPERCORN = [sys.executable, "-m", "hypercorn", "-b", "fd://{fd}"]
GUNICORN = [sys.executable, "-m", "gunicorn", "-b", "fd://{fd}", "--graceful-timeout", "1"]
GUNICORN += ["--no-control-socket"]
DAPHNE = [sys.executable, "-m", "tests.support.daphne_server", "{fd}"]
ASGI, WSGI = "tests.routers.echo:asgi", "tests.routers.echo:wsgi"

Reading = Callable[[bytes], str]
RawReading = Callable[[bytes], bytes]
SERVERS: dict[str, tuple[list[str], Reading, RawReading | None, str, str]] = {
    "uvicorn with h11": ([*UVICORN, "--http", "h11", ASGI], h11_path, raw_path, "", ""),
    "uvicorn with httptools": (
        [*UVICORN, "--http", "httptools", ASGI],
        httptools_path,
        httptools_raw_path,
        "",
        "",
    ),
    "uvicorn with a root_path": (
        [*UVICORN, "--http", "h11", "--root-path", MOUNT, ASGI],
        h11_path,
        raw_path,
        MOUNT,
        MOUNT,
    ),
    "hypercorn with a root_path": (
        [*HYPERCORN, "--root-path", MOUNT, ASGI],
        h11_path,
        raw_path,
        MOUNT,
        "",
    ),
    "daphne": ([*DAPHNE, ASGI], h11_path, raw_path, "", ""),
    "gunicorn": ([*GUNICORN, WSGI], gunicorn_path, None, "", ""),
}
SAMPLE = 260


def exchange(address: tuple[str, int], spelling: Spelling) -> Any:
    """Return what the application was given; ``None`` where the server refused by itself."""
    request = spelling.method.encode() + b" " + spelling.target
    request += b" HTTP/1.1\r\nHost: testserver\r\nConnection: close\r\n\r\n"
    with socket.create_connection(address, timeout=20) as connection:
        connection.sendall(request)
        answer = b""
        while piece := connection.recv(65_536):
            answer += piece
    if not answer.startswith(b"HTTP/1.1 200"):
        assert re.match(rb"HTTP/1\.[01] (4|5)\d\d", answer) or not answer
        return None
    return json.loads(answer[answer.index(b"{") : answer.rindex(b"}") + 1])


def carried(spelling: Spelling) -> bool:
    """Return whether the spelling can stand in a request line at all, and gets a body back."""
    is_line = not re.search(rb"\s", spelling.target) and re.fullmatch("[A-Za-z]+", spelling.method)
    return bool(
        is_line and spelling.method.upper() not in {"HEAD", "CONNECT"} and spelling.header is None
    )


@pytest.mark.parametrize("server", SERVERS)
def test_a_real_server_hands_over_what_the_comparison_assumes(server: str) -> None:
    """Path, method and mount point, for hundreds of targets over a socket."""
    command, reading, raw, root, joined = SERVERS[server]
    chosen = [one for one in sample(SAMPLE * 2, 24_000) if carried(one)][:SAMPLE]
    handed_over = 0

    with serve(command, {}) as base:
        host, _, port = base.removeprefix("http://").rpartition(":")
        for spelling in chosen:
            told = exchange((host, int(port)), spelling)
            if told is not None:
                handed_over += 1
                expected = {"path": joined + reading(spelling.target), "root_path": root}
                if raw is not None:
                    expected["raw_path"] = joined + raw(spelling.target).decode("latin-1")
                # Hypercorn writes a method in upper case, the others leave it as it came.
                method = spelling.method.upper() if "hypercorn" in command else spelling.method
                assert told == {**expected, "method": method}, spelling

    assert len(chosen) == SAMPLE
    assert handed_over >= 100
