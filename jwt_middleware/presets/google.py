"""Google accounts."""

from typing import Unpack

from jwt_middleware.issuers.issuer import Issuer, IssuerOptions
from jwt_middleware.issuers.options import Audience
from jwt_middleware.presets.build import build, listed


def google(
    client_id: Audience, *, hosted_domain: str | None = None, **options: Unpack[IssuerOptions]
) -> Issuer:
    """Return the issuer of Google accounts, whose ID tokens are accepted.

    Both of Google's spellings of ``iss`` are accepted.

    :param client_id: the OAuth client, or several.
    :param hosted_domain: the organisation that an account must belong to (claim ``hd``). Without
        it every Google account is accepted.
    :raises ConfigurationError: naming the setting, the value and the fix.
    """
    known: IssuerOptions = {
        "jwks_uri": "https://www.googleapis.com/oauth2/v3/certs",
        "algorithms": ["RS256"],
        "aliases": ["accounts.google.com"],
        "accept_id_tokens": True,
        "required_values": (
            {} if hosted_domain is None else {"hd": listed("hosted_domain", hosted_domain)}
        ),
    }
    return build("https://accounts.google.com", client_id, known, options)
