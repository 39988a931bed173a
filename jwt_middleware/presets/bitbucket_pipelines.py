"""Bitbucket Pipelines."""

import re
from collections.abc import Collection
from typing import Unpack

from jwt_middleware.checks import listed
from jwt_middleware.errors import ConfigurationError
from jwt_middleware.issuers.issuer import Issuer, IssuerOptions
from jwt_middleware.issuers.options import Audience
from jwt_middleware.presets.build import build, segment

_UUID = re.compile(r"\{?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\}?")


def bitbucket_pipelines(
    workspace: str,
    *,
    audience: Audience,
    repository: str | Collection[str] | None = None,
    **options: Unpack[IssuerOptions],
) -> Issuer:
    """Return the issuer of the pipelines of a Bitbucket workspace.

    Check the branch in ``branchName``, and the deployment environment in
    ``deploymentEnvironmentUuid``, in the rules.

    :param workspace: the id of the workspace, as in the address of its repositories.
    :param audience: what the step asks for. By default every step of the workspace gets the same
        audience, ``ari:cloud:bitbucket::workspace/UUID``.
    :param repository: the UUID of a repository whose pipelines are trusted, or several. Without it
        those of all repositories of the workspace are.
    :raises ConfigurationError: naming the setting, the value and the fix.
    """
    place = f"https://api.bitbucket.org/2.0/workspaces/{segment('workspace', workspace)}"
    name = f"{place}/pipelines-config/identity/oidc"
    known: IssuerOptions = {"jwks_uri": f"{name}/keys.json", "algorithms": ["RS256"]}
    if repository is not None:
        known["required_values"] = {"repositoryUuid": _uuids(repository)}
    return build(name, audience, known, options)


def _uuids(repository: str | Collection[str]) -> list[str]:
    """Return UUIDs as Bitbucket writes them, in braces and in lower case."""
    one_or_more = (repository,) if isinstance(repository, str) else repository
    given = listed("repository", one_or_more, "['12bc5bd8-1a2b-4c3d-8e4f-5a6b7c8d9e0f']")
    found = [_UUID.fullmatch(each.lower()) if isinstance(each, str) else None for each in given]
    if not found or None in found:
        raise ConfigurationError(
            f"repository={repository!r} must be a UUID, or a list of UUIDs: write that of the "
            "OpenID Connect settings of the repository, not its name"
        )
    return [f"{{{each[1]}}}" for each in found if each is not None]
