"""Issuers of known providers, with what is peculiar about each.

Every preset returns an :class:`~jwt_middleware.issuers.Issuer` and takes its options besides, over
those that it sets itself. They are written from what the providers document and publish.
"""

from jwt_middleware.presets.accounts import apple, auth0, keycloak, okta, zitadel
from jwt_middleware.presets.google import firebase, google, google_iap
from jwt_middleware.presets.microsoft import entra, entra_b2c
from jwt_middleware.presets.workloads import cognito, github_actions, kubernetes

__all__ = [
    "apple",
    "auth0",
    "cognito",
    "entra",
    "entra_b2c",
    "firebase",
    "github_actions",
    "google",
    "google_iap",
    "keycloak",
    "kubernetes",
    "okta",
    "zitadel",
]
