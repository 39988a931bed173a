"""Faulty server responses, for tests of a client.

Each is an :class:`~jwt_middleware.testing.issuer.Answer` to put into ``FakeIssuer.answers``.
"""

import gzip
from collections.abc import Iterator

from jwt_middleware.testing.issuer import Answer

HTML = b"<!doctype html><title>Maintenance</title><p>Back soon."


def unavailable(retry_after: str | None = None, status: int = 503) -> Answer:
    """Refuse, and perhaps say when to come again (429 or 503)."""
    return Answer(status, headers={} if retry_after is None else {"Retry-After": retry_after})


def maintenance() -> Answer:
    """Show people a page, with status 200."""
    return Answer(200, HTML, {"Content-Type": "text/html"})


def redirected(to: str, status: int = 302) -> Answer:
    """Point to another address."""
    return Answer(status, headers={"Location": to})


def truncated(body: bytes, missing: int = 10) -> Answer:
    """Announce a body and break off before its end."""
    length = {"Content-Length": str(len(body) + missing)}
    return Answer(200, body, length)


def dripping(body: bytes, pause: float = 0.02) -> Answer:
    """Send a body byte by byte.

    :param pause: seconds between two of them.
    """
    return Answer(200, body, pause=pause)


def dripping_headers(pause: float = 0.02) -> Answer:
    """Send header fields byte by byte, and no end of them."""
    return Answer(200, b"{}", {"X-Padding": "x" * 60_000}, pause=pause, drips_headers=True)


def bomb(megabytes: int = 30) -> Answer:
    """Send a few kilobytes that unfold to many megabytes."""
    body = gzip.compress(bytes(megabytes << 20))
    return Answer(200, body, {"Content-Encoding": "gzip"})


def zipped(body: bytes) -> Answer:
    """Send a body compressed, as many servers do."""
    return Answer(200, gzip.compress(body), {"Content-Encoding": "gzip"})


def flapping(*answers: Answer) -> Iterator[Answer]:
    """Give one answer after the other, and then the last of them permanently."""
    yield from answers
    while True:
        yield answers[-1]
