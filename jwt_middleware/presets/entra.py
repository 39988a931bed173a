"""Microsoft Entra ID."""

from typing import Literal, Unpack

from jwt_middleware.errors import ConfigurationError
from jwt_middleware.issuers.issuer import Issuer, IssuerOptions
from jwt_middleware.issuers.options import Audience
from jwt_middleware.issuers.tenants import TENANT, Tenants
from jwt_middleware.issuers.tenants import tenant_id as checked_tenant_id
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
    """Return the issuer of one, several or all Entra ID tenants. Scopes are in ``scp``.

    Roles are in ``roles``. The subject is the object id (``oid``) of the user or application.

    The claim ``tid`` must agree with ``iss``, and so must the ``issuer`` that a key names.

    :param tenant: the id of the tenant; a list of ids; or ``ANY_TENANT``. Anyone can create a
        tenant, so with ``ANY_TENANT`` compare ``tid`` with your customers' tenants in the rules.
    :param audience: the client id of the API, or its application id URI for tokens of version 1.
    :param version: the version of the tokens, ``requestedAccessTokenVersion`` in the application's
        manifest. If the manifest does not set it, the version is 1.
    :param appid: the client id of an application that has its own signing keys.
    :param authority: the host of a national cloud; for tokens of version 2.
    :raises ConfigurationError: naming the setting, the value and the fix.
    """
    is_one = isinstance(tenant, str)
    place = checked_tenant_id(tenant) if isinstance(tenant, str) else TENANT
    where = place if is_one else "common"
    base = f"https://{host('authority', authority)}"
    query = "" if appid is None else f"?appid={segment('appid', appid)}"
    if version == 2:
        name, document = f"{base}/{place}/v2.0", f"{base}/{where}/v2.0/{_PATH}{query}"
    elif version == 1 and authority == LOGIN:
        name, document = f"https://sts.windows.net/{place}/", f"{base}/{where}/{_PATH}{query}"
    else:
        raise ConfigurationError(
            f"version={version!r} with authority={authority!r} must be 1 or 2, and 2 for every "
            f"authority but {LOGIN}: write version=2"
        )
    known: IssuerOptions = {
        "discovery": document,
        "algorithms": ["RS256"],
        # ``sub`` is another one for each application of a tenant, ``oid`` is the same for all.
        "subject_claim": ["oid", "sub"],
        "scopes_claim": "scp",
        "tenants": [place] if is_one else tenant,
    }
    return build(name, audience, known, options)
