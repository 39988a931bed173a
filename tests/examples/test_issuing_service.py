"""The login service of the examples, on a real server: for programs, and in a real browser."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from tests.support.browsers import PATIENCE, chromium
from tests.support.serving import serve

pytestmark = [pytest.mark.server, pytest.mark.slow]

HERE = Path(__file__).parents[2] / "examples" / "issuing_service"
UVICORN = [sys.executable, "-m", "uvicorn", "--app-dir", str(HERE), "--fd", "{fd}"]
ALICE = {"name": "alice", "password": "correct horse"}
BOB = {"name": "bob", "password": "battery staple"}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The service, with an administrator named alice and a user named bob."""
    env = {
        "KEY_RING_SECRET": "x" * 48,
        "DATA": str(tmp_path_factory.mktemp("data")),
        "ISSUER": "{base}",
    }
    with serve([*UVICORN, "app:app"], env) as address:
        with httpx.Client(base_url=address, trust_env=False) as client:
            for account in (ALICE, BOB):
                assert client.post("/register", json=account).status_code == 201
        yield address


@pytest.fixture
def client(base: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=base, trust_env=False) as client:
        yield client


def bearer(tokens: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens['access_token']}"}


def logged_in(client: httpx.Client, account: dict[str, str]) -> dict[str, Any]:
    response = client.post("/token", json=account)
    assert response.status_code == 200
    found: dict[str, Any] = response.json()
    return found


def test_a_program_logs_in_refreshes_and_logs_out(client: httpx.Client) -> None:
    first = logged_in(client, BOB)
    assert client.get("/me", headers=bearer(first)).json()["name"] == "bob"
    given = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    second = client.post("/token/refresh", data=given).json()
    assert client.get("/me", headers=bearer(second)).status_code == 200

    token = {"token": second["refresh_token"]}
    assert client.post("/token/revoke", data=token).status_code == 200
    again = {"refresh_token": second["refresh_token"]}
    assert client.post("/token/refresh", data=again).json()["code"] == "refresh_burnt"


def test_a_wrong_password_and_an_unknown_name_look_alike(client: httpx.Client) -> None:
    wrong = client.post("/token", json={**BOB, "password": "something else"})
    unknown = client.post("/token", json={**BOB, "name": "nobody"})
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json()
    assert client.post("/register", json=BOB).status_code == 409


def test_logins_are_listed_and_ended_one_by_one_and_together(client: httpx.Client) -> None:
    """Nobody ends the login of another."""
    phone, laptop = logged_in(client, BOB), logged_in(client, BOB)
    alice = logged_in(client, ALICE)
    listed = client.get("/sessions", headers=bearer(laptop)).json()
    (own,) = [each for each in listed if each["is_this"]]
    other = next(each for each in listed if not each["is_this"])
    stolen = client.delete(f"/sessions/{own['id']}", headers=bearer(alice))
    assert stolen.status_code == 404
    ended = client.delete(f"/sessions/{other['id']}", headers=bearer(laptop))
    assert ended.status_code == 204

    assert client.post("/log-out-everywhere", headers=bearer(laptop)).status_code == 204
    for tokens in (phone, laptop):
        response = client.post("/token/refresh", data={"refresh_token": tokens["refresh_token"]})
        assert response.json()["code"] == "refresh_burnt"


def test_a_new_password_ends_the_other_logins(client: httpx.Client) -> None:
    """Whoever knew the old one is out, and who changed it stays."""
    account = {"name": "carol", "password": "first password"}
    assert client.post("/register", json=account).status_code == 201
    thief, owner = logged_in(client, account), logged_in(client, account)
    given = {"password": "second password"}
    assert client.post("/password", json=given, headers=bearer(owner)).status_code == 204
    for tokens, status in ((thief, 400), (owner, 200)):
        response = client.post("/token/refresh", data={"refresh_token": tokens["refresh_token"]})
        assert response.status_code == status


def test_another_service_takes_the_tokens_through_a_rotation(
    base: str, client: httpx.Client
) -> None:
    """It finds the keys by the name of the issuer, and so does PyJWT."""
    admin, bob = logged_in(client, ALICE), logged_in(client, BOB)
    assert client.post("/keys/rotate", headers=bearer(bob)).status_code == 403
    rotated = client.post("/keys/rotate", headers=bearer(admin))
    assert rotated.status_code == 200
    keys = client.get("/.well-known/jwks.json").json()["keys"]
    assert {each["kid"] for each in keys} >= {rotated.json()["kid"]}
    with serve([*UVICORN, "orders:app"], {"ISSUER": base}) as orders:
        response = httpx.get(f"{orders}/orders", headers=bearer(bob), trust_env=False)
        assert response.status_code == 200
        refresh = {"Authorization": f"Bearer {bob['refresh_token']}"}
        refused = httpx.get(f"{orders}/orders", headers=refresh, trust_env=False)
        assert refused.status_code == 401
    key = jwt.PyJWKClient(f"{base}/.well-known/jwks.json").get_signing_key_from_jwt(
        bob["access_token"]
    )
    claims = jwt.decode(
        bob["access_token"], key, algorithms=["ES256"], audience="orders", issuer=base
    )
    assert claims["preferred_username"] == "bob"


def test_the_documentation_has_the_endpoints(client: httpx.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/token/refresh", "/auth/refresh", "/.well-known/jwks.json"} <= set(paths)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with chromium(tmp_path_factory.mktemp("profile")) as started:
        yield started


def is_inside(driver: Chrome) -> bool:
    return driver.find_element(By.ID, "inside").is_displayed()


def is_outside(driver: Chrome) -> bool:
    return driver.find_element(By.ID, "form").is_displayed()


def log_in(browser: Chrome, base: str) -> None:
    browser.get(base)
    WebDriverWait(browser, PATIENCE).until(is_outside)
    browser.find_element(By.ID, "name").send_keys(BOB["name"])
    browser.find_element(By.ID, "password").send_keys(BOB["password"])
    browser.find_element(By.ID, "login").click()
    WebDriverWait(browser, PATIENCE).until(is_inside)


REFRESHED_TWICE = """
    const done = arguments[0];
    const refresh = () => fetch("/auth/refresh", {method: "POST"}).then((each) => each.status);
    Promise.all([refresh(), refresh(), refresh()]).then(done);
"""


@pytest.mark.browser
def test_a_person_logs_in_is_renewed_unseen_and_logs_out(browser: Chrome, base: str) -> None:
    """Scripts of the page see no token, and a page on another origin renews nothing."""
    log_in(browser, base)
    assert browser.find_element(By.ID, "who").text == "bob"
    cookies = {each["name"]: each for each in browser.get_cookies()}
    assert cookies["__Host-token"]["httpOnly"]
    assert cookies["__Host-token"]["secure"]
    # The refresh token is sent to the endpoints alone, and so the page does not even list it.
    assert "__Secure-refresh" not in cookies
    assert browser.execute_script("return document.cookie") == ""

    # As it does when the access token has expired.
    browser.delete_cookie("__Host-token")
    browser.refresh()
    WebDriverWait(browser, PATIENCE).until(is_inside)

    # Three tabs at once: the grace gives each the same successor, and nobody is logged out.
    assert browser.execute_async_script(REFRESHED_TWICE) == [200, 200, 200]
    browser.delete_cookie("__Host-token")
    browser.refresh()
    WebDriverWait(browser, PATIENCE).until(is_inside)

    browser.find_element(By.ID, "logout").click()
    WebDriverWait(browser, PATIENCE).until(is_outside)
    assert browser.get_cookies() == []
    browser.refresh()
    WebDriverWait(browser, PATIENCE).until(is_outside)


GUNICORN = [sys.executable, "-m", "gunicorn", "--pythonpath", str(HERE.parent), "-b", "fd://{fd}"]
GUNICORN += ["--threads", "4", "--graceful-timeout", "1", "--no-control-socket"]
OWN = {"Sec-Fetch-Site": "same-origin"}


def environment(folder: Path) -> dict[str, str]:
    return {
        "KEY_RING_SECRET": "x" * 48,
        "TOKENS": f"sqlite:///{folder / 'tokens.db'}",
        "DATABASE": str(folder / "users.db"),
    }


def test_a_flask_application_keeps_its_people_in_cookies(tmp_path: Path) -> None:
    """Its own users behind ``current_user``, and one that is locked is out at once."""
    with (
        serve([*GUNICORN, "issuing_flask:app"], environment(tmp_path)) as base,
        httpx.Client(base_url=base, trust_env=False, headers=OWN) as client,
    ):
        wrong = client.post("/login", json={**ALICE, "password": "something else"})
        assert wrong.status_code == 401
        begun = client.post("/login", json=ALICE)
        assert begun.status_code == 200
        # httpx sends Secure cookies over http to no host, so they are passed on here.
        jar = {each.name: each.value for each in client.cookies.jar}
        access = {"Cookie": f"__Host-token={jar['__Host-token']}"}
        refresh = {"Cookie": f"__Secure-refresh={jar['__Secure-refresh']}"}
        client.cookies.clear()
        assert client.get("/me", headers=access).json() == {"name": "alice"}
        assert client.post("/auth/refresh", headers=refresh).status_code == 200
        assert client.get("/.well-known/jwks.json").json()["keys"]

        client.cookies.clear()
        assert client.post("/lock", headers=access).status_code == 200
        assert client.get("/me", headers=access).json()["code"] == "user_unknown"
        refused = client.post("/auth/refresh", headers=refresh)
        assert refused.json()["code"] == "refresh_burnt"


def test_a_new_password_of_a_django_user_ends_the_logins(tmp_path: Path) -> None:
    """Django itself tells of it, whatever has set it."""
    with (
        serve([*GUNICORN, "issuing_django:application"], environment(tmp_path)) as base,
        httpx.Client(base_url=base, trust_env=False) as client,
    ):
        tokens = client.post("/login", json=ALICE).json()
        assert client.get("/me", headers=bearer(tokens)).json() == {"name": "alice"}
        given = {"refresh_token": tokens["refresh_token"]}
        renewed = client.post("/token/refresh", data=given).json()

        new = {"password": "another password"}
        assert client.post("/password", json=new, headers=bearer(renewed)).status_code == 200
        given = {"refresh_token": renewed["refresh_token"]}
        assert client.post("/token/refresh", data=given).json()["code"] == "refresh_burnt"
        assert client.post("/login", json=ALICE).status_code == 401
        assert client.post("/login", json={**ALICE, **new}).status_code == 200
