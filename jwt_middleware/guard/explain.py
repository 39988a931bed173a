"""Explains the verdict on a sample request, for ``Guard.explain`` and the log."""

from dataclasses import dataclass, field

from jwt_middleware.errors import refusals
from jwt_middleware.request.view import RequestView, Sent
from jwt_middleware.rules.ruling import Ruling
from jwt_middleware.verdict import Allow, Deny, Reply

CHECKS = (
    "method and path",
    "token source",
    "shape and claims",
    "key and signature",
    "revocation",
    "origin",
    "requirement",
)
"""The checks of the guard, in the order in which they run."""

_FAILS_AT = {kind.code: kind.check for kind in refusals()}


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """A sample request with an optional token, as a page of the same origin would send it."""

    method: str
    path: str
    token: str | None = field(default=None, repr=False)
    scheme: str = "http"
    host: str | None = None
    client: str | None = None
    mount_point: str = ""

    @property
    def sent(self) -> Sent:
        return self.path, self.mount_point, None

    @property
    def may_tunnel(self) -> bool:
        return False

    @property
    def is_websocket(self) -> bool:
        return self.method == "WEBSOCKET"

    def headers(self, name: str) -> list[str]:
        if name == "sec-fetch-site":
            return ["same-origin"]
        is_asked_for = name == "authorization" and self.token is not None
        return [f"Bearer {self.token}"] if is_asked_for else []

    def cookies(self, name: str) -> list[str]:
        return [] if self.token is None else [self.token]

    def query(self, name: str) -> list[str]:
        return []


@dataclass(frozen=True, slots=True)
class Explanation:
    """The rules, the checks and the outcome of one request. ``str()`` gives it as text."""

    method: str
    path: str
    rules: tuple[str, ...]
    """The rule of each reading of the path. The path as sent comes first."""
    asks: tuple[str, ...]
    """The requirements of the rules, beyond a valid token."""
    checks: tuple[tuple[str, str], ...]
    """Each check and its outcome: ``holds``, ``fails`` with a code, or ``not reached``."""
    outcome: str
    because: str = ""
    """Why the request is refused, with both sides of what was compared; empty if the outcome says
    it all."""

    def __str__(self) -> str:
        lines = [f"{_printable(self.method)} {_printable(self.path)}"]
        lines += [f"  falls under  {rule}" for rule in self.rules]
        lines += [f"  asks for     {requirement}" for requirement in self.asks]
        lines += [f"  {check:<18} {outcome}" for check, outcome in self.checks]
        lines.append(f"  comes to     {self.outcome}")
        return "\n".join([*lines, *([f"  because      {self.because}"] if self.because else [])])


def _printable(text: str) -> str:
    return text if text.isprintable() else repr(text)


def explanation(
    view: RequestView,
    ruling: Ruling | None,
    verdict: Allow | Reply,
    because: str,
    *,
    revokes: bool = False,
) -> Explanation:
    """Return the explanation of a verdict.

    :param ruling: the ruling of the rule table; ``None`` if the path is ambiguous.
    :param because: the reason of a refusal.
    :param revokes: whether the guard has a list of revocations.
    """
    deciders = () if ruling is None else ruling.deciders
    demands = () if ruling is None else ruling.demands
    return Explanation(
        view.method,
        view.path,
        rules=tuple(str(decider.rule) for decider in deciders),
        asks=tuple(str(requirement) for requirement, _ in demands),
        checks=tuple(_course(verdict, revokes=revokes)),
        outcome=str(verdict),
        because=because,
    )


# Without a list of revocations, the guard must not say that a token was compared with one.
_NOTHING_REVOKES = {("revocation", "holds"): "not configured"}


def _course(verdict: Allow | Reply, *, revokes: bool) -> list[tuple[str, str]]:
    """Return each check and its outcome."""
    if isinstance(verdict, Deny):
        # A code unknown to _FAILS_AT is the application's own, so it comes from a requirement.
        failed = CHECKS.index(_FAILS_AT.get(verdict.code, "requirement"))
        outcomes = ["holds"] * failed + [f"fails: {verdict.code}"]
        outcomes += ["not reached"] * (len(CHECKS) - len(outcomes))
    elif isinstance(verdict, Reply):
        outcomes = ["not reached"] * len(CHECKS)
    elif verdict.principal.is_authenticated:
        outcomes = ["holds"] * len(CHECKS)
    else:
        refusal = verdict.principal.refusal
        outcomes = ["holds", "not asked for" if refusal is None else f"forgiven: {refusal}"]
        outcomes += ["not reached"] * (len(CHECKS) - len(outcomes))
    named = zip(CHECKS, outcomes, strict=True)
    if revokes:
        return list(named)
    return [(check, _NOTHING_REVOKES.get((check, said), said)) for check, said in named]
