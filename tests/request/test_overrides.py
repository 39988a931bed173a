"""What a client says besides method and path, and real frameworks route by: both faces."""

from typing import Any

import pytest
import tg
from asgiref.wsgi import WsgiToAsgi
from pyramid.config import Configurator
from pyramid.response import Response
from tg import MinimalApplicationConfigurator, RestController, TGController, expose

from jwt_middleware import JWTMiddleware, JWTWSGIMiddleware, has_role, protect, public
from jwt_middleware.rules.rule import Rule
from jwt_middleware.testing import Clock
from tests.faces.calls import Answer, http_scope, through_asgi, through_wsgi, wsgi_environ
from tests.support.short_form import bearer, short_guard, token

ADMIN = protect("/admin/**", requires=has_role("admin"))
OPEN = [ADMIN, public("/**")]
FACES = ["asgi", "wsgi"]

# It has no types of its own.
bridge: Any = WsgiToAsgi

Headers = list[tuple[str, str]]


class Resource(dict[str, Any]):
    """A place for traversal."""


def pyramid() -> Any:
    root = Resource(admin=Resource(users=Resource()), open=Resource())
    with Configurator(root_factory=lambda request: root) as config:
        config.add_view(lambda context, request: Response(request.path), context=Resource)
        return config.make_wsgi_app()


class Things(RestController):  # type: ignore[misc]
    """Says which of its methods ran."""

    @expose(content_type="text/plain")
    def get_all(self) -> str:
        return "read"

    @expose(content_type="text/plain")
    def post(self) -> str:
        return "written"

    @expose(content_type="text/plain")
    def wipe(self) -> str:
        return "wiped"


def turbogears() -> Any:
    class Root(TGController):  # type: ignore[misc]
        things = Things()

    config = MinimalApplicationConfigurator()
    config.update_blueprint({"root_controller": Root(), "debug": False})
    return config.make_wsgi_app({}, {})


class Guarded:
    """A WSGI application behind either face; ``None`` for no guard at all."""

    def __init__(self, app: Any, rules: list[Rule] | None, clock: Clock | None = None) -> None:
        self.asgi: Any = bridge(app)
        self.wsgi = app
        if rules is not None:
            more = {} if clock is None else {"clock": clock}
            guard = short_guard(rules=rules, **more)
            self.asgi = JWTMiddleware(self.asgi, guard=guard)
            self.wsgi = JWTWSGIMiddleware(app, guard=guard)

    async def ask(
        self,
        face: str,
        path: str,
        headers: Headers | None = None,
        query: str = "",
        *,
        method: str = "GET",
        root: str = "",
    ) -> Answer:
        sent = [("Host", "a"), *(headers or [])]
        server: dict[str, Any] = {"SERVER_NAME": "a", "SERVER_PORT": "80"}
        if face == "wsgi":
            environ = wsgi_environ(method, path, sent, QUERY_STRING=query, **server)
            return through_wsgi(self.wsgi, {**environ, "SCRIPT_NAME": root})
        whole = {"query_string": query.encode(), "server": ("a", 80), "root_path": root}
        whole["http_version"] = "1.1"
        return await through_asgi(self.asgi, http_scope(method, root + path, sent, **whole))


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize(
    "header",
    [
        ("X-Vhm-Root", "/admin"),
        ("X-Vhm-Root", "admin"),
        ("X-Vhm-Root", "/admin/"),
        ("x_vhm_root", "//admin"),
        ("X-Vhm_Root", "/admin/users/.."),
    ],
)
async def test_a_root_that_pyramid_reads_from_a_header_is_judged(
    face: str, header: tuple[str, str]
) -> None:
    """Through a bridge an underscore is a hyphen; what nobody can read is refused."""
    bare, guarded = Guarded(pyramid(), None), Guarded(pyramid(), OPEN)

    reached = await bare.ask(face, "/users", [header])
    refused = await guarded.ask(face, "/users", [header])

    assert reached.status == 200
    assert (await bare.ask(face, "/users")).status == 404
    assert refused.status == (400 if ".." in header[1] else 401)


@pytest.mark.parametrize("face", FACES)
async def test_what_was_remembered_of_a_path_without_the_header_is_no_answer_to_one_with_it(
    face: str,
) -> None:
    """Nor the other way round."""
    guarded = Guarded(pyramid(), OPEN)

    for root, status in [(None, 404), ("/admin", 401), ("/open", 404), ("/", 404), (None, 404)]:
        headers = [] if root is None else [("X-Vhm-Root", root)]
        assert (await guarded.ask(face, "/users", headers)).status == status


@pytest.mark.parametrize("face", FACES)
async def test_the_path_as_sent_and_its_mount_point_count_beside_the_header(face: str) -> None:
    """A root of no meaning hides neither."""
    rules = [ADMIN, protect("/m/secret/**", requires=has_role("secret")), public("/**")]
    guarded = Guarded(pyramid(), rules)
    away = [("X-Vhm-Root", "/nowhere")]

    assert (await guarded.ask(face, "/admin", away)).status == 401
    assert (await guarded.ask(face, "/secret", away, root="/m")).status == 401
    assert (await guarded.ask(face, "/other", away, root="/m")).status == 404


async def test_a_root_that_is_sent_twice_is_refused() -> None:
    """A bridge joins the two, or takes one of them."""
    guarded = Guarded(pyramid(), OPEN)
    twice = [("X-Vhm-Root", "/open"), ("X_Vhm_Root", "/open")]

    assert (await guarded.ask("asgi", "/x", twice)).status == 400
    assert (await guarded.ask("asgi", "/x", [("X-Vhm-Root", "/\xff")])).status == 400
    assert (await guarded.ask("wsgi", "/x", [("X-Vhm-Root", "/\xff")])).status == 400
    assert (await guarded.ask("wsgi", "/x", [("X-Vhm-Root", "/\u0100")])).status == 400


@pytest.mark.parametrize("face", FACES)
async def test_a_guard_met_twice_decides_again_where_the_root_was_set_between(face: str) -> None:
    """A middleware between the two may set it, as a proxy would."""
    app = pyramid()
    guard = short_guard(rules=OPEN)

    def between_wsgi(environ: Any, start_response: Any) -> Any:
        inner = JWTWSGIMiddleware(app, guard=guard)
        return inner({**environ, "HTTP_X_VHM_ROOT": "/admin"}, start_response)

    async def between_asgi(scope: Any, receive: Any, send: Any) -> None:
        inner = JWTMiddleware(bridge(app), guard=guard)
        headers = [*scope["headers"], (b"x-vhm-root", b"/admin")]
        await inner({**scope, "headers": headers}, receive, send)

    asked = Guarded(app, None)
    asked.wsgi, asked.asgi = between_wsgi, between_asgi
    twice = Guarded(app, None)
    # What is seen of the outer application must be what is seen of the inner one.
    outer_wsgi, outer_asgi = JWTWSGIMiddleware(app, guard), JWTMiddleware(bridge(app), guard)
    outer_wsgi._app, outer_asgi._app = between_wsgi, between_asgi
    twice.wsgi, twice.asgi = outer_wsgi, outer_asgi

    assert (await asked.ask(face, "/users")).status == 401
    assert (await twice.ask(face, "/users")).status == 401


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("query", ["_method=POST", "%5Fmethod=post", "a=1&_method=wipe", "_method"])
async def test_a_method_in_the_query_is_refused_before_turbogears(face: str, query: str) -> None:
    """It would run in place of the one that was judged."""
    rules = [public("/things", methods=["GET"]), protect("/things", requires=has_role("writer"))]
    bare, guarded = Guarded(turbogears(), None), Guarded(turbogears(), rules)

    assert (await bare.ask(face, "/things", query=query)).body == {
        "_method": b"read",
        "a=1&_method=wipe": b"wiped",
    }.get(query, b"written")
    refused = await guarded.ask(face, "/things", query=query)
    assert (refused.status, refused.json()["code"]) == (400, "path_invalid")
    assert (await guarded.ask(face, "/things", query="method=POST&_methods=1")).body == b"read"


async def test_a_method_in_the_query_means_nothing_elsewhere() -> None:
    """It is a parameter like any other where no framework takes it for the method."""
    guarded = Guarded(pyramid(), OPEN)

    for face in FACES:
        assert (await guarded.ask(face, "/open", query="_method=DELETE")).status == 200


async def test_a_writer_may_write_by_the_method_itself(clock: Clock) -> None:
    """What is refused is another method in the query, not the method."""
    rules = [public("/things", methods=["GET"]), protect("/things", requires=has_role("writer"))]
    guarded = Guarded(turbogears(), rules, clock)
    writer = bearer(token(clock, roles=["writer"]))

    for face in FACES:
        answer = await guarded.ask(face, "/things", writer, method="POST")
        assert (answer.status, answer.body) == (200, b"written")
    assert tg.request is not None
