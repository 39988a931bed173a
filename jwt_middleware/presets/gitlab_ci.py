"""GitLab CI/CD."""

from collections.abc import Collection
from typing import Unpack

from jwt_middleware.checks import check_text
from jwt_middleware.issuers.issuer import Issuer, IssuerOptions
from jwt_middleware.issuers.options import Audience
from jwt_middleware.presets.build import build, trusted_of


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
    options_of_claims = {
        "namespace_path": ("namespace", namespace),
        "project_path": ("project", project),
    }
    known: IssuerOptions = {
        "jwks_uri": f"{name}/oauth/discovery/keys",
        "algorithms": ["RS256"],
        "required_values": trusted_of(
            "gitlab_ci", "every job of the server", "namespace='acme'", options_of_claims
        ),
    }
    return build(name, audience, known, options)
