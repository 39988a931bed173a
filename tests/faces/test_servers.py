"""The table on real servers, and wrong options that stop them."""

import sys
from collections.abc import Iterator

import httpx
import pytest

from jwt_middleware.testing import FakeIssuer
from tests.faces.calls import Answer
from tests.faces.table import ROWS
from tests.faces.test_scenarios import Issuers, check, request_of
from tests.support.serving import NotServing, serve

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
SAMPLE = {
    "plain": [
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
    ],
    "browser": [
        "a cookie",
        "a POST across sites",
        "a POST of our own page",
        "a POST of our own origin",
        "an expired token in a cookie",
        "two cookies that differ",
        "a token in the query",
        "lenient and forged",
        "a preflight of a trusted origin",
    ],
}


@pytest.fixture(scope="module")
def issuers() -> Iterator[Issuers]:
    with FakeIssuer() as own, FakeIssuer() as other:
        yield Issuers(own, other)


@pytest.mark.parametrize("server", SERVERS)
def test_a_real_server_answers_as_the_table_says(server: str, issuers: Issuers) -> None:
    """The same rows, over a socket; and a path with dots that are escaped."""
    for guard, names in SAMPLE.items():
        chosen = [row for row in ROWS if row.name in names]
        assert len(chosen) == len(names)
        env = {"GUARD": guard, "ISSUER_URL": issuers.own.url, "OTHER_URL": issuers.other.url}
        with (
            serve(SERVERS[server], env) as base,
            httpx.Client(base_url=base, trust_env=False) as client,
        ):
            for row in chosen:
                sent = request_of(row, issuers)
                response = client.request(
                    sent.method, sent.path, headers=sent.headers, params=sent.query or None
                )
                headers = tuple(response.headers.items())
                check(row, Answer(response.status_code, headers, response.content))
            dots = client.get("/docs/%2e%2e/admin")
        assert (dots.status_code, dots.json()["code"]) == (400, "path_invalid")


WAITRESS = [sys.executable, "-m", "tests.support.waitress_server", "{fd}"]
DAPHNE = [sys.executable, "-m", "tests.support.daphne_server", "{fd}"]
LENIENT = {
    "uvicorn": [*UVICORN, "--http", "h11", "tests.faces.edges:asgi"],
    "hypercorn": [*HYPERCORN, "tests.faces.edges:asgi"],
    "daphne": [*DAPHNE, "tests.faces.edges:asgi"],
    "gunicorn": [*GUNICORN, "tests.faces.edges:wsgi"],
    "waitress": [*WAITRESS, "tests.faces.edges:wsgi"],
}


@pytest.mark.parametrize("server", LENIENT)
def test_the_method_websocket_opens_what_no_other_method_would(server: str) -> None:
    """A client can send it; it is no WebSocket, and no GET."""
    with (
        serve(LENIENT[server], {}) as base,
        httpx.Client(base_url=base, trust_env=False) as client,
    ):
        for path in ("/items/7", "/sockets/7"):
            for method in ("WEBSOCKET", "websocket", "PATCH"):
                answer = client.request(method, path)
                # A server may refuse a method that it does not know by itself.
                assert answer.status_code in {400, 401, 405, 501}, (method, path)
        assert client.get("/items/7").status_code == 200


def test_a_mount_point_that_a_client_chose_opens_nothing() -> None:
    """Daphne takes it from a header; Starlette strips it as it is written."""
    with (
        serve([*DAPHNE, "tests.faces.edges:rooted"], {}) as base,
        httpx.Client(base_url=base, trust_env=False) as client,
    ):
        assert client.get("/users").text == "open"
        for root in ("", "/", "/admin/", "/admin//", "admin/", "/admi", "/admin/users/"):
            answer = client.get("/admin/users", headers={"Daphne-Root-Path": root})
            assert (answer.status_code, answer.text == "secret") == (401, False), root
        # Here the page below it is meant, and that is open.
        below = client.get("/admin/users", headers={"Daphne-Root-Path": "/admin"})
        assert below.text == "open"


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


@pytest.mark.parametrize(
    "command",
    [
        [*UVICORN, "tests.faces.mistaken:keyless"],
        [*HYPERCORN, "tests.faces.mistaken:keyless"],
        [*GUNICORN, "tests.faces.mistaken:keyless_wsgi()"],
    ],
    ids=["uvicorn", "hypercorn", "gunicorn"],
)
def test_a_server_that_requires_keys_does_not_start_without(command: list[str]) -> None:
    """It says whose keys cannot be had."""
    with pytest.raises(NotServing, match=r"the keys of http://127\.0\.0\.1:9"), serve(command, {}):
        pass
