"""Amazon Application Load Balancers that authenticate users."""

import re
from collections.abc import Collection
from typing import Unpack

from jwt_middleware import checks
from jwt_middleware.checks import check_text
from jwt_middleware.errors import ConfigurationError
from jwt_middleware.issuers.issuer import Issuer, IssuerOptions
from jwt_middleware.keys.remote.options import ResolverOptions
from jwt_middleware.presets.build import build, listed

_ARN = re.compile(
    r"arn:aws:elasticloadbalancing:([a-z]{2}(?:-[a-z]+)+-[0-9]{1,2}):[0-9]{12}:"
    r"loadbalancer/app/[A-Za-z0-9-]{1,32}/[0-9a-f]{16}"
)
_SUCH_AS = (
    "arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/app/a/50dc6c495c0c9188"
)


def aws_alb(
    issuer: str,
    *,
    signer: str | Collection[str],
    client_id: str | Collection[str],
    **options: Unpack[IssuerOptions],
) -> Issuer:
    """Return the issuer of the tokens that a load balancer sends in ``X-Amzn-Oidc-Data``.

    All load balancers of a region sign with the same keys, those of other AWS accounts too. So the
    ``signer`` in the header must be a load balancer of yours.

    A key is fetched when a token names it first. These tokens are padded, and no others pass.

    :param issuer: the ``iss`` of the identity provider, as configured in the load balancer.
    :param signer: the ARN of the load balancer, or several of one region.
    :param client_id: the client id of the load balancer at the identity provider, or several.
    :raises ConfigurationError: naming the setting, the value and the fix.
    """
    check_text("issuer", issuer, "https://id.example")
    one_or_more = (signer,) if isinstance(signer, str) else signer
    signers = checks.listed("signer", one_or_more, f"['{_SUCH_AS}']")
    region = _region(signers)
    known: IssuerOptions = {
        "key_uri": f"https://public-keys.auth.elb.{region}.amazonaws.com/{{kid}}",
        "algorithms": ["ES256"],
        "padded": True,
        "required_header": {
            "signer": signers,
            "client": listed("client_id", client_id),
            "iss": issuer,
        },
        "required_claims": ["sub"],
        # At the start each load balancer may have a key of its own.
        "resolver": ResolverOptions(unknown_kid_burst=8),
    }
    return build(issuer, None, known, options)


def _region(signers: Collection[object]) -> str:
    found = [_ARN.fullmatch(each) if isinstance(each, str) else None for each in signers]
    regions = {each[1] for each in found if each is not None}
    if None in found or len(regions) != 1:
        raise ConfigurationError(
            f"signer={list(signers)!r} must be the ARN of an application load balancer, or several "
            f"of one region: write '{_SUCH_AS}'"
        )
    return regions.pop()
