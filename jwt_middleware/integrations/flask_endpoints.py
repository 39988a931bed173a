"""Flask and the endpoints of an issuer.

::

    add_endpoint(app, "/auth/refresh", RefreshEndpoint(pairs))
"""

from typing import Any

from jwt_middleware.checks import check_kind
from jwt_middleware.endpoints.endpoint import Endpoint

try:
    from flask import Blueprint, Flask
except ImportError:
    raise ImportError(
        "jwt_middleware.integrations.flask_endpoints needs Flask: "
        "pip install 'asgi-wsgi-jwt[flask]'"
    ) from None


def add_endpoint(app: Flask | Blueprint, path: str, endpoint: Endpoint) -> None:
    """Add an endpoint to an application or a blueprint.

    :param path: its path.
    :raises ConfigurationError: if it is not an endpoint.
    """
    check_kind("endpoint", endpoint, Endpoint, "RefreshEndpoint(pairs)")

    def answer() -> Any:
        # Flask calls what a view returns, if it is a WSGI application.
        return endpoint.wsgi

    app.add_url_rule(
        path,
        f"{type(endpoint).__name__}_{path.strip('/').replace('/', '_').replace('.', '_')}",
        answer,
        methods=list(endpoint.methods),
        provide_automatic_options=False,
    )
