"""Entra ID in either version, for one tenant or many, External ID, B2C, and AD FS."""

from dataclasses import replace
from typing import Any

import pytest

from jwt_middleware import ANY_TENANT, ConfigurationError, Guard
from jwt_middleware.presets import adfs, aws_alb, entra, entra_b2c, entra_external_id
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


@pytest.mark.parametrize("spelling", ["B2C_1A_SignIn", "b2c_1a_signin"])
def test_b2c_with_the_policy_in_the_issuer(provider: Provider, spelling: str) -> None:
    """In either spelling, since the service writes it in lower case; no other claim names it."""
    base = "https://contoso.b2clogin.com"
    keys = f"{base}/contoso.onmicrosoft.com/B2C_1A_SignIn/discovery/v2.0/keys"
    provider.publish(keys, "alg", nbf=1493763266)
    policies = ["B2C_1A_SignIn", "B2C_1A_Edit"]
    signin, edit = entra_b2c(
        "contoso",
        tenant_id=OURS,
        policy=policies,
        audience=API,
        policy_in_issuer=True,
        fetcher=provider.web,
    )
    guard = Guard(issuers=[signin, edit], clock=provider.clock)
    claims = {"iss": f"{base}/tfp/{OURS}/{spelling}/v2.0/", "aud": API, "scp": "read"}

    principal = guard.verify(provider.token(claims))

    assert principal.issuer == f"{base}/tfp/{OURS}/b2c_1a_signin/v2.0/"
    assert principal.scopes == {"read"}
    for wrong in (f"{base}/tfp/{OURS}/b2c_1a_reset/v2.0/", f"{base}/{OURS}/v2.0/"):
        assert code_of(guard, provider.token({**claims, "iss": wrong})) == "issuer_untrusted"
    # Where only the flow for changes publishes keys, those of the login do not serve it.
    other = provider.token({**claims, "iss": f"{base}/tfp/{OURS}/b2c_1a_edit/v2.0/"})
    assert code_of(guard, other) == "keys_unavailable"


@pytest.mark.parametrize("domain", [None, "login.acme.example"])
def test_external_id(provider: Provider, domain: str | None) -> None:
    """Documents at the tenant's name or a domain of its own, tokens with its id as host."""
    where = f"https://{domain or 'acme.ciamlogin.com'}/{OURS}"
    name = f"https://{OURS}.ciamlogin.com/{OURS}/v2.0"
    provider.discover(
        f"{where}/v2.0/.well-known/openid-configuration", name, f"{where}/discovery/v2.0/keys"
    )
    provider.publish(f"{where}/discovery/v2.0/keys", "alg", issuer=f"{LOGIN}/{OURS}/v2.0")
    issuer = entra_external_id(
        "acme", tenant_id=OURS.upper(), audience=API, domain=domain, fetcher=provider.web
    )
    guard = provider.guard(issuer)
    claims = claims_of(OURS, iss=name, oid="11aa")

    principal = guard.verify(provider.token(claims))

    assert principal.subject == "11aa"
    assert principal.scopes == {"orders.read", "profile"}
    changes: list[tuple[dict[str, Any], str]] = [
        ({"tid": THEIRS}, "claim_invalid"),
        ({"tid": None}, "claim_missing"),
        ({"iss": f"https://acme.ciamlogin.com/{OURS}/v2.0"}, "issuer_untrusted"),
        ({"iss": f"https://{THEIRS}.ciamlogin.com/{THEIRS}/v2.0"}, "issuer_untrusted"),
        ({"aud": "other"}, "audience_mismatch"),
    ]
    for changed, code in changes:
        assert code_of(guard, provider.token({**claims, **changed})) == code


@pytest.mark.parametrize(
    "arguments",
    [{"tenant": "acme.ciamlogin.com"}, {"tenant_id": "acme"}, {"domain": "https://a.example"}],
)
def test_external_id_needs_its_names(arguments: dict[str, Any]) -> None:
    """A name and an id, not an address."""
    given: dict[str, Any] = {"tenant": "acme", "tenant_id": OURS, "audience": API, **arguments}
    with pytest.raises(ConfigurationError, match=next(iter(arguments)).removesuffix("_id")):
        entra_external_id(**given)


def publish_adfs(provider: Provider) -> None:
    provider.publish("https://fs.acme.example/adfs/discovery/keys", x5t="AA", x5c=["AA=="])


ACCESS = "http://fs.acme.example/adfs/services/trust"
API_URN = "microsoft:identityserver:orders"
ACCESS_CLAIMS = {
    "iss": ACCESS,
    "aud": API_URN,
    "appid": API,
    "apptype": "Confidential",
    "authmethod": "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport",
    "auth_time": "2026-02-13T08:27:46.918Z",
    "ver": "1.0",
    "scp": "profile openid",
}
ID_CLAIMS = {"iss": "https://fs.acme.example/adfs", "aud": API, "upn": "alice@acme.example"}


def test_adfs_access_tokens(provider: Provider) -> None:
    """Their issuer begins with ``http://``; keys come by ``https://`` all the same."""
    publish_adfs(provider)
    guard = provider.guard(adfs("fs.acme.example", audience=API_URN, fetcher=provider.web))

    assert guard.verify(provider.token(ACCESS_CLAIMS)).scopes == {"profile", "openid"}
    assert provider.web.asked == ["https://fs.acme.example/adfs/discovery/keys"]
    # AD FS 2016 names no key id, and publishes two keys while they change.
    unnamed = replace(provider.key, kid=None)
    assert code_of(guard, provider.token(ACCESS_CLAIMS, unnamed, typ="JWT", x5t="AA")) == "passed"
    assert code_of(guard, provider.token({**ACCESS_CLAIMS, "aud": "x"})) == "audience_mismatch"
    assert code_of(guard, provider.token({**ID_CLAIMS, "aud": API_URN})) == "issuer_untrusted"
    stranger = replace(KeyPair.generate("RS256"), kid=None)
    assert code_of(guard, provider.token(ACCESS_CLAIMS, stranger)) == "signature_invalid"


def test_adfs_id_tokens(provider: Provider) -> None:
    """In their own name only, and both kinds stand side by side."""
    publish_adfs(provider)
    tokens = adfs("fs.acme.example", audience=API, kind="id", fetcher=provider.web)
    both = [tokens, adfs("fs.acme.example", audience=API_URN, fetcher=provider.web)]
    only, either = provider.guard(tokens), Guard(issuers=both, clock=provider.clock)
    identity = provider.token({**ID_CLAIMS, "at_hash": "x"})

    assert code_of(only, identity) == code_of(either, identity) == "passed"
    assert code_of(only, provider.token(ACCESS_CLAIMS)) == "issuer_untrusted"
    assert code_of(either, provider.token(ACCESS_CLAIMS)) == "passed"
    # An ID token does not become an access token by another name.
    posing = provider.token({**ACCESS_CLAIMS, "at_hash": "x"})
    assert code_of(either, posing) == "type_not_allowed"


def test_adfs_with_a_name_of_its_own(provider: Provider) -> None:
    """Administrators may name the service otherwise, and names of hosts keep their case there."""
    publish_adfs(provider)
    name = "http://FS.acme.example/adfs/services/trust"
    issuer = adfs("fs.acme.example", audience=API_URN, issuer=name, fetcher=provider.web)
    guard = provider.guard(issuer)

    assert code_of(guard, provider.token({**ACCESS_CLAIMS, "iss": name})) == "passed"
    assert code_of(guard, provider.token(ACCESS_CLAIMS)) == "issuer_untrusted"
    wrong: dict[str, Any]
    for wrong in ({"kind": "refresh"}, {"issuer": ""}, {"server": "https://fs.acme.example"}):
        given: dict[str, Any] = {"server": "fs.acme.example", "audience": "a", **wrong}
        with pytest.raises(ConfigurationError, match=next(iter(wrong))):
            adfs(**given)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"aliases": ["https://a/"]}, "aliases= cannot be set"),
        ({"required_values": None}, "required_values=None must be a mapping"),
        ({"required_header": None}, "required_header=None must be a mapping"),
        ({"required_header": {"kid": "x"}}, "'kid' cannot be required here"),
    ],
)
def test_what_would_undo_or_break_a_preset_is_refused_in_words(
    options: dict[str, Any], said: str
) -> None:
    """A second spelling of the name is the preset's own."""
    with pytest.raises(ConfigurationError, match=said):
        entra_b2c(
            "acme",
            tenant_id=OURS,
            policy="B2C_1_In",
            audience=API,
            policy_in_issuer=True,
            **options,
        )


def test_claims_that_a_caller_requires_stand_beside_those_of_the_preset() -> None:
    """None of them replaces another."""
    issuer = aws_alb(
        "https://id.example",
        signer="arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/app/a/"
        "50dc6c495c0c9188",
        client_id="c",
        required_claims=["email"],
    )

    assert issuer.required_claims == (("sub",), ("email",))
