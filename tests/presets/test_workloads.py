"""Cognito, pipelines of GitHub, GitLab and Bitbucket, Kubernetes, SPIFFE."""

import ssl
from pathlib import Path
from typing import Any

import pytest

from jwt_middleware import ConfigurationError, Guard, Issuer
from jwt_middleware.presets import (
    bitbucket_pipelines,
    cognito,
    github_actions,
    gitlab_ci,
    kubernetes,
)
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


GITLAB_CLAIMS = {
    "iss": "https://gitlab.com",
    "aud": "deploy",
    "sub": "project_path:acme/shop:ref_type:branch:ref:main",
    "namespace_id": "12885807",
    "namespace_path": "acme",
    "project_id": "53804090",
    "project_path": "acme/shop",
    "ref": "main",
    "ref_type": "branch",
    "ref_protected": "true",
    "runner_environment": "gitlab-hosted",
}


def test_gitlab_ci(provider: Provider) -> None:
    """The audience is the job's own choice, so it is checked whose job it is."""
    issuer = gitlab_ci(
        audience="deploy", namespace="acme", project=["acme/shop", "acme/b"], fetcher=provider.web
    )
    provider.publish("https://gitlab.com/oauth/discovery/keys")
    guard = provider.guard(issuer)

    assert guard.verify(provider.token(GITLAB_CLAIMS)).claims["ref"] == "main"
    changes: list[tuple[dict[str, Any], str]] = [
        ({"namespace_path": "evil"}, "claim_invalid"),
        ({"namespace_path": "acme/sub"}, "claim_invalid"),
        ({"project_path": "acme/other"}, "claim_invalid"),
        # As in the ID token of a person who signs in with GitLab.
        ({"namespace_path": None, "project_path": None}, "claim_missing"),
        ({"aud": "https://vault.example"}, "audience_mismatch"),
        ({"iss": "https://gitlab.acme.example"}, "issuer_untrusted"),
    ]
    for changed, code in changes:
        assert code_of(guard, provider.token({**GITLAB_CLAIMS, **changed})) == code


def test_gitlab_ci_of_a_server_of_ones_own(provider: Provider) -> None:
    """Its address is its name, with a path if it has one."""
    name = "https://acme.example/gitlab"
    issuer = gitlab_ci(
        audience="deploy", project="acme/shop", base_url=f"{name}/", fetcher=provider.web
    )
    provider.publish(f"{name}/oauth/discovery/keys")

    text = provider.token({**GITLAB_CLAIMS, "iss": name})
    assert code_of(provider.guard(issuer), text) == "passed"


@pytest.mark.parametrize("whose", [{}, {"namespace": []}, {"project": ""}])
def test_gitlab_jobs_of_everybody_are_refused(whose: dict[str, Any]) -> None:
    """Any account of gitlab.com can ask for a token with any audience."""
    with pytest.raises(ConfigurationError):
        gitlab_ci(audience="deploy", **whose)


BITBUCKET = "https://api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc"
REPOSITORY = "12bc5bd8-1a2b-4c3d-8e4f-5a6b7c8d9e0f"
WORKSPACE_AUDIENCE = "ari:cloud:bitbucket::workspace/84c08677-e352-4a1c-a107-6df387cfeef7"
BITBUCKET_CLAIMS = {
    "iss": BITBUCKET,
    "aud": WORKSPACE_AUDIENCE,
    "sub": f"{{{REPOSITORY}}}:{{2d0d0d4f-3e6a-4f0b-9f0c-1e2d3c4b5a69}}",
    "workspaceUuid": "{84c08677-e352-4a1c-a107-6df387cfeef7}",
    "repositoryUuid": f"{{{REPOSITORY}}}",
    "branchName": "main",
}


@pytest.mark.parametrize("given", [REPOSITORY, f"{{{REPOSITORY.upper()}}}", [REPOSITORY]])
def test_bitbucket_pipelines(provider: Provider, given: Any) -> None:
    """The workspace is in the name of the issuer, a repository in a claim with braces."""
    issuer = bitbucket_pipelines(
        "acme", audience=WORKSPACE_AUDIENCE, repository=given, fetcher=provider.web
    )
    provider.publish(f"{BITBUCKET}/keys.json")
    guard = provider.guard(issuer)

    assert guard.verify(provider.token(BITBUCKET_CLAIMS)).claims["branchName"] == "main"
    changes: list[tuple[dict[str, Any], str]] = [
        ({"repositoryUuid": "{00000000-1a2b-4c3d-8e4f-5a6b7c8d9e0f}"}, "claim_invalid"),
        ({"repositoryUuid": REPOSITORY}, "claim_invalid"),
        ({"repositoryUuid": None}, "claim_missing"),
        ({"aud": "https://aws.example"}, "audience_mismatch"),
        ({"iss": BITBUCKET.replace("acme", "evil")}, "issuer_untrusted"),
    ]
    for changed, code in changes:
        assert code_of(guard, provider.token({**BITBUCKET_CLAIMS, **changed})) == code


def test_bitbucket_pipelines_of_a_workspace(provider: Provider) -> None:
    """Without a repository those of all its repositories pass; names are no UUIDs."""
    issuer = bitbucket_pipelines("acme", audience=WORKSPACE_AUDIENCE, fetcher=provider.web)
    provider.publish(f"{BITBUCKET}/keys.json")
    other = provider.token({**BITBUCKET_CLAIMS, "repositoryUuid": "{other}"})

    assert code_of(provider.guard(issuer), other) == "passed"
    given: dict[str, Any]
    for given in ({"repository": "shop"}, {"repository": []}, {"workspace": "a/b"}):
        arguments: dict[str, Any] = {"workspace": "acme", "audience": "a", **given}
        with pytest.raises(ConfigurationError, match=next(iter(given))):
            bitbucket_pipelines(**arguments)


@pytest.mark.parametrize(
    ("uses", "code"), [({}, "passed"), ({"use": "jwt-svid"}, "keys_unavailable")]
)
def test_spiffe(provider: Provider, uses: dict[str, str], code: str) -> None:
    """SPIRE's discovery provider publishes keys for any use; those of a bundle are not served."""
    name = "https://oidc.acme.example"
    provider.discover(f"{name}/.well-known/openid-configuration", name, f"{name}/keys")
    provider.publish(f"{name}/keys", *(() if uses else ("use",)), **uses)
    guard = provider.guard(Issuer(name, audience="orders", fetcher=provider.web))
    claims = {"iss": name, "aud": ["orders"], "sub": "spiffe://acme.example/shop/web"}

    assert code_of(guard, provider.token(claims)) == code
    assert code_of(guard, provider.token({**claims, "iss": None})) == "claim_missing"
