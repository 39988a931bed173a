"""Keycloak."""

from typing import Unpack

from jwt_middleware.checks import check_text
from jwt_middleware.issuers.issuer import Audience, Issuer, IssuerOptions
from jwt_middleware.presets.build import build, segment


def keycloak(
    base_url: str, realm: str, *, audience: Audience, **options: Unpack[IssuerOptions]
) -> Issuer:
    """Return a realm of Keycloak. Roles are those of the realm.

    An access token says ``"typ": "Bearer"`` among its claims; ID, refresh and logout tokens, which
    the same keys sign, say something else and are refused.

    :param base_url: the address that tokens name, with ``/auth`` where the server has it. Where the
        service reaches Keycloak at another one, set ``jwks_uri=`` too.
    :param audience: what a client's audience mapper adds.
    :raises ConfigurationError: naming the setting, the value and the fix.
    """
    check_text("base_url", base_url, "https://sso.example")
    name = f"{base_url.rstrip('/')}/realms/{segment('realm', realm)}"
    known: IssuerOptions = {
        "jwks_uri": f"{name}/protocol/openid-connect/certs",
        "roles_claim": "realm_access.roles",
        "required_values": {"typ": "Bearer"},
    }
    return build(name, audience, known, options)
