"""The table on real servers, and wrong options that stop them."""

import sys
from collections.abc import Iterator

import httpx
import pytest

from jwt_middleware.testing import FakeIssuer
from tests.faces.calls import Answer
from tests.faces.scenarios import ROWS
from tests.faces.test_scenarios import check, request_headers
from tests.serving import NotServing, serve

pytestmark = pytest.mark.server

UVICORN = [sys.executable, "-m", "uvicorn", "--fd", "{fd}"]
HYPERCORN = [sys.executable, "-m", "hypercorn", "-b", "fd://{fd}"]
GUNICORN = [sys.executable, "-m", "gunicorn", "-b", "fd://{fd}", "--graceful-timeout", "1"]
GUNICORN += ["--no-control-socket"]

SERVERS = {
    "uvicorn with h11": [*UVICORN, "--http", "h11", "tests.faces.served:asgi"],
    "uvicorn with httptools": [*UVICORN, "--http", "httptools", "tests.faces.served:asgi"],
    "hypercorn": [*HYPERCORN, "tests.faces.served:asgi"],
    "gunicorn": [*GUNICORN, "--threads", "4", "tests.faces.served:wsgi"],
}
SAMPLE = [
    "public needs nothing",
    "no token",
    "a good token",
    "an EdDSA token",
    "Bearer alone",
    "a scope is missing",
    "a role implied",
    "optional, nobody",
    "lenient, bad token",
    "a token expired",
    "a token tampered",
    "a token unsigned",
    "a path that is no ASCII",
]
CHOSEN = [row for row in ROWS if row.name in SAMPLE]


@pytest.fixture(scope="module")
def issuer() -> Iterator[FakeIssuer]:
    with FakeIssuer() as issuer:
        yield issuer


@pytest.mark.parametrize("server", SERVERS)
def test_a_real_server_answers_as_the_table_says(server: str, issuer: FakeIssuer) -> None:
    """The same rows, over a socket; and a path with dots that are escaped."""
    with (
        serve(SERVERS[server], {"ISSUER_URL": issuer.url}) as base,
        httpx.Client(base_url=base, trust_env=False) as client,
    ):
        for row in CHOSEN:
            headers = request_headers(row, issuer)
            response = client.request(row.method, row.path, headers=headers)
            check(
                row, Answer(response.status_code, tuple(response.headers.items()), response.content)
            )
        dots = client.get("/docs/%2e%2e/admin")

    assert len(CHOSEN) == len(SAMPLE)
    assert (dots.status_code, dots.json()["code"]) == (400, "path_invalid")


@pytest.mark.parametrize(
    "command",
    [
        [*UVICORN, "tests.faces.mistaken:late"],
        [*HYPERCORN, "tests.faces.mistaken:late"],
        [*GUNICORN, "tests.faces.mistaken:wsgi()"],
    ],
    ids=["uvicorn", "hypercorn", "gunicorn"],
)
def test_a_wrong_option_stops_a_real_server(command: list[str]) -> None:
    """At start-up, with the sentence."""
    with pytest.raises(NotServing, match="did you mean 'issuers'"), serve(command, {}):
        pass
