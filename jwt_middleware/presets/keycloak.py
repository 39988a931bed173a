"""Keycloak."""

from typing import Unpack

from jwt_middleware.checks import check_text
from jwt_middleware.issuers.issuer import Issuer, IssuerOptions
from jwt_middleware.issuers.options import Audience
from jwt_middleware.presets.build import build, segment


def keycloak(
    base_url: str, realm: str, *, audience: Audience, **options: Unpack[IssuerOptions]
) -> Issuer:
    """Return the issuer of a Keycloak realm. Roles are those of the realm.

    An access token has the claim ``"typ": "Bearer"``. ID, refresh and logout tokens are signed by
    the same keys, have another ``typ`` and are refused.

    :param base_url: the address that tokens name, with ``/auth`` if the server has it. If the
        service reaches Keycloak at another address, set ``jwks_uri=`` too.
    :param audience: the audience that a client's audience mapper adds.
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
