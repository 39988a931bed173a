"""Options of a guard: each mistake is a sentence that names the setting."""

from typing import Any

import pytest

from jwt_middleware import (
    BearerHeader,
    ConfigurationError,
    CookieToken,
    Guard,
    GuardOptions,
    Issuer,
    public,
)
from jwt_middleware.events import Event, RequestRefused
from jwt_middleware.request.question import Question
from jwt_middleware.testing import Clock
from tests.short_form import HMAC, short_guard

NAMED = {"issuer": "https://a/", "audience": "x"}
MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "issuers= is missing"),
    "an unknown option": ({"isuers": 1}, "did you mean 'issuers'"),
    "an option like none": ({"zzzz": 1}, "known are issuers"),
    "both forms": ({"issuers": Issuer("https://a/", audience="x"), "audience": "x"}, "audience="),
    "no issuer": ({"issuers": []}, "trusts nobody"),
    "one issuer twice": ({"issuers": [Issuer("https://a/", audience="x")] * 2}, "twice"),
    "a nameless one of two": (
        {
            "issuers": [
                Issuer("https://a/", audience=None),
                Issuer(None, audience=None, keys=HMAC.jwk, algorithms=["HS256"]),
            ]
        },
        "without a name",
    ),
    "rules and protected": ({**NAMED, "rules": [public("/")], "protected": ["/a"]}, "keep one"),
    "protected as text": ({**NAMED, "protected": "/a"}, "must be a list"),
    "protected, empty": ({**NAMED, "protected": []}, "must be a list"),
    "a rule as text": ({**NAMED, "rules": ["/a"]}, "rule 1 is '/a'"),
    "no source": ({**NAMED, "token_sources": []}, "finds no token"),
    "a source's class": ({**NAMED, "token_sources": [BearerHeader]}, "is no source"),
    "a realm with a break": ({**NAMED, "realm": "a\nb"}, "printable"),
    "an unknown body": ({**NAMED, "error_body": "xml"}, "error_body='xml'"),
    "a prefix without a slash": ({**NAMED, "prefixes": ["v1"]}, "mount points"),
    "prefixes as text": ({**NAMED, "prefixes": "/v1"}, "mount points"),
    "a small token": ({**NAMED, "max_token_size": 10}, "max_token_size=10"),
    "less than no bytes": ({**NAMED, "token_cache_bytes": -1}, "token_cache_bytes=-1"),
    "half a token": ({**NAMED, "token_cache_size": 0.5}, "token_cache_size=0.5"),
    "a cycle of roles": ({**NAMED, "role_hierarchy": {"a": ["b"], "b": ["a"]}}, "a -> b -> a"),
    "roles as text": ({**NAMED, "role_hierarchy": {"a": "b"}}, "no list of names"),
    "a path for an origin": ({**NAMED, "trusted_origins": ["https://a/x"]}, "no exact origin"),
    "text for a flag": ({**NAMED, "cors_preflight": "no"}, "cors_preflight='no'"),
    "a number for a flag": ({**NAMED, "close_on_expiry": 1}, "close_on_expiry=1"),
    "an unknown start": ({**NAMED, "warm_up": True}, "write 'lazy', 'try' or 'require'"),
    "a cookie before a header": (
        {**NAMED, "token_sources": [CookieToken(), BearerHeader()]},
        "put the header first",
    ),
    "plain http": ({"issuer": "http://id.example/", "audience": "x"}, "is not https"),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_a_mistake_is_a_sentence_at_construction(kind: str) -> None:
    """It names the setting."""
    options, sentence = MISTAKES[kind]

    with pytest.raises(ConfigurationError) as mistake:
        Guard(**options)

    assert sentence in str(mistake.value)


def test_the_options_of_a_face_are_those_of_a_guard() -> None:
    """The typed dictionary and the constructor name the same options."""
    import inspect

    signature = inspect.signature(Guard.__init__).parameters
    names = {name for name, each in signature.items() if each.kind is each.KEYWORD_ONLY}

    assert names == set(GuardOptions.__annotations__)


@pytest.mark.parametrize(
    ("bound", "least"),
    [("max_token_size", 256), ("token_cache_size", 0), ("token_cache_bytes", 0)],
)
def test_a_bound_may_be_as_low_as_it_says_and_no_lower(bound: str, least: int) -> None:
    """Its least value is taken, the number below is refused, in words that name the least."""
    short_guard(**{bound: least})

    with pytest.raises(ConfigurationError, match=f"{bound}=.* at least {least}$"):
        short_guard(**{bound: least - 1})


def test_a_guard_keeps_the_observers_that_it_was_given(clock: Clock) -> None:
    """A list that its owner changes afterwards changes nothing of the guard."""
    told: list[Event] = []
    observers = [told.append]
    guard = short_guard(clock=clock, observers=observers)
    observers.clear()

    guard.decide(Question("GET", "/"))

    assert [event.code for event in told if isinstance(event, RequestRefused)] == ["token_missing"]
