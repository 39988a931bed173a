"""Mints access tokens: the claims of RFC 9068, in every token and of the right kind.

A minter needs neither the store nor a lock, as long as its ring was read within ``max_lag``.
"""

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from secrets import token_hex
from typing import Annotated, Any, TypeAlias

from jwt_middleware.checks import check_kind
from jwt_middleware.clock import Clock, SystemClock, usable_clock
from jwt_middleware.crypto.signing import SigningKey
from jwt_middleware.effects import Steps, arun, run
from jwt_middleware.errors import ConfigurationError
from jwt_middleware.formats import base64url
from jwt_middleware.issuers.options import issuer_name
from jwt_middleware.issuing.hooks import Call, HookFailed, check_hook
from jwt_middleware.issuing.key_ring import KeyRing
from jwt_middleware.issuing.minted_claims import (
    audience_of,
    check_telltales,
    checked_claims,
    checked_headers,
    checked_subject,
)
from jwt_middleware.issuing.token_size import SizeLimit
from jwt_middleware.options import Seconds, read_options

ClaimsHook: TypeAlias = (
    Callable[[str], Mapping[str, Any]] | Callable[[str], Awaitable[Mapping[str, Any]]]
)
"""Returns what a token says of a subject, blocking or awaiting."""

_SYSTEM = SystemClock()
_MINUTE = 60.0

# M4: a token cannot be taken back before it expires, unless every verifier asks a store.
LONGEST = 86_400.0
YEAR = 366 * 86_400.0

# Reading the ring takes milliseconds, and a hook has limits of its own.
_PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class Order:
    """What one token is to say."""

    subject: str
    claims: Mapping[str, Any] | None = None
    headers: Mapping[str, Any] | None = None
    lifetime: float | timedelta | None = None
    client_id: str | None = None
    own: Mapping[str, Any] | None = None
    """Claims that only this package sets, such as ``sid``."""


class Minter:
    """Mints the access tokens of an issuer for one audience."""

    def __init__(
        self,
        ring: KeyRing,
        *,
        issuer: Annotated[str, issuer_name],
        audience: Annotated[str | Iterable[str], audience_of],
        lifetime: Annotated[float | timedelta, Seconds(may_be_zero=False)] = 15 * _MINUTE,
        max_lifetime: Annotated[float | timedelta, Seconds(YEAR, may_be_zero=False)] = LONGEST,
        claims_of: ClaimsHook | None = None,
        clock: Annotated[Clock, usable_clock] = _SYSTEM,
    ) -> None:
        """
        :param ring: the keys that sign.
        :param issuer: the name of the issuer, ``iss``: as verifiers have it, byte for byte.
        :param audience: the services that the tokens are for, ``aud``: one name or several.
        :param lifetime: the seconds for which a token is valid.
        :param max_lifetime: the most seconds that :meth:`mint` may be asked for.
        :param claims_of: takes a subject and returns what a token says of it, such as its roles. A
            plain function, or an ``async`` one for :meth:`amint`.
        :param clock: the clock of this process.
        :raises ConfigurationError: naming the option, the value and the fix.
        """
        known = read_options(
            Minter,
            {
                "ring": ring,
                "issuer": issuer,
                "audience": audience,
                "lifetime": lifetime,
                "max_lifetime": max_lifetime,
                "claims_of": claims_of,
                "clock": clock,
            },
        )
        check_kind("ring", ring, KeyRing, "Minter(KeyRing(store), ...)")
        if issuer is None:
            raise ConfigurationError("issuer=None must be the name of the issuer: write its iss")
        self.issuer: str = known["issuer"]
        self.ring = ring
        self.lifetime = float(known["lifetime"])
        self.max_lifetime = float(known["max_lifetime"])
        self._check_lifetime("lifetime", self.lifetime)
        self.audience: str | list[str] = known["audience"]
        """The services that the tokens are for."""
        self._claims_of = check_hook("claims_of", claims_of)
        self._clock: Clock = known["clock"]
        self._size = SizeLimit()
        self._heads: dict[str, bytes] = {}
        ring.shared.sign_for("access", self.max_lifetime)

    def mint(
        self,
        subject: str,
        *,
        claims: Mapping[str, Any] | None = None,
        headers: Mapping[str, Any] | None = None,
        lifetime: float | timedelta | None = None,
        client_id: str | None = None,
    ) -> str:
        """Return an access token.

        :param subject: who it is about, ``sub``: text that never means another user.
        :param claims: further claims, such as ``scope`` and ``roles``: text, booleans, finite
            numbers, ``None``, lists, mappings, and aware datetimes, which become whole seconds.
        :param headers: further members of the header.
        :param lifetime: the seconds for which it is valid; by default those of the minter.
        :param client_id: the client that asked for it (RFC 9068 §2.2).
        :raises ConfigurationError: for a value that cannot be in a token, naming its place; and
            with an ``async`` hook, for which there is :meth:`amint`.
        :raises StoreUnavailable: if the ring was read too long ago, and its store fails.
        """
        order = Order(subject, claims, headers, lifetime, client_id)
        key = self.ring.signer()
        if key is None or self._claims_of is not None:
            return run(self.minting(order), _PATIENCE)
        return self._signed(key, order)

    async def amint(
        self,
        subject: str,
        *,
        claims: Mapping[str, Any] | None = None,
        headers: Mapping[str, Any] | None = None,
        lifetime: float | timedelta | None = None,
        client_id: str | None = None,
    ) -> str:
        """Async version of :meth:`mint`."""
        order = Order(subject, claims, headers, lifetime, client_id)
        return await arun(self.minting(order), _PATIENCE)

    def mint_many(
        self,
        subjects: Mapping[str, Mapping[str, Any]],
        *,
        lifetime: float | timedelta | None = None,
    ) -> dict[str, str]:
        """Return an access token for each subject.

        :param subjects: the further claims of each subject.
        :raises ConfigurationError: as :meth:`mint` does. Then none is returned.
        :raises StoreUnavailable: as :meth:`mint` does.
        """
        if not isinstance(subjects, Mapping):
            raise ConfigurationError(
                f"mint_many({type(subjects).__name__}) must be given a mapping from each subject "
                "to its claims: write mint_many({'user-42': {}})"
            )
        return {
            subject: self.mint(subject, claims=claims, lifetime=lifetime)
            for subject, claims in subjects.items()
        }

    def minting(self, order: "Order") -> Steps[str]:
        """Return the steps to a token, for what mints as a part of something else."""
        said = yield from self.said_of(order.subject)
        return (yield from self.minting_with(order, said))

    def minting_with(self, order: "Order", said: Mapping[str, Any]) -> Steps[str]:
        """Return the steps to a token.

        :param said: what :meth:`said_of` returned.
        """
        key = yield from self.ring.signing()
        if said:
            given = {} if order.claims is None else checked_claims(order.claims)
            order = replace(order, claims={**said, **given})
        return self._signed(key, order)

    def said_of(self, subject: str) -> Steps[Mapping[str, Any]]:
        """Return the steps to what the hook says of a subject, checked."""
        if self._claims_of is None:
            return {}
        said = yield Call(self._claims_of, (checked_subject(subject),))
        if isinstance(said, HookFailed):
            raise said.problem
        if not isinstance(said, Mapping):
            raise ConfigurationError(
                f"claims_of returned {type(said).__name__} and must return a mapping of claims"
            )
        return checked_claims(said)

    def _signed(self, key: SigningKey, order: "Order") -> str:
        now = int(self._clock.now())
        seconds = self.lifetime if order.lifetime is None else self._read_lifetime(order.lifetime)
        said: dict[str, Any] = {
            "iss": self.issuer,
            "sub": checked_subject(order.subject),
            "aud": self.audience,
            "iat": now,
            "nbf": now,
            "exp": now + int(seconds),
            # RFC 9068 §2.2: what tells this token from all others, 128 random bits.
            "jti": token_hex(16),
        }
        if order.client_id is not None:
            said["client_id"] = checked_subject(order.client_id, "client_id")
        if order.claims is not None:
            said.update(checked_claims(order.claims))
            check_telltales(said, now)
        if order.own:
            # Last, because they are those of the login, whatever a hook says.
            said.update(order.own)
        head = self._head(key)
        if order.headers is not None:
            head = segment_of(_header(key, checked_headers(order.headers)))
        return self._size.checked(sign(key, head, said), said)

    def _head(self, key: SigningKey) -> bytes:
        head = self._heads.get(key.kid)
        if head is None:
            # One for each key that signed since this process began, and those are few.
            head = self._heads[key.kid] = segment_of(_header(key, {}))
        return head

    def _read_lifetime(self, lifetime: float | timedelta) -> float:
        seconds = Seconds(may_be_zero=False)("lifetime", lifetime)
        self._check_lifetime("lifetime", seconds)
        return seconds

    def _check_lifetime(self, name: str, seconds: float) -> None:
        if not 1 <= seconds <= self.max_lifetime:
            raise ConfigurationError(
                f"{name}={seconds:g} must be at least 1 second and at most max_lifetime="
                f"{self.max_lifetime:g}: a token cannot be taken back, so keep it short, or write "
                "Minter(max_lifetime=...)"
            )


def _header(key: SigningKey, further: Mapping[str, Any]) -> dict[str, Any]:
    # RFC 9068 §2.1: the type keeps other tokens of the issuer from passing as access tokens.
    return {"alg": key.algorithm.name, "typ": "at+jwt", "kid": key.kid, **further}


_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False).encode


def segment_of(members: Mapping[str, Any]) -> bytes:
    """Return the encoded header or claims of a token."""
    return base64url.encode(_encode(members).encode())


def sign(key: SigningKey, head: bytes, claims: Mapping[str, Any]) -> str:
    """Return a compact token (RFC 7515 §7.1).

    :param head: the encoded header.
    """
    signing_input = b"%b.%b" % (head, segment_of(claims))
    return (signing_input + b"." + base64url.encode(key.sign(signing_input))).decode("ascii")
