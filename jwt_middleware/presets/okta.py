"""Okta."""

from typing import Unpack

from jwt_middleware.errors import ConfigurationError
from jwt_middleware.issuers.issuer import Issuer, IssuerOptions
from jwt_middleware.issuers.options import Audience
from jwt_middleware.presets.build import build, host, segment


def okta(
    domain: str, *, audience: Audience, server: str = "default", **options: Unpack[IssuerOptions]
) -> Issuer:
    """Return the issuer of an Okta custom authorization server. Roles are in ``groups``.

    Scopes are in ``scp``. Access tokens of Okta's organisation server are for Okta alone.

    :param domain: such as ``example.okta.com``.
    :param audience: the audience of the authorization server, such as ``api://default``.
    :param server: the id of the authorization server.
    :raises ConfigurationError: naming the setting, the value and the fix.
    """
    if not server:
        raise ConfigurationError(
            f"server={server!r} must be a custom authorization server, because tokens of Okta's "
            "organisation server are for Okta alone: write server='default'"
        )
    name = f"https://{host('domain', domain)}/oauth2/{segment('server', server)}"
    known: IssuerOptions = {
        "jwks_uri": f"{name}/v1/keys",
        "algorithms": ["RS256"],
        "scopes_claim": "scp",
        "roles_claim": "groups",
    }
    return build(name, audience, known, options)
