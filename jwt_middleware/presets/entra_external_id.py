"""Microsoft Entra External ID."""

from typing import Unpack

from jwt_middleware.issuers.issuer import Issuer, IssuerOptions
from jwt_middleware.issuers.options import Audience
from jwt_middleware.issuers.tenants import tenant_id as checked_tenant_id
from jwt_middleware.presets.build import build, host, label


def entra_external_id(
    tenant: str,
    *,
    tenant_id: str,
    audience: Audience,
    domain: str | None = None,
    **options: Unpack[IssuerOptions],
) -> Issuer:
    """Return the issuer of an external tenant of Entra ID. Scopes are in ``scp``.

    Tokens name the tenant's id as host of their issuer, also where users sign in at the tenant's
    name or at a custom domain. The subject is the object id (``oid``).

    :param tenant: such as ``acme``, for ``acme.ciamlogin.com``.
    :param tenant_id: the id of the tenant, which ``tid`` must repeat.
    :param audience: the client id of the API.
    :param domain: the host that the keys are fetched from, in place of ``acme.ciamlogin.com``.
    :raises ConfigurationError: naming the setting, the value and the fix.
    """
    place = checked_tenant_id(tenant_id)
    where = host("domain", domain or f"{label('tenant', tenant)}.ciamlogin.com")
    known: IssuerOptions = {
        "discovery": f"https://{where}/{place}/v2.0/.well-known/openid-configuration",
        "algorithms": ["RS256"],
        "subject_claim": ["oid", "sub"],
        "scopes_claim": "scp",
        "required_values": {"tid": place},
    }
    return build(f"https://{place}.ciamlogin.com/{place}/v2.0", audience, known, options)
