"""Revocations as documents."""

import json
import math

import pytest

from jwt_middleware.revocation.entries import KIND, Entry, entry_of, name_of, was_issued_by
from jwt_middleware.stores.contract import Document


def document(body: bytes) -> Document:
    return Document(KIND, "n", 1, body)


@pytest.mark.parametrize(
    "entry",
    [
        Entry("https://shop.example/", "token", "j", 1e9),
        Entry(None, "subject", "ä" * 5000, 1e9 + 0.5, 17),
        Entry("x", "key", "k"),
    ],
)
def test_an_entry_is_read_as_it_was_written(entry: Entry) -> None:
    """The name of its document has no more than a digest of it."""
    change = entry.change(0)
    assert change.body is not None
    assert entry_of(document(change.body)) == entry
    assert (len(change.name), change.name) == (64, name_of(entry.issuer, entry.what, entry.value))
    assert change.expires_at == (None if math.isinf(entry.until) else entry.until)


GOOD = {"issuer": "x", "what": "token", "value": "j", "until": 5, "before": 0}


@pytest.mark.parametrize(
    "members",
    [
        {**GOOD, "issuer": 5},
        {**GOOD, "value": None},
        {**GOOD, "what": "later"},
        {**GOOD, "what": ["token"]},
        {**GOOD, "until": "soon"},
        {**GOOD, "until": True},
        {**GOOD, "before": "then"},
        {},
        [],
        "text",
    ],
)
def test_a_document_of_a_later_release_is_passed_over(members: object) -> None:
    assert entry_of(document(json.dumps(members).encode())) is None


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"{", b"[" * 9999, b'{"until": 1e999}', b"9" * 5000]
)
def test_what_is_not_json_is_passed_over(body: bytes) -> None:
    assert entry_of(document(body)) is None


@pytest.mark.parametrize(
    ("claims", "was"),
    [
        ({"iat": 10}, True),
        ({"iat": 10.9}, True),
        ({"iat": 11}, False),
        ({}, True),
        ({"iat": None}, True),
        ({"iat": "11"}, True),
        ({"iat": True}, True),
    ],
)
def test_of_one_second_all_tokens_are_meant(claims: dict[str, object], *, was: bool) -> None:
    """R2."""
    assert was_issued_by(claims, 10) is was
