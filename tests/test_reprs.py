"""What shows of a value that holds a token, a key or a claim: nothing of those."""

import logging
import re
import subprocess
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from jwt_middleware import (
    Guard,
    Issuer,
    JWTMiddlewareError,
    JWTWSGIMiddleware,
    Principal,
    has_role,
    protect,
)
from jwt_middleware.formats import base64url
from jwt_middleware.formats.strict_json import NotOneObject, read_object
from jwt_middleware.guard.explain import SampleRequest
from jwt_middleware.principal import ANONYMOUS, Claims
from jwt_middleware.testing import Clock
from jwt_middleware.tokens.cache import Entry
from jwt_middleware.tokens.compact import KnownHeaders, parse
from jwt_middleware.verdict import Allow
from tests.faces.calls import through_wsgi, wsgi_app, wsgi_environ
from tests.support.short_form import SECRET, bearer, short_guard, token

MARK = "s3cret"


@dataclass(frozen=True)
class Typed:
    sub: str
    note: str


def everything(clock: Clock) -> tuple[str, Guard]:
    """Return a token of which every claim is marked, and a guard that reads all of them."""
    names = {name: f"{MARK}-{name}" for name in ("sub", "jti", "scope", "note", "aud", "name")}
    text = token(clock, **names, roles=[f"{MARK}-role"], permissions=[f"{MARK}-permission"])
    issuer = Issuer(
        "https://a/", audience=names["aud"], keys=SECRET, algorithms=["HS256"], claims_type=Typed
    )
    return text, Guard(issuers=issuer, clock=clock)


def shown(value: object) -> str:
    """Return all that a log, a debugger or a report of an error would show of a value."""
    return f"{value!r} {value!s} {value:} {[value]} { {'x': value} }"


def holders(clock: Clock) -> Iterator[tuple[object, str]]:
    text, guard = everything(clock)
    principal = guard.verify(text)
    assert MARK in str(principal.subject)
    assert principal.typed.note == f"{MARK}-note"
    compact = parse(text, 10_000, KnownHeaders())
    entry: Any = guard._authenticator._tokens.get(text)
    assert isinstance(entry, Entry)
    yield principal, text
    yield replace(principal, is_authenticated=False), text
    yield principal.claims, text
    yield compact, text
    yield entry, text
    yield SampleRequest("GET", "/x", text), text
    yield [Allow(principal, "a rule").principal], text


def test_no_value_shows_a_token_a_key_or_a_claim(clock: Clock) -> None:
    """Whatever its class makes of ``repr``, generated ones too."""
    for value, text in holders(clock):
        segments = text.split(".")
        assert not [part for part in [MARK, SECRET.decode(), *segments] if part in shown(value)]
        assert str(base64url.decode(segments[2].encode()))[2:-1] not in shown(value)


def test_a_principal_says_whether_somebody_is_known() -> None:
    """And for which refusal nobody is; that much is no claim."""
    assert re.fullmatch(r"Principal\(authenticated, [0-9a-f]{32}\)", repr(Principal("alice")))
    assert repr(ANONYMOUS) == "Principal(anonymous)"
    assert (
        repr(replace(ANONYMOUS, refusal="token_expired")) == "Principal(anonymous, token_expired)"
    )
    assert re.fullmatch(r"Claims\(a; [0-9a-f]{32}\)", str(Claims({"a": MARK})))


def test_a_repr_tells_callers_apart_all_the_same(clock: Clock) -> None:
    """Flask-Caching, fastapi-cache2 and others key by it what a function returns."""
    guard = short_guard(clock=clock)
    alice = guard.verify(token(clock, sub="alice"))
    again = guard.verify(token(clock, sub="alice", jti="2"))
    others = [
        guard.verify(token(clock, sub="bob")),
        guard.verify(token(clock, sub="alice", tenant=2)),
        guard.verify(token(clock, sub="alice", scope="admin")),
    ]

    assert repr(alice) == repr(again)
    assert len({repr(each) for each in [alice, *others]}) == 4
    assert len({repr(each.claims) for each in [alice, *others]}) == 4
    made = [Claims({"a": object()}), Principal(claims=Claims({"\ud800": {1}})), Principal("\ud800")]
    assert len({repr(each) for each in made}) == 3


def test_a_repr_cannot_be_guessed_elsewhere() -> None:
    """Whoever reads a log may know all of a token but one claim."""
    code = "from jwt_middleware import Claims, Principal; print(Principal('alice'), Claims({}))"
    told = [subprocess.check_output([sys.executable, "-c", code]) for _ in range(2)]

    assert told[0] != told[1]


def spoilt(clock: Clock) -> dict[str, str]:
    """Return tokens with a marked claim that end in each kind of refusal to read them."""
    header, payload, signature = token(clock, sub=MARK).split(".")

    def with_payload(data: bytes) -> str:
        return f"{header}.{base64url.encode(data).decode()}.{signature}"

    return {
        "no JSON": with_payload(b'{"sub":"%b",' % MARK.encode()),
        "no UTF-8": with_payload(b'{"sub":"%b\xff"}' % MARK.encode()),
        "half a character": with_payload(b'{"sub":"%b\\ud800"}' % MARK.encode()),
        "too long a number": with_payload(b'{"sub":"%b","a":%b}' % (MARK.encode(), b"1" * 5_000)),
        "no ASCII": f"{header}.{payload}{MARK}\u00e9.{signature}",
        "no base64url": f"{header}.{payload}{MARK}!.{signature}",
        "a header that is none": f"{base64url.encode(MARK.encode()).decode()}.{payload}.{signature}",
    }


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and all that hangs on it, shown by Python or not."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("kind", spoilt(Clock()))
def test_no_error_carries_the_text_that_it_is_about(kind: str, clock: Clock) -> None:
    """Neither itself nor what hangs on it: a report of errors keeps their attributes."""
    text = spoilt(clock)[kind]
    with pytest.raises(JWTMiddlewareError) as refusal:
        short_guard(clock=clock).verify(text)

    for error in chain(refusal.value):
        assert MARK not in f"{error!r} {error.args} {vars(error)}"
        assert not getattr(error, "doc", "")
        assert not getattr(error, "object", b"")
    assert MARK not in "".join(traceback.format_exception(refusal.value))


@pytest.mark.parametrize("data", [b'{"a":"s3cret",', b'"s3cret\xff"', b'{"a":"s3cret\\ud800"}'])
def test_the_strict_reader_lets_go_of_what_it_read(data: bytes) -> None:
    """What Python's readers raise holds the whole text."""
    with pytest.raises(NotOneObject) as refusal:
        read_object(data)
    assert refusal.value.__context__ is None


def test_a_debugging_log_tells_nothing_of_a_token(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Of one that verifies and may not, and of one that does not verify."""
    rules = [protect("/admin", requires=has_role("admin"))]
    guarded = JWTWSGIMiddleware(wsgi_app, short_guard(rules=rules, clock=clock))
    text = token(clock, sub=MARK, note=MARK)

    with caplog.at_level(logging.DEBUG):
        refused = through_wsgi(guarded, wsgi_environ("GET", "/admin", bearer(text)))
        spoilt = through_wsgi(guarded, wsgi_environ("GET", "/admin", bearer(text[:-4])))
    assert (refused.status, spoilt.status) == (403, 401)
    assert caplog.text.count("refused:") == 2
    assert not [part for part in (MARK, *text.split(".")) if part[:20] in caplog.text]
