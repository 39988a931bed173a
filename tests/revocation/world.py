"""A service whose tokens can be revoked, in as many processes as a test wants."""

import math
from typing import Any

from jwt_middleware import Guard, Issuer, Principal
from jwt_middleware.errors import StoreUnavailable, TokenRevoked
from jwt_middleware.issuing import TokenPairs
from jwt_middleware.revocation import RevocationList
from jwt_middleware.revocation.entries import KIND
from jwt_middleware.revocation.follower import BEAT
from jwt_middleware.stores.contract import Document, FoundGroup, ReadWritten
from tests.issuing.rings import AUDIENCE, ISSUER, Faulty, World


class Revoking(World):
    """One process, and its list."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.shared = self.shared_before = Faulty(self.clock)
        self.list = self.another(**options)
        self.checking = self.checked_by(self.list)

    def another(self, **options: Any) -> RevocationList:
        """Return the list as another process has it."""
        known: dict[str, Any] = {"on_lag": "refuse", "clock": self.clock}
        if options.get("mode") == "strict":
            del known["on_lag"]
        return RevocationList(self.shared, **{**known, **options})

    def checked_by(self, revocations: RevocationList, **options: Any) -> Guard:
        """Return a guard with a list."""
        issuer = Issuer(ISSUER, audience=AUDIENCE, keys=self.ring, **options)
        return Guard(issuers=issuer, clock=self.clock, revocation=revocations)

    def token(self, subject: str = "alice", **claims: Any) -> str:
        return self.minter().mint(subject, claims=claims)

    def entries(self) -> list[Document]:
        """Return the revocations in the store."""
        found = self.shared.answer(ReadWritten(KIND, 0.0), math.inf)
        assert isinstance(found, FoundGroup)
        return [each for each in found.documents if each.name != BEAT]

    def pairs(self) -> TokenPairs:
        return TokenPairs(self.minter(), self.shared)

    def claims(self, token: str) -> Any:
        return self.guard().verify(token).claims


def outcome(guard: Guard, token: str) -> str:
    """Return what a guard says of a token, in a word."""
    try:
        principal: Principal = guard.verify(token)
    except TokenRevoked:
        return "revoked"
    except StoreUnavailable:
        return "unavailable"
    assert principal.is_authenticated
    return "good"
