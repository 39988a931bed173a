"""GitLab CI/CD."""

from collections.abc import Collection
from typing import Unpack

from jwt_middleware.checks import check_text
from jwt_middleware.errors import ConfigurationError
from jwt_middleware.issuers.issuer import Issuer, IssuerOptions
from jwt_middleware.issuers.options import Audience, ClaimPathOption, ClaimValue
from jwt_middleware.presets.build import build, listed


def gitlab_ci(
    *,
    audience: Audience,
    namespace: str | Collection[str] | None = None,
    project: str | Collection[str] | None = None,
    base_url: str = "https://gitlab.com",
    **options: Unpack[IssuerOptions],
) -> Issuer:
    """Return the issuer of GitLab CI/CD jobs.

    ``namespace`` or ``project`` is required, because any GitLab user can write a job and choose
    its audience. Check the branch in ``ref`` with ``ref_protected``, and the deployment environment
    in ``environment``, in the rules.

    :param namespace: a group, a subgroup or a user whose own projects are trusted, or several. The
        projects of its subgroups are not included.
    :param project: such as ``acme/shop``, or several.
    :param base_url: the address of a GitLab server of one's own.
    :raises ConfigurationError: naming the setting, the value and the fix.
    """
    check_text("base_url", base_url, "https://gitlab.com")
    name = base_url.rstrip("/")
    whose: dict[ClaimPathOption, Collection[ClaimValue]] = {}
    if namespace is not None:
        whose["namespace_path"] = listed("namespace", namespace)
    if project is not None:
        whose["project_path"] = listed("project", project)
    if not whose:
        raise ConfigurationError(
            "gitlab_ci() must be given namespace= or project=, because it would trust every job "
            "of the server: write namespace='acme'"
        )
    known: IssuerOptions = {
        "jwks_uri": f"{name}/oauth/discovery/keys",
        "algorithms": ["RS256"],
        "required_values": whose,
    }
    return build(name, audience, known, options)
