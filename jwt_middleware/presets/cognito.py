"""Amazon Cognito."""

from collections.abc import Collection
from typing import Literal, Unpack

from jwt_middleware.errors import ConfigurationError
from jwt_middleware.issuers.issuer import Issuer, IssuerOptions
from jwt_middleware.presets.build import build, listed, segment


def cognito(
    region: str,
    pool: str,
    *,
    client_id: str | Collection[str],
    kind: Literal["access", "id"] = "access",
    **options: Unpack[IssuerOptions],
) -> Issuer:
    """Return the issuer of an Amazon Cognito user pool. Roles are in ``cognito:groups``.

    Its access tokens name the client in ``client_id`` and must not have an ``aud``. Its ID tokens
    are accepted only with ``kind="id"``.

    :param region: such as ``eu-central-1``.
    :param pool: such as ``eu-central-1_aB3dE5fG7``.
    :param client_id: the app client, or several.
    :param kind: the kind of tokens that is accepted.
    :raises ConfigurationError: naming the setting, the value and the fix.
    """
    host = f"cognito-idp.{segment('region', region)}.amazonaws.com"
    name = f"https://{host}/{segment('pool', pool)}"
    clients = listed("client_id", client_id)
    known: IssuerOptions = {
        "jwks_uri": f"{name}/.well-known/jwks.json",
        "algorithms": ["RS256"],
        "roles_claim": ("cognito:groups",),
        "required_values": {"token_use": kind},
    }
    if kind == "id":
        return build(name, clients, {**known, "accept_id_tokens": True}, options)
    if kind != "access":
        raise ConfigurationError(f"kind={kind!r} must be a kind of token: write 'access' or 'id'")
    known["required_values"] = {"token_use": kind, "client_id": clients}
    return build(name, None, known, options)
