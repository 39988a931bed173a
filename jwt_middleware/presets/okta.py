"""Okta."""

from typing import Unpack

from jwt_middleware.errors import ConfigurationError
from jwt_middleware.issuers.issuer import Audience, Issuer, IssuerOptions
from jwt_middleware.presets.build import build, host, segment


def okta(
    domain: str, *, audience: Audience, server: str = "default", **options: Unpack[IssuerOptions]
) -> Issuer:
    """Return a custom authorization server of Okta. Scopes stand in ``scp``, roles in ``groups``.

    Access tokens of the organisation's own server are not meant to be verified by anybody else.

    :param domain: such as ``example.okta.com``.
    :param audience: that of the authorization server, such as ``api://default``.
    :param server: the id of the authorization server.
    :raises ConfigurationError: naming the setting, the value and the fix.
    """
    if not server:
        raise ConfigurationError(
            f"server={server!r}: tokens of Okta's organisation server are for Okta alone; name a "
            "custom authorization server, such as 'default'"
        )
    name = f"https://{host('domain', domain)}/oauth2/{segment('server', server)}"
    known: IssuerOptions = {
        "jwks_uri": f"{name}/v1/keys",
        "algorithms": ["RS256"],
        "scopes_claim": "scp",
        "roles_claim": "groups",
    }
    return build(name, audience, known, options)
