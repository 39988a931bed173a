"""Cloudflare Access."""

from typing import Unpack

from jwt_middleware.issuers.issuer import Issuer, IssuerOptions
from jwt_middleware.issuers.options import Audience
from jwt_middleware.presets.build import build, label


def cloudflare_access(team: str, *, audience: Audience, **options: Unpack[IssuerOptions]) -> Issuer:
    """Return the issuer of Cloudflare Access, whose tokens are in ``Cf-Access-Jwt-Assertion``.

    The subject of a person is ``sub``. A service token has an empty ``sub``, and its subject is
    ``common_name``. Only tokens for an application are accepted, not the session of the whole team.

    :param team: such as ``acme``, for ``acme.cloudflareaccess.com``.
    :param audience: the AUD tag of the application, or several.
    :raises ConfigurationError: naming the setting, the value and the fix.
    """
    name = f"https://{label('team', team)}.cloudflareaccess.com"
    known: IssuerOptions = {
        "jwks_uri": f"{name}/cdn-cgi/access/certs",
        "algorithms": ["RS256"],
        "subject_claim": ["sub", "common_name"],
        "required_values": {"type": "app"},
    }
    return build(name, audience, known, options)
