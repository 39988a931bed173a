"""A ring of signing keys that processes share through a store, and that rotates by itself.

::

    ring = KeyRing(connect("sqlite:///keys.db"), encryption=Secret.from_env("KEY_RING_SECRET"))
    guard = Guard(issuers=Issuer("https://shop.example/", audience="orders", keys=ring))
"""

import math
from datetime import timedelta
from functools import partial
from typing import Annotated, Any, NoReturn

from jwt_middleware.checks import shown
from jwt_middleware.clock import Clock, SystemClock, usable_clock
from jwt_middleware.crypto.algorithms import Algorithm, select
from jwt_middleware.crypto.signing import SigningKey
from jwt_middleware.effects import Steps, arun, run
from jwt_middleware.errors import ConfigurationError, StoreUnavailable
from jwt_middleware.issuing.given_keys import GivenKey, signing_keys
from jwt_middleware.issuing.ring_document import ring_name
from jwt_middleware.issuing.ring_keys import RingKeys
from jwt_middleware.issuing.ring_state import (
    KeyRecord,
    RingState,
    Terms,
    Use,
    has,
    phase,
    revoked,
    rotated,
    signing_time,
    verifying,
)
from jwt_middleware.issuing.ring_status import RingKey, Rotation
from jwt_middleware.issuing.sealing import KeyEncryption, Sealed, encryption_of
from jwt_middleware.issuing.shared_ring import STALE, Ring, SharedRing
from jwt_middleware.keys.distrust import Distrusted
from jwt_middleware.logs import log_of
from jwt_middleware.options import Seconds, Text, options_of
from jwt_middleware.stores.contract import Store
from jwt_middleware.stores.memory import MemoryStore

_log = log_of("jwt_middleware")

_DAY = 86_400.0
_YEAR = 366 * _DAY
_SYSTEM = SystemClock()

# Reading and writing one document takes milliseconds. A store that hangs is given up after this.
_PATIENCE = 5.0


class KeyRing:
    """The signing keys of an issuer: they rotate by themselves, and verifiers never miss one."""

    def __init__(
        self,
        store: Store,
        *,
        algorithm: Annotated[str, Text("'ES256'")] = "ES256",
        rotate_every: Annotated[float | timedelta, Seconds(may_be_zero=False)] = 90 * _DAY,
        announce: Annotated[float | timedelta, Seconds(may_be_zero=False)] = _DAY,
        max_age: Annotated[float | timedelta, Seconds(may_be_zero=False)] = 3600.0,
        max_lag: Annotated[float | timedelta, Seconds(3600, may_be_zero=False)] = 60.0,
        encryption: KeyEncryption | Any = None,
        name: Annotated[str, ring_name] = "keys",
        clock: Clock = _SYSTEM,
    ) -> None:
        """
        :param store: where the processes of the service share the ring.
        :param algorithm: the algorithm of new keys. Another one than before is a rotation: keys
            that sign now are replaced after ``announce``, and verify on.
        :param rotate_every: the seconds for which a key signs.
        :param announce: the seconds for which a key is published before it signs.
        :param max_age: the seconds for which verifiers may keep the published key set; at most
            half of ``announce``, so that each has a new key before it signs.
        :param max_lag: the seconds after which a revoked key signs in no process any more. Where
            the store is away for longer, nothing is signed.
        :param encryption: encrypts private keys in the store: ``Secret.from_env(...)`` with at
            least 32 bytes, or an object with ``encrypt`` and ``decrypt`` for a key management
            service.
        :param name: tells the ring apart from others in the same store.
        :param clock: the clock of this process.
        :raises ConfigurationError: for a wrong option. The store is not asked yet.
        """
        given = dict(locals())
        read_ = {
            each: option.read(given[each])
            for each, option in options_of(KeyRing).items()
            if each != "store"
        }
        select([algorithm])
        if read_["max_age"] > read_["announce"] / 2:
            raise ConfigurationError(
                f"max_age={max_age!r} must be at most half of announce={announce!r}, because a "
                "verifier that keeps the key set for so long would miss a new key: lengthen "
                "announce="
            )
        if read_["max_age"] + read_["max_lag"] > read_["announce"]:
            raise ConfigurationError(
                f"announce={announce!r} must be at least max_age and max_lag together, because a "
                "process that lags would publish a new key too late: lengthen announce=, or "
                "shorten max_lag="
            )
        if read_["rotate_every"] <= read_["announce"]:
            raise ConfigurationError(
                f"rotate_every={rotate_every!r} must be longer than announce={announce!r}, because "
                "the next key is announced while one signs: write more"
            )
        if not callable(getattr(store, "answer", None)):
            raise ConfigurationError(
                # Not the value, which may be an address with a password.
                f"store={type(store).__name__} must be a store: write connect('sqlite:///keys.db')"
            )
        self.max_age: float = read_["max_age"]
        """The seconds for which verifiers may keep the published key set."""
        self.algorithm = algorithm
        self._name = name
        self._clock = usable_clock("clock", clock)
        self._terms = Terms(algorithm, read_["rotate_every"], read_["announce"], read_["max_lag"])
        self._sealed = Sealed(encryption_of(encryption), name)
        self.shared = SharedRing(
            store, name, self._terms, self._sealed, self._clock, is_fixed=False
        )
        """What this process knows of the ring."""
        # Any client may ask for the key set, so after a failure it is not read for a second.
        self._unread_until = -math.inf
        if encryption is None and not isinstance(store, MemoryStore):
            _log.warning(
                "the private keys of the ring %r are in the clear in the store: write "
                "KeyRing(store, encryption=Secret.from_env('KEY_RING_SECRET'))",
                name,
            )

    @classmethod
    def from_keys(
        cls,
        *keys: GivenKey,
        algorithm: str = "ES256",
        max_age: float | timedelta = 3600.0,
        clock: Clock = _SYSTEM,
    ) -> "KeyRing":
        """Return a ring of configured private keys. The first signs, and all verify.

        Such a ring is rotated by its configuration: put a new key last, so that verifiers learn of
        it; a day later put it first; remove the old key when its tokens have expired.

        :param keys: PEM text, a ``KeyFile``, a ``Path``, a private JWK, a private key object of
            ``cryptography``, or a ``Secret`` for HMAC.
        :param algorithm: the algorithm of keys that do not name their own, as a JWK may.
        :raises ConfigurationError: for a key that cannot sign with the algorithm.
        """
        found = signing_keys(keys, algorithm)
        seconds = Seconds(_YEAR, may_be_zero=False)("max_age", max_age)
        ring = cls(
            MemoryStore(clock=clock),
            algorithm=found[0].algorithm.name,
            rotate_every=4 * _YEAR,
            announce=3 * _YEAR,
            max_age=seconds,
            clock=clock,
        )
        ring._fix(found)
        return ring

    def _fix(self, keys: list[SigningKey]) -> None:
        terms, sealed = self._terms, self._sealed
        self.shared = SharedRing(
            MemoryStore(), self._name, terms, sealed, self._clock, is_fixed=True
        )
        records = (
            KeyRecord(
                key.kid,
                "access",
                key.algorithm.name,
                sealed.seal(key, "access"),
                published_at=-math.inf,
                signs_from=-float(place),
                is_pinned=True,
            )
            for place, key in enumerate(keys)
        )
        self.shared.accept(RingState(tuple(records)), 0.0, 0.0)

    def load(self) -> None:
        """Read the ring, and make its first key if it has none.

        Without it the first use does this. At start-up it finds mistakes before the first request.

        :raises ConfigurationError: if the store has something else than this ring, or its keys
            cannot be decrypted.
        :raises StoreUnavailable: if the store fails.
        """
        run(self._loaded(), _PATIENCE)

    async def aload(self) -> None:
        """Async version of :meth:`load`."""
        await arun(self._loaded(), _PATIENCE)

    def _loaded(self) -> Steps[Ring]:
        ring = self.shared.at_present(self._terms.max_lag)
        return ring if ring is not None else (yield from self.shared.reading())

    def signer(self, use: Use = "access") -> SigningKey | None:
        """Return the key that signs; ``None`` if :meth:`signing` must ask the store first."""
        return self.shared.signer(use)

    def signing(self, use: Use = "access") -> Steps[SigningKey]:
        """Return the steps to the key that signs.

        :raises StoreUnavailable: if the ring was read too long ago, and the store fails.
        """
        ring = yield from self._loaded()
        if (key := ring.signers.get(use)) is None:
            raise ConfigurationError(
                f"the ring {self._name!r} has no key for {use} tokens: write KeyRing(store), which "
                "makes one"
            )
        return key

    def rotate(self) -> Rotation:
        """Announce a new key, which signs as soon as every verifier can have it.

        If one is announced already, no third key is made; it signs as early as it may.

        :raises ConfigurationError: if the keys of the ring are configured.
        :raises StoreUnavailable: if the store fails. Call it again: if it was done, it says so.
        """
        return run(self._rotating(), _PATIENCE)

    async def arotate(self) -> Rotation:
        """Async version of :meth:`rotate`."""
        return await arun(self._rotating(), _PATIENCE)

    def _rotating(self) -> Steps[Rotation]:
        found: list[Rotation] = []

        def change(state: RingState, now: float) -> RingState:
            changed, heir = rotated(state, "access", now, self._terms, self.shared.make_key)
            found[:] = [Rotation(heir.kid, heir.signs_from, is_new=not has(state, heir.kid))]
            return changed

        self._refuse_if_fixed("rotate")
        yield from self.shared.changing(change)
        return found[0]

    def revoke_key(self, kid: str) -> None:
        """Revoke a key at once: it neither signs, nor is published, nor verifies any more.

        If it signs, the announced key steps in, or a new one. Guards of this process refuse its
        tokens at once, those of other processes of the ring after ``max_lag``, and verifiers
        elsewhere when they fetch the key set again.

        :raises ConfigurationError: if the ring has no key of that key id.
        :raises StoreUnavailable: if the store fails.
        """
        run(self._revoking(kid), _PATIENCE)

    async def arevoke_key(self, kid: str) -> None:
        """Async version of :meth:`revoke_key`."""
        await arun(self._revoking(kid), _PATIENCE)

    def _revoking(self, kid: str) -> Steps[None]:
        self._refuse_if_fixed("revoke_key")
        try:
            yield from self.shared.changing(partial(_without, kid))
        except KeyError:
            raise ConfigurationError(
                f"revoke_key({shown(kid)}) must name a key of the ring: see status()"
            ) from None

    def _refuse_if_fixed(self, call: str) -> None:
        if self.shared.is_fixed:
            raise ConfigurationError(
                f"{call}() has no effect on configured keys: change KeyRing.from_keys(...), where "
                "the first key signs, or use KeyRing(store)"
            )

    def jwks(self) -> dict[str, Any]:
        """Return the public keys as a JWK Set (RFC 7517 §5), as it is at this moment.

        It never has a private key or a shared secret.

        :raises StoreUnavailable: if the ring was not read for an hour, and the store fails.
        """
        return run(self.publishing(), self.patience_to_publish)

    async def ajwks(self) -> dict[str, Any]:
        """Async version of :meth:`jwks`."""
        return await arun(self.publishing(), self.patience_to_publish)

    @property
    def patience_to_publish(self) -> float:
        """The seconds that :meth:`jwks` may take."""
        # Any client may ask for the set, so a store that hangs must not hold up all workers.
        return _PATIENCE if self.shared.current is None else 0.5

    def publishing(self) -> Steps[dict[str, Any]]:
        """Return the steps to the public keys, as :meth:`jwks` returns them."""
        try:
            ring = yield from self._read_to_publish()
        except StoreUnavailable:
            # Verifiers are better served with the last set than with none, as by a cache of theirs,
            # as long as none of them misses a key by that.
            spare = self._terms.announce - self.max_age - self._terms.max_lag
            known = self.shared.at_present(self._terms.max_lag + min(STALE, spare))
            if known is None:
                raise
            ring = known
        return self._published(ring)

    def _read_to_publish(self) -> Steps[Ring]:
        ring = self.shared.at_present(self._terms.max_lag)
        if ring is not None:
            return ring
        now = self._clock.monotonic()
        if now < self._unread_until:
            raise StoreUnavailable("the ring could not be read a moment ago")
        # Until it was read.
        self._unread_until = now + 1.0
        return (yield from self.shared.reading(pauses=False))

    def _published(self, ring: Ring) -> dict[str, Any]:
        records = verifying(ring.state, "access", self._clock.now(), self._terms)
        keys = (self._sealed.open(each.sealed, each.kid, "access") for each in records)
        return {"keys": [jwk for key in keys if (jwk := key.public_jwk) is not None]}

    def status(self) -> tuple[RingKey, ...]:
        """Return the keys of the ring, the oldest first, without their private halves.

        It does not need the secret of ``encryption=``, and so finds a key that stops others.

        :raises StoreUnavailable: if the store fails.
        """
        return run(self._listing(), _PATIENCE)

    async def astatus(self) -> tuple[RingKey, ...]:
        """Async version of :meth:`status`."""
        return await arun(self._listing(), _PATIENCE)

    def _listing(self) -> Steps[tuple[RingKey, ...]]:
        state = yield from self.shared.peeking()
        now = signing_time(state, self._clock.now())
        records = sorted(state.keys, key=lambda key: key.signs_from)
        return tuple(
            RingKey(
                each.kid,
                each.use,
                each.algorithm,
                phase(state, each, now, self._terms),
                each.signs_from,
            )
            for each in records
        )

    def key_source(self, name: str, distrusted: Distrusted | None) -> RingKeys:
        """Return the ring as the key source of an issuer (see ``Issuer(keys=...)``)."""
        return RingKeys(self.shared, name, self._clock, distrusted)

    def check_algorithms(self, algorithms: tuple[Algorithm, ...]) -> None:
        """Check that an issuer accepts what the ring signs.

        :raises ConfigurationError: if it does not.
        """
        names = [each.name for each in algorithms]
        if self.algorithm not in names:
            raise ConfigurationError(
                f"keys={self!r} sign with {self.algorithm}, and algorithms={names} do not accept "
                f"that: write algorithms=[{self.algorithm!r}]"
            )

    def __deepcopy__(self, _: object) -> "KeyRing":
        # An issuer that is copied has the same ring.
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a KeyRing cannot be pickled: make one in each process, on the same store")

    def __repr__(self) -> str:
        return f"KeyRing({self._name!r}, algorithm={self.algorithm!r})"


def _without(kid: str, state: RingState, now: float) -> RingState:
    return revoked(state, kid, now)
