"""Firebase Authentication."""

from typing import Unpack

from jwt_middleware.issuers.issuer import Issuer, IssuerOptions
from jwt_middleware.presets.build import build, segment


def firebase(project: str, **options: Unpack[IssuerOptions]) -> Issuer:
    """Return the issuer of a Firebase project, whose ID tokens are accepted.

    The keys are published as certificates by key id.

    :param project: the id of the project, which is also the audience.
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
