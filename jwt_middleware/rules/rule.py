"""Rules, and the functions that create them: ``public``, ``optional`` and ``protect``."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Literal

from jwt_middleware.checks import check_flag
from jwt_middleware.errors import ConfigurationError
from jwt_middleware.rules.methods import SOCKET, Method, named_method
from jwt_middleware.rules.patterns import Pattern, compile_pattern
from jwt_middleware.rules.requirements import (
    Authenticated,
    Requirement,
    captures_of,
)

Access = Literal["public", "optional", "protect"]

_KNOWN_METHODS = [
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "QUERY",
    "WEBSOCKET",
    "PROPFIND",
    "REPORT",
]


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One rule of the rule table."""

    access: Access
    patterns: tuple[Pattern, ...]
    methods: frozenset[Method] | None
    requires: Requirement
    on_invalid: str = "refuse"
    is_exact: bool = False
    """Whether the paths below its patterns are meant to fall under other rules."""
    _words: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_words", self._in_words())

    def _in_words(self) -> str:
        if not self.patterns:
            return "no rule: a valid token"
        paths = ", ".join(repr(pattern.text) for pattern in self.patterns)
        asks = "" if type(self.requires) is Authenticated else f", requires {self.requires}"
        methods = "" if self.methods is None else f", methods={sorted(map(str, self.methods))}"
        return f"{self.access}({paths}{asks}{methods})"

    def __str__(self) -> str:
        return self._words

    def covers(self, method: Method, *, named: bool) -> bool:
        """Return whether the rule applies to ``method``.

        :param named: whether a matching rule names WEBSOCKET, so that GET does not cover it.
        """
        if self.methods is None or method in self.methods:
            return True
        # A HEAD is a GET without the body (RFC 9110 §9.3.2); a WebSocket opens with a GET.
        stands_for_get = method == "HEAD" or (method is SOCKET and not named)
        return stands_for_get and "GET" in self.methods


NO_RULE = Rule("protect", (), None, Authenticated())


def public(pattern: str, *more: str, methods: Collection[str] | None = None) -> Rule:
    """Allow every request without looking at a token.

    :param pattern: ``/path``, ``/with/{parameter}`` or ``/below/**``.
    :param methods: the methods that the rule applies to, in upper case; all if left out.
    :raises ConfigurationError: for a pattern or method that cannot match.
    """
    return _rule("public", (pattern, *more), methods, Authenticated())


def optional(
    pattern: str,
    *more: str,
    methods: Collection[str] | None = None,
    on_invalid: Literal["refuse", "anonymous"] = "refuse",
) -> Rule:
    """Allow a request without a token as anonymous, and one with a valid token as its subject.

    :param on_invalid: ``"refuse"`` refuses an invalid token; ``"anonymous"`` lets the request pass
        as anonymous, with the code of the refusal in ``principal.refusal``.
    :raises ConfigurationError: for a pattern or method that cannot match.
    """
    if on_invalid not in ("refuse", "anonymous"):
        raise ConfigurationError(
            f"optional(on_invalid={on_invalid!r}): write 'refuse' or 'anonymous'"
        )
    return _rule("optional", (pattern, *more), methods, Authenticated(), on_invalid)


def protect(
    pattern: str,
    *more: str,
    requires: Requirement | None = None,
    methods: Collection[str] | None = None,
    exact: bool = False,
) -> Rule:
    """Require a valid token that meets ``requires``.

    :param requires: a requirement, such as ``has_scope("orders:read")``; if left out, any valid
        token.
    :param exact: ``True`` says that the paths below, such as ``/admin/x`` for ``/admin``, are meant
        to fall under other rules, so that no warning is logged.
    :raises ConfigurationError: for a pattern, method or requirement that cannot work.
    """
    requirement = Authenticated() if requires is None else requires
    if not isinstance(requirement, Requirement):
        raise ConfigurationError(
            f"protect({pattern!r}, requires={requires!r}) must have a requirement: write "
            "requires=has_scope('orders:read') or the like"
        )
    check_flag("exact", exact)
    return _rule("protect", (pattern, *more), methods, requirement, is_exact=exact)


def _rule(
    access: Access,
    texts: tuple[str, ...],
    methods: Collection[str] | None,
    requires: Requirement,
    on_invalid: str = "refuse",
    *,
    is_exact: bool = False,
) -> Rule:
    patterns = tuple(compile_pattern(text) for text in texts)
    for hole in captures_of(requires):
        _check_capture(patterns, hole.name)
    return Rule(access, patterns, _methods(texts[0], methods), requires, on_invalid, is_exact)


def _check_capture(patterns: Iterable[Pattern], name: str) -> None:
    for pattern in patterns:
        known = [hole for hole, _ in pattern.holes]
        if name not in known:
            raise ConfigurationError(
                f"capture({name!r}) must name a parameter of pattern {pattern.text!r}: write one "
                f"of {known}"
            )


def _methods(pattern: str, methods: Collection[str] | None) -> frozenset[Method] | None:
    if methods is None:
        return None
    if isinstance(methods, str) or not isinstance(methods, Collection) or not methods:
        raise ConfigurationError(
            f"rule {pattern!r}: methods={methods!r} must be a list: write ['GET', 'POST']"
        )
    for method in methods:
        if not isinstance(method, str) or method not in _KNOWN_METHODS:
            _check_method(pattern, method)
    return frozenset(map(named_method, methods))


def _check_method(pattern: str, method: object) -> None:
    upper = method.upper() if isinstance(method, str) and method.isalpha() else "GET"
    if method != upper:
        raise ConfigurationError(
            f"rule {pattern!r}: method {method!r} must be in upper case: write {upper!r}"
        )
    if near := get_close_matches(upper, _KNOWN_METHODS, n=1, cutoff=0.75):
        raise ConfigurationError(
            f"rule {pattern!r}: method {method!r} is not known: did you mean {near[0]!r}?"
        )
