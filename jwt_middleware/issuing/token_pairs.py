"""Token pairs: a login gives an access token and a refresh token, and a refresh the next pair.

What a refresh token is worth is decided by ``families.py``, as a pure function of the family that
the store has. The store applies the result only if no other process was faster.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Annotated, Any

from jwt_middleware.checks import check_kind
from jwt_middleware.effects import arun, run
from jwt_middleware.errors import ConfigurationError
from jwt_middleware.events import Observer
from jwt_middleware.issuing.families import Family, FamilyTerms
from jwt_middleware.issuing.family_store import FamilyStore
from jwt_middleware.issuing.hooks import check_hook, checked_observers
from jwt_middleware.issuing.login_steps import LoginSteps
from jwt_middleware.issuing.minter import Minter
from jwt_middleware.issuing.token_pair import Login, SubjectCheck, TokenPair
from jwt_middleware.options import Count, Seconds, read_options
from jwt_middleware.stores.contract import Store

_DAY = 86_400.0
_CENTURY = 36_525 * _DAY

PATIENCE = 10.0
"""The seconds that a call may take."""


class TokenPairs:
    """Issues pairs of tokens, renews them, and ends logins."""

    def __init__(
        self,
        minter: Minter,
        store: Store,
        *,
        refresh_lifetime: Annotated[float | timedelta, Seconds(_CENTURY, may_be_zero=False)] = 14
        * _DAY,
        family_lifetime: Annotated[float | timedelta, Seconds(_CENTURY, may_be_zero=False)] = 90
        * _DAY,
        grace: Annotated[float | timedelta, Seconds(60)] = 5.0,
        max_families: Annotated[int, Count()] = 100,
        subject_check: SubjectCheck | None = None,
        observers: Iterable[Observer] = (),
    ) -> None:
        """
        :param minter: mints the access tokens; its ring signs the refresh tokens too.
        :param store: where the processes of the service share the logins.
        :param refresh_lifetime: the seconds after which a login ends that is not used.
        :param family_lifetime: the seconds after which a login ends in any case.
        :param grace: the seconds for which a refresh token that was exchanged already gets the same
            successor again: for two tabs of one browser, and for a response that was lost. 0 turns
            it off.
        :param max_families: the logins that a subject may have. The one that was used least
            recently ends when there are more.
        :param subject_check: takes a subject and returns whether it may still log in and refresh. A
            plain function, or an ``async`` one for the awaiting calls.
        :param observers: callables that take a :class:`LoginEnded`.
        :raises ConfigurationError: naming the option, the value and the fix.
        """
        given = {**locals()}
        known = read_options(TokenPairs, given)
        check_kind("minter", minter, Minter, "TokenPairs(Minter(ring, ...), store)")
        if not callable(getattr(store, "answer", None)):
            raise ConfigurationError(
                # Not the value, which may be an address with a password.
                f"store={type(store).__name__} must be a store: write "
                "connect('sqlite:///logins.db')"
            )
        if minter.ring.shared.is_fixed:
            raise ConfigurationError(
                "TokenPairs needs a ring that makes its own key for refresh tokens: write "
                "KeyRing(store) in place of KeyRing.from_keys(...)"
            )
        terms = FamilyTerms(known["refresh_lifetime"], known["family_lifetime"], known["grace"])
        self.minter = minter
        self.steps = LoginSteps(
            minter,
            FamilyStore(store, minter.issuer, minter.audience),
            terms,
            most=max_families,
            subject_check=check_hook("subject_check", subject_check),
            observers=checked_observers(observers),
        )
        """What the calls do, for what does the same as a part of something else."""
        minter.ring.shared.sign_for("refresh", terms.refresh_lifetime)

    def issue(
        self,
        subject: str,
        *,
        claims: Mapping[str, Any] | None = None,
        login: Login | None = None,
        device: Mapping[str, str] | None = None,
    ) -> TokenPair:
        """Begin a login, and return its first pair of tokens.

        :param subject: who has logged in.
        :param claims: further claims of the access tokens, now and after each refresh.
        :param login: when and how the subject has logged in.
        :param device: ``name``, ``address`` and ``agent``, for a list of logins.
        :raises UserUnknown: if ``subject_check`` says no.
        :raises RefreshBurnt: if all logins of the subject were ended meanwhile.
        :raises ConfigurationError: for a value that cannot be in a token.
        :raises StoreUnavailable: if a store fails. No login has begun then, or one without
            a client.
        """
        return run(self.steps.issuing(subject, claims, login or Login(), device or {}), PATIENCE)

    async def aissue(
        self,
        subject: str,
        *,
        claims: Mapping[str, Any] | None = None,
        login: Login | None = None,
        device: Mapping[str, str] | None = None,
    ) -> TokenPair:
        """Async version of :meth:`issue`."""
        return await arun(
            self.steps.issuing(subject, claims, login or Login(), device or {}), PATIENCE
        )

    def refresh(self, token: str, *, scope: str | None = None) -> TokenPair:
        """Exchange a refresh token for the next pair.

        :param scope: the scopes that this access token is to have, of those of the login: names
            with a space between them (RFC 6749 §6). By default all.
        :raises ScopeNotGranted: for a scope that the login does not have. Nothing changes.
        :raises TokenError: with the code of what is wrong. ``RefreshReused`` ends the login.
        :raises UserUnknown: if ``subject_check`` says no. It ends the login.
        :raises StoreUnavailable: if a store fails. The client may try the same token again.
        """
        return run(self.steps.refreshing(token, scope), PATIENCE)

    async def arefresh(self, token: str, *, scope: str | None = None) -> TokenPair:
        """Async version of :meth:`refresh`."""
        return await arun(self.steps.refreshing(token, scope), PATIENCE)

    def revoke(self, token: str) -> None:
        """End the login of a refresh token. A login that has ended or is unknown is ignored.

        :raises TokenError: if it is not a refresh token of this issuer.
        :raises StoreUnavailable: if the store fails.
        """
        run(self.steps.revoking(token), PATIENCE)

    async def arevoke(self, token: str) -> None:
        """Async version of :meth:`revoke`."""
        await arun(self.steps.revoking(token), PATIENCE)

    def revoke_subject(self, subject: str, *, but: str | None = None) -> None:
        """End all logins of a subject: after a new password, or to log out everywhere.

        :param but: the ``sid`` of a login that goes on.
        :raises StoreUnavailable: if the store fails. Call it again then.
        """
        run(self.steps.revoking_subject(subject, but), PATIENCE)

    async def arevoke_subject(self, subject: str, *, but: str | None = None) -> None:
        """Async version of :meth:`revoke_subject`."""
        await arun(self.steps.revoking_subject(subject, but), PATIENCE)

    def revoke_family(self, sid: str) -> None:
        """End one login. One that has ended or is unknown is ignored.

        :param sid: its id, from :meth:`families` or from the claim ``sid`` of an access token.
        :raises StoreUnavailable: if the store fails.
        """
        run(self.steps.ending(sid, "logout"), PATIENCE)

    async def arevoke_family(self, sid: str) -> None:
        """Async version of :meth:`revoke_family`."""
        await arun(self.steps.ending(sid, "logout"), PATIENCE)

    def families(self, subject: str) -> tuple[Family, ...]:
        """Return the logins of a subject that have not ended, the oldest first.

        :raises StoreUnavailable: if the store fails.
        """
        return run(self.steps.listing(subject), PATIENCE)

    async def afamilies(self, subject: str) -> tuple[Family, ...]:
        """Async version of :meth:`families`."""
        return await arun(self.steps.listing(subject), PATIENCE)
