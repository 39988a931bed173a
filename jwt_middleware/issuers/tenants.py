"""Issuers with tenants: which are trusted, and what stands for them in a name."""

import re
from collections.abc import Collection
from enum import Enum

from jwt_middleware.checks import listed
from jwt_middleware.errors import ConfigurationError

TENANT = "{tenantid}"
"""What stands in an issuer's name for the tenant, as Entra ID's discovery document writes it."""


# A tenant is a GUID, which Entra ID writes in lower case. Whatever else stands in its place in the
# name of an issuer is no tenant.
TENANT_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class AnyTenant(Enum):
    """The type of :data:`ANY_TENANT`, of which copies and pickles are the same value."""

    ANY_TENANT = "ANY_TENANT"

    def __repr__(self) -> str:
        return self.value


ANY_TENANT = AnyTenant.ANY_TENANT
"""Accept every tenant. Anybody can create one, and name the users in it as they like."""


Tenants = Collection[str] | AnyTenant


def checked_tenants(
    issuer: str | None, tenants: Tenants | None, aliases: tuple[str, ...]
) -> frozenset[str] | AnyTenant | None:
    """Return the tenants that are trusted; ``None`` for an issuer without any.

    :raises ConfigurationError: if they do not go with the issuer's name.
    """
    holes = issuer.count(TENANT) if issuer is not None else 0
    if tenants is None:
        if holes:
            raise ConfigurationError(
                f"Issuer({issuer!r}) stands for the tenants of everybody: name yours in tenants=, "
                "or write tenants=ANY_TENANT"
            )
        return None
    if aliases or holes > 1:
        raise ConfigurationError(f"Issuer({issuer!r}): tenants= goes with one name of one {TENANT}")
    if isinstance(tenants, AnyTenant):
        chosen: frozenset[str] = frozenset()
    else:
        chosen = frozenset(
            tenant_id(tenant) for tenant in listed("tenants", tenants, "['8a2e1b70-...']")
        )
    if not holes and not (len(chosen) == 1 and issuer is not None and max(chosen) in issuer):
        raise ConfigurationError(
            f"Issuer({issuer!r}) is the name of one tenant: tenants={tenants!r} must be a list of "
            f"that one, or the name must contain {TENANT}"
        )
    if not chosen and not isinstance(tenants, AnyTenant):
        raise ConfigurationError("tenants=[] trusts nobody: name a tenant")
    return tenants if isinstance(tenants, AnyTenant) else chosen


def tenant_id(tenant: object) -> str:
    """Return the id of a tenant as tokens write it.

    :raises ConfigurationError: for what is no GUID.
    """
    # People copy GUIDs in either case; a token has them in lower case.
    guid = tenant.lower() if isinstance(tenant, str) else ""
    if not TENANT_ID.fullmatch(guid):
        raise ConfigurationError(
            f"tenant {tenant!r} is no GUID: tokens name a tenant by its id, never by its domain"
        )
    return guid
