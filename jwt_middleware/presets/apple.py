"""Sign in with Apple."""

from typing import Unpack

from jwt_middleware.issuers.issuer import Issuer, IssuerOptions
from jwt_middleware.issuers.options import Audience
from jwt_middleware.presets.build import build


def apple(client_id: Audience, **options: Unpack[IssuerOptions]) -> Issuer:
    """Return the issuer of Sign in with Apple, whose ID tokens are accepted.

    :param client_id: the bundle id or services id, or several.
    :raises ConfigurationError: naming the setting, the value and the fix.
    """
    name = "https://appleid.apple.com"
    known: IssuerOptions = {
        "jwks_uri": f"{name}/auth/keys",
        "algorithms": ["RS256"],
        "accept_id_tokens": True,
    }
    return build(name, client_id, known, options)
