"""The table of options: what every option says of itself, and values that compare."""

import pickle
import sys
from collections.abc import Callable
from copy import copy, deepcopy
from dataclasses import FrozenInstanceError, fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import pytest

from jwt_middleware import (
    ANY_AUDIENCE,
    ANY_GRANTS,
    AdmittedIssuers,
    ConfigurationError,
    Guard,
    GuardOptions,
    HTTPFetcher,
    Issuer,
    ResolverOptions,
    presets,
)
from jwt_middleware.issuers.issuer import IssuerOptions
from jwt_middleware.options import REQUIRED, Seconds, check_fields, hint, options_of
from jwt_middleware.testing import KeyPair
from jwt_middleware.tokens.grants import Grants
from tests.support.short_form import HMAC

ROOT = Path(__file__).parents[1]
OWNERS = [Guard, Issuer, AdmittedIssuers, ResolverOptions]
KEY = KeyPair.generate("ES256", "k").jwk


@pytest.mark.parametrize("owner", OWNERS, ids=lambda owner: owner.__name__)
def test_every_option_says_what_it_means(owner: type) -> None:
    """One sentence or more, out of the docstring."""
    meanings = {name: option.meaning for name, option in options_of(owner).items()}

    assert all(each.endswith(".") for each in meanings.values()), meanings


@pytest.mark.parametrize(
    ("owner", "typed"), [(Guard, GuardOptions), (Issuer, IssuerOptions)], ids=str
)
def test_the_types_for_keywords_are_those_of_the_signature(owner: type, typed: Any) -> None:
    """``Unpack[GuardOptions]`` promises what the constructor takes."""
    options = options_of(owner)

    assert {name: options[name].type for name in typed.__annotations__} == typed.__annotations__


@pytest.mark.parametrize("owner", OWNERS, ids=lambda owner: owner.__name__)
def test_a_default_is_a_value_that_the_check_takes(owner: type) -> None:
    """So that leaving an option out and writing its default are the same."""
    defaults = [each for each in options_of(owner).values() if each.default is not REQUIRED]

    assert defaults
    for option in defaults:
        option.read(option.default)


def test_a_description_is_a_value() -> None:
    """Two readings of one signature are equal, checks included."""

    class Timed:
        def __init__(self, after: Annotated[float, Seconds(5)] = 1) -> None:
            """
            :param after: seconds
                to wait.
            :raises ValueError: never.
            """

    (option,) = options_of(Timed).values()
    assert (option.name, option.type, option.default) == ("after", float, 1)
    assert (option.check, option.meaning) == (Seconds(5), "seconds to wait.")


@pytest.mark.parametrize(
    ("value", "seconds"), [(3, 3), (0.5, 0.5), (timedelta(minutes=2), 120.0), (0, 0)]
)
def test_a_length_of_time_may_be_a_timedelta(value: Any, seconds: float) -> None:
    """It is kept in seconds."""
    assert ResolverOptions(stale_if_error=value).stale_if_error == seconds


@pytest.mark.parametrize(
    "value", [timedelta(minutes=6), timedelta(seconds=-1), 301, -1, True, "3", 10**400, None]
)
def test_a_length_of_time_has_limits(value: Any) -> None:
    """In words that name the option, the value and the limits."""
    with pytest.raises(ConfigurationError) as mistake:
        Issuer("https://a/", audience="x", leeway=value)

    said = "must be seconds or a timedelta, not negative and at most 300"
    assert str(mistake.value) == f"leeway={value!r} {said}"


def test_the_nearest_name_is_found_behind_a_common_beginning() -> None:
    """Otherwise ``JWT_X`` would be near every name that begins so."""
    known = ["JWT_RULES", "JWT_REALM"]

    assert hint("JWT_RULE", known, "JWT_") == "did you mean 'JWT_RULES'?"
    assert hint("JWT_XY", known, "JWT_") == "known are JWT_RULES, JWT_REALM"


OTHER: dict[str, Any] = {
    "issuer": "https://b/",
    "audience": ANY_AUDIENCE,
    "keys": KeyPair.generate("ES256", "k").jwk,
    "jwks_uri": "https://a/keys",
    "key_uri": "https://a/keys/{kid}",
    "discovery": "https://a/discovery",
    "algorithms": ["ES256"],
    "leeway": 1,
    "required_claims": ["x"],
    "required_values": {"x": 1},
    "required_header": {"x": 1},
    "max_lifetime": 60,
    "subject_claim": ["oid", "sub"],
    "token_types": ["at+jwt"],
    "scopes_claim": "x",
    "roles_claim": "x",
    "permissions_claim": "x",
    "grants": ANY_GRANTS,
    "claims_type": Issuer,
    "aliases": ["https://c/"],
    "tenants": ["8a2e1b70-4c1d-4f7e-9a55-0d1f2c3b4a59"],
    "resolver": ResolverOptions(timeout=1),
    "fetcher": HTTPFetcher(trust_env=False),
    "label": "x",
}
TENANT = "https://a/8a2e1b70-4c1d-4f7e-9a55-0d1f2c3b4a59"


@pytest.mark.parametrize("option", sorted(set(options_of(Issuer)) - {"seed"}))
def test_issuers_differ_if_one_option_does(option: str) -> None:
    """And are equal if none does, however it was written."""
    name = TENANT if option == "tenants" else "https://a/"
    given: dict[str, Any] = {"issuer": name, "audience": ["x"], "fetcher": HTTPFetcher()}
    if option == "keys":
        given = {"issuer": name, "audience": ["x"], "keys": KEY}
    default = options_of(Issuer)[option].default
    other = OTHER.get(option, not default)

    assert Issuer(**given) == Issuer(**{**given, "audience": "x"})
    assert Issuer(**given) != Issuer(**{**given, option: other})
    assert hash(Issuer(**given)) == hash(Issuer(**given))


def test_values_of_claims_are_compared_as_json() -> None:
    """In Python 1 and True are equal; in a token they are two values."""
    one, other = (Issuer("https://a/", audience="x", required_values={"v": v}) for v in (1, True))

    assert one != other


def test_a_derived_issuer_is_checked_as_any_other() -> None:
    """Its own constructor hides the options, and not their checks. It equals no plain one."""

    class Ours(Issuer):
        def __init__(self, issuer: str, **options: Any) -> None:
            super().__init__(issuer, audience="x", **options)

    assert Ours("https://a/") != Issuer("https://a/", audience="x")
    assert Ours("https://a/", leeway=timedelta(seconds=3)).leeway == 3
    with pytest.raises(ConfigurationError, match="leeway="):
        Ours("https://a/", leeway=10**9)


def test_grants_given_as_such_are_read_too() -> None:
    """A list in them becomes a set."""
    given: Any = Grants(roles=["admin"])  # type: ignore[arg-type]
    issuer = Issuer("https://a/", audience="x", grants=given)

    assert issuer.grants == Grants(roles=frozenset({"admin"}))
    with pytest.raises(ConfigurationError, match="grants"):
        Issuer("https://a/", audience="x", grants=Grants(roles="admin"))  # type: ignore[arg-type]


def test_a_claim_in_two_spellings_is_refused() -> None:
    """One of them would be lost."""
    twice: Any = {"a.b": "x", ("a", "b"): "y"}
    with pytest.raises(ConfigurationError, match="two spellings"):
        Issuer("https://a/", audience="x", required_values=twice)


def test_a_seed_is_where_an_issuer_starts_and_not_what_it_is() -> None:
    """Two with different seeds are equal."""
    assert Issuer("https://a/", audience="x", seed={}) == Issuer("https://a/", audience="x")


def test_an_issuer_is_not_a_value_of_another_type() -> None:
    """Its name alone is not an issuer."""
    assert Issuer("https://a/", audience="x") != "https://a/"


def test_a_fetcher_counts_by_the_settings_that_its_class_shows() -> None:
    """A rule may make a new one each time. One of a derived class may have more settings."""

    class Signed(HTTPFetcher):
        pass

    def issuer(fetcher: Any) -> Issuer:
        return Issuer("https://a/", audience="x", fetcher=fetcher)

    one = Signed()
    assert issuer(one) == issuer(one)
    assert issuer(one) != issuer(Signed())
    assert issuer(HTTPFetcher()) == issuer(HTTPFetcher())
    assert issuer(HTTPFetcher()) != issuer(Signed())
    assert issuer(HTTPFetcher()) != issuer(HTTPFetcher(trust_env=False))
    assert presets.kubernetes(audience="a") == presets.kubernetes(audience="a")
    assert presets.kubernetes(audience="a") != presets.kubernetes(audience="a", ca_file=None)


@pytest.mark.parametrize("again", [deepcopy, copy, lambda each: pickle.loads(pickle.dumps(each))])
def test_an_issuer_is_copied_and_sent_as_a_value(again: Callable[[Any], Any]) -> None:
    """With what was checked, and equal to the one it was made of."""
    issuer = Issuer(
        "https://a/",
        audience="x",
        required_values={"a.b": ["c"], "d": True},
        subject_claim=["oid", "sub"],
        grants={"roles": ["r"]},
        resolver=ResolverOptions(timeout=2),
    )

    assert again(issuer) == issuer
    assert type(again(issuer)) is Issuer


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"subject_claim": ["oid", ("a.b", "c")], "required_values": {"t": ["a", 1]}},
        {"grants": {"roles": ["editor"]}, "token_types": [None], "required_claims": ["sub"]},
        {"keys": HMAC.jwk, "algorithms": ["HS256"], "leeway": timedelta(seconds=5)},
        {"aliases": ["https://c/"], "resolver": ResolverOptions(timeout=2)},
    ],
    ids=str,
)
def test_an_issuer_is_copied_with_other_options(options: dict[str, Any]) -> None:
    """``dataclasses.replace`` reads the kept values as it read the written ones."""
    issuer = Issuer("https://a/", audience="x", **options)

    assert replace(issuer) == issuer
    assert replace(issuer, audience="y") == Issuer("https://a/", audience="y", **options)


@pytest.mark.parametrize(
    "value",
    [
        Issuer("https://a/", audience="x"),
        ResolverOptions(),
        AdmittedIssuers(lambda _: None),
    ],
    ids=lambda each: type(each).__name__,
)
def test_a_configuration_cannot_change(value: Any) -> None:
    """What was checked at start-up is what decides later."""
    for field in fields(value):
        with pytest.raises(FrozenInstanceError):
            setattr(value, field.name, None)


def test_what_was_given_may_change_without_effect() -> None:
    """The containers are copied."""
    values: dict[str | tuple[str, ...], list[str | int | bool]] = {"tier": ["gold"]}
    claims: list[str | tuple[str, ...]] = ["sub"]
    issuer = Issuer("https://a/", audience="x", required_values=values, required_claims=claims)
    values["tier"].append("free")
    values.clear()
    claims.clear()

    assert dict(issuer.required_values) == {("tier",): ("gold",)}
    assert issuer.required_claims == (("sub",),)


def test_checked_fields_are_replaced_by_what_the_check_returns() -> None:
    """A wrong one is named."""
    given: dict[str, Any] = {"timeout": timedelta(seconds=3)}
    options = ResolverOptions(**given)
    check_fields(options, ResolverOptions)

    assert options.timeout == 3


def test_the_page_of_options_is_that_of_the_code() -> None:
    """``make fix`` writes it. How a type is printed differs between versions of Python."""
    sys.path.insert(0, str(ROOT / ".ci"))
    try:
        from option_page import PAGE, page
    finally:
        sys.path.remove(str(ROOT / ".ci"))

    assert without_types(PAGE.read_text(encoding="utf-8")) == without_types(page())


def without_types(text: str) -> list[list[str]]:
    rows = [line.replace(r"\|", "/").split(" | ") for line in text.splitlines()]
    return [row[:1] + row[2:] for row in rows]
