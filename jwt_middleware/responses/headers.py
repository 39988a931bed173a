"""Response headers: those to add to a response, and their forms for ASGI and WSGI."""

from collections.abc import Iterable
from dataclasses import replace

from jwt_middleware.verdict import Deny, Headers


def private_headers(vary: str) -> Headers:
    """Return the headers of a response that is for one caller only.

    :param vary: the request headers that the response depends on; ``""`` if it depends on the URL
        only.
    """
    own = (("Cache-Control", "private"),)
    return (("Vary", vary), *own) if vary else own


def headers_to_add(present: Iterable[tuple[str, str]], wanted: Headers) -> Headers:
    """Return the wanted headers that an application's response lacks.

    ``Vary`` may span several lines (RFC 9110 §5.3), so only the missing names are added. The
    application's value of any other header is kept.
    """
    there = [(name.lower(), value) for name, value in present]
    names = {name for name, _ in there}
    lists = ",".join(value for name, value in there if name == "vary")
    varies = {each.strip().lower() for each in lists.split(",")}
    added: list[tuple[str, str]] = []
    for name, value in wanted:
        if name != "Vary":
            added += [] if name.lower() in names else [(name, value)]
        elif left := [each for each in value.split(", ") if each.lower() not in varies]:
            added.append((name, ", ".join(left)))
    return tuple(added)


def as_raw(headers: Iterable[tuple[str, str]]) -> tuple[tuple[bytes, bytes], ...]:
    """Return headers in the form of ASGI: names in lower case, all encoded in latin-1."""
    return tuple(
        (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers
    )


def with_header(deny: Deny, name: str, value: str) -> Deny:
    """Return the same refusal with one more header."""
    more = ((name, value),)
    return replace(deny, headers=deny.headers + more, raw_headers=deny.raw_headers + as_raw(more))
