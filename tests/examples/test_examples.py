"""Every example runs on a real server and answers as its rules say."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tests.support.serving import NotServing, serve

pytestmark = pytest.mark.server

EXAMPLES = Path(__file__).parents[2] / "examples"
ISSUER = "https://id.example/"
PARTNER = "https://login.partner.example/"
SECRET = "a secret for the examples that is long enough"

UVICORN = [sys.executable, "-m", "uvicorn", "--app-dir", str(EXAMPLES), "--fd", "{fd}"]
GUNICORN = [sys.executable, "-m", "gunicorn", "--pythonpath", str(EXAMPLES), "-b", "fd://{fd}"]
GUNICORN += ["--threads", "4", "--graceful-timeout", "1", "--no-control-socket"]

EVERY = {
    "plain_asgi:app": UVICORN,
    "starlette_app:app": UVICORN,
    "fastapi_app:app": UVICORN,
    "flask_app:app": GUNICORN,
    "django_app:application": GUNICORN,
    "django_app:asgi_application": UVICORN,
    "litestar_app:app": UVICORN,
    "quart_app:app": UVICORN,
    "falcon_app:app": GUNICORN,
    "bottle_app:app": GUNICORN,
    "pyramid_app:app": GUNICORN,
    "algorithms:app": UVICORN,
    "error_bodies:app": UVICORN,
}


def token(**claims: Any) -> str:
    return jwt.encode(good_claims(**claims), SECRET, algorithm="HS256")


def good_claims(**claims: Any) -> dict[str, Any]:
    now = int(time.time())
    good = {"iss": ISSUER, "aud": "orders", "sub": "alice", "iat": now, "exp": now + 300}
    return {**good, "scope": "orders:read", **claims}


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


@pytest.fixture(scope="module")
def partner(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The key pair of the second issuer: the private file and the public one."""
    folder = tmp_path_factory.mktemp("partner")
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private, public = folder / "private.pem", folder / "public.pem"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    return private, public


@contextmanager
def client_of(name: str, **env: str) -> Iterator[httpx.Client]:
    with (
        serve([*EVERY[name], name], {"JWT_SECRET": SECRET, **env}) as base,
        httpx.Client(base_url=base, trust_env=False, timeout=30) as client,
    ):
        yield client


@pytest.mark.parametrize("name", EVERY)
def test_an_example_answers_as_its_rules_say(name: str, partner: tuple[Path, Path]) -> None:
    expired = int(time.time()) - 60
    asked = {
        "health": ("/health", None),
        "feed of nobody": ("/feed", None),
        "feed of alice": ("/feed", token()),
        "order of nobody": ("/orders/1", None),
        "order of alice": ("/orders/1", token()),
        "order without the scope": ("/orders/1", token(scope="other")),
        "order with an expired token": ("/orders/1", token(exp=expired)),
        "order with a foreign signature": (
            "/orders/1",
            jwt.encode(good_claims(), SECRET[::-1], algorithm="HS256"),
        ),
        "admin without the role": ("/admin/users", token()),
        "admin with the role": ("/admin/users", token(roles=["admin"])),
    }
    with client_of(name, PARTNER_KEY_FILE=str(partner[1])) as client:
        answers = {
            what: client.get(path, headers={} if sent is None else bearer(sent))
            for what, (path, sent) in asked.items()
        }

    seen = {what: answer.status_code for what, answer in answers.items()}
    assert seen == {
        "health": 200,
        "feed of nobody": 200,
        "feed of alice": 200,
        "order of nobody": 401,
        "order of alice": 200,
        "order without the scope": 403,
        "order with an expired token": 401,
        "order with a foreign signature": 401,
        "admin without the role": 403,
        "admin with the role": 200,
    }
    refused = [answer for answer in answers.values() if answer.status_code != 200]
    assert all(answer.headers["WWW-Authenticate"].startswith("Bearer ") for answer in refused)
    assert "error=" not in answers["order of nobody"].headers["WWW-Authenticate"]
    assert 'scope="orders:read"' in answers["order without the scope"].headers["WWW-Authenticate"]
    assert answers["feed of nobody"].json()["subject"] is None
    for what in ("feed of alice", "order of alice", "admin with the role"):
        assert answers[what].json()["subject"] == "alice", what


@pytest.mark.parametrize("name", ["plain_asgi:app", "flask_app:app"])
def test_a_wrong_setting_stops_the_server(name: str) -> None:
    with (
        pytest.raises(NotServing, match="JWT_SECRET has 5 bytes, and HS256 needs at least 32"),
        client_of(name, JWT_SECRET="short"),
    ):
        pytest.fail("it started")


def test_fastapi_has_the_principal_in_the_state_of_a_request() -> None:
    with client_of("fastapi_app:app") as client:
        assert client.get("/me").status_code == 401
        answer = client.get("/me", headers=bearer(token(sub="bob", scope="b a")))
        assert answer.json() == {"subject": "bob", "scopes": ["a", "b"]}
        assert client.get("/docs").status_code == 200
        # A dependency is no parameter that the documentation would show.
        operation = client.get("/openapi.json").json()["paths"]["/orders/{number}"]["get"]
        assert [parameter["name"] for parameter in operation["parameters"]] == ["number"]


def test_two_issuers_keep_their_algorithms_to_themselves(partner: tuple[Path, Path]) -> None:
    private = partner[0].read_bytes()
    with client_of("algorithms:app", PARTNER_KEY_FILE=str(partner[1])) as client:

        def ask(text: str) -> httpx.Response:
            return client.get("/orders/1", headers=bearer(text))

        assert ask(token()).json()["identity"] == f"{ISSUER}|alice"
        theirs = ask(jwt.encode(good_claims(iss=PARTNER), private, algorithm="RS256"))
        assert theirs.json() == {
            "subject": "alice",
            "issuer": PARTNER,
            "identity": f"{PARTNER}|alice",
        }
        for crossed in (
            jwt.encode(good_claims(), private, algorithm="RS256"),
            token(iss=PARTNER),
        ):
            assert ask(crossed).json()["code"] == "algorithm_not_allowed"


def test_bodies_of_refusals_have_the_shape_of_the_callable() -> None:
    with client_of("error_bodies:app") as client:
        answers = [
            client.get("/orders/1"),
            client.get("/orders/1", headers=bearer(token(exp=1))),
            client.get("/orders/1", headers=bearer(token(scope=""))),
            client.get("/orders/1", headers=bearer("x.y.z")),
        ]
    assert {answer.headers["Content-Type"] for answer in answers} == {"application/json"}
    errors = [answer.json()["error"] for answer in answers]
    assert [(error["status"], error["code"], error["advice"]) for error in errors] == [
        (401, "token_missing", "Sign in first."),
        (401, "token_expired", "Your session is over: sign in again."),
        (403, "requirement_not_met", "Ask an administrator for access."),
        (401, "token_malformed", "Sign in again."),
    ]
    assert all(error["message"] for error in errors)


def test_tokens_made_for_trying_out_are_good_ones(partner: tuple[Path, Path]) -> None:
    def made(*arguments: str) -> str:
        return subprocess.run(
            [sys.executable, str(EXAMPLES / "make_token.py"), *arguments],
            env={**os.environ, "JWT_SECRET": SECRET},
            capture_output=True,
            check=True,
            text=True,
            timeout=60,
        ).stdout.strip()

    with client_of("algorithms:app", PARTNER_KEY_FILE=str(partner[1])) as client:
        for path, text, status in (
            ("/orders/1", made(), 200),
            ("/orders/1", made("--issuer", PARTNER, "--key", str(partner[0])), 200),
            ("/orders/1", made("--seconds", "-60"), 401),
            ("/orders/1", made("--scope", ""), 403),
            ("/admin/users", made("--role", "admin"), 200),
        ):
            assert client.get(path, headers=bearer(text)).status_code == status


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.py")), ids=lambda file: file.stem)
def test_an_example_says_how_to_run_and_ask_it(file: Path) -> None:
    text = file.read_text(encoding="utf-8").partition('"""\n\n')[0]
    assert "curl -i http://127.0.0.1:8000/" in text
    assert "export JWT_SECRET=" in text or "export KEY_RING_SECRET=" in text


def test_the_demo_ends_well() -> None:
    """Every answer of the walk is the expected one, and its table is plain when piped."""
    done = subprocess.run(
        [sys.executable, "-m", "examples.demo"],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "SERVE": "0"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith(("starlette", "flask"))]
    assert rows
    assert all(line.endswith(" ok") for line in rows)
    assert done.stdout.endswith(f"{len(rows)} of {len(rows)} answers are as expected.\n")
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize("name", ["fastapi_app:app", "starlette_app:app"])
def test_an_endpoint_that_asks_for_more_refuses_as_the_table_does(name: str) -> None:
    with client_of(name) as client:
        granted = client.get("/reports", headers=bearer(token(scope="reports:read")))
        of_the_rule = client.get("/orders/1", headers=bearer(token(scope="other")))
        of_the_view = client.get("/reports", headers=bearer(token(scope="other")))
        assert granted.json() == {"subject": "alice"}
        assert of_the_view.content == of_the_rule.content
        assert 'scope="reports:read"' in of_the_view.headers["WWW-Authenticate"]
        assert client.get("/reports").status_code == 401


def test_fastapi_documents_what_its_guard_asks_for() -> None:
    with client_of("fastapi_app:app") as client:
        paths = client.get("/openapi.json").json()["paths"]
        locks = {path: item["get"].get("security") for path, item in paths.items()}
        assert locks == {
            "/health": None,
            "/feed": [{}, {"JWT": []}],
            "/orders/{number}": [{"JWT": ["orders:read"]}],
            "/admin/users": [{"JWT": []}],
            "/reports": [{"JWT": ["reports:read"]}],
            "/me": [{"JWT": []}],
        }
