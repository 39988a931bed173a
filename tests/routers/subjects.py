"""Each framework, in each way in which it may stand behind a server."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from tests.routers import (
    asgi_apps,
    django_apps,
    object_apps,
    raw_apps,
    socket_apps,
    wsgi_apps,
)
from tests.routers.spellings import MOUNT


@dataclass(frozen=True)
class Subject:
    """One framework, in one way of standing behind a server."""

    name: str
    face: Literal["asgi", "wsgi"]
    build: Callable[[], Any]
    root: str = ""
    """``root_path`` or ``SCRIPT_NAME``."""
    chosen_roots: tuple[str, ...] = ()
    """What a client names as ``root_path``, where the server believes it, as daphne does."""
    joins: bool = False
    """Whether the server puts ``root_path`` in front of the path, as uvicorn does."""
    mounted: bool = False
    """Whether the guard stands inside a mount of an outer application."""
    case_sensitive: bool = True
    """Whether its guard, and it, tell cases apart."""
    sockets: bool = False
    """Whether it is asked for WebSockets."""
    limits: frozenset[str] = frozenset()
    """Handlers that this subject serves in a way that no path tells; docs/security.md says why."""


litestar, quart = asgi_apps.litestar_app, asgi_apps.quart_app
PAGE = frozenset({"page"})
CHOSEN = ("/admin", "/admin/", "/docs/", "/adm", "/docs", "/me/", "/feed//", "admin", "/api/")
BELOW = frozenset({"below_admin", "docs", "files"})
LAST_HOLES = frozenset({"org", "user", "drop_user"})
MOUNTED = frozenset({"sub_open", "sub_secret"})

SUBJECTS = (
    Subject("Starlette", "asgi", asgi_apps.starlette_app),
    Subject("Starlette, guard inside a mount", "asgi", asgi_apps.starlette_app, mounted=True),
    Subject("Starlette, uvicorn --root-path", "asgi", asgi_apps.starlette_app, MOUNT, joins=True),
    Subject("Starlette, hypercorn --root-path", "asgi", asgi_apps.starlette_app, MOUNT),
    Subject("FastAPI", "asgi", asgi_apps.fastapi_app),
    Subject("FastAPI(root_path=...)", "asgi", lambda: asgi_apps.fastapi_app(MOUNT)),
    # A mount of Litestar's takes what begins with its letters: /subsecret is /secret below /sub.
    Subject("Litestar", "asgi", litestar, limits=MOUNTED),
    Subject("Litestar, uvicorn --root-path", "asgi", litestar, MOUNT, joins=True, limits=MOUNTED),
    Subject("Litestar, hypercorn --root-path", "asgi", litestar, MOUNT, limits=MOUNTED),
    Subject("Quart", "asgi", quart),
    Subject("Quart, uvicorn --root-path", "asgi", quart, MOUNT, joins=True),
    # For what is not below its root_path Quart fills a hole of the first segment with a space.
    Subject("Quart, hypercorn --root-path", "asgi", quart, MOUNT, limits=PAGE),
    Subject("Falcon (ASGI)", "asgi", asgi_apps.falcon_app),
    Subject("Django (ASGI), functions", "asgi", django_apps.django_asgi_app),
    Subject("Django (ASGI), classes", "asgi", lambda: django_apps.django_asgi_app(classes=True)),
    Subject("Django (ASGI), --root-path", "asgi", django_apps.django_asgi_app, MOUNT, joins=True),
    Subject("Sanic", "asgi", raw_apps.sanic_app),
    Subject("Sanic, uvicorn --root-path", "asgi", raw_apps.sanic_app, MOUNT, joins=True),
    Subject("BlackSheep", "asgi", raw_apps.blacksheep_app),
    Subject("BlackSheep, uvicorn --root-path", "asgi", raw_apps.blacksheep_app, MOUNT, joins=True),
    # A star also takes what begins with the letters before it.
    Subject("BlackSheep, stars", "asgi", raw_apps.blacksheep_with_stars, limits=BELOW),
    Subject("Starlette, daphne", "asgi", asgi_apps.starlette_app, chosen_roots=CHOSEN),
    Subject("FastAPI, daphne", "asgi", asgi_apps.fastapi_app, chosen_roots=CHOSEN),
    Subject(
        "FastAPI(root_path=...), daphne",
        "asgi",
        lambda: asgi_apps.fastapi_app(MOUNT),
        chosen_roots=CHOSEN,
    ),
    Subject("Litestar, daphne", "asgi", litestar, chosen_roots=CHOSEN, limits=MOUNTED),
    Subject("Quart, daphne", "asgi", quart, chosen_roots=CHOSEN, limits=PAGE),
    Subject("Falcon (ASGI), daphne", "asgi", asgi_apps.falcon_app, chosen_roots=CHOSEN),
    Subject("Django (ASGI), daphne", "asgi", django_apps.django_asgi_app, chosen_roots=CHOSEN),
    Subject("Sanic, daphne", "asgi", raw_apps.sanic_app, chosen_roots=CHOSEN),
    Subject("BlackSheep, daphne", "asgi", raw_apps.blacksheep_app, chosen_roots=CHOSEN),
    Subject("Flask", "wsgi", wsgi_apps.flask_app),
    Subject("Flask, SCRIPT_NAME", "wsgi", wsgi_apps.flask_app, MOUNT),
    Subject("Flask, guard inside a mount", "wsgi", wsgi_apps.flask_app, mounted=True),
    Subject("Falcon (WSGI)", "wsgi", asgi_apps.falcon_wsgi_app),
    # As it comes, Falcon fills a hole with the nothing after a slash at the end.
    Subject("Falcon (WSGI), slash kept", "wsgi", asgi_apps.falcon_as_it_comes, limits=LAST_HOLES),
    Subject("Django (WSGI), functions", "wsgi", django_apps.django_wsgi_app),
    Subject("Django (WSGI), classes", "wsgi", lambda: django_apps.django_wsgi_app(classes=True)),
    Subject("Django (WSGI), SCRIPT_NAME", "wsgi", django_apps.django_wsgi_app, MOUNT),
    Subject("Django (WSGI), (?i)", "wsgi", django_apps.django_without_case, case_sensitive=False),
    Subject("Bottle", "wsgi", wsgi_apps.bottle_app),
    Subject("Pyramid", "wsgi", wsgi_apps.pyramid_app),
    Subject("Pyramid, traversal", "wsgi", object_apps.pyramid_traversal_app),
    Subject("CherryPy", "wsgi", object_apps.cherrypy_app),
    Subject("CherryPy, SCRIPT_NAME", "wsgi", lambda: object_apps.cherrypy_app(MOUNT), MOUNT),
    Subject("TurboGears", "wsgi", object_apps.turbogears_app),
    Subject("Starlette, sockets", "asgi", socket_apps.starlette_app, sockets=True),
    Subject("FastAPI, sockets", "asgi", socket_apps.fastapi_app, sockets=True),
    Subject("Litestar, sockets", "asgi", socket_apps.litestar_app, sockets=True, limits=MOUNTED),
    Subject("Quart, sockets", "asgi", socket_apps.quart_app, sockets=True),
    Subject("Falcon, sockets", "asgi", socket_apps.falcon_app, sockets=True),
)
