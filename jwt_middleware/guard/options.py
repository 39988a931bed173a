"""The options of a guard: their names, their short forms and their validation."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from math import isinf
from typing import Any, Literal, TypedDict

from jwt_middleware.checks import listed
from jwt_middleware.clock import Clock
from jwt_middleware.crypto.key_options import KeyOption
from jwt_middleware.errors import ConfigurationError, PathInvalid
from jwt_middleware.events import Observer
from jwt_middleware.issuers.admitted import AdmittedIssuers
from jwt_middleware.issuers.issuer import Issuer
from jwt_middleware.logs import log_of
from jwt_middleware.options import hint
from jwt_middleware.request.sources import TokenSource
from jwt_middleware.revocation.revocation_list import RevocationList
from jwt_middleware.rules.requirements import Has, Requirement, every_part
from jwt_middleware.rules.rule import Rule, protect, public
from jwt_middleware.tokens.claims import AnyAudience
from jwt_middleware.verdict import ErrorBody

_log = log_of("jwt_middleware")

WarmUp = Literal["lazy", "try", "require"]


class GuardOptions(TypedDict, total=False):
    """The options of :class:`~jwt_middleware.guard.guard.Guard`, for a middleware."""

    issuers: Issuer | AdmittedIssuers | Iterable[Issuer | AdmittedIssuers] | None
    rules: Sequence[Rule]
    protected: Sequence[str] | None
    token_sources: Sequence[TokenSource]
    role_hierarchy: Mapping[str, Collection[str]] | None
    realm: str | None
    resource: str | None
    error_body: ErrorBody
    trusted_origins: Collection[str]
    cors_preflight: bool
    close_on_expiry: bool
    close_on_revocation: bool
    warm_up: WarmUp
    revocation: RevocationList | None
    prefixes: Sequence[str]
    readings: Sequence[Callable[[str], str]]
    case_sensitive: bool
    observers: Sequence[Observer]
    max_token_size: int
    token_cache_size: int
    token_cache_bytes: int
    clock: Clock
    issuer: str | None
    audience: str | Collection[str] | AnyAudience | None
    key: KeyOption
    algorithms: Collection[str] | None


def refuse_unknown(unknown: Mapping[str, object]) -> None:
    """Refuse unknown options.

    :raises ConfigurationError: if there is one. The message names it and the nearest known option.
    """
    for name in unknown:
        known = hint(name, GuardOptions.__annotations__)
        raise ConfigurationError(f"option {name!r} is not known: {known}")


def chosen_issuers(
    issuers: Issuer | AdmittedIssuers | Iterable[Issuer | AdmittedIssuers] | None,
    issuer: str | None,
    audience: str | Collection[str] | AnyAudience | None,
    key: KeyOption,
    algorithms: Collection[str] | None,
) -> tuple[Issuer | AdmittedIssuers, ...]:
    """Return the issuers of ``issuers=``, or the one issuer of the short form.

    :raises ConfigurationError: if both forms are used, or neither.
    """
    short = {"issuer": issuer, "audience": audience, "key": key, "algorithms": algorithms}
    used = [name for name, value in short.items() if value is not None]
    if issuers is not None:
        if used:
            raise ConfigurationError(
                f"{used[0]}= cannot be combined with issuers=: set it on the Issuer"
            )
        if isinstance(issuers, Issuer | AdmittedIssuers):
            return (issuers,)
        return listed("issuers", issuers, "[Issuer(...)]")
    if not used:
        raise ConfigurationError(
            "issuers= is missing and must be set: write issuers=[Issuer(...)], or issuer= or key="
        )
    if issuer is None:
        _log.warning("issuer= is not set: a token is accepted with any iss, or without one")
    extra: dict[str, Any] = {} if algorithms is None else {"algorithms": algorithms}
    return (Issuer(issuer, audience=audience, keys=key, **extra),)


def chosen_rules(rules: tuple[Rule, ...], protected: tuple[str, ...] | None) -> tuple[Rule, ...]:
    """Return the rules, or the rules that ``protected`` is short for.

    :raises ConfigurationError: if both are set.
    """
    if protected is None:
        return rules
    if rules:
        raise ConfigurationError("protected= cannot be combined with rules=: keep one of them")
    _log.warning("paths outside %s are open", ", ".join(protected))
    return (protect(*(_opened(prefix) for prefix in protected)), public("/**"))


def _opened(prefix: str) -> str:
    return prefix if prefix.endswith("/**") else f"{prefix.rstrip('/')}/**"


def warn_of_grants(
    issuers: Iterable[Issuer | AdmittedIssuers], requirements: Iterable[Requirement]
) -> None:
    """Log a warning if rules require grants that an admitted issuer cannot give."""
    is_silent = any(isinstance(one, AdmittedIssuers) and one.grants is None for one in issuers)
    parts = (part for requirement in requirements for part in every_part(requirement))
    kinds = dict.fromkeys(f"{part.kind}s" for part in parts if isinstance(part, Has))
    if is_silent and kinds:
        _log.warning(
            "the rules require %s, but an admitted issuer cannot grant any: write "
            "AdmittedIssuers(..., grants={%r: [...]}) with the names that it may grant, or "
            "grants=ANY_GRANTS",
            " and ".join(kinds),
            next(iter(kinds)),
        )


def every_rule(name: str, rules: Any) -> tuple[Rule, ...]:
    """Return the rules of a list, or a single one.

    :raises ConfigurationError: if one of them is not a Rule.
    """
    every = (rules,) if isinstance(rules, Rule) else listed(name, rules, "[public('/')]")
    for number, rule in enumerate(every, 1):
        if not isinstance(rule, Rule):
            raise ConfigurationError(
                f"rule {number} is {rule!r} and must be a Rule: write public(...), optional(...) "
                "or protect(...)"
            )
    return every


def path_prefixes(name: str, protected: Any) -> tuple[str, ...]:
    """Return path prefixes.

    :raises ConfigurationError: if one is not text, or is the root path.
    """
    prefixes = listed(name, protected, "['/api']")
    if not prefixes or not all(isinstance(prefix, str) for prefix in prefixes):
        raise ConfigurationError(
            f"{name}={protected!r} must be a list of path prefixes, such as ['/api']"
        )
    if any(not prefix.rstrip("/") for prefix in prefixes):
        raise ConfigurationError(
            f"{name}={protected!r} cannot contain the root path: leave {name}= out, which "
            "protects every path"
        )
    return prefixes


def mount_points(name: str, prefixes: Any) -> tuple[str, ...]:
    """Return mount points without a trailing slash.

    :raises ConfigurationError: if one does not begin with a slash.
    """
    every = listed(name, prefixes, "['/api/v1']")
    if not all(isinstance(prefix, str) and prefix.startswith("/") for prefix in every):
        raise ConfigurationError(
            f"{name}={prefixes!r} must be a list of mount points, such as ['/api/v1']"
        )
    return tuple(prefix.rstrip("/") for prefix in every)


def path_functions(name: str, readings: Any) -> tuple[Callable[[str], str], ...]:
    """Return functions that rewrite a path, each wrapped so that its result is checked.

    :raises ConfigurationError: if one is not callable.
    """
    every = listed(name, readings, "[str.lower]")
    for read in every:
        if not callable(read):
            raise ConfigurationError(
                f"{name}: {read!r} must be a function from a path to a path, such as str.lower"
            )
    return tuple(map(_never_failing, every))


def _never_failing(read: Callable[[str], str]) -> Callable[[str], str]:
    def read_or_refuse(path: str) -> str:
        try:
            found = read(path)
        except Exception as mistake:
            # The rule of this reading is unknown, so the path is refused. The log has the cause.
            _log.exception("reading_failed: %r", read)
            raise PathInvalid("a reading failed") from mistake
        if not isinstance(found, str) or not found.startswith("/"):
            _log.error("reading_failed: %r must return a path that begins with a slash", read)
            raise PathInvalid("a reading must be a path that begins with a slash")
        return found

    return read_or_refuse


def event_functions(name: str, observers: Any) -> tuple[Observer, ...]:
    """Return functions of an event.

    :raises ConfigurationError: if one is not callable.
    """
    every = listed(name, observers, "[print]")
    for observer in every:
        if not callable(observer):
            raise ConfigurationError(
                f"{name}: {observer!r} must be a function of an event, such as print"
            )
    return every


def check_revocation(
    issuers: Iterable[Issuer | AdmittedIssuers],
    revocation: RevocationList | None,
    *,
    closes_sockets: bool,
) -> None:
    """Check that no revocation is forgotten while a token of an issuer may be valid.

    :param closes_sockets: whether open WebSockets are to learn of revocations.
    :raises ConfigurationError: if tokens without ``exp`` are accepted, or sockets cannot learn.
    """
    if closes_sockets and (revocation is None or revocation.is_strict):
        raise ConfigurationError(
            "close_on_revocation=True needs a list that is followed: write "
            "revocation=RevocationList(store, on_lag='refuse')"
        )
    if revocation is None or isinf(revocation.longest_lifetime):
        return
    for each in issuers:
        if isinstance(each, Issuer) and not each.require_exp:
            raise ConfigurationError(
                f"Issuer({each.issuer!r}, require_exp=False) accepts tokens that never expire, and "
                f"their revocation would end after {revocation.longest_lifetime:.0f} s: write "
                "RevocationList(longest_lifetime=None)"
            )
