"""GitHub Actions."""

from collections.abc import Collection
from typing import Unpack

from jwt_middleware.issuers.issuer import Issuer, IssuerOptions
from jwt_middleware.issuers.options import Audience
from jwt_middleware.presets.build import build, segment, trusted_of


def github_actions(
    *,
    audience: Audience,
    owner: str | Collection[str] | None = None,
    repository: str | Collection[str] | None = None,
    enterprise: str | None = None,
    **options: Unpack[IssuerOptions],
) -> Issuer:
    """Return the issuer of GitHub Actions workflows.

    ``owner`` or ``repository`` is required, because any GitHub user can write a workflow and choose
    its audience. Check the branch in ``ref`` and the deployment environment in ``environment`` in
    the rules.

    :param owner: an organisation or user whose workflows are trusted, or several.
    :param repository: such as ``acme/shop``, or several.
    :param enterprise: the slug of an enterprise that has its own issuer.
    :raises ConfigurationError: naming the setting, the value and the fix.
    """
    name = "https://token.actions.githubusercontent.com"
    jwks_uri: str | None = f"{name}/.well-known/jwks"
    if enterprise is not None:
        # ``None``, because the discovery document of the enterprise names its key set.
        name, jwks_uri = f"{name}/{segment('enterprise', enterprise)}", None
    options_of_claims = {
        "repository_owner": ("owner", owner),
        "repository": ("repository", repository),
    }
    known: IssuerOptions = {
        "jwks_uri": jwks_uri,
        "algorithms": ["RS256"],
        "required_values": trusted_of(
            "github_actions", "every workflow on GitHub", "owner='acme'", options_of_claims
        ),
    }
    return build(name, audience, known, options)
