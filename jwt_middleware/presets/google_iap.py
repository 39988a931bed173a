"""Google's Identity-Aware Proxy."""

from typing import Unpack

from jwt_middleware.issuers.issuer import Issuer, IssuerOptions
from jwt_middleware.issuers.options import Audience
from jwt_middleware.presets.build import build


def google_iap(audience: Audience, **options: Unpack[IssuerOptions]) -> Issuer:
    """Return the issuer of Identity-Aware Proxy tokens, sent in ``X-Goog-IAP-JWT-Assertion``.

    :param audience: such as ``/projects/1/global/backendServices/2``.
    :raises ConfigurationError: naming the setting, the value and the fix.
    """
    known: IssuerOptions = {
        "jwks_uri": "https://www.gstatic.com/iap/verify/public_key-jwk",
        "algorithms": ["ES256"],
    }
    return build("https://cloud.google.com/iap", audience, known, options)
