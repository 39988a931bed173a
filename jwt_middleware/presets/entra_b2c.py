"""Azure AD B2C."""

from typing import Unpack, overload

from jwt_middleware.checks import check_flag
from jwt_middleware.issuers.issuer import Issuer, IssuerOptions
from jwt_middleware.issuers.options import Audience, ClaimPathOption
from jwt_middleware.issuers.tenants import tenant_id as checked_tenant_id
from jwt_middleware.presets.build import build, host, listed, segment
from jwt_middleware.principal import claim_path

_PATH = ".well-known/openid-configuration"


@overload
def entra_b2c(
    tenant: str,
    *,
    tenant_id: str,
    policy: str,
    audience: Audience,
    policy_claim: ClaimPathOption = "tfp",
    domain: str | None = None,
    policy_in_issuer: bool = False,
    **options: Unpack[IssuerOptions],
) -> Issuer: ...


@overload
def entra_b2c(
    tenant: str,
    *,
    tenant_id: str,
    policy: list[str],
    audience: Audience,
    policy_claim: ClaimPathOption = "tfp",
    domain: str | None = None,
    policy_in_issuer: bool = False,
    **options: Unpack[IssuerOptions],
) -> list[Issuer]: ...


def entra_b2c(
    tenant: str,
    *,
    tenant_id: str,
    policy: str | list[str],
    audience: Audience,
    policy_claim: ClaimPathOption = "tfp",
    domain: str | None = None,
    policy_in_issuer: bool = False,
    **options: Unpack[IssuerOptions],
) -> Issuer | list[Issuer]:
    """Return the issuer of one Azure AD B2C user flow or custom policy. Scopes are in ``scp``.

    The policy is checked too, because the policies of a tenant share one issuer name, unless they
    are set up otherwise, and may share keys. A token of a weaker policy, such as a password reset,
    is refused.

    :param tenant: such as ``contoso``, for ``contoso.onmicrosoft.com``.
    :param tenant_id: the id of the tenant.
    :param policy: such as ``B2C_1_signin``; a list of policies gives a list of issuers, one each.
    :param audience: the client id of the API.
    :param policy_claim: the claim that names the policy: ``tfp``, or ``acr`` if the flow sets it.
    :param domain: a custom domain in place of ``contoso.b2clogin.com``.
    :param policy_in_issuer: whether the compatibility setting of the flow puts ``/tfp/`` and the
        policy into the issuer's name. The policy is then checked there, and in no other claim.
    :raises ConfigurationError: naming the setting, the value and the fix.
    """
    segment("tenant", tenant)
    base = f"https://{host('domain', domain or f'{tenant}.b2clogin.com')}"
    place = checked_tenant_id(tenant_id)
    said_by = claim_path(policy_claim, "policy_claim")
    check_flag("policy_in_issuer", policy_in_issuer)

    def issuer_of(one: str) -> Issuer:
        path = f"{base}/{tenant}.onmicrosoft.com/{segment('policy', one)}"
        known: IssuerOptions = {"algorithms": ["RS256"], "scopes_claim": "scp"}
        # Both spellings, because the service writes the names of custom policies in lower case.
        spellings = sorted({one, one.lower()}, key=str.islower, reverse=True)
        if policy_in_issuer:
            name, *others = (f"{base}/tfp/{place}/{each}/v2.0/" for each in spellings)
            # No discovery, because the document must have one exact spelling of the name.
            known["jwks_uri"] = f"{path}/discovery/v2.0/keys"
            known["aliases"] = others
        else:
            name = f"{base}/{place}/v2.0/"
            known["discovery"] = f"{path}/v2.0/{_PATH}"
            known["required_values"] = {said_by: spellings}
        return build(name, audience, known, options)

    if isinstance(policy, str):
        return issuer_of(policy)
    return [issuer_of(each) for each in listed("policy", policy)]
