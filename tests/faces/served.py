"""The scenario table's applications, for real servers to import."""

import os

from jwt_middleware import JWTMiddleware, JWTWSGIMiddleware
from tests.faces.calls import asgi_app, wsgi_app
from tests.faces.scenarios import build_guard

guard = build_guard(os.environ["GUARD"], os.environ["ISSUER_URL"], os.environ["OTHER_URL"])
asgi = JWTMiddleware(asgi_app, guard=guard)
wsgi = JWTWSGIMiddleware(wsgi_app, guard=guard)
