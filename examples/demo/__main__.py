"""Walk a client through both servers and show each answer beside what was expected.

Exits with 0 only if every answer is the expected one. ``SERVE=1`` leaves the servers running.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import httpx

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
    before: Callable[[FakeIssuer], object] | None = None
    """What happens to the issuer first."""


def good(alg: str = "RS256", scope: str = "orders:read") -> Token:
    return lambda issuer: issuer.token(alg, aud="orders", scope=scope)


def bad(kind: str) -> Token:
    return lambda issuer: bad_token(kind, issuer, aud="orders", scope="orders:read")


def nothing(_: FakeIssuer) -> None:
    return None


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
    Step("key rotated, first new token", 200, "", good(), before=lambda issuer: issuer.rotate()),
    Step("issuer down, known key", 200, "", good(), before=lambda issuer: issuer.outage()),
    Step(
        "issuer down, unknown key", 401, "key_unknown|keys_unavailable", bad("with an unknown kid")
    ),
]


def ask(client: httpx.Client, base: str, step: Step, issuer: FakeIssuer) -> tuple[int, str]:
    """Return status and code of the answer."""
    token = step.token(issuer)
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    answer = client.get(base + step.path, headers=headers)
    is_problem = answer.headers.get("content-type", "").startswith("application/problem+json")
    return answer.status_code, answer.json()["code"] if is_problem else ""


def fits(step: Step, status: int, code: str) -> bool:
    """Return whether an answer is the expected one."""
    # Whether an unknown key is unknown or cannot be told depends on the age of the set by then.
    return code in step.why.split("|") and (status == step.status or code == "keys_unavailable")


def walk(name: str, base: str, issuer: FakeIssuer) -> Iterator[bool]:
    """Ask for every step and print a line for each."""
    with httpx.Client(trust_env=False) as client:
        for step in WALK:
            if step.before is not None:
                step.before(issuer)
            status, code = ask(client, base, step, issuer)
            is_right = fits(step, status, code)
            print(line(name, step, status, code or "passes", is_right))
            yield is_right
    issuer.outage(is_out=False)


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


def main() -> int:
    """Return 0 if every answer is the expected one."""
    with (
        FakeIssuer() as issuer,
        serving(UVICORN, issuer.url) as starlette,
        serving(GUNICORN, issuer.url) as flask,
    ):
        print(f"{'server':<10} {'sent':<30} got  why")
        addresses = {"starlette": starlette, "flask": flask}
        right = [ok for name, base in addresses.items() for ok in walk(name, base, issuer)]
        print(f"\n{sum(right)} of {len(right)} answers are as expected.")
        if os.environ.get("SERVE", "0") not in {"", "0"}:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
            leave_running(addresses, issuer)
    return 0 if all(right) else 1


if __name__ == "__main__":
    sys.exit(main())
