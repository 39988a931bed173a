"""A real browser uses the documentation, opens sockets, and is kept from foreign pages."""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.expected_conditions import element_to_be_clickable
from selenium.webdriver.support.wait import WebDriverWait

from tests.support.browsers import PATIENCE, chromium
from tests.support.serving import serve

pytestmark = [pytest.mark.browser, pytest.mark.server, pytest.mark.slow]

SECRET = "a secret of at least thirty-two bytes"
HERE = Path(__file__).parent

OPEN = """
    const [url, protocols, done] = arguments;
    const socket = new WebSocket(url, protocols);
    socket.onmessage = (event) => done({protocol: socket.protocol, text: event.data});
    socket.onclose = (event) => done({code: event.code});
"""
POST = """
    const [url, body, done] = arguments;
    const options = {method: "POST", mode: "no-cors", credentials: "include", body};
    fetch(url, options).then((answer) => done(answer.status));
"""


def token(**claims: Any) -> str:
    good = {"iss": "https://id.example/", "sub": "alice", "exp": int(time.time()) + 600}
    return jwt.encode({**good, **claims}, SECRET, algorithm="HS256")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with chromium(tmp_path_factory.mktemp("profile")) as started:
        yield started


def started() -> Any:
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(HERE), "--fd", "{fd}", "app:app"]
    return serve(command, {"JWT_SECRET": SECRET})


@pytest.fixture(scope="module")
def ours() -> Iterator[str]:
    with started() as base:
        yield base


@pytest.fixture(scope="module")
def foreign() -> Iterator[str]:
    """Another origin of the same site, so that a browser sends our cookies along with its requests."""
    with started() as base:
        yield base


@pytest.fixture(autouse=True)
def _no_cookies(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "browser" in request.fixturenames:
        request.getfixturevalue("browser").delete_all_cookies()


def found(browser: Chrome, selector: str) -> WebElement:
    return WebDriverWait(browser, PATIENCE).until(
        element_to_be_clickable((By.CSS_SELECTOR, selector))
    )


def executed(browser: Chrome, operation: str) -> tuple[str, str]:
    """Press the button that sends the request, and return the status and the body that it shows."""
    found(browser, f"{operation} .execute").click()
    shown = found(browser, f"{operation} .live-responses-table .response")
    return shown.find_element(By.CSS_SELECTOR, ".response-col_status").text, shown.text


def test_the_documentation_sends_the_token_that_it_is_given(browser: Chrome, ours: str) -> None:
    """401 without, 200 with; each protected operation has its lock."""
    operation = "#operations-default-order_orders__number__get"
    browser.get(f"{ours}/docs")
    found(browser, f"{operation} .opblock-summary-control").click()
    assert found(browser, f"{operation} .authorization__btn").is_displayed()
    assert not browser.find_elements(
        By.CSS_SELECTOR, "#operations-default-page_page_get .authorization__btn"
    )
    found(browser, f"{operation} .try-out__btn").click()
    found(browser, f"{operation} [data-param-name=number] input").send_keys("7")

    without = executed(browser, operation)
    found(browser, ".scheme-container .authorize").click()
    found(browser, "#auth-bearer-value").send_keys(token(scope="orders:read"))
    found(browser, ".auth-container .authorize").click()
    found(browser, ".auth-container .btn-done").click()
    found(browser, f"{operation} .btn-clear").click()
    with_token = executed(browser, operation)

    assert without[0].startswith("401")
    assert "token_missing" in without[1]
    assert with_token[0].startswith("200")
    assert '"subject": "alice"' in with_token[1]


def test_nothing_of_the_documentation_comes_from_elsewhere(browser: Chrome, ours: str) -> None:
    """So that the proof above needs no network."""
    browser.get(f"{ours}/docs")
    found(browser, ".scheme-container .authorize")
    names: list[str] = browser.execute_script(
        "return performance.getEntriesByType('resource').map((entry) => entry.name)"
    )

    assert f"{ours}/assets/swagger-ui-bundle.js" in names
    assert [name for name in names if not name.startswith((ours, "data:"))] == []


def opened(browser: Chrome, page: str, url: str, *protocols: str) -> dict[str, Any]:
    browser.get(f"{page}/page")
    answer: dict[str, Any] = browser.execute_async_script(
        OPEN, url.replace("http:", "ws:"), list(protocols)
    )
    return answer


def refusals(base: str) -> list[str]:
    codes: list[str] = httpx.get(f"{base}/refusals", trust_env=False).json()
    return codes


def test_a_token_among_the_subprotocols_opens_a_socket(browser: Chrome, ours: str) -> None:
    """The browser is content with what is answered; the application sees no token."""
    answer = opened(browser, ours, f"{ours}/socket", "chat", "bearer", token())

    assert answer["protocol"] == "bearer"
    assert json.loads(answer["text"]) == {"subject": "alice", "offered": ["chat"]}


@pytest.mark.parametrize(
    ("path", "claims", "code"),
    [
        ("/socket", None, "token_missing"),
        ("/socket", {"exp": 1}, "token_expired"),
        ("/staff", {}, "requirement_not_met"),
    ],
)
def test_a_socket_without_what_it_asks_for_stays_shut(
    browser: Chrome, ours: str, path: str, claims: dict[str, Any] | None, code: str
) -> None:
    """By the rule or by the dependency; a page learns no more than that."""
    protocols = [] if claims is None else ["bearer", token(**claims)]

    assert opened(browser, ours, f"{ours}{path}", *protocols) == {"code": 1006}
    assert refusals(ours)[-1] == code


def log_in(browser: Chrome, base: str) -> None:
    browser.get(f"{base}/page")
    assert browser.execute_async_script(POST, f"{base}/login", token()) == 200


def test_a_cookie_opens_a_socket_for_our_own_page(browser: Chrome, ours: str) -> None:
    """Which proves where it comes from."""
    log_in(browser, ours)

    answer = opened(browser, ours, f"{ours}/socket")

    assert json.loads(answer["text"])["subject"] == "alice"


def test_a_cookie_opens_no_socket_for_a_foreign_page(
    browser: Chrome, ours: str, foreign: str
) -> None:
    """Though the browser sends it along: the refusal is for the origin."""
    log_in(browser, ours)

    assert opened(browser, foreign, f"{ours}/socket") == {"code": 1006}
    assert refusals(ours)[-1] == "csrf_refused"


def test_a_cookie_changes_something_for_our_own_page_only(
    browser: Chrome, ours: str, foreign: str
) -> None:
    """A form of a foreign page is refused for its origin, too."""
    log_in(browser, ours)
    assert browser.execute_async_script(POST, f"{ours}/changes", "") == 200
    before = refusals(ours)

    browser.get(f"{foreign}/page")
    browser.execute_async_script(POST, f"{ours}/changes", "")

    assert refusals(ours)[len(before) :] == ["csrf_refused"]
