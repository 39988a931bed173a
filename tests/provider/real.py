"""The provider that other people wrote: its installation, its process, its tokens."""

import fcntl
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from jwt_middleware.testing import KeyPair

HERE = Path(__file__).parent
ALGORITHMS = ("RS256", "ES256", "EdDSA", "PS256")
PATIENCE = 30.0
_JWK: dict[str, Any] = {
    "RS256": RSAAlgorithm,
    "PS256": RSAAlgorithm,
    "ES256": ECAlgorithm,
    "EdDSA": OKPAlgorithm,
}


def lacking(what: str) -> None:
    """Skip for what this machine lacks, or fail where it must not."""
    if os.environ.get("REQUIRE_SERVICES", "0") not in {"", "0"}:
        pytest.fail(what)
    pytest.skip(what)


def install() -> None:
    """Install what the lock names, once for all workers that run tests."""
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            lacking(f"{tool} is not installed, and the provider runs on it")
    stamp = HERE / "node_modules" / ".installed"
    wanted = sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
    with (HERE / "package.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == wanted:
            return
        done = subprocess.run(
            ["npm", "ci", "--ignore-scripts"],
            cwd=HERE,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            lacking(f"npm ci failed, so there is no provider:\n{done.stderr}")
        stamp.write_text(wanted)


def key_pairs() -> list[KeyPair]:
    """Return a new key for each algorithm."""
    return [KeyPair.generate(alg) for alg in ALGORITHMS]


def private_jwk(key: KeyPair) -> dict[str, Any]:
    """Return a key with its private half, as the provider takes it."""
    members: dict[str, Any] = _JWK[key.alg].to_jwk(key.private, as_dict=True)
    members.pop("key_ops", None)
    return {**members, "kid": key.kid, "alg": key.alg, "use": "sig"}


class RealProvider:
    """A process that keeps its name, and so its port, when it is started anew."""

    client = "machine"
    secret = "of-the-machine"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.issuer = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._process: subprocess.Popen[bytes] | None = None
        self.keys: list[KeyPair] = []
        self.log = folder / "provider.log"

    def start(self, keys: Sequence[KeyPair]) -> None:
        """Run it with these keys, instead of as it ran before."""
        self.stop()
        self.keys = list(keys)
        file = self._folder / "keys.json"
        file.write_text(json.dumps({"keys": [private_jwk(key) for key in keys]}))
        fd = self._socket.fileno()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                ["node", "provider.js", str(fd), str(file), self.client, self.secret],
                cwd=HERE,
                pass_fds=[fd],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + PATIENCE
        with httpx.Client(trust_env=False) as client:
            while time.monotonic() < deadline and self._is_running():
                try:
                    answer = client.get(f"{self.issuer}/jwks", timeout=PATIENCE)
                except httpx.TransportError:
                    time.sleep(0.02)
                    continue
                if answer.status_code == 200:
                    return
        raise AssertionError(f"the provider does not answer and printed:\n{self.log.read_text()}")

    def _is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """End it; what connects meanwhile waits for the next one."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        """End it for good."""
        self.stop()
        self._socket.close()

    def token(self, alg: str) -> str:
        """Return an access token for the resource that is signed with this algorithm."""
        answer = httpx.post(
            f"{self.issuer}/token",
            data={"grant_type": "client_credentials", "resource": audience(alg)}
            | {"scope": "orders:read"},
            auth=(self.client, self.secret),
            trust_env=False,
            timeout=PATIENCE,
        )
        assert answer.status_code == 200, answer.text
        token: str = answer.json()["access_token"]
        return token


def audience(alg: str) -> str:
    """Return the resource of an algorithm."""
    return f"urn:orders:{alg}"


AUDIENCES = [audience(alg) for alg in ALGORITHMS]


@contextmanager
def running(folder: Path) -> Iterator[RealProvider]:
    """Run the provider for as long as the block lasts."""
    install()
    provider = RealProvider(folder)
    try:
        provider.start(key_pairs())
        yield provider
    finally:
        provider.close()
