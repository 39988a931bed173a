"""Auth0."""

from typing import Unpack

from jwt_middleware.issuers.issuer import Issuer, IssuerOptions
from jwt_middleware.issuers.options import Audience
from jwt_middleware.presets.build import build, host


def auth0(domain: str, *, audience: Audience, **options: Unpack[IssuerOptions]) -> Issuer:
    """Return the issuer of an Auth0 tenant. Its permissions are in ``permissions``.

    The name of the issuer ends in a slash.

    :param domain: such as ``tenant.eu.auth0.com``, or the custom domain that tokens name.
    :param audience: the identifier of the API.
    :raises ConfigurationError: naming the setting, the value and the fix.
    """
    base = f"https://{host('domain', domain)}/"
    known: IssuerOptions = {
        "jwks_uri": f"{base}.well-known/jwks.json",
        "algorithms": ["RS256", "PS256"],
    }
    return build(base, audience, known, options)
