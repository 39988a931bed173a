"""Presets for the issuers of known providers.

Every preset returns an :class:`~jwt_middleware.Issuer`. It also takes the options of ``Issuer``,
which override those that the preset sets. The presets follow what the providers document and
publish.
"""

from jwt_middleware.presets.apple import apple
from jwt_middleware.presets.auth0 import auth0
from jwt_middleware.presets.cognito import cognito
from jwt_middleware.presets.entra import entra
from jwt_middleware.presets.entra_b2c import entra_b2c
from jwt_middleware.presets.firebase import firebase
from jwt_middleware.presets.github_actions import github_actions
from jwt_middleware.presets.google import google
from jwt_middleware.presets.google_iap import google_iap
from jwt_middleware.presets.keycloak import keycloak
from jwt_middleware.presets.kubernetes import kubernetes
from jwt_middleware.presets.okta import okta
from jwt_middleware.presets.zitadel import zitadel

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
