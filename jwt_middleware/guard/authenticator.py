"""Authenticates a token: returns the cached principal while it is valid, otherwise verifies it.

A cached principal is returned at once only if the key set is still the object that the token was
verified with, is younger than its soft age, and the token has not expired. Otherwise the key is
looked up again. If it is the same key object, the signature is not checked a second time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jwt_middleware.clock import Clock
from jwt_middleware.crypto.algorithms import Algorithm
from jwt_middleware.effects import NO_ANSWERS, Answers, Gap, Slot, refuse_to_block
from jwt_middleware.errors import (
    AlgorithmNotAllowed,
    KeyUnknown,
    Refused,
    SignatureInvalid,
    TokenExpired,
    TokenRevoked,
)
from jwt_middleware.evidence import Phrase
from jwt_middleware.issuers.registry import Registry
from jwt_middleware.issuers.trusted import TrustedIssuer
from jwt_middleware.keys.remote.shared_fetch import Waited, Waiter
from jwt_middleware.keys.snapshot import Keys, Snapshot
from jwt_middleware.principal import Principal
from jwt_middleware.revocation.revocation_list import Presented, RevocationList
from jwt_middleware.rules.roles import RoleHierarchy
from jwt_middleware.tokens.cache import Entry, TokenCache, claims_weight
from jwt_middleware.tokens.compact import Compact, KnownHeaders, check_padding, parse
from jwt_middleware.tokens.verifier import check_signature
from jwt_middleware.verdict import Watch


@dataclass(frozen=True, slots=True)
class AwaitedKeys:
    """An issuer, and what came of waiting for its keys."""

    issuer: TrustedIssuer
    waited: Waited


@dataclass(frozen=True, slots=True)
class AwaitKeys:
    """Waits for the keys of an issuer, and stores that issuer.

    Another issuer may have its name after the wait; the token is checked by this one.
    """

    issuer: TrustedIssuer
    waiter: Waiter

    def perform(self, deadline: float) -> AwaitedKeys:
        """Wait by blocking."""
        return AwaitedKeys(self.issuer, self.waiter.perform(deadline))

    async def aperform(self, deadline: float) -> AwaitedKeys:
        """Async version of :meth:`perform`."""
        return AwaitedKeys(self.issuer, await self.waiter.aperform(deadline))


KEYS: Slot[AwaitedKeys] = Slot("keys")

BLOCKING = Answers()
"""No answers yet, and the caller will block until there are."""


class Authenticator:
    """Finds the principals of tokens, and caches them."""

    def __init__(
        self,
        issuers: Registry,
        tokens: TokenCache,
        roles: RoleHierarchy,
        max_token_size: int,
        clock: Clock,
        *,
        revocations: RevocationList | None = None,
    ) -> None:
        """
        :param issuers: the trusted issuers.
        :param tokens: the cache of verified tokens.
        :param roles: the roles that a role brings with it.
        :param max_token_size: characters that a token may have.
        :param revocations: what was revoked; ``None`` if nothing can be.
        """
        self._revocations = revocations
        self._issuers = issuers
        self._tokens = tokens
        self._roles = roles
        self._max_token_size = max_token_size
        self._clock = clock
        self._headers = KnownHeaders()

    @property
    def has_revocations(self) -> bool:
        """Whether a token may be revoked."""
        return self._revocations is not None

    def watched(self, token: str) -> Watch | None:
        """Return what tells of the revocation of a token; ``None`` if it cannot be revoked."""
        return None if self._revocations is None else _Watched(self, self._revocations, token)

    def find(self, token: str, answers: Answers) -> Principal | Gap:
        """Return the principal of a token, or the gap that must be filled first.

        :raises TokenError: if the token cannot be trusted.
        :raises KeysUnavailable: if the keys cannot be fetched at present.
        """
        entry = self._tokens.get(token)
        if entry is None:
            return self._verified(token, answers)
        now = self._clock.now()
        if (
            now < entry.unquestioned_until
            and entry.issuer.current.snapshot is entry.snapshot
            and self._clock.monotonic() < entry.soft_at
        ):
            entry.was_used = True
            if self._revocations is not None and not self._revocations.is_cleared(entry.cleared_at):
                return self._unless_revoked(token, entry, answers)
            return entry.principal if entry.is_shared else _fresh(entry)
        if now >= entry.valid_until:
            raise _expired(entry, now)
        return self._renewed(token, entry, answers)

    def _unless_revoked(self, token: str, entry: Entry, answers: Answers) -> Principal | Gap:
        """Return the principal of a cached token, if it is not revoked."""
        step = self._check_revoked(entry.principal, entry.key.kid or entry.kid, token, answers)
        if isinstance(step, Gap):
            return step
        entry.cleared_at = step
        return entry.principal if entry.is_shared else _fresh(entry)

    def _check_revoked(
        self, principal: Principal, kid: str | None, token: str, answers: Answers
    ) -> int | Gap:
        if self._revocations is None:
            return 0
        presented = Presented(principal.issuer, principal.subject, principal.claims, kid, token)
        step = self._revocations.check(presented, answers)
        if answers is BLOCKING and isinstance(step, Gap):
            refuse_to_block("Guard.verify", "Guard.averify")
        return step

    def _renewed(self, token: str, entry: Entry, answers: Answers) -> Principal | Gap:
        """Look the key of a cached token up again; the same key object needs no second check."""
        issuer: TrustedIssuer = entry.issuer
        awaited = answers.get(KEYS)
        if awaited is None and not self._issuers.still_trusts(issuer):
            return self._verified(token, answers)
        if self._tokens.get(token) is not entry:
            # Forgotten just now, because the rule for its issuer has another answer.
            return self._verified(token, answers)
        if awaited is not None and awaited.issuer is not issuer:
            return self._verified(token, answers)
        snapshot = issuer.current.snapshot
        keys = self._keys(issuer, entry.kid, entry.algorithm, answers)
        if isinstance(keys, Gap):
            return keys
        if entry.key not in keys:
            return self._verified(token, answers)
        if snapshot is not None and snapshot is issuer.current.snapshot:
            fresh = issuer.entry(entry.principal, entry.key, entry.algorithm, entry.kid, snapshot)
            fresh.claims_weight = entry.claims_weight
            fresh.was_used = True
            self._tokens.put(token, fresh)
            entry = fresh
        return self._unless_revoked(token, entry, answers)

    def _verified(self, token: str, answers: Answers) -> Principal | Gap:
        compact = parse(
            token,
            self._max_token_size,
            self._headers,
            may_be_padded=self._issuers.may_be_padded,
        )
        header = compact.header
        if header.alg not in self._issuers.algorithms:
            raise AlgorithmNotAllowed("alg", expected=self._issuers.algorithms, found=header.alg)
        claims = compact.claims()
        awaited = answers.get(KEYS)
        issuer = self._issuers.choose(claims, header.alg) if awaited is None else awaited.issuer
        try:
            return self._verified_by(issuer, token, compact, claims, answers)
        except Refused as problem:
            problem.judged_by = issuer.full_name
            raise

    def _verified_by(
        self,
        issuer: TrustedIssuer,
        token: str,
        compact: Compact,
        claims: dict[str, Any],
        answers: Answers,
    ) -> Principal | Gap:
        header = compact.header
        check_padding(compact, padded=issuer.issuer.padded)
        algorithm = issuer.check_header(header)
        issuer.check(claims, self._clock.now())
        snapshot = issuer.current.snapshot
        try:
            keys = self._keys(issuer, header.kid, algorithm, answers)
        except KeyUnknown as problem:
            expected, found = _key_sides(issuer.current.snapshot, header.kid, algorithm)
            problem.note(expected=expected, found=found)
            raise
        if isinstance(keys, Gap):
            return keys
        if issuer.has_tenants:
            keys = issuer.serving(keys, claims)
        try:
            key = check_signature(compact, keys, algorithm)
        except SignatureInvalid:
            if issuer.remote is not None:
                issuer.remote.signature_failed()
            raise
        # A header with a date of its own would displace those that come again.
        if compact.header_segment not in self._headers and not issuer.issuer.required_header:
            self._headers.learn(compact.header_segment, header)
        is_in_service = not self._issuers.admits or self._issuers.proved(issuer)
        principal = issuer.principal(
            claims, self._roles.expand, is_one_of_several=self._issuers.has_several
        )
        # A set that was replaced meanwhile may not hold this key, so the token is not cached then.
        if is_in_service and snapshot is not None and snapshot is issuer.current.snapshot:
            entry = issuer.entry(principal, key, algorithm, header.kid, snapshot)
            entry.claims_weight = claims_weight(compact.payload, principal)
            self._tokens.put(token, entry)
        # The id of the key that verified it: a header may leave it out.
        step = self._check_revoked(principal, key.kid or header.kid, token, answers)
        return step if isinstance(step, Gap) else principal

    def _keys(
        self, issuer: TrustedIssuer, kid: str | None, algorithm: Algorithm, answers: Answers
    ) -> Keys | Gap:
        """Return the keys to try, or the gap to fill first; there is one wait for each token."""
        remote = issuer.remote
        if remote is not None:
            awaited = answers.get(KEYS)
            if awaited is not None:
                return remote.settle(kid, algorithm, awaited.waited)
            if answers is BLOCKING and not remote.has(kid, algorithm):
                # Refused before plan() begins a fetch, because no thread would perform it.
                refuse_to_block("Guard.verify", "Guard.averify")
        plan = issuer.keys.plan(kid, algorithm)
        return Gap(KEYS, AwaitKeys(issuer, plan)) if isinstance(plan, Waiter) else plan

    def seconds_left(self, principal: Principal) -> float:
        """Return how long the token of a principal is still valid, leeway included.

        :raises KeysUnavailable: if the rule that admitted its issuer fails.
        """
        policy = self._issuers.of(principal).policy
        return max(0.0, policy.valid_until(principal) - self._clock.now())

    def forget(self) -> None:
        """Forget every cached token."""
        self._tokens.clear()


@dataclass(frozen=True, slots=True)
class _Watched:
    """Tells of the revocation of one token."""

    authenticator: Authenticator
    revocations: RevocationList
    token: str

    def is_revoked(self) -> bool:
        try:
            self.authenticator.find(self.token, NO_ANSWERS)
        except TokenRevoked:
            return True
        except Refused:
            # That it has expired closes the socket only where the guard is told so.
            return False
        return False

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        return self.revocations.replica.listen(listener)


def _key_sides(
    snapshot: Snapshot | None, kid: str | None, algorithm: Algorithm
) -> tuple[object, object]:
    """Return what was expected of a key, and what was found, for the log."""
    if snapshot is None:
        return "a key set", None
    keys = snapshot.keys if kid is None else snapshot.by_kid.get(kid, ())
    if keys and not any(key.may_serve(algorithm) for key in keys):
        kinds = {" ".join(filter(None, (key.kty, key.crv, key.alg))) for key in keys}
        return f"a key for {algorithm.name}", [Phrase(kind) for kind in kinds]
    return snapshot.kids, kid


def _expired(entry: Entry, now: float) -> TokenExpired:
    issuer: TrustedIssuer = entry.issuer
    latest = now - issuer.policy.leeway
    return TokenExpired(
        expected=f"exp after {latest:.0f}",
        found=entry.principal.expires_at,
        issuer=entry.principal.issuer,
    )


def _fresh(entry: Entry) -> Principal:
    """Return the principal for one request, which may change its typed claims."""
    issuer: TrustedIssuer = entry.issuer
    return issuer.with_own_claims(entry.principal)
