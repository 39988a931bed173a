"""Options of a guard: each mistake is a sentence that names the setting."""

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from typing import Any

import pytest

from jwt_middleware import (
    BearerHeader,
    ConfigurationError,
    CookieToken,
    Guard,
    GuardOptions,
    HeaderToken,
    Issuer,
    KeyFile,
    QueryToken,
    ResolverOptions,
    Secret,
    any_of,
    has_claim,
    has_scope,
    optional,
    protect,
    public,
)
from jwt_middleware.events import Event, RequestRefused
from jwt_middleware.guard.explain import SampleRequest
from jwt_middleware.issuers.issuer import IssuerOptions
from jwt_middleware.testing import Clock
from tests.support.short_form import HMAC, short_guard

NAMED = {"issuer": "https://a/", "audience": "x"}
MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "issuers= is missing"),
    "an unknown option": ({"isuers": 1}, "did you mean 'issuers'"),
    "an option like none": ({"zzzz": 1}, "known are issuers"),
    "both forms": ({"issuers": Issuer("https://a/", audience="x"), "audience": "x"}, "audience="),
    "no issuer": ({"issuers": []}, "must name at least one issuer"),
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
    "protected as text": ({**NAMED, "protected": "/a"}, "is text: write a list"),
    "protected, empty": ({**NAMED, "protected": []}, "must be a list"),
    "a rule as text": ({**NAMED, "rules": ["/a"]}, "rule 1 is '/a'"),
    "rules as text": ({**NAMED, "rules": "/a"}, "must be a list, such as [public('/')]"),
    "a clock that is none": ({**NAMED, "clock": 1}, "clock=1 must have now() and monotonic()"),
    "no source": ({**NAMED, "token_sources": []}, "token_sources=() cannot be empty"),
    "a source's class": ({**NAMED, "token_sources": [BearerHeader]}, "must be a source"),
    "a realm with a break": ({**NAMED, "realm": "a\nb"}, "printable"),
    "an unknown body": ({**NAMED, "error_body": "xml"}, "error_body='xml'"),
    "a prefix without a slash": ({**NAMED, "prefixes": ["v1"]}, "mount points"),
    "prefixes as text": ({**NAMED, "prefixes": "/v1"}, "is text: write a list"),
    "a small token": ({**NAMED, "max_token_size": 10}, "max_token_size=10"),
    "less than no bytes": ({**NAMED, "token_cache_bytes": -1}, "token_cache_bytes=-1"),
    "half a token": ({**NAMED, "token_cache_size": 0.5}, "token_cache_size=0.5"),
    "a cycle of roles": ({**NAMED, "role_hierarchy": {"a": ["b"], "b": ["a"]}}, "a -> b -> a"),
    "roles as text": ({**NAMED, "role_hierarchy": {"a": "b"}}, "must be a list of names"),
    "a path for an origin": (
        {**NAMED, "trusted_origins": ["https://a/x"]},
        "must be an exact origin",
    ),
    "text for a flag": ({**NAMED, "cors_preflight": "no"}, "cors_preflight='no'"),
    "a number for a flag": ({**NAMED, "close_on_expiry": 1}, "close_on_expiry=1"),
    "an unknown start": ({**NAMED, "warm_up": True}, "write 'lazy', 'try' or 'require'"),
    "a cookie before a header": (
        {**NAMED, "token_sources": [CookieToken(), BearerHeader()]},
        "put the header first",
    ),
    "plain http": ({"issuer": "http://id.example/", "audience": "x"}, "must be https"),
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

    guard.decide(SampleRequest("GET", "/"))

    assert [event.code for event in told if isinstance(event, RequestRefused)] == ["token_missing"]


ODD: tuple[Any, ...] = (7, -1, 1.5, math.nan, True, None, "x", "", b"x", object(), int, {}, (), [])
ODD += ([7], [None], ["x"], [["x"]], {"a": 7}, {7: "a"}, {"a": ["b"]}, lambda: 1)
ENTRANCES: dict[str, Callable[[Any], object]] = {
    "Issuer": lambda odd: Issuer(odd, audience="x"),
    "public": public,
    "methods=": lambda odd: public("/a", methods=odd),
    "requires=": lambda odd: protect("/a", requires=odd),
    "on_invalid=": lambda odd: optional("/a", on_invalid=odd),
    "has_scope": has_scope,
    "has_claim": has_claim,
    "any_of": any_of,
    "HeaderToken": HeaderToken,
    "HeaderToken(scheme=)": lambda odd: HeaderToken("X-T", odd),
    "CookieToken": CookieToken,
    "CookieToken(csrf=)": lambda odd: CookieToken(csrf=odd),
    "CookieToken(clear_on_invalid=)": lambda odd: CookieToken(clear_on_invalid=odd),
    "QueryToken": QueryToken,
    "QueryToken(http=)": lambda odd: QueryToken("t", http=odd),
    "Secret": Secret,
    "Secret.from_env": Secret.from_env,
    "KeyFile": lambda odd: Issuer("https://a/", audience="x", keys=KeyFile(odd)),
    "Guard(issuers=)": lambda odd: Guard(issuers=odd),
}


def _set(build: Callable[..., object], option: str) -> Callable[[Any], object]:
    return lambda odd: build(**{option: odd})


def _issuer(**options: Any) -> Issuer:
    return Issuer("https://a/", **{"audience": "x", **options})


for _option in set(GuardOptions.__annotations__) - {"issuers"}:
    ENTRANCES[f"Guard({_option}=)"] = _set(short_guard, _option)
for _option in IssuerOptions.__annotations__:
    ENTRANCES[f"Issuer({_option}=)"] = _set(_issuer, _option)
for _field in fields(ResolverOptions):
    ENTRANCES[f"ResolverOptions({_field.name}=)"] = _set(ResolverOptions, _field.name)


@pytest.mark.parametrize("entrance", sorted(ENTRANCES))
def test_whatever_a_setting_is_set_to_it_is_taken_or_refused_in_words(entrance: str) -> None:
    """Where frameworks build a middleware late, only a ``ConfigurationError`` stops the server."""
    for odd in ODD:
        with suppress(ConfigurationError):
            ENTRANCES[entrance](odd)


SWITCHES: dict[str, Callable[[Any], object]] = {
    "require_exp": lambda odd: _issuer(require_exp=odd),
    "accept_id_tokens": lambda odd: _issuer(accept_id_tokens=odd),
    "accept_bound_as_bearer": lambda odd: _issuer(accept_bound_as_bearer=odd),
    "csrf": lambda odd: CookieToken(csrf=odd),
    "clear_on_invalid": lambda odd: CookieToken(clear_on_invalid=odd),
    "http": lambda odd: QueryToken("t", http=odd),
    "cors_preflight": lambda odd: short_guard(cors_preflight=odd),
    "close_on_expiry": lambda odd: short_guard(close_on_expiry=odd),
}


@pytest.mark.parametrize("switch", SWITCHES)
@pytest.mark.parametrize("odd", ["no", "", 0, 1, None])
def test_a_check_is_switched_by_true_and_false_alone(switch: str, odd: object) -> None:
    """Text such as ``"no"`` from the environment would count as true, and nothing as false."""
    with pytest.raises(ConfigurationError, match=f"{switch}={odd!r} must be True or False"):
        SWITCHES[switch](odd)
