"""Kubernetes service accounts."""

import ssl
from pathlib import Path
from typing import Unpack

from jwt_middleware.checks import check_text
from jwt_middleware.issuers.issuer import Issuer, IssuerOptions
from jwt_middleware.issuers.options import Audience
from jwt_middleware.keys.remote.http import FetchRequest, FetchResponse, HTTPFetcher
from jwt_middleware.presets.build import build

# Mounted in every pod, unless the mount of its service account is turned off.
_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


def kubernetes(
    *,
    audience: Audience,
    issuer: str = "https://kubernetes.default.svc.cluster.local",
    server: str = "https://kubernetes.default.svc",
    ca_file: str | Path | None = f"{_ACCOUNT}/ca.crt",
    token_file: str | Path | None = f"{_ACCOUNT}/token",
    **options: Unpack[IssuerOptions],
) -> Issuer:
    """Return the issuer of a Kubernetes cluster's service accounts.

    The subject of a token is ``system:serviceaccount:NAMESPACE:NAME``.

    The keys are fetched from the API server itself, because the address in its discovery document
    is often one that a pod cannot reach.

    :param issuer: the ``--service-account-issuer`` of the cluster.
    :param server: the address of the API server.
    :param ca_file: the authorities for its certificate, read at each fetch; ``None``: the system's.
    :param token_file: the token to send, read at each fetch; ``None``: no token is sent.
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
    """Fetches as a service account. Both files are read each time, because they change."""

    def __init__(self, ca_file: str | Path | None, token_file: str | Path | None) -> None:
        self._ca_file = ca_file
        self._token_file = token_file

    @property
    def compared_by(self) -> tuple[str | Path | None, ...]:
        """The settings as one value to compare."""
        return (self._ca_file, self._token_file)

    def fetch(self, request: FetchRequest) -> FetchResponse:
        """Return the response, of any status.

        :raises Exception: if the server does not respond, or a file cannot be read.
        """
        headers: dict[str, str] = {}
        if self._token_file is not None:
            token = Path(self._token_file).read_text(encoding="ascii").strip()
            headers["Authorization"] = f"Bearer {token}"
        # A proxy in the environment is ignored, so that the connection stays inside the cluster.
        verify = ssl.create_default_context(cafile=self._ca_file)
        return HTTPFetcher(verify=verify, trust_env=False, headers=headers).fetch(request)
