"""The list of revoked tokens, sessions, subjects and keys, which a guard asks.

::

    revocations = RevocationList(connect("sqlite:///tokens.db"), on_lag="refuse")
    guard = Guard(issuers=..., revocation=revocations)
    revocations.revoke_session("https://shop.example/", sid)

By default each process has all revocations in memory and follows the store, so that a request waits
for nothing. With ``mode="strict"`` the store is asked for each request.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Annotated, Any, Literal, TypeAlias, get_args

from jwt_middleware.checks import check_text, is_number
from jwt_middleware.clock import Clock, SystemClock, usable_clock
from jwt_middleware.effects import Answers, Gap, Slot, Steps, arun, run
from jwt_middleware.errors import (
    ConfigurationError,
    LifetimeTooLong,
    StoreUnavailable,
    TokenRevoked,
)
from jwt_middleware.options import Choice, Seconds, read_options
from jwt_middleware.revocation.entries import KIND, Entry, What, entry_of, name_of, was_issued_by
from jwt_middleware.revocation.follower import Follower
from jwt_middleware.revocation.loading import Load
from jwt_middleware.revocation.replica import Replica
from jwt_middleware.stores.contract import (
    ABSENT,
    Exchanged,
    Found,
    FoundSome,
    Store,
    exchange,
    read,
    read_some,
)

Mode: TypeAlias = Literal["replica", "strict"]
OnLag: TypeAlias = Literal["refuse", "serve"]

_DAY = 86_400.0
_SYSTEM = SystemClock()
_PATIENCE = 5.0
_MOST_TRIES = 50
_FORGETS_EVERY = 1_000

# An entry stays for the largest leeway that an issuer may have, and a minute, after the last token
# that it names has expired.
KEPT_LONGER = 360.0

LOADED: Slot[bool] = Slot("revocations loaded")
ASKED: Slot[Any] = Slot("revoked")


@dataclass(frozen=True, slots=True)
class Presented:
    """A token whose signature is good, as far as revocations depend on it."""

    issuer: str | None
    subject: str | None
    claims: Mapping[str, Any]
    kid: str | None
    token: str
    """Its text."""

    @property
    def digest(self) -> str:
        """The SHA-256 of its signing input, which names it whatever it says."""
        return digest_of(self.token)

    def names(self) -> list[tuple[What, str]]:
        """Return everything that may be revoked of it."""
        found: dict[What, Any] = {
            "token": self.claims.get("jti"),
            "session": self.claims.get("sid"),
            "subject": self.subject,
            "key": self.kid,
            "digest": self.digest,
        }
        return [(what, value) for what, value in found.items() if isinstance(value, str)]


def digest_of(token: str) -> str:
    """Return the SHA-256 of the signing input of a token, in hex (RFC 7515 §5.1)."""
    return sha256(token.rpartition(".")[0].encode("utf-8", "surrogatepass")).hexdigest()


def _or_for_ever(name: str, value: Any) -> float:
    return math.inf if value is None else Seconds(may_be_zero=False)(name, value)


class RevocationList:
    """What was revoked, shared by the processes of a service through a store."""

    def __init__(
        self,
        store: Store,
        *,
        mode: Annotated[Mode, Choice(get_args(Mode))] = "replica",
        max_lag: Annotated[float | timedelta, Seconds(60, may_be_zero=False)] = 1.0,
        on_lag: Annotated[OnLag | None, Choice(get_args(OnLag))] = None,
        longest_lifetime: Annotated[float | timedelta | None, _or_for_ever] = 30 * _DAY,
        timeout: Annotated[float | timedelta, Seconds(30, may_be_zero=False)] = 2.0,
        clock: Annotated[Clock, usable_clock] = _SYSTEM,
    ) -> None:
        """
        :param store: where the processes of the service share it.
        :param mode: ``replica`` holds all revocations in memory and follows the store; ``strict``
            asks the store for each request.
        :param max_lag: the seconds after which a revocation is known in every process.
        :param on_lag: what happens where the store was not read for longer than that: ``refuse``
            answers 503, ``serve`` decides by what is known. A replica needs the choice.
        :param longest_lifetime: the most seconds for which a token of the guard's issuers is valid.
            Sessions and subjects stay revoked for so long, and a token that is valid for longer is
            refused. ``None`` keeps them for ever, for tokens that do not expire.
        :param timeout: the seconds within which the store must answer in the strict mode.
        :param clock: the clock of this process.
        :raises ConfigurationError: naming the option, the value and the fix.
        """
        known = read_options(RevocationList, {**locals()})
        if not callable(getattr(store, "answer", None)):
            raise ConfigurationError(
                f"store={type(store).__name__} must be a store: write "
                "RevocationList(connect('sqlite:///tokens.db'), on_lag='refuse')"
            )
        if mode == "replica" and getattr(store, "needs_loop", False):
            raise ConfigurationError(
                f"{store!r} has an asynchronous client, and a replica follows its store on a "
                "thread: give the store an Engine or a redis.Redis, or write mode='strict'"
            )
        if mode == "replica" and on_lag is None:
            raise ConfigurationError(
                "on_lag= must be chosen: write on_lag='refuse' to answer 503 where the store is "
                "away for longer than max_lag, or on_lag='serve' to decide by what is known"
            )
        self.longest_lifetime: float = known["longest_lifetime"]
        """The most seconds for which a token may be valid."""
        self.replica = Replica()
        """What this process knows."""
        self._store = store
        self._clock = clock
        self.is_strict = mode == "strict"
        """Whether the store is asked for each request."""
        self._serves = on_lag == "serve"
        self._timeout: float = known["timeout"]
        self.follower = Follower(store, self.replica, known["max_lag"], clock)
        """What keeps the replica in step with the store."""

    def is_cleared(self, version: int) -> bool:
        """Return whether a token that was not revoked at a version is not revoked now."""
        return (
            version == self.replica.version
            and self._clock.monotonic() < self.follower.fresh_until
            and not self.is_strict
        )

    def check(self, presented: Presented, answers: Answers) -> int | Gap:
        """Return the version at which a token is not revoked, or the gap to fill first.

        It is 0 if the next request must ask again.

        :raises TokenRevoked: if it is revoked.
        :raises LifetimeTooLong: if it is valid for longer than revocations are kept.
        :raises StoreUnavailable: if that cannot be told at present.
        """
        self._check_lifetime(presented.claims)
        return (self._asked if self.is_strict else self._known)(presented, answers)

    def _check_lifetime(self, claims: Mapping[str, Any]) -> None:
        if math.isinf(self.longest_lifetime):
            return
        issued_at, expires_at = claims.get("iat"), claims.get("exp")
        lifetime = math.inf
        if is_number(issued_at) and is_number(expires_at):
            lifetime = expires_at - issued_at
        if lifetime > self.longest_lifetime:
            raise LifetimeTooLong(
                "its revocation could be forgotten before it expires: see longest_lifetime= of the "
                "RevocationList",
                expected=f"at most {self.longest_lifetime:.0f} s from iat to exp",
                found=None if math.isinf(lifetime) else f"{lifetime:.0f} s",
            )

    def _known(self, presented: Presented, answers: Answers) -> int | Gap:
        version = 0
        if self._clock.monotonic() >= self.follower.fresh_until:
            first = self.follower.follow()
            if not first.done() and answers.get(LOADED) is None:
                # Only where nothing was read in this process yet.
                return Gap(LOADED, Load(first))
            self._check_lag()
        else:
            # Read first, so that what is revoked from here on has another version.
            version = self.replica.version
        what = self.replica.revokes(
            presented.issuer, presented.subject, presented.claims, presented.kid
        )
        needs_digest = what is None and self.replica.needs_digest(presented.issuer)
        if needs_digest and self.replica.has_digest(presented.issuer, presented.digest):
            what = "digest"
        if what is not None:
            raise TokenRevoked(_DETAILS[what])
        return version

    def _check_lag(self) -> None:
        """Refuse where the replica is too old, unless it is to serve on.

        :raises StoreUnavailable: if it is.
        """
        is_fresh = self._clock.monotonic() < self.follower.fresh_until
        if is_fresh or (self._serves and self.follower.was_read):
            return
        reason = self.follower.failure or "it was not read in time"
        raise StoreUnavailable(f"the store of revocations: {reason}")

    def _asked(self, presented: Presented, answers: Answers) -> int | Gap:
        answer = answers.get(ASKED)
        if answer is None:
            names = [name_of(presented.issuer, *each) for each in presented.names()]
            keys = [(KIND, name) for name in names]
            return Gap(ASKED, read_some(self._store, keys, self._timeout))
        if not isinstance(answer, FoundSome):
            reason = getattr(answer, "reason", "an unknown answer")
            raise StoreUnavailable(f"the store of revocations: {reason}")
        for document in answer.documents:
            entry = None if document is None else entry_of(document)
            if document is not None and (entry is None or _names(entry, presented)):
                # One that a later release has written counts: it stands under the name.
                raise TokenRevoked(_DETAILS["token" if entry is None else entry.what])
        return 0

    def revoke_token(self, issuer: str | None, jti: str, expires_at: float | None = None) -> None:
        """Revoke one token, by its ``jti``.

        :param issuer: the ``iss`` of the token.
        :param expires_at: its ``exp``; by default ``longest_lifetime`` from now.
        :raises ConfigurationError: for a value of another type.
        :raises StoreUnavailable: if the store fails. Call it again then.
        """
        run(self._revoking(issuer, "token", jti, expires_at), _PATIENCE)

    async def arevoke_token(
        self, issuer: str | None, jti: str, expires_at: float | None = None
    ) -> None:
        """Async version of :meth:`revoke_token`."""
        await arun(self._revoking(issuer, "token", jti, expires_at), _PATIENCE)

    def revoke_text(self, issuer: str | None, token: str, expires_at: float | None = None) -> None:
        """Revoke one token by its text, as one without ``jti``. Only a digest of it is stored.

        :param token: the whole token.
        :raises ConfigurationError: as :meth:`revoke_token` does.
        :raises StoreUnavailable: as :meth:`revoke_token` does.
        """
        check_text("token", token, "the token")
        run(self._revoking(issuer, "digest", digest_of(token), expires_at), _PATIENCE)

    async def arevoke_text(
        self, issuer: str | None, token: str, expires_at: float | None = None
    ) -> None:
        """Async version of :meth:`revoke_text`."""
        check_text("token", token, "the token")
        await arun(self._revoking(issuer, "digest", digest_of(token), expires_at), _PATIENCE)

    def revoke_session(self, issuer: str | None, sid: str) -> None:
        """Revoke all tokens of one login, by their ``sid``, for ``longest_lifetime``.

        A login that can be refreshed gets others after that, so end it where it is kept too.
        """
        run(self._revoking(issuer, "session", sid, None), _PATIENCE)

    async def arevoke_session(self, issuer: str | None, sid: str) -> None:
        """Async version of :meth:`revoke_session`."""
        await arun(self._revoking(issuer, "session", sid, None), _PATIENCE)

    def revoke_subject(self, issuer: str | None, subject: str, before: float | None = None) -> None:
        """Revoke all tokens of a subject that were issued until now.

        :param before: POSIX seconds until which they were issued, with the whole second that it is
            in; by default now.
        """
        run(self._revoking(issuer, "subject", subject, None, before), _PATIENCE)

    async def arevoke_subject(
        self, issuer: str | None, subject: str, before: float | None = None
    ) -> None:
        """Async version of :meth:`revoke_subject`."""
        await arun(self._revoking(issuer, "subject", subject, None, before), _PATIENCE)

    def revoke_key(self, issuer: str | None, kid: str) -> None:
        """Revoke all tokens that were signed with a key, for ever."""
        run(self._revoking(issuer, "key", kid, math.inf), _PATIENCE)

    async def arevoke_key(self, issuer: str | None, kid: str) -> None:
        """Async version of :meth:`revoke_key`."""
        await arun(self._revoking(issuer, "key", kid, math.inf), _PATIENCE)

    def _revoking(
        self,
        issuer: str | None,
        what: What,
        value: str,
        expires_at: float | None,
        before: float | None = None,
    ) -> Steps[None]:
        entry = self._entry(issuer, what, value, expires_at, before)
        if entry.until <= self._clock.now():
            # Its tokens have expired, and nothing grows.
            return
        for _ in range(_MOST_TRIES):
            found = yield read(self._store, KIND, entry.name)
            if not isinstance(found, Found):
                raise _away(found)
            document = found.document
            known = None if document is None else entry_of(document)
            after = entry if known is None else known.joined(entry)
            if known == after or (document is not None and known is None):
                self._learn(after)
                return
            version = ABSENT if document is None else document.version
            answer = yield exchange(self._store, [after.change(version)])
            if not isinstance(answer, Exchanged):
                raise _away(answer)
            if answer.is_done:
                self._learn(after)
                return
        raise StoreUnavailable("one revocation is written to by too many processes at once")

    def _learn(self, entry: Entry) -> None:
        """Know a revocation at once in this process."""
        if self.is_strict:
            # The store is asked, and nothing would ever be forgotten.
            return
        self.replica.add([entry])
        if not self.follower.was_read and len(self.replica) % _FORGETS_EVERY == 0:
            # A process that only revokes follows nothing, which forgets elsewhere.
            self.replica.forget_expired(self._clock.now())

    def _entry(
        self,
        issuer: str | None,
        what: What,
        value: Any,
        expires_at: Any,
        before: Any,
    ) -> Entry:
        if issuer is not None:
            check_text("issuer", issuer, "https://shop.example/")
        check_text(_ARGUMENTS[what], value, "the value of the claim")
        until = expires_at
        if until is None:
            latest = before if is_number(before) else -math.inf
            until = max(self._clock.now(), latest) + self.longest_lifetime
        if until != math.inf and not is_number(until):
            raise ConfigurationError("expires_at must be POSIX seconds: write claims['exp']")
        issued = self._clock.now() if before is None else before
        if not is_number(issued):
            raise ConfigurationError("before must be POSIX seconds: write time.time()")
        # RFC 7519 §2: ``iat`` may be in whole seconds, so the whole second is revoked.
        second = math.floor(issued) if what == "subject" else 0
        return Entry(issuer, what, value, until + KEPT_LONGER, second)

    def close(self) -> None:
        """Stop following the store. The next request follows it again."""
        self.follower.close()


_ARGUMENTS: dict[What, str] = {
    "token": "jti",
    "session": "sid",
    "subject": "subject",
    "key": "kid",
    "digest": "token",
}
_DETAILS: dict[What, str] = {
    "token": "the token was revoked",
    "digest": "the token was revoked",
    "session": "its session was revoked",
    "subject": "the earlier tokens of its subject were revoked",
    "key": "the key that signed it was revoked",
}


def _names(entry: Entry, presented: Presented) -> bool:
    return entry.what != "subject" or was_issued_by(presented.claims, entry.before)


def _away(answer: object) -> StoreUnavailable:
    reason = getattr(answer, "reason", "an unknown answer")
    return StoreUnavailable(f"the store of revocations: {reason}")
