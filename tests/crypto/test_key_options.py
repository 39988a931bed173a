"""Keys as options: read by their type, never by guessing."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from jwt_middleware import ConfigurationError, KeyFile, Secret
from jwt_middleware.crypto.algorithms import select
from jwt_middleware.crypto.key_options import _without_line_break, read_keys
from jwt_middleware.testing import KeyPair

ASYMMETRIC = select(["RS256", "ES256", "ES384", "ES512", "EdDSA", "Ed448"])
HMAC = select(["HS256", "HS384"])
PAIRS = {alg: KeyPair.generate(alg) for alg in ("RS256", "ES256", "EdDSA", "Ed448")}
EC_PAIR = PAIRS["ES256"]


def certificate(pair: KeyPair) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "id.example")])
    now = datetime(2025, 1, 1, tzinfo=UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(pair.private.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(pair.private, hashes.SHA256())
    )
    return built.public_bytes(Encoding.PEM).decode()


@pytest.mark.parametrize("alg", PAIRS)
def test_each_form_of_a_key_gives_the_same_kind(alg: str) -> None:
    """PEM of the public or private half, text or bytes, JWK, JWKS, key objects, lists."""
    pair = PAIRS[alg]
    forms: list[Any] = [
        pair.public_pem,
        pair.public_pem.encode(),
        pair.private_pem,
        pair.jwk,
        {"keys": [pair.jwk, None]},
        pair.private,
        pair.private.public_key(),
        [pair.public_pem],
    ]

    kinds = {(key.kty, key.crv) for form in forms for key in read_keys(form, ASYMMETRIC)}

    assert kinds == {(pair.jwk["kty"], pair.jwk.get("crv"))}


def test_files_are_read_by_what_they_hold(tmp_path: Path) -> None:
    """PEM, an encrypted private key, SSH, JWK; by ``KeyFile`` or ``Path``."""
    private: ec.EllipticCurvePrivateKey = EC_PAIR.private
    locked = private.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word")
    )
    ssh = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    contents = {"pem": EC_PAIR.public_pem.encode(), "locked": locked, "ssh": ssh}
    contents["jwk"] = json.dumps(EC_PAIR.jwk).encode()
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)

    files: list[Any] = [KeyFile(tmp_path / "locked", "word"), KeyFile(tmp_path / "locked", b"word")]
    files += [tmp_path / name for name in ("pem", "ssh", "jwk")]

    assert len(read_keys(files, ASYMMETRIC)) == 5
    assert "word" not in repr(files[0])
    with pytest.raises(ConfigurationError, match="cannot verify tokens: pem unreadable"):
        read_keys(KeyFile(tmp_path / "locked", "other"), ASYMMETRIC)


def test_a_file_of_json_that_is_no_key_is_refused(tmp_path: Path) -> None:
    """By its name."""
    for name, text in {"list": "[]", "broken": "{"}.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(ConfigurationError, match=f"{name}.*must hold PEM"):
            read_keys(tmp_path / name, ASYMMETRIC)


@pytest.mark.parametrize(
    ("data", "secret"),
    [
        (b"s" * 48, b"s" * 48),
        (b"s" * 48 + b"\n", b"s" * 48),
        (b"s" * 48 + b"\r\n", b"s" * 48),
        (b"s" * 48 + b"\n\n", b"s" * 48 + b"\n\n"),
        (b" " + b"s" * 48 + b" \n", b" " + b"s" * 48 + b" "),
        (b"s" * 48 + b"\r", b"s" * 48 + b"\r"),
        (("\u00e9" * 24 + "\n").encode(), ("\u00e9" * 24).encode()),
        # Not text: these bytes are the secret.
        (b"\xff" * 48 + b"\n", b"\xff" * 48 + b"\n"),
        (b"\x00" * 47 + b"\n", b"\x00" * 47 + b"\n"),
        (b"\t\x0b" + b"s" * 46, b"\t\x0b" + b"s" * 46),
    ],
)
def test_a_secret_in_a_file_is_what_the_file_holds(
    data: bytes, secret: bytes, tmp_path: Path
) -> None:
    """One line break at the end of text is no part of it; of a binary secret every byte is."""
    (tmp_path / "secret").write_bytes(data)

    (key,) = read_keys(KeyFile(tmp_path / "secret"), select(["HS256"]))

    assert key.material == secret


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_secret_with_a_byte_order_mark_is_refused(
    encoding: str, end: str, tmp_path: Path
) -> None:
    """Its bytes are not those that were meant, and nobody would see why no token is good."""
    text = "s" * 48 + end
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    (tmp_path / "secret").write_bytes((mark + text).encode(encoding))

    with pytest.raises(ConfigurationError, match="cannot begin with a byte order mark"):
        read_keys(KeyFile(tmp_path / "secret"), select(["HS256"]))


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"])
def test_a_binary_secret_may_begin_like_a_byte_order_mark(mark: bytes, tmp_path: Path) -> None:
    """What follows is no text."""
    data = mark + b"\x00\xd8" * 24 + b"\n"
    (tmp_path / "secret").write_bytes(data)

    (key,) = read_keys(KeyFile(tmp_path / "secret"), select(["HS256"]))

    assert key.material == data


@pytest.mark.parametrize("around", ["\ufeff{}", "{}", " \n{}  \n\n"])
def test_a_public_key_in_a_file_may_have_blanks_and_a_mark_around_it(
    around: str, tmp_path: Path
) -> None:
    """PEM text and JSON, with the line ends of any system and blanks at the ends of lines."""
    pair = KeyPair.generate("ES256", "k")
    pem = pair.public_pem
    for text in (pem, pem.replace("\n", "\r\n"), pem.replace("\n", "  \n"), json.dumps(pair.jwk)):
        (tmp_path / "key").write_text(around.replace("{}", text), encoding="utf-8", newline="")
        (key,) = read_keys(KeyFile(tmp_path / "key"), select(["ES256"]))
        assert key.kty == "EC"


@given(st.binary(min_size=32, max_size=64))
def test_no_byte_of_a_random_secret_is_lost(data: bytes) -> None:
    """Unless all of it is one line of text."""
    kept = _without_line_break(data)

    assert data.startswith(kept)
    assert data[len(kept) :] in {b"", b"\n", b"\r\n"}
    assert kept == data or kept.decode().isprintable()


def test_a_file_may_hold_a_secret(tmp_path: Path) -> None:
    """Without the line break at its end."""
    (tmp_path / "secret").write_bytes(b"s" * 48 + b"\n")

    (key,) = read_keys(tmp_path / "secret", HMAC)

    assert key.material == b"s" * 48


def test_a_map_of_certificates_names_its_keys() -> None:
    """As Google publishes them; the dates of a certificate play no part."""
    (key,) = read_keys({"one": certificate(EC_PAIR)}, ASYMMETRIC)

    assert (key.kid, key.crv) == ("one", "P-256")


def test_a_kind_of_key_that_signs_no_tokens_is_refused() -> None:
    """DSA, or a curve that JOSE does not know."""
    for strange in (dsa.generate_private_key(1024), ec.generate_private_key(ec.SECP192R1())):
        with pytest.raises(ConfigurationError, match="kind of key unknown"):
            read_keys(strange, ASYMMETRIC)


MISTAKEN = {
    "PEM": EC_PAIR.public_pem,
    "SSH": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI",
    "JWK": json.dumps(EC_PAIR.jwk),
    "JWKS": json.dumps([{"keys": [EC_PAIR.jwk]}]),
    "DER": EC_PAIR.private.public_key().public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    ),
    "long DER": PAIRS["RS256"]
    .private.public_key()
    .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    "a path": "/run/secrets/the_key_of_the_orders_service_2025",
    "a path below": "./secrets/the-key-of-the-orders-service-2025",
    "a path of a system": "/etc/Orders/TheKeyOfTheOrdersService2025ABC",
    "a path on Windows": "C:\\Secrets\\TheKeyOfTheOrdersService2025",
    "a file name": "the-key-of-the-orders-service-in-2025.pem",
    "an existing file": os.path.relpath(__file__),
}


@pytest.mark.parametrize("kind", MISTAKEN)
def test_a_secret_that_looks_like_something_else_is_refused(kind: str) -> None:
    """A mistyped path or a public key never becomes a secret."""
    with pytest.raises(ConfigurationError, match="which cannot be a secret"):
        read_keys(MISTAKEN[kind], select(["HS256"]))


@pytest.mark.parametrize(
    "secret",
    [
        b"\x30" + bytes(range(48)),
        b"0" * 64,
        b"/" + b"aB3+" * 16,
        b"/aB3xY" * 9,
        bytes(range(64)),
        b"\xff" * 5_000,
        b"s" * 400,
    ],
)
def test_a_random_secret_is_not_mistaken(secret: bytes) -> None:
    """Whatever it begins with."""
    assert read_keys(secret, HMAC)[0].material == secret


def test_a_secret_is_as_long_as_the_largest_hash() -> None:
    """RFC 7518 §3.2: 384 bits for HS384."""
    with pytest.raises(ConfigurationError, match="HS384 needs at least 48"):
        read_keys(b"s" * 47, HMAC)


def test_a_secret_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named in messages and never shown."""
    monkeypatch.setenv("A_SECRET", "s" * 64)
    secret = Secret.from_env("A_SECRET")

    assert read_keys(secret, HMAC)[0].material == b"s" * 64
    assert repr(secret) == "Secret(A_SECRET=...)"
    monkeypatch.delenv("A_SECRET")
    with pytest.raises(ConfigurationError, match="A_SECRET is not set"):
        Secret.from_env("A_SECRET")
    with pytest.raises(ConfigurationError, match="not int"):
        Secret(1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("option", "algorithms", "sentence"),
    [
        ([], ASYMMETRIC, "must have a key"),
        ({"keys": [{"kty": "oct", "k": ""}]}, HMAC, "must have a key"),
        ({}, ASYMMETRIC, "must be a JWK"),
        ({"kid": "not a certificate"}, ASYMMETRIC, "must be a JWK"),
        ({"kid": 1}, ASYMMETRIC, "must be a JWK"),
        (EC_PAIR.jwk, select(["RS256"]), "type EC P-256 cannot be used with algorithms=.'RS256'."),
        (PAIRS["RS256"].jwk, select(["ES256"]), "type RSA cannot be used"),
        ({"kty": "oct", "k": ""}, HMAC, "secret too short"),
        (Secret("s" * 64), ASYMMETRIC, "is a shared secret"),
        ("no PEM at all", ASYMMETRIC, "pem unreadable"),
        ("https://id.example/keys", ASYMMETRIC, "key is an address, .*: write jwks_uri="),
        ("https://id.example/a-long-path-of-keys", HMAC, "an address, .*: write jwks_uri="),
        ('{"keys": [{"kty": "EC"}]}', ASYMMETRIC, r"key is JWK text, .*: write json.loads\("),
        (json.dumps(EC_PAIR.jwk), ASYMMETRIC, r"key is JWK text, .*: write json.loads\("),
        ("/run/secrets/jwt.pem", ASYMMETRIC, r"key is a path, .*: write KeyFile\("),
        ("./keys/jwt", ASYMMETRIC, r"key is a path, .*: write KeyFile\("),
        ("jwt.pem", ASYMMETRIC, r"key is a file name, .*: write KeyFile\("),
        (__file__, ASYMMETRIC, r", .*: write KeyFile\("),
        (EC_PAIR.public_pem[:60], ASYMMETRIC, "pem unreadable"),
        (None, ASYMMETRIC, "key of type NoneType cannot verify"),
    ],
)
def test_an_option_that_holds_no_usable_key_is_explained(
    option: Any, algorithms: Any, sentence: str
) -> None:
    """What is wrong, with which key, and what to write."""
    with pytest.raises(ConfigurationError, match=sentence):
        read_keys(option, algorithms)
