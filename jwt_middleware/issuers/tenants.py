"""Trusted tenants of an issuer, and their placeholder in its name."""

import re
from collections.abc import Collection
from enum import Enum

from jwt_middleware.checks import listed
from jwt_middleware.errors import ConfigurationError

TENANT = "{tenantid}"
"""The placeholder for the tenant in an issuer's name, as Entra ID's discovery document has it."""


# A tenant is a GUID, which Entra ID writes in lower case. Any other text in the place of the tenant
# in an issuer's name is refused.
TENANT_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class AnyTenant(Enum):
    """The type of :data:`ANY_TENANT`, of which copies and pickles are the same value."""

    ANY_TENANT = "ANY_TENANT"

    def __repr__(self) -> str:
        return self.value


ANY_TENANT = AnyTenant.ANY_TENANT
"""Accept every tenant. Anyone can create a tenant, and choose the names of its users."""


Tenants = Collection[str] | AnyTenant


def checked_tenants(
    issuer: str | None, tenants: Tenants | None, aliases: tuple[str, ...]
) -> frozenset[str] | AnyTenant | None:
    """Return the trusted tenants, checked; ``None`` for an issuer without tenants.

    :raises ConfigurationError: if the tenants do not fit the issuer's name.
    """
    holes = issuer.count(TENANT) if issuer is not None else 0
    if tenants is None:
        if holes:
            raise ConfigurationError(
                f"Issuer({issuer!r}) must be given tenants=, because its name fits every tenant: "
                "write tenants=[...] with the ids of yours, or tenants=ANY_TENANT"
            )
        return None
    if aliases or holes > 1:
        raise ConfigurationError(
            f"Issuer({issuer!r}): tenants= cannot be combined with aliases or a second {TENANT}: "
            f"write one name with one {TENANT}"
        )
    if isinstance(tenants, AnyTenant):
        chosen: frozenset[str] = frozenset()
    else:
        chosen = frozenset(
            tenant_id(tenant) for tenant in listed("tenants", tenants, "['8a2e1b70-...']")
        )
    if not holes and not (len(chosen) == 1 and issuer is not None and max(chosen) in issuer):
        raise ConfigurationError(
            f"Issuer({issuer!r}) is the name of one tenant: tenants={tenants!r} must list only "
            f"that tenant, or the name must contain {TENANT}"
        )
    if not chosen and not isinstance(tenants, AnyTenant):
        raise ConfigurationError("tenants=[] must not be empty: write the id of a tenant")
    return tenants if isinstance(tenants, AnyTenant) else chosen


def tenant_id(tenant: object) -> str:
    """Return the id of a tenant, spelled as in tokens.

    :raises ConfigurationError: if it is not a GUID.
    """
    # Lower case, because operators copy GUIDs in either case and tokens have lower case.
    guid = tenant.lower() if isinstance(tenant, str) else ""
    if not TENANT_ID.fullmatch(guid):
        raise ConfigurationError(
            f"tenant {tenant!r} must be a GUID: write the id of the tenant, not its domain"
        )
    return guid
