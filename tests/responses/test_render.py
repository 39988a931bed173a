"""The two answers, and how refusals are rendered."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwt_middleware.errors import (
    ConfigurationError,
    CSRFRefused,
    KeysUnavailable,
    PathInvalid,
    Refused,
    TokenExpired,
    TokenMissing,
    Unavailable,
    refusals,
)
from jwt_middleware.responses.headers import as_raw, headers_to_add
from jwt_middleware.responses.render import Renderer, body_writer
from jwt_middleware.verdict import Deny, Problem, Refusal

ANSWERS = Renderer()


def header(deny: Deny, name: str) -> str | None:
    return dict(deny.headers).get(name)


@pytest.mark.parametrize("kind", list(refusals()))
def test_every_refusal_has_a_whole_answer(kind: type[Refused]) -> None:
    """Status, code, body, length, and nothing that may be stored."""
    refused = kind.__new__(kind) if not issubclass(kind, Unavailable) else kind()
    deny = ANSWERS.refuse(refused)
    body = json.loads(deny.body)

    assert (deny.status, deny.code) == (kind.status, kind.code)
    assert (body["status"], body["code"], body["detail"]) == (kind.status, kind.code, kind.public)
    assert (body["type"], body["title"], body.get("error")) == (
        "about:blank",
        deny.reason,
        kind.error,
    )
    assert header(deny, "Content-Type") == "application/problem+json"
    assert header(deny, "Content-Length") == str(len(deny.body))
    assert header(deny, "Cache-Control") == "no-store"
    assert header(deny, "Vary") == "Authorization"
    assert (header(deny, "Retry-After") is not None) == (kind.status == 503)
    assert deny.raw_headers == as_raw(deny.headers)


def test_the_challenge_names_the_error_and_its_sentence() -> None:
    """The detail for the operator is in neither header nor body."""
    deny = ANSWERS.refuse(TokenExpired("for the log alone"))
    assert header(deny, "WWW-Authenticate") == (
        'Bearer realm="api", error="invalid_token", '
        'error_description="The access token has expired"'
    )
    assert b"for the log" not in deny.body + repr(deny.headers).encode()


def test_without_a_token_the_challenge_says_nothing_of_an_error() -> None:
    """Only the realm; a body without an error has none either."""
    deny = ANSWERS.refuse(TokenMissing())
    assert header(deny, "WWW-Authenticate") == 'Bearer realm="api"'
    assert "error" not in json.loads(deny.body)


def test_a_refusal_that_no_token_cures_has_no_challenge() -> None:
    """A bad request has one, since it names an error."""
    assert header(ANSWERS.refuse(CSRFRefused()), "WWW-Authenticate") is None
    challenge = header(ANSWERS.refuse(PathInvalid()), "WWW-Authenticate")
    assert challenge is not None
    assert 'error="invalid_request"' in challenge


@pytest.mark.parametrize(("wait", "seconds"), [(0.0, "1"), (1.0, "1"), (1.2, "2"), (30.0, "30")])
def test_retry_after_is_in_whole_seconds(wait: float, seconds: str) -> None:
    """Rounded up and never at once; no challenge stands beside it."""
    deny = ANSWERS.refuse(KeysUnavailable(retry_after=wait))
    assert header(deny, "Retry-After") == seconds
    assert header(deny, "WWW-Authenticate") is None


def test_a_refusal_of_somebody_elses_is_rendered_too() -> None:
    """A subclass that the tree does not know has its own code and words."""

    class Blocked(TokenExpired):
        code = "blocked"
        public = "Not today"

    deny = ANSWERS.refuse(Blocked())
    assert (deny.code, json.loads(deny.body)["detail"]) == ("blocked", "Not today")


def test_fixed_refusals_are_rendered_once() -> None:
    """The very same answer comes back."""
    assert ANSWERS.refuse(TokenExpired("a")) is ANSWERS.refuse(TokenExpired("b"))


def test_a_requirement_names_the_scopes_that_would_meet_it() -> None:
    """Sorted, after parameters of its own."""
    refusal = Refusal("for the log", parameters=(("max_age", "60"),))
    deny = ANSWERS.refuse_requirement(refusal, {"b", "a"})
    challenge = header(deny, "WWW-Authenticate") or ""
    assert (deny.status, deny.reason, deny.code) == (403, "Forbidden", "requirement_not_met")
    assert challenge.endswith(', max_age="60", scope="a b"')
    assert 'error="insufficient_scope"' in challenge
    assert "scope=" not in str(header(ANSWERS.refuse_requirement(refusal), "WWW-Authenticate"))
    assert b"for the log" not in deny.body


def test_an_oauth_body_has_the_members_that_clients_know() -> None:
    """The code stands in where there is no error."""
    answers = Renderer(error_body="oauth", vary="Cookie")
    deny = answers.refuse(TokenExpired())
    assert json.loads(deny.body) == {
        "error": "invalid_token",
        "error_description": TokenExpired.public,
        "code": "token_expired",
    }
    assert header(deny, "Content-Type") == "application/json"
    assert header(deny, "Vary") == "Cookie"
    assert json.loads(answers.refuse(TokenMissing()).body)["error"] == "token_missing"


def test_a_callable_writes_its_own_body() -> None:
    """It is handed what is public."""

    def write(problem: Problem) -> tuple[str, bytes]:
        return "text/plain", f"{problem.status} {problem.title} {problem.code}".encode()

    deny = Renderer(error_body=write).refuse(TokenExpired())
    assert deny.body == b"401 Unauthorized token_expired"
    assert header(deny, "Content-Type") == "text/plain"
    assert body_writer(write) is write


def test_an_unknown_kind_of_body_is_refused() -> None:
    """With those that are known."""
    unknown: Any = "xml"
    with pytest.raises(ConfigurationError, match="error_body='xml' must be a known format"):
        Renderer(error_body=unknown)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20))
def test_any_printable_realm_can_be_read_back(realm: str) -> None:
    """Quotes and backslashes are escaped."""
    challenge = str(header(Renderer(realm).refuse(TokenMissing()), "WWW-Authenticate"))
    quoted = challenge.removeprefix('Bearer realm="').removesuffix('"')
    assert re.fullmatch(r'(?:[^"\\]|\\.)*', quoted)
    assert re.sub(r"\\(.)", r"\1", quoted) == realm


@pytest.mark.parametrize("realm", ["a\r\nX: y", "é", "\x7f", "\t"])
def test_a_realm_that_cannot_stand_in_a_header_is_refused(realm: str) -> None:
    """Nothing can be smuggled into a header."""
    with pytest.raises(ConfigurationError, match="must fit in a header"):
        Renderer(realm)


def test_raw_headers_are_bytes_with_names_in_lower_case() -> None:
    """Values are kept as they are."""
    assert as_raw([("X-Name", "Välue")]) == ((b"x-name", b"V\xe4lue"),)


def test_a_response_gets_what_it_lacks() -> None:
    """Names of ``Vary`` once each; of other headers the application's stands."""
    wanted = (("Vary", "Authorization, Cookie"), ("Cache-Control", "private"))

    assert headers_to_add([], wanted) == wanted
    assert headers_to_add([("vary", "Accept"), ("CACHE-CONTROL", "no-store")], wanted) == wanted[:1]
    assert headers_to_add([("Vary", "cookie,Accept")], wanted) == (
        ("Vary", "Authorization"),
        ("Cache-Control", "private"),
    )
    assert headers_to_add([("Vary", "COOKIE"), ("Vary", "Authorization")], wanted) == wanted[1:]
