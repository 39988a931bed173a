"""Google: accounts, the Identity-Aware Proxy, Firebase."""

from typing import Unpack

from jwt_middleware.issuers import Audience, Issuer, IssuerOptions
from jwt_middleware.presets.build import build, listed, segment


def google(
    client_id: Audience, *, hosted_domain: str | None = None, **options: Unpack[IssuerOptions]
) -> Issuer:
    """Return Google accounts, whose ID tokens pass here by name, under either spelling of ``iss``.

    :param client_id: the OAuth client, or several.
    :param hosted_domain: the organisation that an account must belong to (claim ``hd``); without
        it any account of the world passes.
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


def google_iap(audience: Audience, **options: Unpack[IssuerOptions]) -> Issuer:
    """Return the Identity-Aware Proxy, whose assertions come in ``X-Goog-IAP-JWT-Assertion``.

    :param audience: such as ``/projects/1/global/backendServices/2``.
    :raises ConfigurationError: naming the setting, the value and the fix.
    """
    known: IssuerOptions = {
        "jwks_uri": "https://www.gstatic.com/iap/verify/public_key-jwk",
        "algorithms": ["ES256"],
    }
    return build("https://cloud.google.com/iap", audience, known, options)


def firebase(project: str, **options: Unpack[IssuerOptions]) -> Issuer:
    """Return the users of a Firebase project, whose ID tokens pass here by name.

    The keys are published as certificates by their names.

    :param project: the id of the project, which is the audience too.
    :raises ConfigurationError: naming the setting, the value and the fix.
    """
    account = "securetoken@system.gserviceaccount.com"
    known: IssuerOptions = {
        "jwks_uri": f"https://www.googleapis.com/robot/v1/metadata/x509/{account}",
        "algorithms": ["RS256"],
        "accept_id_tokens": True,
        "required_claims": ["sub", "auth_time"],
    }
    name = f"https://securetoken.google.com/{segment('project', project)}"
    return build(name, project, known, options)
