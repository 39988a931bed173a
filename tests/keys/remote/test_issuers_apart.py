"""Several issuers, discovery, and where a fetch may lead."""

import json
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from jwt_middleware import Guard, Issuer
from jwt_middleware.errors import (
    IssuerUntrusted,
    SignatureInvalid,
    TokenError,
)
from jwt_middleware.keys.document import Rejected
from jwt_middleware.keys.remote import public_hosts
from jwt_middleware.keys.remote.discovery import discovery_urls
from jwt_middleware.keys.remote.http import FetchRequest, FetchResponse, HTTPFetcher
from jwt_middleware.keys.remote.options import ResolverOptions
from jwt_middleware.keys.remote.public_hosts import is_public, pinned
from jwt_middleware.keys.remote.resolver import JWKSResolver
from jwt_middleware.testing import Answer, Clock, FakeIssuer, KeyPair
from jwt_middleware.testing.issuer import JWKS_PATH, OAUTH_PATH, OIDC_PATH
from jwt_middleware.testing.misbehaviour import flapping
from tests.keys.publisher import Publisher, Steady, outcome, resolver_of
from tests.keys.web import NAME, Web, web_of


@pytest.fixture
def key() -> KeyPair:
    return KeyPair.generate("ES256", "k")


def test_an_issuer_that_is_not_trusted_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens of unknown issuers cause no fetch, no look-up of a name, and no memory (P55)."""
    with FakeIssuer(["ES256"]) as issuer:
        guard = Guard(issuers=Issuer(issuer.url, audience="api"))
        monkeypatch.setattr(socket, "getaddrinfo", None)
        for name in ("https://stranger.example/", issuer.url + "/", issuer.url.upper(), ""):
            with pytest.raises(IssuerUntrusted):
                guard.verify(issuer.token(iss=name, aud="api"))

    assert not issuer.requests


def test_one_kid_at_two_issuers_is_two_keys() -> None:
    """A token signed by A in the name of B is refused although both publish that kid (P56)."""
    with FakeIssuer(["ES256"]) as one, FakeIssuer(["ES256"]) as other:
        one.keys = [KeyPair.generate("ES256", "same")]
        other.keys = [KeyPair.generate("ES256", "same")]
        guard = Guard(issuers=[Issuer(one.url, audience="api"), Issuer(other.url, audience="api")])
        assert guard.verify(one.token(aud="api")).issuer == one.url
        assert guard.verify(other.token(aud="api")).issuer == other.url

        with pytest.raises(SignatureInvalid):
            guard.verify(one.token(aud="api", iss=other.url))


def test_a_flood_and_an_outage_at_one_issuer_leave_another_alone(clock: Clock) -> None:
    """Budget and pauses are each issuer's own (P57)."""
    flooded, calm = Publisher("a"), Publisher("a")
    one, other = resolver_of(flooded, clock), resolver_of(calm, clock)
    one.warm()
    other.warm()
    for number in range(50):
        outcome(one, f"invented-{number}")
    flooded.failure = OSError()
    clock.tick(601)
    outcome(one, "a")

    calm.publish("a", "new")
    assert outcome(other, "new") == "found"
    assert other.health().failures == 0


@pytest.mark.parametrize(
    ("issuer", "oidc", "oauth"),
    [
        (
            "https://id.example",
            "https://id.example/.well-known/openid-configuration",
            "https://id.example/.well-known/oauth-authorization-server",
        ),
        (
            "https://id.example/",
            "https://id.example/.well-known/openid-configuration",
            "https://id.example/.well-known/oauth-authorization-server",
        ),
        (
            "https://id.example/tenant/",
            "https://id.example/tenant/.well-known/openid-configuration",
            "https://id.example/.well-known/oauth-authorization-server/tenant",
        ),
        (
            "https://id.example:8443/a/b",
            "https://id.example:8443/a/b/.well-known/openid-configuration",
            "https://id.example:8443/.well-known/oauth-authorization-server/a/b",
        ),
    ],
)
def test_discovery_looks_in_two_places(issuer: str, oidc: str, oauth: str) -> None:
    """OIDC appends the well-known path, RFC 8414 inserts it before the issuer's own (P58)."""
    assert discovery_urls(issuer) == (oidc, oauth)


@pytest.mark.parametrize(
    ("named", "ends"),
    [
        (f"{NAME}/", f"'{NAME}/', they differ only by a slash at the end"),
        ("https://ID.example", "'https://ID.example', they differ only in upper and lower case"),
        ("https://login.microsoftonline.com/{tenantid}/v2.0", "{tenantid}/v2.0'"),
        ("https://a/\n" + "b" * 9_000, "'https://a/\\n" + "b" * 83 + "...'"),
        ("", "''"),
        (None, "null"),
        (7, "a number"),
        ([NAME], "an array"),
    ],
)
def test_discovery_must_name_the_issuer_exactly(key: KeyPair, named: Any, ends: str) -> None:
    """A document that names another issuer, or a template, is refused, and both are told (P58)."""
    web = web_of(key)
    web.put(discovery_urls(NAME)[0], {"issuer": named, "jwks_uri": f"{NAME}/keys"})
    source = JWKSResolver(issuer=NAME, fetcher=web)

    assert outcome(source, "k") == "keys_unavailable"
    assert f"{NAME}/keys" not in web.asked
    failure = source.health().last_failure or ""
    assert failure.startswith(f"discovery names another issuer, expected '{NAME}', found ")
    assert failure.endswith(ends)


def test_a_bad_discovery_keeps_the_last_good_address(key: KeyPair, clock: Clock) -> None:
    """When discovery goes bad after half a day, the address that was found still serves (P58)."""
    web = web_of(key)
    source = JWKSResolver(issuer=NAME, fetcher=web, clock=clock, rng=Steady())
    assert outcome(source, "k") == "found"
    web.put(discovery_urls(NAME)[0], {"issuer": "https://evil.example", "jwks_uri": "https://e/"})
    clock.tick(43_201)

    assert outcome(source, "k") == "found"
    assert web.asked.count(discovery_urls(NAME)[0]) == 2
    assert "https://e/" not in web.asked


def test_a_discovery_that_hangs_leaves_time_for_the_keys(key: KeyPair, clock: Clock) -> None:
    """Where an address is known already, discovery may take half of the time (P58)."""
    seconds: dict[str, float] = {}

    class Slow(Web):
        def fetch(self, request: FetchRequest) -> FetchResponse:
            seconds[request.url] = request.seconds
            return super().fetch(request)

    web = Slow()
    web.answers = web_of(key).answers
    source = JWKSResolver(issuer=NAME, fetcher=web, clock=clock, rng=Steady())
    assert outcome(source, "k") == "found"
    oidc, _ = discovery_urls(NAME)
    assert seconds[oidc] == pytest.approx(5, abs=0.5)
    clock.tick(43_201)
    assert outcome(source, "k") == "found"
    assert seconds[oidc] == pytest.approx(2.5, abs=0.5)
    assert seconds[f"{NAME}/keys"] == pytest.approx(5, abs=0.5)


def test_discovery_is_read_again_when_the_set_has_moved(key: KeyPair, clock: Clock) -> None:
    """A key set that answers 404 or 410 has moved: its address is looked up at once (P58)."""
    for status in (404, 410):
        web = web_of(key)
        source = JWKSResolver(issuer=NAME, fetcher=web, clock=clock, rng=Steady())
        assert outcome(source, "k") == "found"
        web.put(f"{NAME}/keys", {}, status)
        web.put(discovery_urls(NAME)[0], {"issuer": NAME, "jwks_uri": f"{NAME}/moved"})
        web.put(f"{NAME}/moved", {"keys": [KeyPair.generate("ES256", "new").jwk]})
        clock.tick(601)

        assert outcome(source, "new") == "found"
        assert web.asked[-3:] == [f"{NAME}/keys", discovery_urls(NAME)[0], f"{NAME}/moved"]


def test_a_set_that_is_nowhere_is_not_looked_for_twice(key: KeyPair, clock: Clock) -> None:
    """An address that was found just now and answers 404 is a failure (P58)."""
    web = web_of(key)
    web.put(f"{NAME}/keys", {}, 404)
    source = JWKSResolver(issuer=NAME, fetcher=web, clock=clock, rng=Steady())

    assert outcome(source, "k") == "keys_unavailable"
    assert len(web.asked) == 2
    assert source.health().last_failure == "the key set answered 404"


def test_discovery_may_not_lead_away_from_tls(key: KeyPair) -> None:
    """An issuer with TLS has keys with TLS, even where http is allowed (P58)."""
    web = web_of(key, jwks_uri="http://127.0.0.1/keys")
    source = JWKSResolver(issuer=NAME, fetcher=web, options=ResolverOptions(allow_http=True))

    assert outcome(source, "k") == "keys_unavailable"
    assert source.health().last_failure == (
        "keys must not be fetched from the discovered jwks_uri, expected https with a host and no "
        "credentials, found 'http://127.0.0.1'"
    )


def test_credentials_in_a_discovered_address_are_not_told(key: KeyPair) -> None:
    """Only its scheme and its host are, because the health and the log are read by many."""
    for uri in (
        "https://me:s3cret@keys.example/k?s3cret#s3cret",
        "s3cret",
        "https://k#s3cret",
        "https://" + "s3cret" * 2_000,
    ):
        source = JWKSResolver(issuer=NAME, fetcher=web_of(key, jwks_uri=uri))
        assert outcome(source, "k") == "keys_unavailable"
        assert "s3cret" not in (source.health().last_failure or "")


def test_the_document_that_is_there_says_what_is_wrong(key: KeyPair) -> None:
    """Not the place where there is none."""
    web = web_of(key)
    here, there = discovery_urls(NAME)
    web.put(here, {}, status=404)
    web.put(there, {"issuer": "https://evil.example"})
    source = JWKSResolver(issuer=NAME, fetcher=web)

    assert outcome(source, "k") == "keys_unavailable"
    assert "found 'https://evil.example'" in (source.health().last_failure or "")


def test_another_host_is_allowed_unless_it_is_not(key: KeyPair) -> None:
    """Google's keys are on another host than Google's name; ``same_origin`` forbids that (P58)."""
    web = web_of(key, jwks_uri="https://keys.example/keys")
    assert outcome(JWKSResolver(issuer=NAME, fetcher=web), "k") == "found"

    strict = ResolverOptions(same_origin=True)
    source = JWKSResolver(issuer=NAME, fetcher=web, options=strict)
    assert outcome(source, "k") == "keys_unavailable"
    assert source.health().last_failure == (
        f"the discovered jwks_uri is on another host, expected '{NAME}', found "
        "'https://keys.example'"
    )
    near = web_of(key)
    assert outcome(JWKSResolver(issuer=NAME, fetcher=near, options=strict), "k") == "found"


def test_discovery_over_http_falls_back_to_the_other_document() -> None:
    """Where one document is missing the other serves, over real HTTP (P58)."""
    with FakeIssuer(["ES256"]) as issuer:
        issuer.answers[OIDC_PATH] = Answer(404)
        assert outcome(JWKSResolver(issuer=issuer.url), issuer.key.kid) == "found"
        assert issuer.requests == {OIDC_PATH: 1, OAUTH_PATH: 1, JWKS_PATH: 1}


def test_a_publisher_that_flaps_loses_nobody(clock: Clock) -> None:
    """A set that comes with and without a live key in turn, as Entra's does (P29)."""
    with FakeIssuer(["ES256", "ES256"]) as issuer:
        full = Answer(200, json.dumps(issuer.jwks()).encode())
        part = Answer(200, json.dumps({"keys": issuer.jwks()["keys"][:1]}).encode())
        issuer.answers[JWKS_PATH] = flapping(full, part, full, part, full)
        source = JWKSResolver(issuer.jwks_uri, clock=clock, rng=Steady())
        lost = issuer.keys[1].kid
        assert outcome(source, lost) == "found"
        for _ in range(2):
            clock.tick(601)
            assert outcome(source, issuer.key.kid) == "found"
            assert outcome(source, lost) == "found"


@pytest.mark.parametrize("name", ["jku", "x5u", "jwk", "x5c"])
def test_a_tokens_own_key_is_never_looked_at(name: str) -> None:
    """``jku``, ``x5u``, ``jwk`` and ``x5c`` in a header cause no fetch and lend no key (P59)."""
    with FakeIssuer(["ES256"]) as issuer, FakeIssuer(["ES256"]) as evil:
        guard = Guard(issuers=Issuer(issuer.url, audience="api"))
        values = {"jku": evil.jwks_uri, "x5u": evil.jwks_uri, "jwk": evil.key.jwk, "x5c": ["AA"]}
        claims = issuer.claims(aud="api")
        token = evil.sign(claims, headers={name: values[name], "kid": issuer.key.kid})
        with pytest.raises(TokenError):
            guard.verify(token)

    assert not evil.requests


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("ff02::1", False),
        ("::ffff:10.0.0.1", False),
        ("::ffff:169.254.169.254", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("64:ff9b::5db8:d822", True),
        ("2002:7f00:1::", False),
        ("2001:0:5db8:d822:0:0:f5ff:fffe", False),
        # Tunnels, whatever address they carry: where they end is nobody's promise.
        ("2001:0:5db8:d822:0:0:a247:27dd", False),
        ("2002:5db8:d822::", False),
        ("192.88.99.1", False),
        ("192.88.99.2", False),
        ("192.88.98.255", True),
        ("::ffff:93.184.216.34", True),
        ("::5db8:d822", False),
        ("64:ff9b:1::5db8:d822", False),
        ("64:ff9b::a00:1", False),
        # Site-local, and all else that was never assigned.
        ("fec0::1", False),
        ("feff::1", False),
        ("4000::1", False),
        ("1fff::1", False),
        ("2000::", True),
        ("3ffe::1", True),
        ("200::1", False),
        # Documentation, benchmarks, segment routing, discard.
        ("192.0.2.1", False),
        ("198.51.100.1", False),
        ("203.0.113.255", False),
        ("2001:db8::1", False),
        ("3fff::1", False),
        ("3fff:fff:ffff::1", False),
        ("198.18.0.1", False),
        ("198.19.255.255", False),
        ("198.20.0.0", True),
        ("2001:2::1", False),
        ("5f00::1", False),
        ("100::1", False),
        ("100:0:0:1::1", False),
        # Around an entry within another.
        ("192.0.0.8", False),
        ("192.0.0.9", True),
        ("192.0.0.10", True),
        ("192.0.0.11", False),
        ("2001:1::", False),
        ("2001:1::1", True),
        ("2001:1::4", False),
        ("2001:1ff::1", False),
        ("2001:200::1", True),
        ("100.63.255.255", True),
        ("100.127.255.255", False),
        ("172.32.0.0", True),
        ("239.255.255.255", False),
        ("240.0.0.1", False),
        ("223.255.255.255", True),
        ("not an address", False),
    ],
)
def test_only_public_addresses_are_public(address: str, public: bool) -> None:
    """Private, link-local and metadata addresses are not, nor inside an IPv6 address (P60)."""
    assert is_public(address) is public


def resolving_to(monkeypatch: pytest.MonkeyPatch, *found: str) -> None:
    rows = [(0, 0, 0, "", (address, 443)) for address in found]
    resolve = socket.getaddrinfo

    def lookup(host: str, *more: Any, **options: Any) -> Any:
        return rows if host.endswith(".example") else resolve(host, *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)


def test_a_host_is_asked_at_the_address_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection goes to the checked address, under the host's own name (P60)."""
    resolving_to(monkeypatch, "93.184.216.34")
    assert pinned("https://id.example/k?x=1") == (
        "https://93.184.216.34:443/k?x=1",
        "id.example",
        "id.example",
    )
    resolving_to(monkeypatch, "2606:2800:220:1::1")
    assert pinned("https://id.example:8443/k")[0] == "https://[2606:2800:220:1::1]:8443/k"


@pytest.mark.parametrize("found", [["10.0.0.1"], ["93.184.216.34", "127.0.0.1"], []])
def test_a_host_with_any_private_address_is_refused(
    monkeypatch: pytest.MonkeyPatch, found: list[str]
) -> None:
    """One private address among public ones is enough to refuse a host (P60)."""
    resolving_to(monkeypatch, *found)
    with pytest.raises(Rejected, match="public internet"):
        HTTPFetcher(public_only=True).fetch(FetchRequest("https://id.example/k", 5, 1_000))


def test_a_host_without_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that does not resolve is no answer, and its error says no more (P60)."""

    def fail(*_: Any, **__: Any) -> Any:
        raise socket.gaierror("nodename nor servname provided")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(Rejected, match="no address"):
        pinned("https://id.example/k")


def test_the_checked_address_is_what_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over real HTTP: the request reaches the pinned machine with the host's name (P60)."""
    with FakeIssuer(["ES256"]) as issuer:
        port = issuer.url.rpartition(":")[2]
        resolving_to(monkeypatch, "127.0.0.1")
        monkeypatch.setattr(public_hosts, "is_public", lambda _: True)
        answer = HTTPFetcher(public_only=True).fetch(
            FetchRequest(f"http://keys.example:{port}{JWKS_PATH}", 5, 10_000)
        )

        assert answer.status == 200
        assert issuer.asked[0].headers["host"] == f"keys.example:{port}"


@pytest.mark.parametrize("name", ["keys.example", "other.example"])
def test_a_pinned_host_must_prove_its_own_name(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With TLS, the certificate must be for the host's name and not for the address (P60)."""
    key, certificate = authority_for("keys.example")
    (tmp_path / "key.pem").write_bytes(key)
    (tmp_path / "certificate.pem").write_bytes(certificate)
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(tmp_path / "certificate.pem", tmp_path / "key.pem")
    trusted = ssl.create_default_context(cafile=str(tmp_path / "certificate.pem"))
    issuer = FakeIssuer(["ES256"])
    issuer._server.socket = served.wrap_socket(issuer._server.socket, server_side=True)
    with issuer:
        resolving_to(monkeypatch, "127.0.0.1")
        monkeypatch.setattr(public_hosts, "is_public", lambda _: True)
        port = issuer.url.rpartition(":")[2]
        options: dict[str, Any] = {"fetcher": HTTPFetcher(verify=trusted, public_only=True)}
        source = JWKSResolver(f"https://{name}:{port}{JWKS_PATH}", **options)
        expected = "found" if name == "keys.example" else "keys_unavailable"
        assert outcome(source, issuer.key.kid) == expected


def authority_for(name: str) -> tuple[bytes, bytes]:
    """Return a private key and a certificate that vouches for itself, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private, certificate.public_bytes(Encoding.PEM)
