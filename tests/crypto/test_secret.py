"""Secrets and key files as options."""

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jwt_middleware.crypto import secret
from jwt_middleware.crypto.secret import KeyFile, Secret
from jwt_middleware.errors import ConfigurationError


@settings(deadline=None)
@given(st.binary(min_size=32, max_size=64).map(lambda raw: b"\xfe" + raw))
def test_random_bytes_are_a_secret(value: bytes) -> None:
    """They become the material as they are, and show in no repr."""
    secret = Secret(value)
    key = secret.to_key(256)
    assert (key.kty, key.material) == ("oct", value)
    assert repr(secret) == "Secret(key=...)"
    assert "material" not in repr(key)


def test_text_is_taken_as_utf8() -> None:
    """A secret in text is its bytes."""
    assert Secret("ü" * 16).to_key(256).material == "ü".encode() * 16


@pytest.mark.parametrize(("size", "bits"), [(31, 256), (47, 384), (63, 512)])
def test_a_secret_shorter_than_the_hash_is_refused(size: int, bits: int) -> None:
    """One byte less is too few; that byte more is enough."""
    with pytest.raises(ConfigurationError, match=f"has {size} bytes, and HS{bits} needs"):
        Secret(b"s" * size).to_key(bits)
    assert Secret(b"s" * (size + 1)).to_key(bits).kty == "oct"


@pytest.mark.parametrize("empty", ["", b""])
def test_an_empty_secret_is_refused(empty: str | bytes) -> None:
    """It is known to everybody."""
    with pytest.raises(ConfigurationError, match="NAME is empty"):
        Secret(empty, name="NAME")


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message shows how to set it."""
    monkeypatch.setenv("A_SECRET", "")
    with pytest.raises(ConfigurationError, match="export A_SECRET="):
        Secret.from_env("A_SECRET")


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (b"-----BEGIN PUBLIC KEY-----\nAAAA", "PEM text"),
        (b" ecdsa-sha2-nistp256 AAAA", "an SSH public key"),
        (b'\xef\xbb\xbf {"a": 1,\n"kty": "oct"}', "JWK text"),
        (b"~/secrets/of/the/orders/service/in/2025", "a path"),
        (b"D:\\Secrets", "a path"),
        (b"/home/Alice/Secrets", "a path"),
        (b"/very/secret", "a path"),
        (b"key.jwks", "a file name"),
        (b"\x30\x02\x05\x00", "DER data"),
        (b"\x30\x81\x02\x05\x00", "DER data"),
        (str(Path(__file__)).encode(), "a "),
    ],
)
def test_what_looks_like_something_else_is_no_secret(value: bytes, kind: str) -> None:
    """The kind is named, the value is not repeated."""
    with pytest.raises(ConfigurationError) as caught:
        Secret(value).to_key(256)
    assert f"key is {kind}" in str(caught.value)
    assert value.decode("latin-1") not in str(caught.value)


@pytest.mark.parametrize(
    "value", [b"0" * 64, b"\x30\x03" + b"\xff" * 40, b"\x30\x84" + b"\xff" * 40, b"\x00" * 40]
)
def test_other_lengths_are_no_der(value: bytes) -> None:
    """Only a sequence of exactly the stated length counts, and a NUL is no file name."""
    assert Secret(value).to_key(256).material == value


def test_one_byte_is_too_short_and_not_a_sequence() -> None:
    """The shape is judged without reading past the end."""
    with pytest.raises(ConfigurationError, match="has 1 bytes"):
        Secret(b"0").to_key(256)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """With the reason of the system."""
    missing = tmp_path / "missing"
    with pytest.raises(ConfigurationError, match=r"missing'\) cannot be read: No such file"):
        KeyFile(missing).read()
    missing.write_bytes(b" as it is\n")
    assert KeyFile(str(missing)).read() == b" as it is\n"


@pytest.mark.parametrize(
    ("password", "read"), [("wörd", "wörd".encode()), (b"w", b"w"), (None, None)]
)
def test_a_password_is_read_as_bytes(password: str | bytes | None, read: bytes | None) -> None:
    """Text is UTF-8, and it shows in no repr."""
    file = KeyFile("x", password)
    assert file.password_bytes == read
    assert repr(file) == "KeyFile(path='x')"


def test_a_secret_of_the_environment_is_taken_byte_for_byte(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Blanks, line breaks and what is no text; the name is one that can be set."""
    for value in (b" " + b"s" * 40 + b" ", b"s" * 40 + b"\n", b"\xff\xfe" * 20):
        monkeypatch.setenv("JWT_SECRET", os.fsdecode(value))
        assert Secret.from_env("JWT_SECRET").to_key(256).material == value
    for name in ("", "a=b", "a\0b", "\ud800", 7):
        with pytest.raises(ConfigurationError, match="must name a variable"):
            Secret.from_env(name)  # type: ignore[arg-type]


def test_text_that_no_bytes_stand_for_is_no_secret(tmp_path: Path) -> None:
    """Nor the password of a key; and a path must be one."""
    with pytest.raises(ConfigurationError, match="must be text that UTF-8 can encode"):
        Secret("\ud800" * 40)
    with pytest.raises(ConfigurationError, match="must be text that UTF-8 can encode"):
        _ = KeyFile(tmp_path, "\ud800").password_bytes
    with pytest.raises(ConfigurationError, match="password= must be str or bytes"):
        KeyFile(tmp_path, 7)  # type: ignore[arg-type]
    for path in (7, "", None, b"x"):
        with pytest.raises(ConfigurationError, match="must have a path"):
            KeyFile(path)  # type: ignore[arg-type]
    for path in ("a\0b", "\ud800"):
        with pytest.raises(ConfigurationError, match="must have a path"):
            KeyFile(path).read()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_key_file_that_hangs_stops_the_start_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe that nobody writes to hangs like a file on a dead network share."""
    pipe = tmp_path / "key.pem"
    os.mkfifo(pipe)
    monkeypatch.setattr(secret, "READ_SECONDS", 0.05)

    with pytest.raises(ConfigurationError, match=r"key\.pem'\) could not be read within 0\.05 sec"):
        KeyFile(pipe).read()

    # Written to, the thread that was left behind reads to the end and is gone.
    pipe.write_bytes(b"late")
    for thread in threading.enumerate():
        if thread.name == "jwt_middleware.key_file":
            thread.join(10)
            assert not thread.is_alive()


def test_a_secret_whose_look_up_hangs_is_taken_for_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistyped path on a dead share must not become a secret that others know."""
    let_go = threading.Event()
    monkeypatch.setattr(secret, "READ_SECONDS", 0.01)
    monkeypatch.setattr(Path, "is_file", lambda _: let_go.wait(10))
    try:
        with pytest.raises(ConfigurationError, match="existing file"):
            Secret("/Net/Share/" + "K" * 40).to_key(256)
    finally:
        let_go.set()


def test_a_key_file_without_an_end_is_refused(tmp_path: Path) -> None:
    """Reading stops at a bound, whatever the file is."""
    endless = Path("/dev/zero")
    if not endless.exists():
        endless = tmp_path / "large"
        endless.write_bytes(bytes(secret.MAX_FILE_BYTES + 1))

    with pytest.raises(ConfigurationError, match=r"must not be longer than 262,144 bytes"):
        KeyFile(endless).read()


class OnALostShare:
    """A path whose share answers with an error of its own, in the thread that reads it."""

    def __fspath__(self) -> str:
        if threading.current_thread() is not threading.main_thread():
            raise TimeoutError(110, "Connection timed out")
        return "/share/key.pem"


def test_a_key_file_on_a_share_that_reports_a_timeout_is_told_as_such() -> None:
    """And not that the file took five seconds."""
    with pytest.raises(ConfigurationError, match=r"key\.pem'\) cannot be read: Connection timed"):
        KeyFile(OnALostShare()).read()
