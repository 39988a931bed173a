"""Real servers on ports that the system picks."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE = 30.0


@contextmanager
def serving(arguments: list[str], env: dict[str, str]) -> Iterator[str]:
    """Run a server on a socket that is open already; give its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.set_inheritable(True)
        # Inherited by each connection. asyncio sets it itself, but not for a socket handed over.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        fd = str(listener.fileno())
        port = listener.getsockname()[1]
        process = subprocess.Popen(  # noqa: S603 - our own words
            [sys.executable, "-m", *(part.format(fd=fd) for part in arguments)],
            env={**os.environ, **env},
            pass_fds=[listener.fileno()],
        )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_until_it_answers(process, port)
        yield address
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _wait_until_it_answers(process: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise SystemExit("a server of the demo did not start")


UVICORN = ["uvicorn", "examples.demo.apps:starlette_app", "--fd", "{fd}", "--log-level", "critical"]
GUNICORN = [
    "gunicorn",
    "examples.demo.apps:flask_app",
    "-b",
    "fd://{fd}",
    "--log-level",
    "critical",
]
GUNICORN += ["--threads", "4", "--graceful-timeout", "1", "--no-control-socket"]
