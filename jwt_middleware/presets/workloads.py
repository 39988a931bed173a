"""Providers of a platform: Amazon Cognito, GitHub Actions, Kubernetes."""

import ssl
from collections.abc import Collection
from pathlib import Path
from typing import Literal, Unpack

from jwt_middleware.errors import ConfigurationError
from jwt_middleware.issuers import Audience, ClaimPathOption, ClaimValue, Issuer, IssuerOptions
from jwt_middleware.keys.fetch import HTTPFetcher, Request, Response
from jwt_middleware.kinds import check_text
from jwt_middleware.presets.build import build, listed, segment

# Where every pod finds them, unless its account is not mounted.
_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


def cognito(
    region: str,
    pool: str,
    *,
    client_id: str | Collection[str],
    kind: Literal["access", "id"] = "access",
    **options: Unpack[IssuerOptions],
) -> Issuer:
    """Return a user pool of Amazon Cognito. Roles stand in ``cognito:groups``.

    Its access tokens name no audience but the client, in ``client_id``, and must carry no ``aud``;
    its ID tokens pass only if that is what is asked for.

    :param region: such as ``eu-central-1``.
    :param pool: such as ``eu-central-1_aB3dE5fG7``.
    :param client_id: the app client, or several.
    :param kind: which of the two kinds of tokens passes.
    :raises ConfigurationError: naming the setting, the value and the fix.
    """
    host = f"cognito-idp.{segment('region', region)}.amazonaws.com"
    name = f"https://{host}/{segment('pool', pool)}"
    clients = listed("client_id", client_id)
    known: IssuerOptions = {
        "jwks_uri": f"{name}/.well-known/jwks.json",
        "algorithms": ["RS256"],
        "roles_claim": ("cognito:groups",),
        "required_values": {"token_use": kind},
    }
    if kind == "id":
        return build(name, clients, {**known, "accept_id_tokens": True}, options)
    if kind != "access":
        raise ConfigurationError(f"kind={kind!r} is not known: write 'access' or 'id'")
    known["required_values"] = {"token_use": kind, "client_id": clients}
    return build(name, None, known, options)


def github_actions(
    *,
    audience: Audience,
    owner: str | Collection[str] | None = None,
    repository: str | Collection[str] | None = None,
    enterprise: str | None = None,
    **options: Unpack[IssuerOptions],
) -> Issuer:
    """Return the workflows of GitHub Actions.

    A workflow chooses the audience itself, and anybody can write one; so whose it is must be said.
    The branch is in ``ref``, and what may be deployed from in ``environment``: hold them against
    the rules.

    :param owner: an organisation or user whose workflows are trusted, or several.
    :param repository: such as ``acme/shop``, or several.
    :param enterprise: its slug, where an enterprise has an issuer of its own.
    :raises ConfigurationError: naming the setting, the value and the fix.
    """
    name = "https://token.actions.githubusercontent.com"
    jwks_uri: str | None = f"{name}/.well-known/jwks"
    if enterprise is not None:
        # Where the keys of one are, its own discovery document says.
        name, jwks_uri = f"{name}/{segment('enterprise', enterprise)}", None
    whose: dict[ClaimPathOption, Collection[ClaimValue]] = {}
    if owner is not None:
        whose["repository_owner"] = listed("owner", owner)
    if repository is not None:
        whose["repository"] = listed("repository", repository)
    if not whose:
        raise ConfigurationError(
            "github_actions() would trust every workflow of the world: name owner= or repository="
        )
    known: IssuerOptions = {
        "jwks_uri": jwks_uri,
        "algorithms": ["RS256"],
        "required_values": whose,
    }
    return build(name, audience, known, options)


def kubernetes(
    *,
    audience: Audience,
    issuer: str = "https://kubernetes.default.svc.cluster.local",
    server: str = "https://kubernetes.default.svc",
    ca_file: str | Path | None = f"{_ACCOUNT}/ca.crt",
    token_file: str | Path | None = f"{_ACCOUNT}/token",
    **options: Unpack[IssuerOptions],
) -> Issuer:
    """Return the service accounts of a Kubernetes cluster. Who calls is the subject:
    ``system:serviceaccount:NAMESPACE:NAME``.

    The keys are fetched from the API server itself, because the address in its discovery document
    is often one that a pod cannot reach.

    :param issuer: what ``--service-account-issuer`` of the cluster says.
    :param server: the API server.
    :param ca_file: the authorities that vouch for it, read at each fetch; ``None``: the system's.
    :param token_file: the token to ask with, read at each fetch; ``None``: none.
    :raises ConfigurationError: naming the setting, the value and the fix.
    """
    check_text("server", server, "https://kubernetes.default.svc")
    known: IssuerOptions = {
        "jwks_uri": f"{server.rstrip('/')}/openid/v1/jwks",
        "algorithms": ["RS256", "ES256", "ES384", "ES512"],
        "fetcher": ClusterFetcher(ca_file, token_file),
    }
    return build(issuer, audience, known, options)


class ClusterFetcher:
    """Asks as a service account does; both files change while a pod runs, so neither is kept."""

    def __init__(self, ca_file: str | Path | None, token_file: str | Path | None) -> None:
        self._ca_file = ca_file
        self._token_file = token_file

    def fetch(self, request: Request) -> Response:
        """Return the answer, whatever its status.

        :raises Exception: if there is none, or a file cannot be read.
        """
        headers: dict[str, str] = {}
        if self._token_file is not None:
            token = Path(self._token_file).read_text(encoding="ascii").strip()
            headers["Authorization"] = f"Bearer {token}"
        # The connection stays inside the cluster, whatever proxy the environment names.
        verify = ssl.create_default_context(cafile=self._ca_file)
        return HTTPFetcher(verify=verify, trust_env=False, headers=headers).fetch(request)
