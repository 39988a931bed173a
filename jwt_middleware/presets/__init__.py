"""Presets for the issuers of known providers.

Every preset returns an :class:`~jwt_middleware.Issuer`. It also takes the options of ``Issuer``,
which override those that the preset sets. The presets follow what the providers document and
publish.
"""

from jwt_middleware.presets.adfs import adfs
from jwt_middleware.presets.apple import apple
from jwt_middleware.presets.auth0 import auth0
from jwt_middleware.presets.aws_alb import aws_alb
from jwt_middleware.presets.bitbucket_pipelines import bitbucket_pipelines
from jwt_middleware.presets.cloudflare_access import cloudflare_access
from jwt_middleware.presets.cognito import cognito
from jwt_middleware.presets.entra import entra
from jwt_middleware.presets.entra_b2c import entra_b2c
from jwt_middleware.presets.entra_external_id import entra_external_id
from jwt_middleware.presets.firebase import firebase
from jwt_middleware.presets.github_actions import github_actions
from jwt_middleware.presets.gitlab_ci import gitlab_ci
from jwt_middleware.presets.google import google
from jwt_middleware.presets.google_iap import google_iap
from jwt_middleware.presets.keycloak import keycloak
from jwt_middleware.presets.kubernetes import kubernetes
from jwt_middleware.presets.okta import okta
from jwt_middleware.presets.zitadel import zitadel

__all__ = [
    "adfs",
    "apple",
    "auth0",
    "aws_alb",
    "bitbucket_pipelines",
    "cloudflare_access",
    "cognito",
    "entra",
    "entra_b2c",
    "entra_external_id",
    "firebase",
    "github_actions",
    "gitlab_ci",
    "google",
    "google_iap",
    "keycloak",
    "kubernetes",
    "okta",
    "zitadel",
]
