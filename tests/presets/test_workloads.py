"""Cognito, GitHub Actions, Kubernetes."""

import ssl
from pathlib import Path
from typing import Any

import pytest

from jwt_middleware import ConfigurationError, Guard
from jwt_middleware.presets import cognito, github_actions, kubernetes
from jwt_middleware.testing import Answer, Clock, FakeIssuer
from tests.keys.remote.test_issuers_apart import authority_for
from tests.presets.documents import Provider, body, code_of

POOL = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_aB3dE5fG7"


@pytest.fixture
def provider() -> Provider:
    return Provider(Clock())


def cognito_tokens(provider: Provider) -> tuple[str, str]:
    """Return an access and an ID token: other keys, other claims."""
    common = {"iss": POOL, "cognito:groups": ["admins"], "auth_time": 1, "origin_jti": "j"}
    access = {**common, "client_id": "app", "token_use": "access", "scope": "openid a/read"}
    identity = {**common, "aud": "app", "token_use": "id", "at_hash": "x"}
    return provider.token(access, provider.key), provider.token(identity, provider.other)


def test_cognito_access_tokens(provider: Provider) -> None:
    """They name no audience; whose they are stands in ``client_id``."""
    issuer = cognito(
        "eu-central-1", "eu-central-1_aB3dE5fG7", client_id=["app", "b"], fetcher=provider.web
    )
    provider.publish(f"{POOL}/.well-known/jwks.json")
    guard = provider.guard(issuer)
    access, identity = cognito_tokens(provider)

    principal = guard.verify(access)

    assert principal.roles == {"admins"}
    assert principal.scopes == {"openid", "a/read"}
    assert code_of(guard, identity) == "audience_mismatch"
    changes: list[tuple[dict[str, Any], str]] = [
        ({"client_id": "evil"}, "claim_invalid"),
        ({"client_id": None}, "claim_missing"),
        ({"token_use": "id"}, "claim_invalid"),
        ({"token_use": None}, "claim_missing"),
        ({"aud": "app"}, "audience_mismatch"),
    ]
    for changed, code in changes:
        good = {"iss": POOL, "client_id": "app", "token_use": "access"}
        assert code_of(guard, provider.token({**good, **changed})) == code


def test_cognito_id_tokens(provider: Provider) -> None:
    """Only where they are asked for, and then access tokens do not pass."""
    issuer = cognito(
        "eu-central-1",
        "eu-central-1_aB3dE5fG7",
        client_id="app",
        kind="id",
        fetcher=provider.web,
    )
    provider.publish(f"{POOL}/.well-known/jwks.json")
    guard = provider.guard(issuer)
    access, identity = cognito_tokens(provider)

    assert guard.verify(identity).audience == ("app",)
    assert code_of(guard, access) == "claim_missing"
    named = {"iss": POOL, "aud": "app"}
    assert code_of(guard, provider.token({**named, "token_use": "access"})) == "claim_invalid"
    assert code_of(guard, provider.token(named)) == "claim_missing"
    other = provider.token({"iss": POOL, "aud": "evil", "token_use": "id"})
    assert code_of(guard, other) == "audience_mismatch"


def test_cognito_needs_a_client() -> None:
    """Without one every client of the pool would pass; there is no third kind of token."""
    with pytest.raises(ConfigurationError, match="client_id="):
        cognito("eu-central-1", "p", client_id=[])
    kind: Any = "refresh"
    with pytest.raises(ConfigurationError, match="kind="):
        cognito("eu-central-1", "p", client_id="a", kind=kind)


def test_github_actions(provider: Provider) -> None:
    """The audience is the caller's own choice, so the owner is checked."""
    name = "https://token.actions.githubusercontent.com"
    issuer = github_actions(
        audience="deploy", owner="acme", repository=["acme/shop"], fetcher=provider.web
    )
    provider.publish(f"{name}/.well-known/jwks", x5c=["AA=="], x5t="AA")
    guard = provider.guard(issuer)
    claims = {
        "iss": name,
        "aud": "deploy",
        "sub": "repo:acme/shop:ref:refs/heads/main",
        "repository": "acme/shop",
        "repository_owner": "acme",
        "ref": "refs/heads/main",
    }

    assert guard.verify(provider.token(claims)).claims["ref"] == "refs/heads/main"
    changes: list[tuple[dict[str, Any], str]] = [
        ({"repository_owner": "evil"}, "claim_invalid"),
        ({"repository": "acme/other"}, "claim_invalid"),
        ({"repository_owner": None}, "claim_missing"),
        ({"aud": "https://github.com/acme"}, "audience_mismatch"),
    ]
    for changed, code in changes:
        assert code_of(guard, provider.token({**claims, **changed})) == code


def test_github_actions_of_an_enterprise(provider: Provider) -> None:
    """It has a name of its own, and a discovery document below it."""
    name = "https://token.actions.githubusercontent.com/acme"
    issuer = github_actions(
        audience="deploy", owner="acme", enterprise="acme", fetcher=provider.web
    )
    provider.discover(f"{name}/.well-known/openid-configuration", name, f"{name}/keys")
    provider.publish(f"{name}/keys")
    guard = provider.guard(issuer)
    claims = {"iss": name, "aud": "deploy", "repository_owner": "acme"}

    assert code_of(guard, provider.token(claims)) == "passed"
    public = {**claims, "iss": "https://token.actions.githubusercontent.com"}
    assert code_of(guard, provider.token(public)) == "issuer_untrusted"


@pytest.mark.parametrize("whose", [{}, {"owner": []}, {"repository": ""}])
def test_github_actions_of_everybody_are_refused(whose: dict[str, Any]) -> None:
    """Any account of the world can ask for a token with any audience."""
    with pytest.raises(ConfigurationError):
        github_actions(audience="deploy", **whose)


def test_kubernetes_over_tls(tmp_path: Path) -> None:
    """With the cluster's authority and the pod's token, which is read again at each fetch."""
    key, certificate = authority_for("localhost")
    (tmp_path / "key.pem").write_bytes(key)
    (tmp_path / "ca.crt").write_bytes(certificate)
    (tmp_path / "token").write_text("first\n")
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(tmp_path / "ca.crt", tmp_path / "key.pem")
    clock = Clock()
    server = FakeIssuer(["RS256"], now=clock.now)
    server._server.socket = served.wrap_socket(server._server.socket, server_side=True)
    name = "https://kubernetes.default.svc.cluster.local"
    path = "/openid/v1/jwks"
    with server:
        server.answers[path] = Answer(200, body({"keys": [server.key.jwk]}))
        issuer = kubernetes(
            audience="orders",
            server=f"https://localhost:{server.url.rpartition(':')[2]}/",
            ca_file=tmp_path / "ca.crt",
            token_file=str(tmp_path / "token"),
        )
        guard = Guard(issuers=issuer, clock=clock)
        subject = "system:serviceaccount:shop:web"
        text = server.token(iss=name, aud=["orders"], sub=subject, exp=int(clock.now()) + 9_000)
        assert guard.verify(text).subject == subject
        (tmp_path / "token").write_text("second")
        clock.tick(601)
        assert guard.verify(text).subject == subject
        assert [asked.headers["authorization"] for asked in server.asked] == [
            "Bearer first",
            "Bearer second",
        ]
        (tmp_path / "token").unlink()
        clock.tick(601)
        assert guard.verify(text).subject == subject
        assert guard.health()[name].last_failure == "no answer (FileNotFoundError)"


def test_kubernetes_trusts_no_other_authority(tmp_path: Path) -> None:
    """A server whose certificate the cluster's authority did not sign gets no token."""
    key, certificate = authority_for("localhost")
    (tmp_path / "key.pem").write_bytes(key)
    (tmp_path / "certificate.pem").write_bytes(certificate)
    (tmp_path / "ca.crt").write_bytes(authority_for("localhost")[1])
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(tmp_path / "certificate.pem", tmp_path / "key.pem")
    clock = Clock()
    server = FakeIssuer(["RS256"], now=clock.now)
    server._server.socket = served.wrap_socket(server._server.socket, server_side=True)
    with server:
        issuer = kubernetes(
            audience="orders",
            server=f"https://localhost:{server.url.rpartition(':')[2]}",
            ca_file=tmp_path / "ca.crt",
            token_file=None,
        )
        guard = Guard(issuers=issuer, clock=clock)

        assert code_of(guard, server.token(iss=issuer.issuer, aud="orders")) == "keys_unavailable"
        assert not server.asked


def test_kubernetes_with_keys_at_hand() -> None:
    """Keys of the configuration need no fetch, so the files are not looked for."""
    clock = Clock()
    with FakeIssuer(["ES256"], now=clock.now) as server:
        issuer = kubernetes(audience="orders", keys=server.key.jwk)
        guard = Guard(issuers=issuer, clock=clock)

        assert guard.verify(server.token(iss=issuer.issuer, aud="orders")).subject == "alice"
