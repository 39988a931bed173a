"""The steps of logins: to begin one, to renew its tokens, and to end it.

What a refresh token is worth is decided by ``families.py``, as a pure function of the family that
the store has. The store applies the result only if no other process was faster.
"""

from collections.abc import Callable, Iterable, Mapping
from secrets import token_hex
from time import monotonic
from typing import Any

from jwt_middleware.checks import check_kind
from jwt_middleware.crypto.jwk import VerificationKey
from jwt_middleware.effects import Steps
from jwt_middleware.errors import (
    ConfigurationError,
    KeyUnknown,
    RefreshBurnt,
    RefreshReused,
    RefreshUnknown,
    TokenError,
    TokenExpired,
    UserUnknown,
)
from jwt_middleware.events import LoginEnded, Observer, tell
from jwt_middleware.issuing.families import (
    Family,
    FamilyTerms,
    Generation,
    Refused,
    Successor,
    begun,
    presented,
)
from jwt_middleware.issuing.family_store import MOST_TRIES, FamilyStore, too_many
from jwt_middleware.issuing.hooks import Call, HookFailed
from jwt_middleware.issuing.minted_claims import checked_claims, checked_subject
from jwt_middleware.issuing.minter import Minter, Order
from jwt_middleware.issuing.refresh_tokens import RefreshToken, read, write
from jwt_middleware.issuing.scopes import narrowed
from jwt_middleware.issuing.shared_ring import Ring
from jwt_middleware.issuing.stored_family import Stored, displaced
from jwt_middleware.issuing.token_pair import Login, SubjectCheck, TokenPair, checked_device

# An exchange without a grace may take as long as a request does.
_PATIENCE = 10.0

_AT_ONCE = 50
_OF_LOGINS = ("auth_time", "acr", "amr", "csrf")
_ALL = "subject_revoked"
_REFUSALS: dict[str, type[TokenError]] = {
    "refresh_reused": RefreshReused,
    "refresh_burnt": RefreshBurnt,
    "token_expired": TokenExpired,
}


class LoginSteps:
    """What logins of one minter do, for both worlds: see ``token_pairs.py`` for what they mean."""

    def __init__(
        self,
        minter: Minter,
        families: FamilyStore,
        terms: FamilyTerms,
        *,
        most: int,
        subject_check: SubjectCheck | None,
        observers: Iterable[Observer],
    ) -> None:
        self._minter = minter
        self._families = families
        self._terms = terms
        self._most = most
        self._subject_check = subject_check
        self._observers = tuple(observers)
        self._read_again_after = 0.0
        self.has_csrf = False
        """Whether the access tokens of new logins are for cookies, and have the claim ``csrf``."""

    def issuing(
        self,
        subject: str,
        claims: Mapping[str, Any] | None,
        login: Login,
        device: Mapping[str, str],
    ) -> Steps[TokenPair]:
        checked_subject(subject)
        place = checked_device(device)
        given = checked_claims({} if claims is None else claims)
        check_kind("login", login, Login, "Login(amr=['pwd'])")
        # First, so that no login begins that was under way while all were ended.
        epoch, version, _ = yield from self._families.epoch(subject)
        if not (yield from self._may_go_on(subject)):
            raise UserUnknown
        said = yield from self._minter.said_of(subject)
        others = yield from self._families.logins(subject)
        now = others.now
        known = {"claims": given, **login.as_json(now)}
        if self.has_csrf:
            # It belongs to the login, so that all tabs of a browser have the same.
            known["csrf"] = token_hex(16)
        sid, jti = token_hex(16), token_hex(16)
        family = begun(sid, subject, jti, now, self._terms, known, place, others.used_at)
        # Before the login begins, so that a claim that cannot be minted begins none.
        pair = yield from self._minted(family, family.newest, now, said)
        if not (yield from self._families.begin(family, epoch, version, others.next_number)):
            raise RefreshBurnt("the logins of the subject were ended meanwhile")
        yield from self._displace(subject)
        return pair

    def _displace(self, subject: str) -> Steps[None]:
        """End the logins of a subject that are too many, now that one has begun."""
        for _ in range(MOST_TRIES):
            found = yield from self._families.logins(subject)
            some = displaced(found.living, self._most)
            if not some:
                return
            ended = yield from self._families.end_unchanged(some, found.now, "displaced")
            for family in ended:
                self._tell(family, "displaced")
            if ended:
                return
        # The next login of the subject ends them.

    def refreshing(
        self,
        token: str,
        scope: str | None = None,
        check: Callable[[TokenPair], None] | None = None,
    ) -> Steps[TokenPair]:
        """Return the steps of a refresh.

        :param check: raises if the pair cannot be handed out. Nothing is consumed then.
        """
        said = yield from self._read(token)
        stored, first = yield from self._found(said)
        claims: Mapping[str, Any] | None = None
        next_jti = token_hex(16)
        for _ in range(MOST_TRIES):
            stored, now = yield from self._found(said)
            before = stored.family
            after, outcome = presented(
                before,
                said.jti,
                said.expires_at,
                _asked_at(before, said, first, now),
                self._terms,
                next_jti,
            )
            if isinstance(outcome, Refused):
                yield from self._refuse(stored, after, outcome.code)
                continue
            if claims is None:
                # Asked before anything is consumed. Then the family is read again.
                if not (yield from self._may_go_on(before.subject)):
                    yield from self.ending(said.sid, "subject_refused")
                    raise UserUnknown
                claims = yield from self._minter.said_of(before.subject)
                continue
            pair = yield from self._minted(after, outcome.generation, now, claims, scope)
            if check is not None:
                check(pair)
            is_new = isinstance(outcome, Successor)
            if not is_new or (yield from self._exchanged(after, stored.version)):
                return pair
        raise too_many()

    def _refuse(self, stored: Stored, after: Family, code: str) -> Steps[None]:
        """Refuse a token, unless another process was faster to end its login.

        :raises TokenError: with the code.
        """
        if after is stored.family:
            raise _REFUSALS[code]
        if (yield from self._exchanged(after, stored.version)):
            self._tell(after, code)
            raise _REFUSALS[code]

    def _exchanged(self, family: Family, version: int) -> Steps[bool]:
        # An exchange that comes late would leave its client no grace to try again.
        seconds = self._terms.grace / 2 if self._terms.grace else _PATIENCE
        return (yield from self._families.exchange(family, version, max(seconds, 0.5)))

    def _found(self, said: RefreshToken) -> Steps[tuple[Stored, float]]:
        found = yield from self._families.find(said.sid, said.subject)
        if found.now >= said.expires_at:
            raise TokenExpired
        stored = found.stored
        if stored is None:
            raise RefreshUnknown
        if stored.family.burnt_at is None and found.epoch.has_ended(stored.family):
            # It began while all were ended, or seemed to have expired then.
            yield from self.ending(said.sid, _ALL)
            raise RefreshBurnt
        return stored, found.now

    def _read(self, token: str) -> Steps[RefreshToken]:
        shared = self._minter.ring.shared
        ring = shared.at_present(shared.terms.max_lag)
        if ring is None:
            ring = yield from shared.reading()
        try:
            return read(token, self._minter.issuer, _refresh_keys(ring))
        except KeyUnknown:
            # Another process may have made it. Clients can invent key ids.
            waits = self._read_again_after - monotonic()
        if waits > 0:
            # No verdict, or who invents key ids would log others out after a rotation.
            raise KeyUnknown("the ring was read a moment ago", retry_after=waits)
        ring = yield from shared.reading()
        self._read_again_after = monotonic() + 1.0
        return read(token, self._minter.issuer, _refresh_keys(ring))

    def _minted(
        self,
        family: Family,
        generation: Generation,
        now: float,
        said: Mapping[str, Any],
        scope: str | None = None,
    ) -> Steps[TokenPair]:
        """Return the pair of a generation. Nothing is stored.

        :param said: what the hook says of the subject.
        :param scope: the scopes that the client asks for; ``None`` for all that it has.
        """
        known = family.login
        own = {name: known[name] for name in _OF_LOGINS if name in known}
        said, claims = _but_of_logins(said), _but_of_logins(known["claims"])
        if scope is not None:
            own["scope"] = narrowed(scope, {**said, **claims}.get("scope"))
        order = Order(
            family.subject,
            claims=claims,
            client_id=known.get("client_id"),
            own={**own, "sid": family.sid},
        )
        access = yield from self._minter.minting_with(order, said)
        key = yield from self._minter.ring.signing("refresh")
        return TokenPair(
            access,
            write(key, self._minter.issuer, family, generation),
            expires_in=int(self._minter.lifetime),
            refresh_expires_in=max(0, int(generation.expires_at - now)),
            sid=family.sid,
            csrf=known.get("csrf"),
        )

    def _may_go_on(self, subject: str) -> Steps[bool]:
        if self._subject_check is None:
            return True
        answer = yield Call(self._subject_check, (subject,))
        if isinstance(answer, HookFailed):
            raise answer.problem
        if type(answer) is not bool:
            raise ConfigurationError(
                f"subject_check returned {type(answer).__name__} and must return True or False"
            )
        return answer

    def revoking(self, token: str) -> Steps[None]:
        said = yield from self._read(token)
        yield from self.ending(said.sid, "logout")

    def ending(self, sid: str, because: str) -> Steps[None]:
        ended = yield from self._families.end(sid, because)
        if ended is not None:
            self._tell(ended, because)

    def revoking_subject(self, subject: str, but: str | None) -> Steps[None]:
        checked_subject(subject)
        if but is not None:
            checked_subject(but, "but")
        lasts = self._terms.family_lifetime
        epoch = yield from self._families.next_epoch(subject, lasts, but)
        # No login of an earlier epoch can begin any more, so that they become fewer.
        for _ in range(MOST_TRIES):
            found = yield from self._families.logins(subject)
            left = [each for each in found.living if epoch.has_ended(each.family)]
            unreadable = [each for each in found.unreadable if each.name != but]
            if not left and not unreadable:
                return
            for first in range(0, len(left), _AT_ONCE):
                some = left[first : first + _AT_ONCE]
                for family in (yield from self._families.end_some(some, found.now, _ALL)):
                    self._tell(family, _ALL)
            for document in unreadable:
                yield from self._families.delete(document)
        raise too_many()

    def listing(self, subject: str) -> Steps[tuple[Family, ...]]:
        found = yield from self._families.logins(checked_subject(subject))
        return tuple(each.family for each in sorted(found.living, key=lambda each: each.order))

    def _tell(self, family: Family, because: str) -> None:
        if self._observers:
            tell(self._observers, LoginEnded(family.subject, family.sid, because))


def _but_of_logins(claims: Mapping[str, Any]) -> dict[str, Any]:
    """Return claims without those that only a :class:`Login` has.

    Otherwise a hook that says how a user logged in last would say so of every login of that user.
    """
    return {name: value for name, value in claims.items() if name not in _OF_LOGINS}


def _refresh_keys(ring: Ring) -> dict[str | None, VerificationKey]:
    return {key.kid: key for key in ring.verifiers["refresh"]}


def _asked_at(family: Family, said: RefreshToken, first: float, now: float) -> float:
    """Return the instant by which the grace of a token is judged.

    :param first: when the client's request was read first, however long its hooks took since. If
        the token was exchanged after that, both requests were under way at once.
    """
    previous = family.previous
    if previous is None or previous.jti != said.jti:
        return now
    return min(now, max(first, previous.exchanged_at))
