"""Real servers, each a process of its own on a port that the system picks."""

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

PATIENCE = 30.0
"""Seconds that a server may take to answer; a busy machine needs some."""


class NotServing(Exception):
    """A server did not start; the message is what it printed."""


@contextmanager
def serve(command: Sequence[str], env: Mapping[str, str]) -> Iterator[str]:
    """Run a server for as long as the block lasts, and give the address it answers at.

    The socket is bound before the server runs, so nobody else can take the port meanwhile. The
    server inherits it and starts to listen itself, so a connection tells that it got so far.

    :param command: program and arguments; ``{fd}`` stands for the number of the socket.
    :param env: variables to set besides those of this process; ``{base}`` stands for the address.
    :raises NotServing: if it ends or stays silent instead of answering.
    """
    with tempfile.NamedTemporaryFile(prefix="server-", suffix=".log") as log:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            # Inherited by each connection. asyncio sets it itself, but not for a socket handed over.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            base = f"http://127.0.0.1:{listener.getsockname()[1]}"
            fd = listener.fileno()
            process = subprocess.Popen(
                [part.replace("{fd}", str(fd)) for part in command],
                env={
                    **os.environ,
                    **{key: text.replace("{base}", base) for key, text in env.items()},
                },
                pass_fds=[fd],
                stdout=log,
                stderr=subprocess.STDOUT,
                # A group of its own, so that its workers can be ended with it.
                start_new_session=True,
            )
        try:
            _wait_until_it_answers(process, base, Path(log.name))
            yield base
        finally:
            _end(process)


def _wait_until_it_answers(process: "subprocess.Popen[bytes]", base: str, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    with httpx.Client(trust_env=False) as client:
        while (left := deadline - time.monotonic()) > 0 and process.poll() is None:
            try:
                # Any answer will do, a refusal too. One that listens may take a while to load the
                # application behind it, and one that ends meanwhile cuts the connection.
                client.get(base, timeout=left)
            except httpx.TransportError:
                time.sleep(0.02)
            else:
                return
    code = process.poll()
    how = f"did not answer within {PATIENCE:g} s" if code is None else f"ended with {code}"
    printed = log.read_text(encoding="utf-8", errors="replace")
    raise NotServing(f"{process.args!r} {how} and printed:\n{printed}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(10)
    # Whatever is left of the group: a server that does not listen, or workers without a master.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
