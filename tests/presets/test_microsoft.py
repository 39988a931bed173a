"""Entra ID in either version, for one tenant or many, and B2C."""

from typing import Any

import pytest

from jwt_middleware import ANY_TENANT, ConfigurationError, Guard
from jwt_middleware.presets import entra, entra_b2c
from jwt_middleware.testing import Clock, KeyPair
from tests.presets.documents import Provider, code_of

LOGIN = "https://login.microsoftonline.com"
OURS = "8a2e1b70-4c1d-4f7e-9a55-0d1f2c3b4a59"
THEIRS = "11111111-2222-4333-8444-555555555555"
# Where personal accounts live; some keys are for it alone.
PERSONAL = "9188040d-6c67-4c5b-b112-36a304b66dad"
API = "0e1f2a3b-4c5d-4e6f-8a9b-0c1d2e3f4a5b"


@pytest.fixture
def provider() -> Provider:
    return Provider(Clock())


def publish_v2(provider: Provider, where: str, issuer: str) -> str:
    """Publish as version 2 does: no ``alg``, certificates, and with each key whose it is."""
    keys = f"{LOGIN}/{where}/discovery/v2.0/keys"
    provider.discover(f"{LOGIN}/{where}/v2.0/.well-known/openid-configuration", issuer, keys)
    template = f"{LOGIN}/{{tenantid}}/v2.0"
    extra = {"x5t": "AA", "x5c": ["AA=="], "cloud_instance_name": "microsoftonline.com"}
    members = [
        {**provider.key.jwk, **extra, "issuer": template},
        {**provider.other.jwk, **extra, "issuer": f"{LOGIN}/{PERSONAL}/v2.0"},
    ]
    for member in members:
        del member["alg"]
    provider.web.put(keys, {"keys": members})
    return keys


def claims_of(tenant: str, **claims: Any) -> dict[str, Any]:
    good = {"iss": f"{LOGIN}/{tenant}/v2.0", "tid": tenant, "aud": API, "ver": "2.0"}
    return {**good, "scp": "orders.read profile", "roles": ["Admin"], **claims}


def test_one_tenant(provider: Provider) -> None:
    """Its own discovery document names it; keys have no ``alg`` and say whose they are."""
    issuer = entra(OURS.upper(), audience=API, fetcher=provider.web)
    keys = publish_v2(provider, OURS, f"{LOGIN}/{OURS}/v2.0")
    guard = provider.guard(issuer)

    principal = guard.verify(provider.token(claims_of(OURS)))

    assert principal.scopes == {"orders.read", "profile"}
    assert principal.roles == {"Admin"}
    assert principal.issuer == f"{LOGIN}/{OURS}/v2.0"
    assert provider.web.asked == [
        f"{LOGIN}/{OURS}/v2.0/.well-known/openid-configuration",
        keys,
    ]
    assert code_of(guard, provider.token(claims_of(THEIRS))) == "issuer_untrusted"
    assert code_of(guard, provider.token(claims_of(OURS, tid=THEIRS))) == "claim_invalid"
    # A key for personal accounts, in the name of a company.
    assert code_of(guard, provider.token(claims_of(OURS), provider.other)) == "key_unknown"


@pytest.mark.parametrize("tenants", [[OURS, PERSONAL], ANY_TENANT])
def test_several_tenants_share_one_fetch(provider: Provider, tenants: Any) -> None:
    """The document is a template; each key vouches for the tenants that it names."""
    template = f"{LOGIN}/{{tenantid}}/v2.0"
    keys = publish_v2(provider, "common", template)
    guard = provider.guard(entra(tenants, audience=API, fetcher=provider.web))

    assert code_of(guard, provider.token(claims_of(OURS))) == "passed"
    assert code_of(guard, provider.token(claims_of(PERSONAL))) == "passed"
    assert code_of(guard, provider.token(claims_of(PERSONAL), provider.other)) == "passed"
    assert code_of(guard, provider.token(claims_of(OURS), provider.other)) == "key_unknown"
    expected = "passed" if tenants is ANY_TENANT else "issuer_untrusted"
    assert code_of(guard, provider.token(claims_of(THEIRS))) == expected
    assert provider.web.asked.count(keys) == 1
    assert guard.verify(provider.token(claims_of(OURS))).identity.startswith(f"{LOGIN}/{OURS}")


def test_a_document_of_one_tenant_is_no_template(provider: Provider) -> None:
    """Discovery must say what is configured, the hole included."""
    publish_v2(provider, "common", f"{LOGIN}/{OURS}/v2.0")
    several = provider.guard(entra([OURS], audience=API, fetcher=provider.web))
    assert code_of(several, provider.token(claims_of(OURS))) == "keys_unavailable"

    publish_v2(provider, OURS, f"{LOGIN}/{{tenantid}}/v2.0")
    one = provider.guard(entra(OURS, audience=API, fetcher=provider.web))
    assert code_of(one, provider.token(claims_of(OURS))) == "keys_unavailable"


@pytest.mark.parametrize(("tenant", "where"), [(OURS, OURS), ([OURS], "common")])
def test_version_1(provider: Provider, tenant: Any, where: str) -> None:
    """Another name than the host of its documents, and keys that do not say whose they are."""
    place = OURS if tenant == OURS else "{tenantid}"
    keys = f"{LOGIN}/common/discovery/keys"
    provider.discover(
        f"{LOGIN}/{where}/.well-known/openid-configuration",
        f"https://sts.windows.net/{place}/",
        keys,
    )
    provider.publish(keys, "alg", x5t="AA", x5c=["AA=="])
    guard = provider.guard(entra(tenant, audience="api://orders", version=1, fetcher=provider.web))
    claims = {"iss": f"https://sts.windows.net/{OURS}/", "tid": OURS, "aud": "api://orders"}

    assert guard.verify(provider.token({**claims, "scp": "a b"})).scopes == {"a", "b"}
    assert code_of(guard, provider.token({**claims, "tid": THEIRS})) == "claim_invalid"
    second = {**claims, "iss": f"{LOGIN}/{OURS}/v2.0"}
    assert code_of(guard, provider.token(second)) == "issuer_untrusted"


def test_a_key_that_is_dropped_for_a_moment_is_looked_for(provider: Provider) -> None:
    """While keys roll over, answers differ in what they hold."""
    keys = publish_v2(provider, OURS, f"{LOGIN}/{OURS}/v2.0")
    guard = provider.guard(entra(OURS, audience=API, fetcher=provider.web))
    guard.warm(required=True)
    full = provider.web.answers[keys]
    provider.web.put(keys, {"keys": [KeyPair.generate("RS256", "new").jwk]})
    provider.clock.tick(601)
    unnamed = provider.token(claims_of(OURS), KeyPair.generate("RS256", "new"))
    assert code_of(guard, unnamed) == "signature_invalid"
    provider.web.answers[keys] = full

    assert code_of(guard, provider.token(claims_of(OURS))) == "passed"


def test_an_application_with_keys_of_its_own(provider: Provider) -> None:
    """``appid`` goes to discovery, and another cloud has another host."""
    assert entra(OURS, audience=API, appid=API).discovery == (
        f"{LOGIN}/{OURS}/v2.0/.well-known/openid-configuration?appid={API}"
    )
    government = entra(OURS, audience=API, authority="login.microsoftonline.us")
    assert government.issuer == f"https://login.microsoftonline.us/{OURS}/v2.0"


def test_b2c(provider: Provider) -> None:
    """The policy is in the address of the documents and must be in the token."""
    base = "https://contoso.b2clogin.com"
    path = f"{base}/contoso.onmicrosoft.com/B2C_1_signin"
    name = f"{base}/{OURS}/v2.0/"
    provider.discover(
        f"{path}/v2.0/.well-known/openid-configuration", name, f"{path}/discovery/v2.0/keys"
    )
    provider.publish(f"{path}/discovery/v2.0/keys", "alg", nbf=1493763266)
    issuer = entra_b2c(
        "contoso", tenant_id=OURS, policy="B2C_1_signin", audience=API, fetcher=provider.web
    )
    guard = provider.guard(issuer)
    claims = {"iss": name, "aud": API, "tfp": "B2C_1_signin", "scp": "read"}

    assert guard.verify(provider.token(claims)).scopes == {"read"}
    assert code_of(guard, provider.token({**claims, "tfp": "b2c_1_signin"})) == "passed"
    assert code_of(guard, provider.token({**claims, "tfp": "B2C_1_reset"})) == "claim_invalid"
    assert code_of(guard, provider.token({**claims, "tfp": None})) == "claim_missing"
    assert code_of(guard, provider.token({**claims, "iss": name[:-1]})) == "issuer_untrusted"
    older = entra_b2c(
        "contoso",
        tenant_id=OURS,
        policy="B2C_1_signin",
        audience=API,
        policy_claim="acr",
        domain="login.contoso.example",
        keys=provider.key.jwk,
    )
    text = provider.token({**claims, "iss": older.issuer, "tfp": None, "acr": "B2C_1_signin"})
    assert older.issuer == f"https://login.contoso.example/{OURS}/v2.0/"
    assert code_of(Guard(issuers=older, clock=provider.clock), text) == "passed"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"tenant": "contoso.onmicrosoft.com"}, "must be a GUID"),
        ({"tenant": "common"}, "must be a GUID"),
        ({"tenant": []}, "must not be empty"),
        ({"tenant": OURS, "version": 3}, "version=3"),
        ({"tenant": OURS, "version": 1, "authority": "login.microsoftonline.us"}, "authority="),
        ({"tenant": OURS, "appid": "a&b"}, "appid="),
    ],
)
def test_what_names_nobody_is_refused(arguments: dict[str, Any], says: str) -> None:
    """With a sentence that says what to write."""
    with pytest.raises(ConfigurationError, match=says):
        entra(**arguments, audience=API)


def test_b2c_needs_its_ids() -> None:
    """Names are no ids, and a policy is one name."""
    good: dict[str, Any] = {"tenant": "contoso", "tenant_id": OURS, "policy": "p", "audience": API}
    for wrong in ({"tenant_id": "contoso"}, {"policy": "a/b"}, {"tenant": "a/b"}):
        arguments: dict[str, Any] = good | wrong
        with pytest.raises(ConfigurationError):
            entra_b2c(**arguments)
