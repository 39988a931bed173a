"""Auth0, Okta, Keycloak, Zitadel, Apple: documents and tokens in the shape of theirs."""

from typing import Any

import pytest

from jwt_middleware import ConfigurationError, Guard, has_claim, protect
from jwt_middleware.presets import apple, auth0, cloudflare_access, keycloak, okta, zitadel
from jwt_middleware.testing import Answer, Clock, FakeIssuer, KeyPair
from tests.presets.documents import Provider, body, code_of


@pytest.fixture
def provider() -> Provider:
    return Provider(Clock())


def test_auth0(provider: Provider) -> None:
    """A name with a slash at its end, permissions in an array, a pre-published next key."""
    issuer = auth0("acme.eu.auth0.com", audience="https://api", fetcher=provider.web)
    provider.publish("https://acme.eu.auth0.com/.well-known/jwks.json", x5t="AA", x5c=["AA=="])
    guard = provider.guard(issuer)
    claims = {
        "iss": "https://acme.eu.auth0.com/",
        "aud": ["https://api", "https://acme.eu.auth0.com/userinfo"],
        "azp": "client",
        "scope": "openid read:orders",
        "permissions": ["read:orders"],
    }

    principal = guard.verify(provider.token(claims))

    assert principal.permissions == {"read:orders"}
    assert principal.scopes == {"openid", "read:orders"}
    assert code_of(guard, provider.token(claims, provider.other)) == "passed"
    without_slash = {**claims, "iss": "https://acme.eu.auth0.com"}
    assert code_of(guard, provider.token(without_slash)) == "issuer_untrusted"
    assert code_of(guard, provider.token({**claims, "at_hash": "x"})) == "type_not_allowed"
    rules = [auth0("acme.eu.auth0.com", audience="https://api", leeway=0)]
    assert rules[0].policy.leeway == 0


def test_okta(provider: Provider) -> None:
    """Scopes in an array ``scp``, groups as roles, ``no-cache`` near a rotation, no ``typ``."""
    issuer = okta("acme.okta.com", audience="api://default", fetcher=provider.web)
    name = "https://acme.okta.com/oauth2/default"
    provider.publish(f"{name}/v1/keys", headers={"cache-control": "no-cache, no-store"})
    guard = provider.guard(issuer)
    claims = {"iss": name, "aud": "api://default", "cid": "c", "uid": "u", "ver": 1}

    principal = guard.verify(provider.token({**claims, "scp": ["a", "b"], "groups": ["Admins"]}))

    assert principal.scopes == {"a", "b"}
    assert principal.roles == {"Admins"}
    for number in range(20):
        assert code_of(guard, provider.token({**claims, "jti": str(number)})) == "passed"
    assert provider.web.asked == [f"{name}/v1/keys"]
    org = provider.token({**claims, "iss": "https://acme.okta.com"})
    assert code_of(guard, org) == "issuer_untrusted"
    named = okta("acme.okta.com", audience="a", server="aus123").issuer
    assert named == "https://acme.okta.com/oauth2/aus123"
    with pytest.raises(ConfigurationError, match="custom authorization server"):
        okta("acme.okta.com", audience="a", server="")


def test_keycloak_over_http() -> None:
    """An encryption key beside the signing key, thirty days of ``max-age``, tokens that say what
    they are, and roles of the realm; over a real connection."""
    clock = Clock()
    with FakeIssuer(["RS256"], now=clock.now) as server:
        base = server.url
        encryption = {**KeyPair.generate("RS256", "enc").jwk, "use": "enc", "alg": "RSA-OAEP"}
        document = {"keys": [encryption, {**server.key.jwk, "x5c": ["AA=="], "x5t": "AA"}]}
        path = "/auth/realms/shop/protocol/openid-connect/certs"
        long = {"Cache-Control": "max-age=2592000"}
        server.answers[path] = Answer(200, body(document), long)
        guard = Guard(issuers=keycloak(f"{base}/auth/", "shop", audience="orders"), clock=clock)
        claims: dict[str, Any] = {
            "iss": f"{base}/auth/realms/shop",
            "aud": ["orders", "account"],
            "typ": "Bearer",
            "realm_access": {"roles": ["admin"]},
            "scope": "profile email",
        }

        principal = guard.verify(server.token(**claims))

        assert principal.roles == {"admin"}
        assert principal.scopes == {"profile", "email"}
        for kind in ("ID", "Refresh", "Logout"):
            assert code_of(guard, server.token(**{**claims, "typ": kind})) == "claim_invalid"
        assert code_of(guard, server.token(**{**claims, "typ": None})) == "claim_missing"
        clock.tick(601)
        guard.verify(server.token(**claims))
        assert server.requests[path] == 2


def test_keycloak_behind_another_address() -> None:
    """The name is what tokens say; the keys may be fetched from within."""
    clock = Clock()
    with FakeIssuer(["RS256"], now=clock.now) as server:
        inside = keycloak(
            "https://sso.example.com", "shop", audience="orders", jwks_uri=server.jwks_uri
        )
        guard = Guard(issuers=inside, clock=clock)
        name = "https://sso.example.com/realms/shop"

        assert guard.verify(server.token(iss=name, aud="orders", typ="Bearer")).issuer == name


def test_zitadel(provider: Provider) -> None:
    """Roles in an object, keys that change without notice, ``no-cache``."""
    issuer = zitadel("acme.zitadel.cloud", audience="project", fetcher=provider.web)
    keys = "https://acme.zitadel.cloud/oauth/v2/keys"
    provider.publish(keys, headers={"cache-control": "no-cache"})
    role = ("urn:zitadel:iam:org:project:roles", "admin")
    guard = Guard(
        issuers=issuer, clock=provider.clock, rules=[protect("/**", requires=has_claim(role))]
    )
    claims = {"iss": "https://acme.zitadel.cloud", "aud": ["client", "project"]}
    with_role = {**claims, role[0]: {"admin": {"1": "acme.zitadel.cloud"}}}

    assert "403" not in guard.explain("GET", "/", provider.token(with_role)).outcome
    assert "403" in guard.explain("GET", "/", provider.token(claims)).outcome
    provider.key = KeyPair.generate("RS256", "new")
    provider.publish(keys)
    assert code_of(guard, provider.token(claims)) == "passed"
    assert len(provider.web.asked) == 2


def test_apple(provider: Provider) -> None:
    """ID tokens by name, signed with any of several keys that come without a lifetime."""
    issuer = apple("com.example.app", fetcher=provider.web)
    keys = "https://appleid.apple.com/auth/keys"
    provider.publish(keys, headers={"cache-control": "no-cache, no-store"})
    guard = provider.guard(issuer)
    claims = {
        "iss": "https://appleid.apple.com",
        "aud": "com.example.app",
        "at_hash": "x",
        "email_verified": "true",
        "nonce_supported": True,
    }

    for key in (provider.key, provider.other):
        assert code_of(guard, provider.token(claims, key)) == "passed"
    assert provider.web.asked == [keys]
    assert code_of(guard, provider.token({**claims, "aud": "x"})) == "audience_mismatch"


@pytest.mark.parametrize(
    "value", ["https://acme.okta.com", "acme.okta.com/", "Acme.okta.com", "", "a b", "a@b", 7]
)
def test_a_host_is_a_host(value: Any) -> None:
    """What is no bare host would be another name than the tokens carry."""
    for preset in (auth0, okta, zitadel):
        with pytest.raises(ConfigurationError, match="name of a host"):
            preset(value, audience="api")


@pytest.mark.parametrize("value", ["", "a/b", "../x", "a?b", "a b", 7])
def test_a_name_in_a_path_stays_in_its_place(value: Any) -> None:
    """A realm or server that would change the path is refused."""
    with pytest.raises(ConfigurationError, match="realm="):
        keycloak("https://sso.example.com", value, audience="api")


def test_what_a_preset_requires_stays_required() -> None:
    """A user's values come in addition; the same claim twice is a mistake."""
    more = keycloak("https://s.example", "r", audience="a", required_values={"azp": "web"})
    assert dict(more.required_values) == {("azp",): ("web",), ("typ",): ("Bearer",)}
    with pytest.raises(ConfigurationError, match="the preset sets it"):
        keycloak("https://s.example", "r", audience="a", required_values={"typ": "ID"})


TEAM = "https://acme.cloudflareaccess.com"


def test_cloudflare_access(provider: Provider) -> None:
    """Certificates beside the keys; people by ``sub``, machines by ``common_name``."""
    issuer = cloudflare_access("acme", audience="4714c1358e65fe4b", fetcher=provider.web)
    keys = [provider.other.jwk, provider.key.jwk]
    document = {"keys": keys, "public_cert": {"kid": "k1", "cert": "-----BEGIN"}}
    provider.web.put(f"{TEAM}/cdn-cgi/access/certs", {**document, "public_certs": []})
    guard = provider.guard(issuer)
    common = {"iss": TEAM, "aud": ["4714c1358e65fe4b"], "type": "app"}
    person = {**common, "sub": "7335d417", "email": "a@acme.example", "identity_nonce": "n"}
    machine = {**common, "sub": "", "common_name": "e367826f93b8d71185e03fe518aff3b4.access"}

    assert guard.verify(provider.token(person)).subject == "7335d417"
    assert guard.verify(provider.token(machine)).subject == machine["common_name"]
    changes: list[tuple[dict[str, Any], str]] = [
        # The session of the whole team, which may have the tags of all its applications.
        ({"type": "org"}, "claim_invalid"),
        ({"type": None}, "claim_missing"),
        ({"aud": ["other"]}, "audience_mismatch"),
        ({"iss": "https://evil.cloudflareaccess.com"}, "issuer_untrusted"),
    ]
    for changed, code in changes:
        assert code_of(guard, provider.token({**person, **changed})) == code


@pytest.mark.parametrize("team", ["acme.cloudflareaccess.com", "acme.evil.example/", "Acme", ""])
def test_a_team_is_one_name(team: str) -> None:
    """Which cannot lead to another host."""
    with pytest.raises(ConfigurationError, match="team="):
        cloudflare_access(team, audience="a")
