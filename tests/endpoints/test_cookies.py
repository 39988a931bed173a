"""Cookie mode: both tokens in cookies, proof of origin, and what clears them; E5 to E7."""

from http.cookies import Morsel, SimpleCookie
from typing import Any

import httpx
import pytest
from django.http import HttpResponse as DjangoResponse
from flask import Response as FlaskResponse
from starlette.responses import Response as StarletteResponse

from jwt_middleware import ConfigurationError, Guard, Issuer
from jwt_middleware.endpoints import LogoutEndpoint, TokenCookies
from jwt_middleware.issuing import TokenPair
from tests.endpoints.service import FACES, Ask, Service, asking
from tests.issuing.rings import AUDIENCE, DAY, ISSUER

OWN = {"Sec-Fetch-Site": "same-origin"}
ACCESS, REFRESH = "__Host-token", "__Secure-refresh"


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture(params=FACES)
def ask(request: pytest.FixtureRequest, service: Service) -> Ask:
    return asking(request.param, service)


def set_by(response: httpx.Response) -> dict[str, "Morsel[str]"]:
    found: SimpleCookie = SimpleCookie()
    for line in response.headers.get_list("set-cookie"):
        found.load(line)
    return dict(found)


def attributes(morsel: "Morsel[str]") -> dict[str, Any]:
    return {name: value for name, value in morsel.items() if value and name != "expires"}


def sent(pair: TokenPair, **headers: str) -> dict[str, str]:
    return {"Cookie": f"{REFRESH}={pair.refresh_token}", **OWN, **headers}


def test_a_refresh_sets_both_cookies_and_shows_no_token(ask: Ask, service: Service) -> None:
    """E5: each lasts as long as its token, and the refresh token goes to the endpoints alone."""
    first = service.browsers.issue("alice")
    response = ask("POST", "/auth/refresh", headers=sent(first))
    assert response.status_code == 200
    cookies = set_by(response)
    always = {"secure": True, "httponly": True, "samesite": "Lax"}
    assert attributes(cookies[ACCESS]) == {**always, "path": "/", "max-age": "900"}
    lasts = str(int(14 * DAY))
    assert attributes(cookies[REFRESH]) == {**always, "path": "/auth", "max-age": lasts}
    assert "eyJ" not in response.text
    assert set(response.json()) == {"token_type", "expires_in", "refresh_expires_in", "csrf"}


def test_the_page_can_prove_its_origin_with_what_it_was_told(ask: Ask, service: Service) -> None:
    """E6: to our own guard, for a browser without Fetch Metadata; and all tabs have one proof."""
    first = service.browsers.issue("alice")
    body = ask("POST", "/auth/refresh", headers=sent(first)).json()
    assert body["csrf"] == first.csrf
    claims = service.guard().verify(first.access_token).claims
    assert claims["csrf"] == first.csrf
    assert "csrf" not in service.guard().verify(service.pairs.issue("bob").access_token).claims


FOREIGN: dict[str, dict[str, str]] = {
    "nothing": {},
    "another site": {"Sec-Fetch-Site": "cross-site"},
    "a neighbour": {"Sec-Fetch-Site": "same-site"},
    "another origin": {"Origin": "https://evil.example"},
    "no origin": {"Origin": "null"},
}


@pytest.mark.parametrize("path", ["/auth/refresh", "/auth/logout"])
@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_page_renews_and_ends_nothing(
    ask: Ask, service: Service, path: str, name: str
) -> None:
    pair = service.browsers.issue("alice")
    headers = {"Cookie": f"{REFRESH}={pair.refresh_token}", **FOREIGN[name]}
    response = ask("POST", path, headers=headers)
    assert (response.status_code, response.json()["code"]) == (403, "csrf_refused")
    assert "set-cookie" not in response.headers
    assert service.browsers.refresh(pair.refresh_token).sid == pair.sid


def test_a_trusted_page_may(ask: Ask, service: Service) -> None:
    first = service.browsers.issue("alice")
    headers = {"Cookie": f"{REFRESH}={first.refresh_token}", "Origin": "https://app.example"}
    assert ask("POST", "/auth/refresh", headers=headers).status_code == 200


def test_a_token_in_the_body_sets_no_cookie(ask: Ask, service: Service) -> None:
    """A foreign form could log its victim in as someone else."""
    pair = service.browsers.issue("mallory")
    response = ask("POST", "/auth/refresh", data={"refresh_token": pair.refresh_token}, headers=OWN)
    assert (response.status_code, response.json()["code"]) == (400, "token_missing")
    assert "set-cookie" not in response.headers


def test_two_cookies_of_one_name_are_refused(ask: Ask) -> None:
    headers = {"Cookie": f"{REFRESH}=a; {REFRESH}=b", **OWN}
    response = ask("POST", "/auth/refresh", headers=headers)
    assert (response.status_code, response.json()["code"]) == (400, "token_repeated")


def test_a_lost_race_keeps_the_cookies_and_an_ended_login_clears_them(
    ask: Ask, service: Service
) -> None:
    """E7: the other tab may have set good ones meanwhile."""
    first = service.browsers.issue("alice")
    service.browsers.refresh(first.refresh_token)
    service.clock.tick(6)
    lost = ask("POST", "/auth/refresh", headers=sent(first))
    assert (lost.json()["code"], set_by(lost)) == ("refresh_reused", {})

    ended = ask("POST", "/auth/refresh", headers=sent(first))
    assert ended.json()["code"] == "refresh_burnt"
    always = {"secure": True, "httponly": True, "samesite": "Lax", "max-age": "0"}
    cookies = set_by(ended)
    assert attributes(cookies[ACCESS]) == {**always, "path": "/"}
    assert attributes(cookies[REFRESH]) == {**always, "path": "/auth"}
    assert {each.value for each in cookies.values()} == {""}


def test_a_login_that_has_expired_clears_them(ask: Ask, service: Service) -> None:
    first = service.browsers.issue("alice")
    service.clock.tick(15 * DAY)
    response = ask("POST", "/auth/refresh", headers=sent(first))
    assert (response.json()["code"], len(set_by(response))) == ("token_expired", 2)


def test_a_logout_ends_the_login_and_clears_them(ask: Ask, service: Service) -> None:
    """Also a second one, and one without a login."""
    pair = service.browsers.issue("alice")
    for headers in (sent(pair), sent(pair), OWN):
        response = ask("POST", "/auth/logout", headers=headers)
        assert (response.status_code, response.content) == (204, b"")
        assert len(set_by(response)) == 2
    assert service.browsers.families("alice") == ()


def test_a_form_that_logs_out_is_led_on(ask: Ask, service: Service) -> None:
    pair = service.browsers.issue("alice")
    response = ask("POST", "/auth/leave", headers=sent(pair))
    assert (response.status_code, response.headers["location"]) == (303, "/bye")
    assert response.headers["clear-site-data"] == '"cache", "storage"'
    assert service.browsers.families("alice") == ()


def test_a_logout_that_does_nothing_says_so(ask: Ask, service: Service) -> None:
    """The cookies stay, or no second try could end the login."""
    pair = service.browsers.issue("alice")
    service.logins.is_away = True
    response = ask("POST", "/auth/logout", headers=sent(pair))
    assert response.status_code == 503
    assert "set-cookie" not in response.headers


RESPONSES: dict[str, Any] = {
    "starlette": StarletteResponse,
    "flask": FlaskResponse,
    "django": DjangoResponse,
}


def lines(response: Any) -> list[str]:
    """Return the cookies that a framework's response sets."""
    if isinstance(response, DjangoResponse):
        return [morsel.OutputString() for morsel in response.cookies.values()]
    if isinstance(response, StarletteResponse):
        return response.headers.getlist("set-cookie")
    return list(response.headers.getlist("set-cookie"))


@pytest.mark.parametrize("framework", RESPONSES)
def test_a_login_view_sets_what_the_endpoint_sets(service: Service, framework: str) -> None:
    """On the response of each framework, and clears it."""
    pair = service.browsers.issue("alice")
    ours: SimpleCookie = SimpleCookie()
    for _, line in service.cookies.headers(pair):
        ours.load(line)
    response = RESPONSES[framework]()
    service.cookies.set_on(response, pair)
    theirs: SimpleCookie = SimpleCookie()
    for line in lines(response):
        theirs.load(line)
    for name in (ACCESS, REFRESH):
        assert theirs[name].value == ours[name].value
        low = {k: str(v).lower() for k, v in attributes(theirs[name]).items()}
        assert low == {k: str(v).lower() for k, v in attributes(ours[name]).items()}

    response = RESPONSES[framework]()
    service.cookies.clear_on(response)
    assert len(lines(response)) == 2
    assert all("max-age=0" in line.lower() for line in lines(response))


def test_the_guard_takes_the_access_token_from_its_cookie(service: Service) -> None:
    issuer = Issuer(ISSUER, audience=AUDIENCE, keys=service.ring)
    guard = Guard(issuers=issuer, token_sources=[service.cookies.source], clock=service.clock)
    assert guard.verify(service.browsers.issue("alice").access_token).subject == "alice"
    assert service.cookies.source.name == ACCESS


def test_a_refresh_whose_cookies_no_browser_would_keep_consumes_nothing(service: Service) -> None:
    """It is the application's mistake, and no login is lost by it."""
    first = service.browsers.issue("alice", claims={"long": "x" * 4096})
    with pytest.raises(ConfigurationError, match="put less into its claims"):
        asking("asgi", service)("POST", "/auth/refresh", headers=sent(first))
    service.clock.tick(100)
    assert service.browsers.refresh(first.refresh_token).sid == first.sid


def test_a_logout_ends_the_login_of_each_cookie_of_the_name(ask: Ask, service: Service) -> None:
    """A neighbouring host may have set one more, with which no login survives."""
    first, other = service.browsers.issue("alice"), service.browsers.issue("alice")
    cookie = f"{REFRESH}={first.refresh_token}; {REFRESH}=odd; {REFRESH}={other.refresh_token}"
    response = ask("POST", "/auth/logout", headers={"Cookie": cookie, **OWN})
    assert (response.status_code, len(set_by(response))) == (204, 2)
    assert service.browsers.families("alice") == ()


def test_a_token_that_no_browser_would_keep_is_a_mistake(service: Service) -> None:
    """Not a login that is lost without a word."""
    pair = service.browsers.issue("alice", claims={"long": "x" * 4096})
    with pytest.raises(ConfigurationError, match="4096 with the name: put less"):
        service.cookies.headers(pair)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"refresh_name": "__Host-refresh"}, "__Host-"),
        ({"refresh_name": "__Host-token"}, "__Host-"),
        ({"access_name": "a", "refresh_name": "a"}, "another name"),
        ({"same_site": "lax"}, "same_site='lax'"),
        ({"path": "auth"}, "must be a path"),
        ({"access_name": "a b"}, "must be a name"),
        ({"trusted_origins": ["*"]}, "exact origin"),
    ],
)
def test_a_wrong_option_is_a_mistake(service: Service, options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says.replace("*", r"\*")):
        TokenCookies(service.browsers, **options)


@pytest.mark.parametrize("redirect", ["//evil", "/\\evil", "https://evil", "x", "/a\n", "/é", 5])
def test_a_logout_leads_to_this_host_alone(service: Service, redirect: Any) -> None:
    with pytest.raises(ConfigurationError, match="path of this host"):
        LogoutEndpoint(service.browsers, service.cookies, redirect=redirect)


def test_other_names_and_sites_may_be_chosen(service: Service) -> None:
    cookies = TokenCookies(
        service.browsers, path="/login", access_name="a", refresh_name="r", same_site="Strict"
    )
    (_, access), (_, refresh) = cookies.headers(service.browsers.issue("alice"))
    assert access.startswith("a=")
    assert "Path=/login;" in refresh
    assert refresh.endswith("SameSite=Strict")
