"""Flask: what does not come through the guard is decided when Flask meets it."""

from typing import Any

import pytest
from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import Rule
from werkzeug.test import Client

from jwt_middleware import Guard, JWTWSGIMiddleware, current_principal, protect, public
from jwt_middleware.integrations.flask import JWT, requires
from jwt_middleware.testing import KeyPair

PAIR = KeyPair(b"0123456789abcdefghijklmnopqrstuv", "HS256", None)
ISSUER = "https://a/"


def guard(**options: Any) -> Guard:
    return Guard(key=PAIR.private, algorithms=["HS256"], issuer=ISSUER, **options)


def bearer() -> dict[str, str]:
    token = PAIR.sign({"iss": ISSUER, "sub": "alice", "exp": 4_000_000_000})
    return {"Authorization": f"Bearer {token}"}


def test_a_request_that_a_test_prepares_without_a_server_is_decided_too() -> None:
    """As tests of ``before_request`` functions do, also with a function around ``wsgi_app``."""
    app: Any = Flask("shop", static_folder=None)
    JWT(app, guard=guard())
    inner = app.wsgi_app

    def around(environ: Any, start_response: Any) -> Any:
        return inner({**environ}, start_response)

    app.wsgi_app = around

    with app.test_request_context("/"):
        assert app.preprocess_request().status_code == 401
    with app.test_request_context("/", headers=bearer()):
        assert app.preprocess_request() is None
        assert current_principal().subject == "alice"
    assert current_principal().subject is None
    assert app.test_client().get("/").status_code == 401


def served_by_what_was_made_before(app: Any, made: Guard) -> Any:
    """The server is given a middleware around what ``app.wsgi_app`` was before the guard."""
    server = ProxyFix(app.wsgi_app)
    JWT(app, guard=made)
    return server


def served_behind_another_guard(app: Any, made: Guard) -> Any:
    """A guard that opens everything has let the request pass, and not the application's own."""
    server = JWTWSGIMiddleware(app.wsgi_app, guard=guard(rules=[public("/**")]))
    JWT(app, guard=made)
    return server


def served_with_a_new_environment(app: Any, made: Guard) -> Any:
    """A middleware behind the guard passes on what it knows, and no key of others."""
    inner = app.wsgi_app

    def renewing(environ: Any, start_response: Any) -> Any:
        kept = {name: environ[name] for name in environ if not name.startswith("jwt_middleware")}
        return inner(kept, start_response)

    app.wsgi_app = renewing
    JWT(app, guard=made)
    return app


@pytest.mark.parametrize(
    "build",
    [
        served_by_what_was_made_before,
        served_behind_another_guard,
        served_with_a_new_environment,
    ],
)
def test_flask_serves_nothing_that_its_own_guard_has_not_let_pass(build: Any) -> None:
    """A request that came around it is decided when Flask meets it."""
    app: Any = Flask("shop")
    app.add_url_rule("/", view_func=requires()(lambda: str(current_principal().subject)))
    app.add_url_rule("/open", view_func=lambda: "open", endpoint="open")
    made = guard(rules=[public("/open"), protect("/**")])
    client = Client(build(app, made))

    assert client.get("/").status_code == 401
    assert client.get("/", headers={"Authorization": "Bearer no-token"}).status_code == 401
    for _ in range(2):
        with client.get("/", headers=bearer()) as served:
            assert (served.status_code, served.get_data(as_text=True)) == (200, "alice")
        assert current_principal().subject is None
    assert client.get("/open").data == b"open"


def test_a_rule_of_flask_without_a_view_is_flasks_own_affair() -> None:
    """Werkzeug's rules may be answered by ``before_request`` alone."""
    app: Any = Flask("shop")
    app.url_map.add(Rule("/early", endpoint="early"))
    JWT(app, guard=guard(rules=[public("/**")]))
    app.before_request(lambda: "answered early")

    assert app.test_client().get("/early").text == "answered early"
