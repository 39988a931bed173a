"""Claims held against a policy, and held beside PyJWT at the same instant."""

from contextlib import suppress
from dataclasses import replace
from datetime import datetime, tzinfo
from typing import Any
from unittest import mock

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwt_middleware.errors import (
    ClaimInvalid,
    ClaimMissing,
    LifetimeTooLong,
    TokenBound,
    TokenError,
    TokenExpired,
    TypeNotAllowed,
)
from jwt_middleware.testing.clock import EPOCH
from jwt_middleware.testing.keys import KeyPair
from jwt_middleware.tokens.claims import ANY_AUDIENCE, ClaimPolicy, audience_of
from jwt_middleware.tokens.grants import NO_GRANTS, Grants

NOW = EPOCH + 0.5
PAIR = KeyPair.generate("HS256")
POLICY = ClaimPolicy(
    audience=frozenset({"me", "us"}),
    leeway=30,
    require_exp=True,
    required=(),
    max_lifetime=None,
    accept_id_tokens=False,
    accept_bound_as_bearer=False,
    scopes_claims=(("scope",), ("scp",)),
    roles_claims=(("roles",), ("realm", "roles")),
    permissions_claims=(("permissions",),),
)
GOOD: dict[str, Any] = {"aud": "me", "exp": NOW + 60}


class Frozen(datetime):
    """The library's clock, standing still where ours does."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> "Frozen":
        return cls.fromtimestamp(NOW, tz)


around = st.integers(-40, 40).map(lambda s: int(EPOCH) + s)
dates = around | around.map(lambda s: s + 0.5) | st.sampled_from([None, True, "1", -0.5, 0, 2**53])
members = st.fixed_dictionaries(
    {},
    optional={
        "aud": st.sampled_from(["me", ["me"], ["x", "us"], "x", [], "", ["me", 1], None, 1]),
        "exp": dates,
        "nbf": dates,
        "iat": dates,
        "sub": st.sampled_from(["a", "", 1, None]),
        "jti": st.sampled_from(["a", "", 1, None]),
    },
)
policies = st.builds(
    lambda audience, leeway, require_exp: replace(
        POLICY, audience=audience, leeway=leeway, require_exp=require_exp
    ),
    st.sampled_from([frozenset({"me"}), frozenset({"me", "us"}), None, ANY_AUDIENCE]),
    st.sampled_from([0, 0.5, 30]),
    st.booleans(),
)


def by_the_library(claims: dict[str, Any], policy: ClaimPolicy) -> None:
    anybody = policy.audience is ANY_AUDIENCE
    audience = policy.audience if isinstance(policy.audience, frozenset) else None
    with mock.patch("jwt.api_jwt.datetime", Frozen):
        jwt.decode(
            PAIR.sign(claims),
            PAIR.private,
            algorithms=["HS256"],
            audience=audience,
            leeway=policy.leeway,
            options={"verify_aud": not anybody, "require": ["exp"] if policy.require_exp else []},
        )


@given(members, policies)
def test_what_the_policy_accepts_the_library_accepts_too(
    claims: dict[str, Any], policy: ClaimPolicy
) -> None:
    """With the same settings and at the same instant; the other way round need not hold."""
    with suppress(TokenError):
        policy.check(claims, NOW)
        by_the_library(claims, policy)


def test_the_library_would_object() -> None:
    """The comparison above is no empty one: the library refuses what is expired."""
    by_the_library(GOOD, POLICY)
    with pytest.raises(jwt.ExpiredSignatureError):
        by_the_library({**GOOD, "exp": NOW - 31}, POLICY)


@given(members, policies, st.integers(0, 100))
def test_what_is_valid_stays_so_until_its_end(
    claims: dict[str, Any], policy: ClaimPolicy, later: int
) -> None:
    """Between now and the stated end the check passes; at the end it does not."""
    with suppress(TokenError):
        policy.check(claims, NOW)
        end = policy.valid_until(policy.principal(claims, None, frozenset))
        assert end > NOW
        if NOW + later < end:
            policy.check(claims, NOW + later)
        if "exp" in claims:
            with pytest.raises(TokenExpired):
                policy.check(claims, end)


def test_the_first_check_that_fails_decides() -> None:
    """The order is fixed: each fault is seen only when those before it are mended."""
    policy = replace(POLICY, required=(("org", "id"),), max_lifetime=100)
    claims: dict[str, Any] = {"exp": 1, "nbf": NOW + 99, "iat": NOW + 99, "sub": 1, "cnf": {}}
    claims |= {"c_hash": "x", "jti": 2}
    mends: list[dict[str, Any]] = [
        {"aud": "x"},
        {"aud": "us"},
        {"exp": NOW + 90},
        {"nbf": NOW},
        {"iat": NOW - 99},
        {"iat": NOW - 5},
        {"org": {"id": 7}},
        {"sub": "a"},
        {"jti": "b"},
        {"c_hash": None},
    ]
    codes = []
    for mend in [{}, *mends]:
        claims = {k: v for k, v in (claims | mend).items() if v is not None}
        with pytest.raises(TokenError) as caught:
            policy.check(claims, NOW)
        codes.append(caught.value.code)
    assert codes == [
        "claim_missing",
        "audience_mismatch",
        "token_expired",
        "token_not_yet_valid",
        "token_issued_in_future",
        "lifetime_too_long",
        "claim_missing",
        "claim_invalid",
        "claim_invalid",
        "type_not_allowed",
        "token_bound",
    ]
    policy.check({k: v for k, v in claims.items() if k != "cnf"}, NOW)


def test_a_required_claim_that_is_missing_is_named() -> None:
    """By its dotted path; what says nothing counts as missing, zero and false do not."""
    policy = replace(POLICY, required=(("org", "id"),))
    missing: list[Any] = [{}, {"id": None}, "text", {"id": ""}, {"id": []}, {"id": {}}]
    for org in missing:
        with pytest.raises(ClaimMissing) as caught:
            policy.check({**GOOD, "org": org}, NOW)
        assert caught.value.claim == "org.id"
    falsy: list[Any] = [0, 0.0, False, " ", [None], [""]]
    for value in falsy:
        policy.check({**GOOD, "org": {"id": value}}, NOW)


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("value", [None, True, "1", [], 2**53, -(2**53)])
def test_a_date_is_a_number_that_everybody_reads_alike(name: str, value: Any) -> None:
    """The claim is named."""
    with pytest.raises(ClaimInvalid) as caught:
        POLICY.check({**GOOD, name: value}, NOW)
    assert caught.value.claim == name


@pytest.mark.parametrize("aud", [None, 1, {"me": 1}, ["me", 1]])
def test_an_audience_is_text_or_a_list_of_it(aud: Any) -> None:
    """Anything else is invalid, also where any audience will do."""
    with pytest.raises(ClaimInvalid):
        audience_of({"aud": aud})
    with pytest.raises(ClaimInvalid):
        replace(POLICY, audience=ANY_AUDIENCE).check({**GOOD, "aud": aud}, NOW)


def test_the_greatest_date_that_everybody_reads_alike_is_read() -> None:
    """One second below the bound."""
    POLICY.check({**GOOD, "exp": 2**53 - 1}, NOW)
    POLICY.check({**GOOD, "nbf": -(2**53) + 1, "iat": -(2**53) + 1}, NOW)


@pytest.mark.parametrize(
    ("name", "last", "first", "code"),
    [
        ("exp", EPOCH - 29, EPOCH - 30, "token_expired"),
        ("exp", EPOCH - 28.1, EPOCH - 29.1, "token_expired"),
        ("nbf", EPOCH + 30, EPOCH + 31, "token_not_yet_valid"),
        ("nbf", EPOCH + 29.1, EPOCH + 30.1, "token_not_yet_valid"),
        ("iat", EPOCH + 30, EPOCH + 31, "token_issued_in_future"),
        ("iat", EPOCH + 29.1, EPOCH + 30.1, "token_issued_in_future"),
    ],
)
def test_clocks_may_differ_by_the_leeway_and_no_more(
    name: str, last: float, first: float, code: str
) -> None:
    """The last date that passes and the first that does not; fractions count to the worse side."""
    POLICY.check({**GOOD, name: last}, EPOCH)
    with pytest.raises(TokenError) as caught:
        POLICY.check({**GOOD, name: first}, EPOCH)
    assert caught.value.code == code


def test_a_lifetime_is_what_lies_between_two_dates() -> None:
    """Exactly as long as allowed passes, a second more does not; without a date it is unknown."""
    policy = replace(POLICY, max_lifetime=100, require_exp=False)
    policy.check({"aud": "me", "iat": EPOCH - 40, "exp": EPOCH + 60}, NOW)
    with pytest.raises(LifetimeTooLong):
        policy.check({"aud": "me", "iat": EPOCH - 41, "exp": EPOCH + 60}, NOW)
    stated = {"iat": EPOCH, "exp": EPOCH + 60}
    for missing in stated:
        claims = {name: date for name, date in stated.items() if name != missing}
        with pytest.raises(ClaimMissing) as caught:
            policy.check({"aud": "me", **claims}, NOW)
        assert caught.value.claim == missing


@pytest.mark.parametrize("claim", ["at_hash", "c_hash"])
def test_one_hash_of_another_token_tells_an_id_token(claim: str) -> None:
    """Either is enough; who accepts ID tokens takes no bound token with them."""
    claims = {**GOOD, claim: "x"}
    with pytest.raises(TypeNotAllowed):
        POLICY.check(claims, NOW)
    policy = replace(POLICY, accept_id_tokens=True)
    policy.check(claims, NOW)
    with pytest.raises(TokenBound):
        policy.check({**claims, "cnf": {}}, NOW)


def test_a_bound_token_is_a_bearer_where_the_policy_says_so() -> None:
    """Who accepts it takes no ID token with it."""
    policy = replace(POLICY, accept_bound_as_bearer=True)
    policy.check({**GOOD, "cnf": {}}, NOW)
    with pytest.raises(TypeNotAllowed):
        policy.check({**GOOD, "cnf": {}, "at_hash": "x"}, NOW)


@pytest.mark.parametrize(
    ("audience", "passes", "code"),
    [
        (frozenset({"me", "us"}), ["us", ["x", "us"]], "audience_mismatch"),
        (frozenset({"me", "us"}), ["me"], "claim_missing"),
        (None, [..., []], "audience_mismatch"),
        (ANY_AUDIENCE, [..., "x", [], ["x"]], None),
    ],
)
def test_a_token_is_for_whom_the_policy_says(
    audience: Any, passes: list[Any], code: str | None
) -> None:
    """``...`` is a token without ``aud``: without an audience configured, that or ``[]`` will do."""
    policy = replace(POLICY, audience=audience)

    def check(aud: Any) -> None:
        policy.check({"exp": NOW + 60, **({} if aud is ... else {"aud": aud})}, NOW)

    for aud in passes:
        check(aud)
    for aud in ("", [""], None, {}, 0, "x", [[]]):
        if audience is not ANY_AUDIENCE:
            with pytest.raises(TokenError):
                check(aud)
    if code is not None:
        with pytest.raises(TokenError) as caught:
            check(... if code == "claim_missing" else ["x"])
        assert caught.value.code == code


def test_without_exp_a_token_never_ends() -> None:
    """Where the policy does not ask for it."""
    policy = replace(POLICY, require_exp=False)
    policy.check({"aud": "me"}, NOW)
    forever = policy.principal({"aud": "me"}, None, frozenset)
    until = policy.principal({"exp": 10.9}, None, frozenset)

    assert policy.valid_until(forever) == float("inf")
    assert policy.valid_until(until) == 40


def test_checked_claims_become_a_principal() -> None:
    """Names from every configured claim, split only where scopes are text."""
    claims = {**GOOD, "exp": 10.9, "iss": "https://a/", "sub": "alice", "jti": "j"}
    claims |= {"scope": "a  b", "scp": ["c d", 1, ""], "roles": "r s", "realm": {"roles": ["t"]}}
    claims |= {"permissions": {"p": 1}}
    who = POLICY.principal(
        claims, "https://a/", lambda roles: roles | {"extra"}, is_one_of_several=True
    )
    assert (who.subject, who.issuer, who.audience) == ("alice", "https://a/", ("me",))
    assert who.scopes == {"a", "b", "c d"}
    assert who.roles == {"r s", "t", "extra"}
    assert who.permissions == frozenset()
    assert (who.expires_at, who.token_id, who.identity) == (10, "j", "https://a/|alice")
    assert who.claims.to_dict() == claims
    assert who.is_authenticated


def test_names_are_found_below_a_claim_and_beside_it() -> None:
    """A nested claim needs no namesake at the top; permissions are read as roles are."""
    claims = {"realm": {"roles": ["t"]}, "permissions": ["p q", "r"]}
    who = POLICY.principal(claims, None, lambda roles: roles)
    assert who.roles == {"t"}
    assert who.permissions == {"p q", "r"}


def test_a_token_that_says_nothing_is_a_bare_principal() -> None:
    """Nothing is made up."""
    who = POLICY.principal({}, None, lambda roles: roles)
    assert (who.subject, who.issuer, who.audience, who.expires_at) == (None, None, (), None)
    assert (who.token_id, who.identity, who.scopes, who.roles) == (
        None,
        "",
        frozenset(),
        frozenset(),
    )
    assert POLICY.principal({}, "i", lambda roles: roles, is_one_of_several=True).identity == "i|"
    assert POLICY.principal({"sub": "a"}, "i", lambda roles: roles).identity == "a"


OF_OTHER_KINDS: dict[str, dict[str, Any]] = {
    "a security event": {"events": {"https://schemas.openid.net/secevent/caep/x": {}}},
    "a logout token": {"events": {"http://schemas.openid.net/event/backchannel-logout": {}}},
    "an event without events": {"events": {}},
    "an answer of introspection": {"token_introspection": {"active": True}},
    "a credential": {"vc": {"type": ["VerifiableCredential"]}},
    "a presentation": {"vp": {"type": "VerifiablePresentation"}},
    "a list of statuses": {"status_list": {"bits": 1, "lst": "x"}},
    "an SD-JWT": {"_sd": ["x"]},
    "an SD-JWT without digests": {"_sd_alg": "sha-256"},
    "an SD-JWT credential": {"vct": "https://a/"},
    "a key binding": {"sd_hash": "x"},
    "a proof of possession": {"htm": "GET", "htu": "https://a/"},
    "a refresh token of Keycloak": {"typ": "Refresh"},
    "an offline token of Keycloak": {"typ": "Offline"},
    "a logout token of Keycloak": {"typ": "Logout"},
    "a refresh token of Flask-JWT-Extended": {"type": "refresh"},
    "a refresh token of SimpleJWT": {"token_type": "refresh"},
}
IDS: dict[str, dict[str, Any]] = {
    "by at_hash": {"at_hash": "x"},
    "by c_hash": {"c_hash": "x"},
    "by s_hash": {"s_hash": "x"},
    "by rt_hash": {"urn:openid:params:jwt:claim:rt_hash": "x"},
    "of Cognito": {"token_use": "id"},
    "of Keycloak": {"typ": "ID"},
}
ORDINARY: list[dict[str, Any]] = [
    {"events": ["a", "b"]},
    {"events": "a"},
    {"vc": "Venture Capital"},
    {"vp": ["a"]},
    {"token_introspection": True},
    {"status_list": ["a"]},
    {"htm": "GET"},
    {"htu": "https://a/"},
    {"typ": "Bearer"},
    {"typ": ["ID"]},
    {"type": "id"},
    {"type": "user"},
    {"type": "offline"},
    {"token_use": "logout"},
    {"token_use": "access"},
    {"token_type": "access"},
    {"token_type": "Bearer"},
]


@pytest.mark.parametrize("kind", OF_OTHER_KINDS)
def test_a_token_of_another_kind_is_no_access_token(kind: str) -> None:
    """Whomever it is meant for, and also where ID tokens are accepted."""
    for policy in (POLICY, replace(POLICY, accept_id_tokens=True, accept_bound_as_bearer=True)):
        with pytest.raises(TypeNotAllowed):
            policy.check({**GOOD, "sub": "a", **OF_OTHER_KINDS[kind]}, NOW)


@pytest.mark.parametrize("kind", IDS)
def test_an_id_token_passes_only_where_that_is_said(kind: str) -> None:
    """However it can be told."""
    claims = {**GOOD, "sub": "a", **IDS[kind]}
    with pytest.raises(TypeNotAllowed):
        POLICY.check(claims, NOW)
    replace(POLICY, accept_id_tokens=True).check(claims, NOW)


@pytest.mark.parametrize("claims", ORDINARY, ids=repr)
def test_a_claim_of_an_applications_own_makes_no_other_kind(claims: dict[str, Any]) -> None:
    """Names that others use in another way."""
    POLICY.check({**GOOD, **claims}, NOW)


def test_a_claim_whose_value_the_issuer_asks_for_is_not_asked_again() -> None:
    """A service that takes refresh tokens says so."""
    policy = replace(POLICY, kind_claims=("token_use",))
    policy.check({**GOOD, "typ": "Refresh"}, NOW)
    with pytest.raises(TypeNotAllowed):
        policy.check({**GOOD, "token_use": "id"}, NOW)


def test_only_what_an_issuer_may_grant_counts() -> None:
    """What a granted role brings with it comes after the cut; the claims stay as signed."""
    claims = {
        "scope": "read write",
        "roles": ["editor", "admin"],
        "realm": {"roles": ["owner"]},
        "permissions": ["buy", "sell"],
    }
    grants = Grants(frozenset({"editor"}), frozenset({"read"}), frozenset({"buy"}))

    def brought(roles: frozenset[str]) -> frozenset[str]:
        return roles | {f"of {role}" for role in roles}

    cut = replace(POLICY, grants=grants).principal(claims, "https://a/", brought)
    none = replace(POLICY, grants=NO_GRANTS).principal(claims, "https://a/", brought)
    whole = POLICY.principal(claims, "https://a/", brought)

    assert cut.scopes == {"read"}
    assert cut.permissions == {"buy"}
    assert cut.roles == {"editor", "of editor"}
    assert not none.scopes | none.roles | none.permissions
    assert whole.roles == {
        f"{of}{role}" for of in ("", "of ") for role in ("editor", "admin", "owner")
    }
    assert cut.claims == none.claims == whole.claims
