"""How other routers read a request: folds, steps, and what is known of an application."""

import re

import pytest

from jwt_middleware import Guard, has_role, protect, public
from jwt_middleware.errors import PathInvalid
from jwt_middleware.rules.applications import (
    UNKNOWN,
    Application,
    fold_for_cherrypy,
    fold_for_turbogears,
    in_one_case,
    without_extension,
    without_view_marks,
)
from jwt_middleware.rules.methods import SOCKET
from jwt_middleware.rules.table import RuleTable

ADMIN = [protect("/admin/**", requires=has_role("admin")), public("/**")]
SANIC, BLACKSHEEP = Application(["sanic"]), Application(["blacksheep"])
FALCON, STARLETTE = Application(["falcon"]), Application(["starlette"])
CHERRYPY = Application(["cherrypy"], paths_are_whole=False)


def is_open(
    path: str,
    mount_point: str = "",
    raw_path: bytes | None = None,
    application: Application = UNKNOWN,
) -> bool:
    return RuleTable(ADMIN).ruling("GET", path, mount_point, raw_path, application).is_public


def test_one_case_is_what_regular_expressions_take_for_one() -> None:
    """Exactly: no letter more and none less, compared with the real thing."""
    letters = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    cased = [each for each in letters if each.lower() != each or each.upper() != each]
    together: dict[str, set[str]] = {}
    for letter in cased:
        together.setdefault(in_one_case(letter), set()).add(letter)
    alphabet = "".join(cased)

    for letter in cased:
        same = set(re.findall(re.escape(letter), alphabet, re.IGNORECASE))
        assert together[in_one_case(letter)] == same, ascii(letter)


def test_case_is_folded_letter_by_letter() -> None:
    """A letter that folds to two is not those two."""
    assert in_one_case("/ADMIN") == in_one_case("/admin")
    assert in_one_case("\u017fecret") == in_one_case("SECRET") == "secret"
    assert in_one_case("stra\u00dfe") != in_one_case("strasse")


@pytest.mark.parametrize(
    ("path", "as_admin"),
    [("/Admin", True), ("/ADMIN/users", True), ("/adm\u0131n", True), ("/admins", False)],
)
def test_a_guard_may_be_told_that_case_does_not_count(path: str, as_admin: bool) -> None:
    """Rules match in any case then, public ones too."""
    told = RuleTable(ADMIN, case_sensitive=False)

    assert told.ruling("GET", path).is_public is not as_admin
    assert is_open(path)
    assert not is_open("/admin")
    assert RuleTable([public("/Health")], case_sensitive=False).ruling("GET", "/hEALTH").is_public


def test_without_case_a_hole_keeps_what_was_sent() -> None:
    """What a claim is compared with is the path's own spelling."""
    table = RuleTable([protect("/Tenants/{tenant}/**")], case_sensitive=False)

    (decider,) = table.ruling("GET", "/tenants/Acme/x").deciders

    assert decider.match.captures == {"tenant": "Acme"}


def test_blacksheep_ignores_case_and_is_recognised() -> None:
    """A rule must hold in either case; a public one only as it is written."""
    assert not is_open("/ADMIN/x", application=BLACKSHEEP)
    assert RuleTable([public("/a")]).ruling("GET", "/a", application=BLACKSHEEP).is_public
    assert not RuleTable([public("/a")]).ruling("GET", "/A", application=BLACKSHEEP).is_public


@pytest.mark.parametrize("application", [UNKNOWN, STARLETTE, SANIC, BLACKSHEEP])
def test_an_encoded_slash_is_also_read_as_part_of_a_segment(application: Application) -> None:
    """Split first and decoded after, beside the path that the server made of it."""
    table = RuleTable([protect("/{page}", requires=has_role("r")), public("/**")])

    sent = table.ruling("GET", "/a/b", "", b"/a%2Fb", application)

    assert not sent.is_public
    assert [decider.match.captures for decider in sent.deciders if decider.match.captures]
    assert table.ruling("GET", "/a/b", "", b"/a/b", application).is_public
    assert table.ruling("GET", "/a/b", "", None, application).is_public


def test_a_path_that_was_rewritten_is_read_as_it_is_now() -> None:
    """Unless the router goes by the path as it was sent."""
    table = RuleTable([public("/users")])

    assert table.ruling("GET", "/users", "", b"/v1%2Fusers").is_public
    assert table.ruling("GET", "/users", "", b"/v1/users", STARLETTE).is_public
    assert not table.ruling("GET", "/users", "", b"/v1/users", SANIC).is_public


def test_a_router_of_raw_paths_may_not_decode_them_at_all() -> None:
    """``/%61dmin`` is a page of that name to it."""
    first = RuleTable([public("/admin"), protect("/{page}", requires=has_role("r"))])

    assert not first.ruling("GET", "/admin", "", b"/%61dmin", SANIC).is_public
    assert first.ruling("GET", "/admin", "", b"/admin", SANIC).is_public


@pytest.mark.parametrize("raw_path", [b"/open#/../admin", b"/open#", b"#", b"/a?b#c"])
def test_a_target_with_a_fragment_is_refused(raw_path: bytes) -> None:
    """Some servers and routers cut it off, others do not; an escaped one is a letter."""
    with pytest.raises(PathInvalid, match="fragment"):
        RuleTable([public("/**")]).ruling("GET", "/open", "", raw_path)
    assert RuleTable([public("/**")]).ruling("GET", "/a#b", "", b"/a%23b").is_public


@pytest.mark.parametrize("raw_path", [b"/a/%2e%2e%2fb", b"/%0a", b"/a/../b"])
def test_a_raw_path_that_cannot_be_read_is_refused(raw_path: bytes) -> None:
    """Where a router goes by it, whatever the decoded path says."""
    with pytest.raises(PathInvalid):
        RuleTable([public("/**")]).ruling("GET", "/a", "", raw_path, SANIC)


@pytest.mark.parametrize(
    ("path", "mount_point", "expected"),
    [
        ("/m/open", "/m", True),
        # Daphne takes it from the request.
        ("/admin/users", "/admin", False),
        ("/admin/users", "/admin/", False),
        ("/admin/users", "admin", False),
        ("/m//admin", "/m/", False),
        ("/admin//users", "/admin//", False),
        ("/m/admin", "/m", False),
        ("/m", "/m", True),
        ("/admin", "/admin", False),
        ("/open", "/admin", True),
        ("/x/m/admin", "/m", False),
        ("/x/m/admin", "m/", False),
    ],
)
def test_a_path_below_a_mount_point_is_read_with_and_without_it(
    path: str, mount_point: str, expected: bool
) -> None:
    """A rule that names the whole path counts, wherever the mount point came from."""
    assert is_open(path, mount_point) is expected


def test_what_no_rule_names_is_read_below_its_mount_point() -> None:
    """What protects by default knows no mount point, or every deployment below one would be shut."""
    table = RuleTable([public("/health"), protect("/{tenant}/**", requires=has_role("r"))])

    assert table.ruling("GET", "/m/health", "/m").is_public
    assert not table.ruling("GET", "/m/x", "/m").is_public


@pytest.mark.parametrize("application", [FALCON, SANIC, Application((), ["/v1"])])
def test_where_a_mount_point_may_stay_the_whole_path_is_judged(application: Application) -> None:
    """Falcon and Sanic ignore it, and an application with one of its own goes by that."""
    table = RuleTable([public("/users")])

    assert not table.ruling("GET", "/m/users", "/m", None, application).is_public
    assert table.ruling("GET", "/m/users", "/m", None, STARLETTE).is_public
    # One that ends in a slash comes off elsewhere in Starlette.
    assert not table.ruling("GET", "/m/users", "/m/", None, STARLETTE).is_public


def test_quart_fills_a_hole_with_a_space_at_its_mount_point() -> None:
    """``/m`` is its page of one hole as well as its root; below it nothing is otherwise."""
    table = RuleTable([protect("/{page}", requires=has_role("r")), public("/**")])
    quart = Application(["quart"])

    assert not table.ruling("GET", "/m", "/m", None, quart).is_public
    assert not table.ruling("GET", "/m", "/m/", None, quart).is_public
    assert table.ruling("GET", "/m", "/m", None, STARLETTE).is_public
    assert table.ruling("GET", "/m/a/b", "/m", None, quart).is_public
    assert table.ruling("GET", "/", "", None, quart).is_public


def test_a_mount_point_that_the_operator_named_is_no_clients_word() -> None:
    """Nor one that the application has as its own."""
    rules = [protect("/m/**", requires=has_role("r")), public("/users")]

    assert not RuleTable(rules).ruling("GET", "/m/users", "/m").is_public
    named = RuleTable(rules, ["/m"]).ruling("GET", "/m/users", "/m")
    own = RuleTable(rules).ruling("GET", "/m/users", "/m", None, Application((), ["/m"]))
    assert named.is_public
    assert own.is_public


def test_below_wsgi_the_mount_point_is_put_back_in_front() -> None:
    """CherryPy finds its application by both together."""
    table = RuleTable([protect("/m/admin", requires=has_role("r")), public("/**")])
    plain = Application(paths_are_whole=False)

    assert not table.ruling("GET", "/admin", "/m", None, plain).is_public
    assert table.ruling("GET", "/admin", "", None, plain).is_public
    only = RuleTable([public("/users")])
    assert only.ruling("GET", "/users", "/m", None, plain).is_public
    assert not only.ruling("GET", "/users", "/m", None, CHERRYPY).is_public


@pytest.mark.parametrize(
    ("path", "folded"),
    [
        (("ad-min", "a.b"), ("ad_min", "a_b")),
        (("admin", "index"), ("admin",)),
        (("index", "index"), ()),
        (("index", "a"), ("index", "a")),
        ((None, "x~"), (None, "x_")),
    ],
)
def test_cherrypy_folds_punctuation_and_serves_an_index(
    path: tuple[str | None, ...], folded: tuple[str | None, ...]
) -> None:
    """As its dispatcher looks an attribute up."""
    assert fold_for_cherrypy(path, is_whole=True) == folded
    assert fold_for_cherrypy(("index",), is_whole=False) == ("index",)


@pytest.mark.parametrize(
    ("path", "folded"),
    [
        (("a.b", "c.json"), ("a_b", "c")),
        (("c.tar.gz",), ("c_tar",)),
        ((".json",), ()),
        (("index.html",), ()),
        (("caf\u00e9",), ("caf_C3_A9",)),
        (("a", None), ("a", None)),
        ((), ()),
    ],
)
def test_turbogears_cuts_an_extension_and_folds_what_is_quoted(
    path: tuple[str | None, ...], folded: tuple[str | None, ...]
) -> None:
    """The last segment's, if the path ends there."""
    assert fold_for_turbogears(path, is_whole=True) == folded
    assert fold_for_turbogears(("c.json",), is_whole=False) == ("c_json",)


@pytest.mark.parametrize(
    ("path", "cut"),
    [
        ("/a/b.json", "/a/b"),
        ("/a/b.tar.gz/", "/a/b.tar"),
        ("/a.b/c", "/a.b/c"),
        ("/.hidden", "/"),
        ("/...", "/..."),
        ("/", "/"),
    ],
)
def test_an_extension_is_cut_from_the_end_of_a_path(path: str, cut: str) -> None:
    """Never so that a dot segment is left."""
    assert without_extension(path) == cut


def test_pyramids_mark_of_a_view_is_cut_wherever_it_is() -> None:
    """In front of a segment only."""
    assert without_view_marks("/@@admin/@@x") == "/admin/x"
    assert without_view_marks("/a@@b") == "/a@@b"
    assert not is_open("/@@admin", application=Application(["pyramid"]))


def test_several_frameworks_in_one_application_are_read_together() -> None:
    """What one of them could make of a path counts."""
    both = Application(["starlette", "cherrypy", "blacksheep", "nobody"])

    assert both.is_measured
    assert not is_open("/ADMIN", application=both)
    assert not is_open("/admin/-/x", application=both)
    assert not Application(["nobody"]).is_measured


def test_a_socket_is_no_method_that_a_client_can_send() -> None:
    """A plain request with the method ``WEBSOCKET`` is judged by that name alone."""
    table = RuleTable([public("/a", methods=["GET"]), public("/b", methods=["WEBSOCKET"])])

    for path in ("/a", "/b"):
        assert table.ruling(SOCKET, path).is_public
        for said in ("WEBSOCKET", "websocket", "Socket.SOCKET"):
            assert not table.ruling(said, path).is_public


def test_a_reading_of_ones_own_must_hold_as_well() -> None:
    """Beside the path as it was sent, and after the other readings."""
    guard = Guard(
        key="k" * 32,
        algorithms=["HS256"],
        rules=ADMIN,
        readings=[lambda path: path.replace("/~", "/")],
    )

    assert not guard.integration.rule_table.ruling("GET", "/~admin").is_public
    assert not guard.integration.rule_table.ruling("GET", "/%7Eadmin").is_public
    assert guard.integration.rule_table.ruling("GET", "/~open").is_public


@pytest.mark.parametrize("read", [lambda path: 1 / 0, lambda path: None, lambda path: "no slash"])
def test_a_reading_that_fails_refuses_the_path(
    read: object, caplog: pytest.LogCaptureFixture
) -> None:
    """The client reads 400, the operator why."""
    guard = Guard(key="k" * 32, algorithms=["HS256"], rules=[public("/**")], readings=[read])  # type: ignore[list-item]

    with pytest.raises(PathInvalid):
        guard.integration.rule_table.ruling("GET", "/a")
    assert "reading_failed" in caplog.text
