"""The responses of endpoints (RFC 6749 §5, RFC 9110)."""

import json
import math
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

from jwt_middleware.endpoint_errors import EndpointRefused
from jwt_middleware.errors import (
    Refused,
    TokenError,
    TokenExpired,
    TokenMissing,
    UserUnknown,
)
from jwt_middleware.request.view import RequestView
from jwt_middleware.responses.headers import as_raw
from jwt_middleware.verdict import Reply

# RFC 6749 §5.1: no cache keeps tokens. Caches of HTTP/1.0 know only Pragma.
_NOT_STORED = (("Cache-Control", "no-store"), ("Pragma", "no-cache"))

_INVALID = "The refresh token is not valid"
_UNDECIDED = "The token cannot be checked at the moment"
_SENTENCES: dict[type[Refused], str] = {
    TokenMissing: "A refresh token is required",
    TokenExpired: "The refresh token has expired",
    UserUnknown: "The login is not that of an active user",
}


def json_reply(
    status: int, members: Mapping[str, Any], headers: Iterable[tuple[str, str]] = (), code: str = ""
) -> Reply:
    """Return a response of JSON that no cache stores."""
    body = json.dumps(members).encode()
    every = (("Content-Type", "application/json"), *_NOT_STORED, *headers)
    return reply(status, every, body, code or "answered")


def reply(status: int, headers: Iterable[tuple[str, str]], body: bytes, code: str) -> Reply:
    """Return a response with its length."""
    # RFC 9110 §8.6: neither 204 nor 304 has a length.
    length = () if status in {204, 304} else (("Content-Length", str(len(body))),)
    every = (*headers, *length)
    return Reply(status, every, body, code, as_raw(every))


def refusal(problem: Refused, headers: Iterable[tuple[str, str]] = ()) -> Reply:
    """Return the response for a refusal, with the names of errors that OAuth clients know."""
    status, error, sentence = _said(problem)
    members = {"error": error, "error_description": sentence, "code": problem.code}
    seconds: float | None = getattr(problem, "retry_after", None)
    if seconds is not None:
        # RFC 9110 §10.2.3: whole seconds. At least 1, so that clients do not retry at once.
        headers = (*headers, ("Retry-After", str(max(1, math.ceil(seconds)))))
    return json_reply(status, members, headers, problem.code)


def _said(problem: Refused) -> tuple[int, str, str]:
    if not problem.is_verdict:
        # Also a key that is not known yet: the same token may be good in a moment.
        return 503, "temporarily_unavailable", _UNDECIDED
    if isinstance(problem, TokenError):
        # RFC 6749 §5.2: a refresh token that is not good is 400 and invalid_grant.
        is_own = problem.code.startswith("refresh_")
        return 400, "invalid_grant", problem.public if is_own else _sentence(problem)
    if isinstance(problem, EndpointRefused):
        return problem.status, problem.error or "invalid_request", problem.public
    return problem.status, "invalid_request", problem.public


def _sentence(problem: TokenError) -> str:
    return _SENTENCES.get(type(problem), _INVALID)


def document_reply(view: RequestView, body: bytes, media_type: str, max_age: float) -> Reply:
    """Return a public document that caches and pages of any origin may have.

    :param max_age: the seconds for which a cache may keep it.
    """
    # RFC 9110 §8.8.3: a strong validator, the same in each process.
    etag = f'"{sha256(body).hexdigest()[:32]}"'
    headers = (
        ("ETag", etag),
        ("Cache-Control", f"public, max-age={int(max_age)}"),
        # Fetch Standard §3.3: nothing in it is for one caller.
        ("Access-Control-Allow-Origin", "*"),
    )
    if _has(view.headers("if-none-match"), etag):
        return reply(304, headers, b"", "not_modified")
    return reply(200, (("Content-Type", media_type), *headers), body, "answered")


def _has(conditions: list[str], etag: str) -> bool:
    """Return whether a client has the document already (RFC 9110 §13.1.2)."""
    tags = [tag.strip() for each in conditions for tag in each.split(",")]
    # For this header, a weak validator counts as the strong one.
    return any(tag == "*" or tag.removeprefix("W/") == etag for tag in tags)
