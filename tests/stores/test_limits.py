"""What no store is asked to keep."""

import math
from time import monotonic
from typing import Any

import pytest

from jwt_middleware.stores.contract import (
    AnyStatement,
    Exchange,
    Read,
    ReadGroup,
    ReadSome,
    ReadWritten,
    Unchanged,
)
from jwt_middleware.stores.limits import MOST_BYTES, objection
from tests.stores.asking import change

WRONG: list[tuple[AnyStatement, str]] = [
    *((Read("k", name), "a name has") for name in ("", "a" * 256, "a\n", "\u00e9", "a\0b", "\x7f")),
    *((Read(kind, "a"), "a kind has") for kind in ("", "a b", "a-b", "\u00e9", "k" * 65, "k\n")),
    *((ReadGroup("k", group), "a group has") for group in ("", "g" * 256, "a\0", "\ud800")),
    (ReadGroup("k k", "g"), "a kind has"),
    *((ReadGroup("k", "g", most), "most must be") for most in (0, -1)),
    *((Exchange((change("a", n),)), "version is out of range") for n in (-1, 2**63)),
    (Exchange((change("a", 0, b"x" * (MOST_BYTES + 1)),)), "a body has at most"),
    (Exchange((change("a", 0, group=""),)), "a group has"),
    (Exchange((change("a", 0), change("a", 1))), "one document twice"),
    (Exchange((change("a", 0),), (Unchanged("k", "a", 0),)), "one document twice"),
    (Exchange((), (Unchanged("k", "ä", 0),)), "a name has"),
    (Exchange((), (Unchanged("k", "a", -1),)), "version is out of range"),
    (ReadGroup("k", "g", 1, "ä"), "a name has"),
    (ReadSome((("k", "a"), ("k", "ä"))), "a name has"),
    (ReadSome((("k k", "a"),)), "a kind has"),
    (ReadSome((("k", "a"),) * 17), "more than 16 documents"),
    (ReadWritten("k k", 0.0), "a kind has"),
    (ReadWritten("k", 0.0, "ä"), "a name has"),
    (ReadWritten("k", 0.0, "", 0), "most must be"),
    *((ReadWritten("k", since), "since is a finite") for since in (math.nan, math.inf)),
]
AnyValue: Any = bytearray(b"x")


# What type checkers would find, and a document or a caller without types has nevertheless.
def odd(*values: Any) -> Any:
    """Return values that the types forbid."""
    return values


OTHER: list[tuple[Any, str]] = [
    *((Read("k", name), "a name has") for name in odd(None, 7, b"a", [])),
    *((Read(kind, "a"), "a kind has") for kind in odd(None, 7, b"k")),
    (ReadSome((("k", odd(None)[0]),)), "a name has"),
    *((ReadGroup("k", group), "a group has") for group in odd(None, 7, b"g")),
    *((ReadGroup("k", "g", most), "most must be") for most in odd(1.5, True, None, "1", 2**70)),
    (ReadWritten("k", 2**70), "since is a finite number"),
    *(
        (Exchange((change("a", version),)), "version is out of range")
        for version in odd(None, 0.5, True, "1")
    ),
    (None, "of an unknown type"),
    ("SELECT 1", "of an unknown type"),
]


@pytest.mark.parametrize(("statement", "words"), [*WRONG, *OTHER])
def test_a_statement_beyond_the_limits_is_refused(statement: AnyStatement, words: str) -> None:
    """S1. By all stores alike, and surely not done."""
    failed = objection(statement, monotonic() + 9)

    assert failed is not None
    assert words in failed.reason
    assert failed.may_be_done is False


@pytest.mark.parametrize("end", [math.nan, math.inf, -math.inf, 10**400, True, 2**70, "1", 1e308])
def test_an_expiry_is_a_finite_number(end: Any) -> None:
    failed = objection(Exchange((change("a", 0, expires_at=end),)), monotonic() + 9)

    assert failed is not None
    assert "expires_at" in failed.reason


def test_a_body_is_bytes() -> None:
    """A bytearray could change after it was stored."""
    failed = objection(Exchange((change("a", 0, AnyValue),)), monotonic() + 9)

    assert failed is not None
    assert "a body is bytes" in failed.reason


def test_what_just_fits_is_accepted() -> None:
    fits = change("~" * 255, 2**63 - 2, b"x" * MOST_BYTES, kind="k" * 64, group="\u00e9" * 255)

    assert objection(Exchange((fits,)), monotonic() + 9) is None
    assert objection(Exchange((fits,)), monotonic()) is not None


@pytest.mark.parametrize("deadline", [math.nan, 10**400, None, "1", -math.inf])
def test_a_deadline_is_a_time(deadline: Any) -> None:
    failed = objection(Read("k", "a"), deadline)

    assert failed is not None
    assert "deadline" in failed.reason
    assert objection(Read("k", "a"), math.inf) is None
