"""Providers of accounts: Auth0, Okta, Keycloak, Zitadel, Apple."""

from typing import Unpack

from jwt_middleware.errors import ConfigurationError
from jwt_middleware.issuers import Audience, Issuer, IssuerOptions
from jwt_middleware.kinds import check_text
from jwt_middleware.presets.build import build, host, segment


def auth0(domain: str, *, audience: Audience, **options: Unpack[IssuerOptions]) -> Issuer:
    """Return an Auth0 tenant. Its name ends in a slash, and permissions stand in ``permissions``.

    :param domain: such as ``tenant.eu.auth0.com``, or the custom domain that tokens name.
    :param audience: the identifier of the API.
    :raises ConfigurationError: naming the setting, the value and the fix.
    """
    base = f"https://{host('domain', domain)}/"
    known: IssuerOptions = {
        "jwks_uri": f"{base}.well-known/jwks.json",
        "algorithms": ["RS256", "PS256"],
    }
    return build(base, audience, known, options)


def okta(
    domain: str, *, audience: Audience, server: str = "default", **options: Unpack[IssuerOptions]
) -> Issuer:
    """Return a custom authorization server of Okta. Scopes stand in ``scp``, roles in ``groups``.

    Access tokens of the organisation's own server are not meant to be verified by anybody else.

    :param domain: such as ``example.okta.com``.
    :param audience: that of the authorization server, such as ``api://default``.
    :param server: the id of the authorization server.
    :raises ConfigurationError: naming the setting, the value and the fix.
    """
    if not server:
        raise ConfigurationError(
            f"server={server!r}: tokens of Okta's organisation server are for Okta alone; name a "
            "custom authorization server, such as 'default'"
        )
    name = f"https://{host('domain', domain)}/oauth2/{segment('server', server)}"
    known: IssuerOptions = {
        "jwks_uri": f"{name}/v1/keys",
        "algorithms": ["RS256"],
        "scopes_claim": "scp",
        "roles_claim": "groups",
    }
    return build(name, audience, known, options)


def keycloak(
    base_url: str, realm: str, *, audience: Audience, **options: Unpack[IssuerOptions]
) -> Issuer:
    """Return a realm of Keycloak. Roles are those of the realm.

    An access token says ``"typ": "Bearer"`` among its claims; ID, refresh and logout tokens, which
    the same keys sign, say something else and are refused.

    :param base_url: the address that tokens name, with ``/auth`` where the server has it. Where the
        service reaches Keycloak at another one, set ``jwks_uri=`` too.
    :param audience: what a client's audience mapper adds.
    :raises ConfigurationError: naming the setting, the value and the fix.
    """
    check_text("base_url", base_url, "https://sso.example")
    name = f"{base_url.rstrip('/')}/realms/{segment('realm', realm)}"
    known: IssuerOptions = {
        "jwks_uri": f"{name}/protocol/openid-connect/certs",
        "roles_claim": "realm_access.roles",
        "required_values": {"typ": "Bearer"},
    }
    return build(name, audience, known, options)


def zitadel(domain: str, *, audience: Audience, **options: Unpack[IssuerOptions]) -> Issuer:
    """Return an instance of Zitadel. It renews keys within hours and announces none beforehand.

    Its roles are an object, so ask for one with
    ``has_claim(("urn:zitadel:iam:org:project:roles", "admin"))``.

    :param domain: such as ``example.zitadel.cloud``.
    :param audience: the id of the project or of the application.
    :raises ConfigurationError: naming the setting, the value and the fix.
    """
    name = f"https://{host('domain', domain)}"
    return build(name, audience, {"jwks_uri": f"{name}/oauth/v2/keys"}, options)


def apple(client_id: Audience, **options: Unpack[IssuerOptions]) -> Issuer:
    """Return Sign in with Apple, whose ID tokens pass here by name.

    :param client_id: the bundle or services id, or several.
    :raises ConfigurationError: naming the setting, the value and the fix.
    """
    name = "https://appleid.apple.com"
    known: IssuerOptions = {
        "jwks_uri": f"{name}/auth/keys",
        "algorithms": ["RS256"],
        "accept_id_tokens": True,
    }
    return build(name, client_id, known, options)
