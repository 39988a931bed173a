"""Zitadel."""

from typing import Unpack

from jwt_middleware.issuers.issuer import Issuer, IssuerOptions
from jwt_middleware.issuers.options import Audience
from jwt_middleware.presets.build import build, host


def zitadel(domain: str, *, audience: Audience, **options: Unpack[IssuerOptions]) -> Issuer:
    """Return the issuer of a Zitadel instance.

    It replaces keys within hours and announces none beforehand. Its roles are an object, so require
    one with
    ``has_claim(("urn:zitadel:iam:org:project:roles", "admin"))``.

    :param domain: such as ``example.zitadel.cloud``.
    :param audience: the id of the project or of the application.
    :raises ConfigurationError: naming the setting, the value and the fix.
    """
    name = f"https://{host('domain', domain)}"
    return build(name, audience, {"jwks_uri": f"{name}/oauth/v2/keys"}, options)
