"""An issuer with tenants: whom its name stands for, and which key vouches for whom."""

from typing import Any

import pytest

from jwt_middleware import (
    ANY_TENANT,
    AdmittedIssuers,
    ConfigurationError,
    Guard,
    Issuer,
    TokenError,
)
from jwt_middleware.testing import Clock, KeyPair

NAME = "https://login.example/{tenantid}/v2.0"
OURS = "8a2e1b70-4c1d-4f7e-9a55-0d1f2c3b4a59"
THEIRS = "11111111-2222-4333-8444-555555555555"
KEY = KeyPair.generate("RS256", "shared")


def of(tenant: str) -> str:
    return NAME.replace("{tenantid}", tenant)


def token(clock: Clock, tenant: str = OURS, key: KeyPair = KEY, **claims: Any) -> str:
    good = {"iss": of(tenant), "tid": tenant, "aud": "api", "sub": "42"}
    good["exp"] = int(clock.now()) + 300  # type: ignore[assignment]
    return key.sign({name: v for name, v in (good | claims).items() if v is not None})


def guard_of(clock: Clock, tenants: Any, name: str = NAME, **key: Any) -> Guard:
    jwks = {"keys": [{**KEY.jwk, **key}]}
    issuer = Issuer(name, audience="api", keys=jwks, tenants=tenants)
    return Guard(issuers=issuer, clock=clock)


def code_of(guard: Guard, text: str) -> str:
    try:
        guard.verify(text)
    except TokenError as refused:
        return refused.code
    return "passed"


def test_a_listed_tenant_passes_and_another_does_not(clock: Clock) -> None:
    """The list may be written in either case, as people copy GUIDs."""
    guard = guard_of(clock, [OURS.upper()])

    assert code_of(guard, token(clock)) == "passed"
    assert code_of(guard, token(clock, THEIRS)) == "issuer_untrusted"


def test_any_tenant_is_said_aloud(clock: Clock) -> None:
    """Then each is an issuer of its own: one subject in two tenants is two callers."""
    guard = guard_of(clock, ANY_TENANT)

    ours, theirs = (guard.verify(token(clock, tenant)) for tenant in (OURS, THEIRS))

    assert (ours.issuer, ours.identity) == (of(OURS), f"{of(OURS)}|42")
    assert (theirs.issuer, theirs.identity) == (of(THEIRS), f"{of(THEIRS)}|42")
    assert list(guard.health()) == [NAME]


@pytest.mark.parametrize(
    "iss",
    [
        NAME,
        of(OURS.upper()),
        of(""),
        of("common"),
        of(f"{OURS}/x"),
        of(f"{THEIRS}/{OURS}"),
        of(OURS) + "/",
        of(OURS).replace("https", "HTTPS"),
        f"https://login.example/{OURS}/v1.0",
        f"x{of(OURS)}",
        of(f"{OURS}\n"),
        "https://login.example//v2.0",
        "https://login.example/v2.0",
    ],
)
@pytest.mark.parametrize("tenants", [[OURS], ANY_TENANT])
def test_only_a_tenants_id_stands_for_the_hole(clock: Clock, iss: str, tenants: Any) -> None:
    """Everything else in its place is nobody whom we trust."""
    assert code_of(guard_of(clock, tenants), token(clock, iss=iss)) == "issuer_untrusted"


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"tid": None}, "claim_missing"),
        ({"tid": None, "TID": OURS}, "claim_missing"),
        ({"TID": OURS}, "claim_invalid"),
        ({"Tid": THEIRS}, "claim_invalid"),
        ({"tid": THEIRS}, "claim_invalid"),
        ({"tid": OURS.upper()}, "claim_invalid"),
        ({"tid": f"{OURS} "}, "claim_invalid"),
        ({"tid": [OURS]}, "claim_invalid"),
        ({"tid": 7}, "claim_invalid"),
        ({"tid": ""}, "claim_invalid"),
    ],
)
@pytest.mark.parametrize("name", [NAME, of(OURS)])
def test_the_tenant_must_agree_with_the_issuer(
    clock: Clock, name: str, claims: dict[str, Any], code: str
) -> None:
    """Exactly, and no second claim may be taken for it; for a name without a hole as well."""
    assert code_of(guard_of(clock, [OURS], name), token(clock)) == "passed"
    assert code_of(guard_of(clock, [OURS], name), token(clock, **claims)) == code


@pytest.mark.parametrize("tenants", [[OURS, THEIRS], ANY_TENANT])
def test_one_trusted_tenant_does_not_pass_for_another(clock: Clock, tenants: Any) -> None:
    """Where both are trusted, ``iss`` and ``tid`` must still name the same."""
    assert code_of(guard_of(clock, tenants), token(clock, tid=THEIRS)) == "claim_invalid"


@pytest.mark.parametrize(
    ("issuer", "code"),
    [
        (NAME, "passed"),
        (of(OURS), "passed"),
        (of(THEIRS), "key_unknown"),
        ("https://login.example/{tenantid}/", "key_unknown"),
        (of(OURS.upper()), "key_unknown"),
        ("", "key_unknown"),
    ],
)
@pytest.mark.parametrize("tenants", [[OURS], ANY_TENANT])
def test_a_key_vouches_for_the_issuer_that_it_names(
    clock: Clock, issuer: str, code: str, tenants: Any
) -> None:
    """With the token's tenant filled in; a key that names none is for everybody of the set."""
    assert code_of(guard_of(clock, tenants, issuer=issuer), token(clock)) == code
    assert code_of(guard_of(clock, tenants), token(clock)) == "passed"


def test_of_two_keys_of_a_name_the_right_one_is_tried(clock: Clock) -> None:
    """One key set, two issuers, one kid."""
    other = KeyPair.generate("RS256", "shared")
    jwks = {"keys": [{**other.jwk, "issuer": of(THEIRS)}, {**KEY.jwk, "issuer": of(OURS)}]}
    guard = Guard(
        issuers=Issuer(NAME, audience="api", keys=jwks, tenants=[OURS, THEIRS]), clock=clock
    )

    assert code_of(guard, token(clock)) == "passed"
    assert code_of(guard, token(clock, THEIRS, other)) == "passed"
    assert code_of(guard, token(clock, THEIRS)) == "signature_invalid"
    assert code_of(guard, token(clock, OURS, other)) == "signature_invalid"


def test_without_tenants_the_member_means_nothing(clock: Clock) -> None:
    """RFC 7517 §4: members that are not understood are ignored, and any provider may have some."""
    issuer = Issuer(of(OURS), audience="api", keys={**KEY.jwk, "issuer": "anything"})

    assert code_of(Guard(issuers=issuer, clock=clock), token(clock)) == "passed"


def test_a_tenants_keys_are_not_withdrawn_from_a_rule_that_would_admit_it_too(clock: Clock) -> None:
    """The template comes first, so such a withdrawal would be accepted and have no effect."""
    jwks = {"keys": [KEY.jwk]}
    template = Issuer(NAME, audience="api", keys=jwks, tenants=[OURS])
    rule = AdmittedIssuers(lambda name: Issuer(name, audience="api", keys=jwks))
    guard = Guard(issuers=[template, rule], clock=clock)

    with pytest.raises(ConfigurationError, match="the configured name"):
        guard.distrust(of(OURS), KEY.kid)
    guard.distrust(NAME, KEY.kid)

    assert code_of(guard, token(clock)) == "key_unknown"
    # Without the template the rule admits this one.
    assert code_of(guard, token(clock, THEIRS)) == "passed"
    guard.distrust(of(THEIRS), KEY.kid)
    assert code_of(guard, token(clock, THEIRS)) == "key_unknown"
