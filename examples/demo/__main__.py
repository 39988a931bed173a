"""Walk a client through both servers and show each answer beside what was expected.

Exits with 0 only if every answer is the expected one. ``SERVE=1`` leaves the servers running.
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from examples.demo.servers import GUNICORN, UVICORN, serving
from jwt_middleware.testing import FakeIssuer, bad_token

Token = Callable[[FakeIssuer], str | None]


@dataclass(frozen=True)
class Step:
    """One request of the walk."""

    sent: str
    status: int
    why: str
    token: Token
    path: str = "/orders/1"
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    token_in: str = "header"
    """Where the token goes: ``header``, ``cookie`` or ``socket``."""
    is_partners: bool = False
    """Whether the second issuer makes the token."""
    before: Callable[[FakeIssuer], object] | None = None
    """What happens to the issuer first."""


@dataclass(frozen=True)
class Issuers:
    """The issuers that the applications trust."""

    own: FakeIssuer
    partner: FakeIssuer


def good(alg: str = "RS256", scope: str = "orders:read") -> Token:
    return lambda issuer: issuer.token(alg, aud="orders", scope=scope)


def bad(kind: str) -> Token:
    return lambda issuer: bad_token(kind, issuer, aud="orders", scope="orders:read")


def nothing(_: FakeIssuer) -> None:
    return None


OWN = (("Sec-Fetch-Site", "same-origin"),)
FOREIGN = (("Sec-Fetch-Site", "cross-site"), ("Origin", "https://evil.example"))

WALK = [
    Step("public path, no token", 200, "", nothing, "/public/news"),
    Step("optional path, no token", 200, "", nothing, "/feed"),
    Step("no token", 401, "token_missing", nothing),
    Step("good token, RS256", 200, "", good()),
    Step("good token, ES256", 200, "", good("ES256")),
    Step("good token, EdDSA", 200, "", good("EdDSA")),
    Step("wrong scope", 403, "requirement_not_met", good(scope="other")),
    Step("no admin role", 403, "requirement_not_met", good(), "/admin/users"),
    Step("expired", 401, "token_expired", bad("expired")),
    Step("wrong audience", 401, "audience_mismatch", bad("for another audience")),
    Step("foreign issuer", 401, "issuer_untrusted", bad("of a stranger")),
    Step("tampered", 401, "signature_invalid", bad("tampered")),
    Step("alg: none", 401, "algorithm_not_allowed", bad("unsigned")),
    Step("/public/../admin", 400, "path_invalid", good(), "/public/%2e%2e/admin"),
    Step("second issuer", 200, "", good(), is_partners=True),
    Step("POST, cookie, own page", 200, "", good(), token_in="cookie", method="POST", headers=OWN),
    Step(
        "POST, cookie, foreign page",
        403,
        "csrf_refused",
        good(),
        token_in="cookie",
        method="POST",
        headers=FOREIGN,
    ),
    Step("key rotated, first new token", 200, "", good(), before=lambda issuer: issuer.rotate()),
    Step("issuer down, known key", 200, "", good(), before=lambda issuer: issuer.outage()),
    Step(
        "issuer down, unknown key", 401, "key_unknown|keys_unavailable", bad("with an unknown kid")
    ),
]


SOCKETS = [
    Step("WebSocket, no token", 401, "token_missing", nothing, "/orders/live"),
    Step("WebSocket, token offered", 101, "", good(), "/orders/live", token_in="socket"),
]


def ask(client: httpx.Client, base: str, step: Step, issuers: Issuers) -> tuple[int, str]:
    """Return status and code of the answer."""
    token = step.token(issuers.partner if step.is_partners else issuers.own)
    headers = dict(step.headers)
    if token is not None and step.token_in == "cookie":
        headers["Cookie"] = f"session={token}"
    elif token is not None:
        headers["Authorization"] = f"Bearer {token}"
    answer = client.request(step.method, base + step.path, headers=headers)
    return answer.status_code, code_of(answer.headers, answer.content)


def open_socket(base: str, step: Step, issuers: Issuers) -> tuple[int, str]:
    """Return status and code of the answer to a handshake, as a browser would send it."""
    token = step.token(issuers.own)
    offered = None if token is None else [Subprotocol("bearer"), Subprotocol(token)]
    try:
        with connect(base.replace("http", "ws", 1) + step.path, subprotocols=offered) as socket:
            return 101, "" if socket.recv() == "hello alice" else "no greeting"
    except InvalidStatus as refused:
        answer = refused.response
        return answer.status_code, code_of(answer.headers, bytes(answer.body))


def code_of(headers: Mapping[str, str], body: bytes) -> str:
    """Return the code of a refusal; nothing for any other answer."""
    is_problem = headers.get("content-type", "").startswith("application/problem+json")
    return str(json.loads(body)["code"]) if is_problem else ""


def fits(step: Step, status: int, code: str) -> bool:
    """Return whether an answer is the expected one."""
    # Whether an unknown key is unknown or cannot be told depends on the age of the set by then.
    return code in step.why.split("|") and (status == step.status or code == "keys_unavailable")


def walk(name: str, base: str, issuers: Issuers) -> Iterator[bool]:
    """Ask for every step and print a line for each."""
    with httpx.Client(trust_env=False) as client:
        for step in WALK:
            if step.before is not None:
                step.before(issuers.own)
            yield shown(name, step, ask(client, base, step, issuers))
    issuers.own.outage(is_out=False)


def walk_sockets(name: str, base: str, issuers: Issuers) -> Iterator[bool]:
    """Open a WebSocket for every step and print a line for each."""
    for step in SOCKETS:
        yield shown(name, step, open_socket(base, step, issuers))


def shown(name: str, step: Step, answer: tuple[int, str]) -> bool:
    """Print a line and return whether the answer is the expected one."""
    is_right = fits(step, *answer)
    print(line(name, step, answer[0], answer[1] or "passes", is_right))
    return is_right


def line(name: str, step: Step, status: int, code: str, is_right: bool) -> str:
    """Return one line of the table."""
    mark = colour("ok", 32) if is_right else colour(f"EXPECTED {step.status} {step.why}", 31)
    return f"{name:<10} {step.sent:<30} {status}  {code:<22} {mark}"


def colour(text: str, code: int) -> str:
    """Return ``text`` in colour on a terminal, plain elsewhere."""
    return f"\033[{code}m{text}\033[0m" if sys.stdout.isatty() else text


def leave_running(addresses: dict[str, str], issuer: FakeIssuer) -> None:
    """Print what to try, and wait for Ctrl-C."""
    token = issuer.token(aud="orders", scope="orders:read", exp=2_000_000_000)
    for name, base in addresses.items():
        print(f"\n# {name}\ncurl -i {base}/orders/1")
        print(f"curl -i {base}/orders/1 -H 'Authorization: Bearer {token}'")
    print("\nCtrl-C ends it.", flush=True)
    signal.sigwait({signal.SIGINT, signal.SIGTERM})


@contextmanager
def both_servers(own: FakeIssuer, partner: FakeIssuer) -> Iterator[dict[str, str]]:
    """Run the two applications, which trust both issuers; give their addresses."""
    env = {"DEMO_ISSUER": own.url, "DEMO_PARTNER": partner.url}
    with serving(UVICORN, env) as starlette, serving(GUNICORN, env) as flask:
        yield {"starlette": starlette, "flask": flask}


def main() -> int:
    """Return 0 if every answer is the expected one."""
    with FakeIssuer() as own, FakeIssuer() as partner, both_servers(own, partner) as addresses:
        issuers = Issuers(own, partner)
        print(f"{'server':<10} {'sent':<30} got  why")
        right = list(walk_sockets("starlette", addresses["starlette"], issuers))
        right += [ok for name, base in addresses.items() for ok in walk(name, base, issuers)]
        print(f"\n{sum(right)} of {len(right)} answers are as expected.")
        if os.environ.get("SERVE", "0") not in {"", "0"}:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
            leave_running(addresses, own)
    return 0 if all(right) else 1


if __name__ == "__main__":
    sys.exit(main())
