"""Microsoft: Entra ID, with tokens of either version, and Azure AD B2C."""

from typing import Literal, Unpack

from jwt_middleware.errors import ConfigurationError
from jwt_middleware.issuers import (
    TENANT,
    TENANT_ID,
    Audience,
    Issuer,
    IssuerOptions,
    Tenants,
)
from jwt_middleware.kinds import check_text
from jwt_middleware.presets.build import build, host, segment

LOGIN = "login.microsoftonline.com"
_PATH = ".well-known/openid-configuration"


def entra(
    tenant: str | Tenants,
    *,
    audience: Audience,
    version: Literal[1, 2] = 2,
    appid: str | None = None,
    authority: str = LOGIN,
    **options: Unpack[IssuerOptions],
) -> Issuer:
    """Return one tenant of Entra ID, several, or any. Scopes stand in ``scp``, roles in ``roles``.

    The claim ``tid`` must agree with ``iss``, and so must the ``issuer`` that a key names.

    :param tenant: the id of the tenant; a list of ids; or ``ANY_TENANT``, which admits whoever
        creates a tenant: then hold ``tid`` against your customers in the rules.
    :param audience: the client id of the API, or its application id URI for tokens of version 1.
    :param version: that of the tokens, as ``requestedAccessTokenVersion`` in the application's
        manifest says; nothing there means 1.
    :param appid: the client id of an application that has signing keys of its own.
    :param authority: the host of a national cloud; for tokens of version 2.
    :raises ConfigurationError: naming the setting, the value and the fix.
    """
    is_one = isinstance(tenant, str)
    place = _tenant_id(tenant) if isinstance(tenant, str) else TENANT
    where = place if is_one else "common"
    base = f"https://{host('authority', authority)}"
    query = "" if appid is None else f"?appid={segment('appid', appid)}"
    if version == 2:
        name, document = f"{base}/{place}/v2.0", f"{base}/{where}/v2.0/{_PATH}{query}"
    elif version == 1 and authority == LOGIN:
        name, document = f"https://sts.windows.net/{place}/", f"{base}/{where}/{_PATH}{query}"
    else:
        raise ConfigurationError(
            f"version={version!r} with authority={authority!r}: write 1 or 2, and 2 for any "
            f"authority but {LOGIN}"
        )
    known: IssuerOptions = {
        "discovery": document,
        "algorithms": ["RS256"],
        "scopes_claim": "scp",
        "tenants": [place] if is_one else tenant,
    }
    return build(name, audience, known, options)


def entra_b2c(
    tenant: str,
    *,
    tenant_id: str,
    policy: str,
    audience: Audience,
    policy_claim: str = "tfp",
    domain: str | None = None,
    **options: Unpack[IssuerOptions],
) -> Issuer:
    """Return one user flow or custom policy of Azure AD B2C. Scopes stand in ``scp``.

    All policies of a tenant sign with one name and may share keys, so the policy is checked too: a
    token of a weaker one, such as a password reset, is refused.

    :param tenant: such as ``contoso``, for ``contoso.onmicrosoft.com``.
    :param tenant_id: its id.
    :param policy: such as ``B2C_1_signin``.
    :param audience: the client id of the API.
    :param policy_claim: where tokens name the policy: ``tfp``, or ``acr`` if the flow says so.
    :param domain: a custom domain in place of ``contoso.b2clogin.com``.
    :raises ConfigurationError: naming the setting, the value and the fix.
    """
    segment("tenant", tenant)
    check_text("policy_claim", policy_claim, "tfp")
    base = f"https://{host('domain', domain or f'{tenant}.b2clogin.com')}"
    path = f"{tenant}.onmicrosoft.com/{segment('policy', policy)}"
    known: IssuerOptions = {
        "discovery": f"{base}/{path}/v2.0/{_PATH}",
        "algorithms": ["RS256"],
        "scopes_claim": "scp",
        # The service writes the names of custom policies in lower case.
        "required_values": {policy_claim: sorted({policy, policy.lower()})},
    }
    return build(f"{base}/{_tenant_id(tenant_id)}/v2.0/", audience, known, options)


def _tenant_id(tenant: str) -> str:
    if not isinstance(tenant, str) or not TENANT_ID.fullmatch(tenant.lower()):
        raise ConfigurationError(
            f"tenant {tenant!r} is no GUID: tokens name a tenant by its id, never by its domain"
        )
    return tenant.lower()
