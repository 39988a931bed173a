"""CherryPy's ``VirtualHost``: the host that a client names puts a prefix before the path."""

from collections.abc import Callable
from functools import partial
from typing import Any
from wsgiref.util import setup_testing_defaults

import cherrypy
import pytest

from jwt_middleware import JWTWSGIMiddleware, has_role, protect, public
from jwt_middleware.errors import PathInvalid
from jwt_middleware.request.applications import described
from jwt_middleware.rules.applications import Front
from jwt_middleware.rules.paths import with_fronts
from jwt_middleware.testing import Clock
from tests.faces.calls import Answer, through_wsgi, wsgi_environ
from tests.support.short_form import bearer, short_guard, token

RULES = [protect("/admin/**", requires=has_role("admin")), public("/**")]
HOSTS = {"staff.example": "/admin", "www.example": "", "same.example": "/"}

virtual_host: Any = cherrypy.dispatch.VirtualHost


class Node:
    """Answers every path below it with its name."""

    def __init__(self, name: str, **below: Any) -> None:
        self.name = name
        vars(self).update(below)

    def default(self, *path: str) -> str:
        return self.name

    default.exposed = True  # type: ignore[attr-defined]


def application(dispatch: Any, script_name: str = "", section: str = "/") -> Any:
    deep = Node("deep", admin=Node("deep admin"))
    root = Node("open", admin=Node("admin"), inner=deep)
    app: Any = cherrypy.Application(root, script_name, {section: {"request.dispatch": dispatch}})
    app.log.screen = False
    app.merge({"/": {"tools.trailing_slash.on": False}})
    return app


def in_a_tree(dispatch: Any) -> Any:
    tree = cherrypy._cptree.Tree()
    tree.mount(application(dispatch, "/app"), "/app")
    return tree


def ask(app: Any, path: str, *headers: tuple[str, str]) -> Answer:
    environ = wsgi_environ("GET", path, [("Host", "www.example"), *headers])
    setup_testing_defaults(environ)
    return through_wsgi(app, environ)


def guarded(app: Any, *rules: Any, **options: Any) -> Any:
    return JWTWSGIMiddleware(app, guard=short_guard(rules=[*rules, *RULES], **options))


STAFF = ("X-Forwarded-Host", "staff.example")


def test_a_host_that_leads_to_a_guarded_place_opens_nothing() -> None:
    """The bare application serves it to anybody."""
    app = application(virtual_host(**HOSTS))

    assert ask(app, "/users").body == b"open"
    assert ask(app, "/users", STAFF).body == b"admin"
    assert ask(guarded(app), "/users", STAFF).status == 401
    assert ask(guarded(app), "/", STAFF).status == 401


def test_a_caller_who_meets_the_rules_of_both_places_passes() -> None:
    """Whichever host is named, so that no header has to be believed."""
    clock = Clock()
    app = guarded(application(virtual_host(**HOSTS)), clock=clock)
    plain, admin = (bearer(token(clock, roles=roles))[0] for roles in ([], ["admin"]))

    assert ask(app, "/users", STAFF, plain).status == 403
    assert ask(app, "/users", STAFF, admin).body == b"admin"
    assert ask(app, "/users", admin).body == b"open"


def behind(dispatch: Any) -> Any:
    def dispatched(path: str) -> Any:
        return dispatch(path)

    return dispatched


class Holding:
    """A dispatcher of a project's own."""

    def __init__(self, dispatch: Any) -> None:
        self.dispatch = dispatch

    def __call__(self, path: str) -> Any:
        return self.dispatch(path)


DISPATCHERS: dict[str, Callable[[Any], Any]] = {
    "in a function": behind,
    "in an object": Holding,
    "in a partial": partial,
    "behind another": lambda dispatch: virtual_host(next_dispatcher=dispatch, a="/else"),
    "by the method": lambda dispatch: virtual_host(
        next_dispatcher=behind(dispatch), use_x_forwarded_host=False
    ),
}


@pytest.mark.parametrize("name", DISPATCHERS)
def test_a_dispatcher_is_found_wherever_it_is_kept(name: str) -> None:
    """And for a section of the configuration only."""
    dispatch = DISPATCHERS[name](virtual_host(**HOSTS))

    for section, path in (("/", "/users"), ("/users", "/users/7")):
        app = application(dispatch, section=section)
        assert ask(app, path, STAFF).body == b"admin"
        assert ask(guarded(app), path, STAFF).status == 401


def test_the_dispatcher_of_a_request_class_counts() -> None:
    """Where no configuration names one."""

    class Request(cherrypy._cprequest.Request):  # type: ignore[misc]
        dispatch = staticmethod(virtual_host(**HOSTS))

    app = application(cherrypy.dispatch.Dispatcher())
    app.config["/"].pop("request.dispatch")
    app.request_class = Request

    assert ask(app, "/users", STAFF).body == b"admin"
    assert ask(guarded(app), "/users", STAFF).status == 401


def test_prefixes_of_dispatchers_in_a_row_add_up() -> None:
    """The inner one goes in front."""
    inner = virtual_host(use_x_forwarded_host=False, **{"www.example": "/inner"})
    app = application(virtual_host(next_dispatcher=inner, **HOSTS))
    rule = protect("/inner/admin/**", requires=has_role("admin"))
    only = JWTWSGIMiddleware(app, guard=short_guard(rules=[rule, public("/**")]))

    assert ask(app, "/users", STAFF).body == b"deep admin"
    assert ask(only, "/users", STAFF).status == 401


def test_a_prefix_goes_behind_the_mount_point_of_its_application() -> None:
    """The tree takes that off first."""
    app = in_a_tree(virtual_host(**HOSTS))
    rule = protect("/app/admin/**", requires=has_role("admin"))
    only = JWTWSGIMiddleware(app, guard=short_guard(rules=[rule, public("/**")]))

    assert ask(app, "/app/users", STAFF).body == b"admin"
    assert ask(only, "/app/users", STAFF).status == 401
    assert ask(only, "/app/users").status == 401


def test_a_prefix_goes_behind_a_mount_point_that_the_operator_names() -> None:
    """Where whatever mounts the application is not known."""
    paths = with_fronts(("/m/users",), [Front("/admin")], ["/m"])

    assert paths == ("/m/users", "/admin/m/users", "/m/admin/users")


def test_hosts_without_a_prefix_change_nothing() -> None:
    """Nor does the dispatcher that CherryPy uses by itself."""
    for dispatch in (virtual_host(a="", b="/"), cherrypy.dispatch.Dispatcher()):
        app = application(dispatch)
        assert described(app, paths_are_whole=False).fronts == ()
        assert ask(guarded(app), "/users").body == b"open"


def test_applications_that_differ_by_their_hosts_are_not_the_same() -> None:
    """A guard further in must not take the verdict of one for the other."""
    facts = [
        described(application(virtual_host(a=prefix)), paths_are_whole=False).facts
        for prefix in ("/admin", "/other")
    ]

    assert facts[0] != facts[1]


def test_an_odd_path_on_very_many_hosts_is_refused() -> None:
    """An ordinary one is not: its readings grow with the hosts alone."""
    fronts = [Front(f"/{number}") for number in range(600)]

    assert len(with_fronts(("/a",), fronts, ())) == 601
    with pytest.raises(PathInvalid):
        with_fronts(("/a;b", "/a"), fronts, ())


def test_the_target_of_no_path_has_nothing_put_in_front() -> None:
    """``OPTIONS *`` is read as it was sent, and as the paths that servers make of it."""
    paths = with_fronts(("*", "/*", "/"), [Front("/admin")], ())

    assert paths == ("*", "/*", "/", "/admin/*", "/admin/")
