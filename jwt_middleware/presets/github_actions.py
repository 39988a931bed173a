"""GitHub Actions."""

from collections.abc import Collection
from typing import Unpack

from jwt_middleware.errors import ConfigurationError
from jwt_middleware.issuers.issuer import Issuer, IssuerOptions
from jwt_middleware.issuers.options import Audience, ClaimPathOption, ClaimValue
from jwt_middleware.presets.build import build, listed, segment


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
    whose: dict[ClaimPathOption, Collection[ClaimValue]] = {}
    if owner is not None:
        whose["repository_owner"] = listed("owner", owner)
    if repository is not None:
        whose["repository"] = listed("repository", repository)
    if not whose:
        raise ConfigurationError(
            "github_actions() must be given owner= or repository=, because it would trust every "
            "workflow on GitHub: write owner='acme'"
        )
    known: IssuerOptions = {
        "jwks_uri": jwks_uri,
        "algorithms": ["RS256"],
        "required_values": whose,
    }
    return build(name, audience, known, options)
