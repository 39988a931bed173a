"""Proof that a request with a cookie comes from our own pages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwt_middleware import Claims, ConfigurationError, CookieToken, Principal
from jwt_middleware.request.csrf import OriginCheck
from tests.request.views import View

ALICE = Principal("alice", claims=Claims({"csrf": "s3cret"}))
PROOF = OriginCheck(["https://app.example", "http://localhost:5173"])
SITE = "https://api.example"
HOST = "api.example"


def proves(
    method: str = "POST",
    *,
    source: CookieToken = CookieToken(),  # noqa: B008 - frozen
    scheme: str = "https",
    is_websocket: bool = False,
    principal: Principal = ALICE,
    **headers: str,
) -> bool:
    fields = {name.replace("_", "-"): [value] for name, value in headers.items()}
    view = View(fields, method=method, scheme=scheme, is_websocket=is_websocket)
    return PROOF.passes(view, source, principal)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "get"])
def test_a_method_that_changes_nothing_needs_no_proof(method: str) -> None:
    """From anywhere."""
    assert proves(method, sec_fetch_site="cross-site", origin="https://evil.example")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "post", "BREW", "TRACE"])
def test_any_other_method_needs_proof(method: str) -> None:
    """Nothing sent is nothing proven."""
    assert not proves(method)


def test_a_trusted_origin_is_proof() -> None:
    """Exactly it, even across sites, which is what it is configured for."""
    assert proves(origin="https://app.example", sec_fetch_site="cross-site")
    assert proves(origin="http://localhost:5173")
    for near in ("https://app.example:443", "http://app.example", "https://app.example/", "null"):
        assert not proves(origin=near), near
    assert not proves(origin="https://app.example.evil.example")


@pytest.mark.parametrize(
    ("site", "is_proof"),
    [
        ("same-origin", True),
        ("none", True),
        ("same-site", False),
        ("cross-site", False),
        ("", False),
        ("same-origin, same-origin", False),
        ("Same-Origin", False),
    ],
)
def test_what_the_browser_says_of_the_site_counts(site: str, is_proof: bool) -> None:
    """``same-origin`` and ``none``, and nothing else (Fetch Metadata §2.3)."""
    assert proves(sec_fetch_site=site) is is_proof


def test_the_site_overrules_an_origin_that_looks_right() -> None:
    """A browser that sends both is believed in the stricter."""
    assert not proves(sec_fetch_site="same-site", origin=SITE, host=HOST)
    assert not proves(sec_fetch_site="cross-site", origin=SITE, host=HOST)


@pytest.mark.parametrize(
    ("origin", "host", "is_proof"),
    [
        (SITE, HOST, True),
        (SITE, "API.example", True),
        (SITE, "api.example:443", True),
        ("https://api.example:8443", "api.example:8443", True),
        ("https://[2001:db8::1]", "[2001:db8::1]", True),
        ("https://api.example:8443", HOST, False),
        (SITE, "api.example:8443", False),
        ("https://evil.example", HOST, False),
        ("https://api.example.evil.example", HOST, False),
        ("http://api.example", HOST, False),
        ("null", HOST, False),
        (SITE, "evil@api.example", False),
        (SITE, "api.example/x", False),
        (SITE, "", False),
        ("https://api.example:99999", "api.example:99999", False),
        ("https://[zz]", "[zz]", False),
        ("https://[::1", "[::1", False),
        ("", "", False),
    ],
)
def test_an_older_browser_proves_it_by_its_origin(origin: str, host: str, is_proof: bool) -> None:
    """Host and port of ``Origin`` are those of ``Host``, over TLS."""
    assert proves(origin=origin, host=host) is is_proof


def test_without_tls_only_this_machine_is_its_own_origin() -> None:
    """Plain http on loopback; behind a proxy that ended TLS the page is still https."""
    for host in ("localhost:8000", "127.0.0.1:8000", "[::1]:8000"):
        assert proves(scheme="http", origin=f"http://{host}", host=host), host
        assert not proves(scheme="https", origin=f"http://{host}", host=host), host
    assert not proves(scheme="http", origin="http://api.example", host=HOST)
    assert proves(scheme="http", origin=SITE, host=HOST)


def test_a_header_that_repeats_a_claim_is_proof() -> None:
    """To know it, a page must be allowed to read our answers."""
    other = CookieToken(csrf_header="X-Proof")

    assert proves(x_csrf_token="s3cret", sec_fetch_site="cross-site")
    assert proves(source=other, x_proof="s3cret")
    assert not proves(source=other, x_csrf_token="s3cret")
    for wrong in ("s3cre", "s3crett", "", "S3CRET", "é"):
        assert not proves(x_csrf_token=wrong), wrong


@pytest.mark.parametrize("claim", [None, "", 7, ["s3cret"]])
def test_without_the_claim_the_header_proves_nothing(claim: object) -> None:
    """An empty header does not equal an empty claim."""
    nobody = Principal("bob", claims=Claims({} if claim is None else {"csrf": claim}))
    for sent in ("", "7", "s3cret", "None"):
        assert not proves(principal=nobody, x_csrf_token=sent)


def test_a_cookie_may_be_exempt() -> None:
    """By saying so."""
    assert proves(source=CookieToken(csrf=False))


def test_a_socket_needs_an_origin_that_is_ours() -> None:
    """Its handshake is a GET and bound by no same-origin policy; a header can not be set."""
    socket = {"is_websocket": True, "method": "WEBSOCKET"}

    assert proves(**socket, origin=SITE, host=HOST)  # type: ignore[arg-type]
    assert proves(**socket, origin=SITE, host=HOST, sec_fetch_site="same-origin")  # type: ignore[arg-type]
    assert proves(**socket, origin="https://app.example", sec_fetch_site="cross-site")  # type: ignore[arg-type]
    assert proves(**socket, scheme="ws", origin="http://localhost:1", host="localhost:1")  # type: ignore[arg-type]
    for refused in (
        {"sec_fetch_site": "same-origin"},
        {"sec_fetch_site": "none"},
        {"x_csrf_token": "s3cret"},
        {"origin": SITE, "host": HOST, "sec_fetch_site": "cross-site"},
        {"origin": SITE, "host": HOST, "sec_fetch_site": "none"},
        {"origin": "https://evil.example", "host": HOST},
        {"host": HOST},
        {},
    ):
        assert not proves(**socket, **refused), refused  # type: ignore[arg-type]


def test_a_header_sent_twice_proves_nothing() -> None:
    """Nobody knows which of the two a browser wrote."""
    twice = View(
        {"origin": ["https://app.example", "https://evil.example"], "host": [HOST]}, method="POST"
    )
    sites = View({"sec-fetch-site": ["same-origin", "cross-site"]}, method="POST")

    assert not PROOF.passes(twice, CookieToken(), ALICE)
    assert not PROOF.passes(sites, CookieToken(), ALICE)


@given(st.text(), st.text(), st.text())
def test_nothing_that_is_sent_raises(origin: str, host: str, proof: str) -> None:
    """Any text in any of the headers."""
    assert proves(origin=origin, host=host, x_csrf_token=proof) in {True, False}


@pytest.mark.parametrize(
    ("origins", "sentence"),
    [
        ("https://app.example", "is text: write a list, such as ['https://app.example']"),
        (["https://app.example/"], "without path, slash or star"),
        (["https://*.example"], "must be an exact origin"),
        (["app.example"], "must be an exact origin"),
        (["https://App.example"], "in lower case"),
        (["null"], "must be an exact origin"),
        ([7], "must be an exact origin"),
        (["https://app.example:443"], "write 'https://app.example'"),
        (["http://app.example:80"], "write 'http://app.example'"),
    ],
)
def test_a_mistaken_origin_is_a_sentence(origins: list[str], sentence: str) -> None:
    """At construction: a star or a path would never match, or match too much."""
    with pytest.raises(ConfigurationError) as caught:
        OriginCheck(origins)
    assert sentence in str(caught.value)
