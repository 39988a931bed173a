"""GitHub Actions."""

from collections.abc import Collection
from typing import Unpack

from jwt_middleware.errors import ConfigurationError
from jwt_middleware.issuers.issuer import (
    Audience,
    ClaimPathOption,
    ClaimValue,
    Issuer,
    IssuerOptions,
)
from jwt_middleware.presets.build import build, listed, segment


def github_actions(
    *,
    audience: Audience,
    owner: str | Collection[str] | None = None,
    repository: str | Collection[str] | None = None,
    enterprise: str | None = None,
    **options: Unpack[IssuerOptions],
) -> Issuer:
    """Return the workflows of GitHub Actions.

    A workflow chooses the audience itself, and anybody can write one; so whose it is must be said.
    The branch is in ``ref``, and what may be deployed from in ``environment``: hold them against
    the rules.

    :param owner: an organisation or user whose workflows are trusted, or several.
    :param repository: such as ``acme/shop``, or several.
    :param enterprise: its slug, where an enterprise has an issuer of its own.
    :raises ConfigurationError: naming the setting, the value and the fix.
    """
    name = "https://token.actions.githubusercontent.com"
    jwks_uri: str | None = f"{name}/.well-known/jwks"
    if enterprise is not None:
        # Where the keys of one are, its own discovery document says.
        name, jwks_uri = f"{name}/{segment('enterprise', enterprise)}", None
    whose: dict[ClaimPathOption, Collection[ClaimValue]] = {}
    if owner is not None:
        whose["repository_owner"] = listed("owner", owner)
    if repository is not None:
        whose["repository"] = listed("repository", repository)
    if not whose:
        raise ConfigurationError(
            "github_actions() would trust every workflow of the world: name owner= or repository="
        )
    known: IssuerOptions = {
        "jwks_uri": jwks_uri,
        "algorithms": ["RS256"],
        "required_values": whose,
    }
    return build(name, audience, known, options)
