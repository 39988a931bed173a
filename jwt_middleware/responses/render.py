"""Renders refusals as HTTP responses: a challenge (RFC 6750 §3) and a body (RFC 9457).

Every refusal with a fixed text is rendered once, when the guard is built.
"""

import json
import math
from collections.abc import Callable, Iterable

from jwt_middleware.errors import (
    ConfigurationError,
    KeyUnknown,
    Refused,
    TokenMissing,
    Unavailable,
    refusals,
)
from jwt_middleware.logs import log_of
from jwt_middleware.responses.headers import as_raw, with_header
from jwt_middleware.verdict import Body, Deny, ErrorBody, Problem, Refusal

_log = log_of("jwt_middleware")


def _problem_body(problem: Problem) -> Body:
    # RFC 9457 §4.2.1: with ``about:blank`` the title is the phrase of the status.
    members = {
        "type": "about:blank",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
    }
    if problem.error is not None:
        members["error"] = problem.error
    return "application/problem+json", json.dumps(members).encode()


def _oauth_body(problem: Problem) -> Body:
    # RFC 6749 §5.2: the members that OAuth clients expect.
    members = {
        "error": problem.error or problem.code,
        "error_description": problem.detail,
        "code": problem.code,
    }
    return "application/json", json.dumps(members).encode()


_BODIES: dict[str, Callable[[Problem], Body]] = {"problem": _problem_body, "oauth": _oauth_body}


def body_writer(error_body: ErrorBody) -> Callable[[Problem], Body]:
    """Return the function that writes error bodies.

    :raises ConfigurationError: if the name is unknown.
    """
    if callable(error_body):
        return error_body
    if not isinstance(error_body, str) or error_body not in _BODIES:
        raise ConfigurationError(
            f"error_body={error_body!r} must be a known format: write 'problem', 'oauth' or a "
            "callable"
        )
    return _BODIES[error_body]


def _checked_writer(write: Callable[[Problem], Body]) -> Callable[[Problem], Body]:
    """Return the writer, wrapped so that its result is checked."""

    def write_checked(problem: Problem) -> Body:
        try:
            media_type, body = write(problem)
            is_body = type(body) is bytes and media_type.isascii() and media_type.isprintable()
        except Exception as mistake:
            raise ConfigurationError(
                f"error_body={write!r} must not raise: {mistake!r}"
            ) from mistake
        if not is_body:
            raise ConfigurationError(
                f"error_body={write!r} must return a media type and bytes, such as "
                "('application/json', b'{}')"
            )
        return media_type, body

    return write_checked


def _never_failing(write: Callable[[Problem], Body]) -> Callable[[Problem], Body]:
    """Return the writer, wrapped so that RFC 9457 is the fallback when it fails."""

    def write_anyway(problem: Problem) -> Body:
        try:
            return write(problem)
        except ConfigurationError:
            _log.exception("error_body_failed")
            return _problem_body(problem)

    return write_anyway


class Renderer:
    """Renders refusals for one guard."""

    def __init__(
        self,
        realm: str = "api",
        error_body: ErrorBody = "problem",
        vary: str = "",
        metadata: str | None = None,
    ) -> None:
        """
        :param realm: the realm of every challenge (RFC 9110 §11.5).
        :param error_body: ``problem``, ``oauth``, or a callable from a problem to media type and
            bytes.
        :param vary: the headers that a refusal depends on; ``Authorization`` by default.
        :param metadata: the URL of the metadata of the protected resource (RFC 9728 §5.1).
        :raises ConfigurationError: if the realm is not printable ASCII.
        """
        self._first = [f'realm="{_quoted("realm", realm)}"']
        self._last = [] if metadata is None else [f'resource_metadata="{metadata}"']
        self._body = _checked_writer(body_writer(error_body))
        self._vary = vary or "Authorization"
        self._fixed = {kind: self._render(kind) for kind in refusals() if _is_fixed(kind)}
        # From here on a failing writer must not stop a refusal, so that it only falls back.
        self._body = _never_failing(self._body)
        self._by_code = {kind.code: deny for kind, deny in self._fixed.items()}

    def refuse(self, problem: Refused) -> Deny:
        """Return the response for a refusal of the error tree."""
        fixed = self._fixed.get(type(problem))
        if fixed is None:
            return self._render(problem)
        if isinstance(problem, KeyUnknown) and problem.retry_after is not None:
            return with_header(fixed, "Retry-After", _seconds(problem.retry_after))
        return fixed

    def refuse_code(self, code: str) -> Deny:
        """Return the response for a code with a fixed text, or else that of ``token_missing``."""
        return self._by_code.get(code) or self._by_code[TokenMissing.code]

    def refuse_requirement(self, refusal: Refusal, scopes: Iterable[str] = ()) -> Deny:
        """Return the response for a requirement that is not met.

        :param scopes: the missing scopes, for the challenge (RFC 6750 §3.1).
        """
        problem = Problem(refusal.status, refusal.code, refusal.public, refusal.error)
        parameters = [*refusal.parameters]
        if granted := " ".join(sorted(scopes)):
            parameters.append(("scope", granted))
        return self._answer(problem, [self._challenge(problem, parameters)])

    def _render(self, refused: Refused | type[Refused]) -> Deny:
        problem = Problem(refused.status, refused.code, refused.public, refused.error)
        if isinstance(refused, Unavailable):
            return self._answer(problem, [("Retry-After", _seconds(refused.retry_after))])
        wants_challenge = refused.status == 401 or refused.error is not None
        return self._answer(problem, [self._challenge(problem, ())] if wants_challenge else [])

    def _challenge(
        self, problem: Problem, parameters: Iterable[tuple[str, str]]
    ) -> tuple[str, str]:
        parts = [*self._first]
        # RFC 6750 §3.1: without credentials the challenge has no error.
        if problem.error is not None:
            parts.append(f'error="{problem.error}"')
            parts.append(f'error_description="{_quoted("detail", _printable(problem.detail))}"')
        parts += [f'{name}="{_quoted(name, _printable(value))}"' for name, value in parameters]
        return "WWW-Authenticate", f"Bearer {', '.join(parts + self._last)}"

    def _answer(self, problem: Problem, headers: list[tuple[str, str]]) -> Deny:
        media_type, body = self._body(problem)
        every = (
            ("Content-Type", media_type),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("Vary", self._vary),
            *headers,
        )
        return Deny(problem.status, every, body, problem.code, as_raw(every), problem.detail)


def _seconds(retry_after: float) -> str:
    # RFC 9110 §10.2.3: whole seconds. At least 1, so that clients do not retry at once.
    return str(max(1, math.ceil(retry_after)))


def _is_fixed(kind: type[Refused]) -> bool:
    return not issubclass(kind, Unavailable)


def _printable(text: str) -> str:
    """Return text with only the characters of a header. The body has the whole text."""
    return "".join(letter if " " <= letter <= "~" else "?" for letter in text)


def _quoted(name: str, value: str) -> str:
    """Return the escaped content of a quoted string (RFC 9110 §5.6.4)."""
    if not isinstance(value, str) or not value.isprintable() or not value.isascii():
        raise ConfigurationError(f"{name}={value!r} must fit in a header: write printable ASCII")
    return value.replace("\\", "\\\\").replace('"', '\\"')
