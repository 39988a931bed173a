"""Active Directory Federation Services."""

from typing import Literal, Unpack

from jwt_middleware.checks import check_text
from jwt_middleware.errors import ConfigurationError
from jwt_middleware.issuers.issuer import Issuer, IssuerOptions
from jwt_middleware.issuers.options import Audience
from jwt_middleware.keys.remote.options import ResolverOptions
from jwt_middleware.presets.build import build, host


def adfs(
    server: str,
    *,
    audience: Audience,
    kind: Literal["access", "id"] = "access",
    issuer: str | None = None,
    **options: Unpack[IssuerOptions],
) -> Issuer:
    """Return the issuer of the access tokens, or of the ID tokens, of an AD FS server.

    The two kinds have different issuers. Scopes are in ``scp``. The rules of the server decide
    which claims a token has; the subject is ``sub``, so set ``subject_claim="upn"`` if they do not
    issue it.

    :param server: such as ``fs.acme.example``.
    :param audience: the identifier of the API, such as ``microsoft:identityserver:orders``, or the
        client id for ID tokens.
    :param kind: the kind of tokens that is accepted.
    :param issuer: the exact ``iss`` of the tokens, ``access_token_issuer`` or ``issuer`` of the
        discovery document, if it is not made of ``server``.
    :raises ConfigurationError: naming the setting, the value and the fix.
    """
    base = f"{host('server', server)}/adfs"
    if kind not in ("access", "id"):
        raise ConfigurationError(f"kind={kind!r} must be a kind of token: write 'access' or 'id'")
    # The first is a name, not an address, although it begins with http://.
    name = f"http://{base}/services/trust" if kind == "access" else f"https://{base}"
    if issuer is not None:
        check_text("issuer", issuer, name)
        name = issuer
    known: IssuerOptions = {
        "jwks_uri": f"https://{base}/discovery/keys",
        "algorithms": ["RS256"],
        "scopes_claim": "scp",
        # AD FS 2016 names the key in ``x5t`` only, and two keys are published during a change.
        "resolver": ResolverOptions(kidless="try"),
        "accept_id_tokens": kind == "id",
    }
    return build(name, audience, known, options)
