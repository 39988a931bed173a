"""How a key set is fetched and kept."""

import math
from dataclasses import dataclass, fields

from jwt_middleware.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolverOptions:
    """How a key set is fetched and kept. All times are in seconds."""

    refresh_after: float = 300
    """Age from which a set is renewed behind the requests; ten percent less at random, so that
    several processes do not ask at once."""
    max_age: float = 600
    """Age from which a request waits for a renewal: how long a withdrawn key may still serve."""
    stale_if_error: float = 3600
    """How long beyond ``max_age`` a set still serves while its publisher cannot be reached."""
    unknown_kid_burst: int = 2
    """Fetches that unknown kids may cause at once, besides the regular ones."""
    unknown_kid_interval: float = 10
    """Time after which they may cause one more."""
    timeout: float = 5
    """Time that one fetch may take in all, discovery included."""
    max_bytes: int = 262_144
    """Size of a document, decoded. Entra's, with certificates, is near 20 KB."""
    max_keys: int = 100
    """Keys that are read of one set."""
    max_backoff: float = 60
    """Longest pause between fetches that fail."""
    allow_http: bool = False
    """Whether keys may be fetched without TLS from elsewhere than this machine."""

    def __post_init__(self) -> None:
        """:raises ConfigurationError: for a value out of range, or against another."""
        for field in fields(self):
            _check(field.name, getattr(self, field.name), field.type)
        if self.max_age < self.refresh_after:
            raise ConfigurationError(
                f"max_age={self.max_age!r} is less than refresh_after={self.refresh_after!r}: a "
                "set would expire before it is renewed; raise max_age"
            )


def _check(name: str, value: object, kind: object) -> None:
    if kind is bool:
        if not isinstance(value, bool):
            raise ConfigurationError(f"{name}={value!r} must be True or False")
        return
    allowed = (int,) if kind is int else (int, float)
    if type(value) not in allowed or not math.isfinite(value) or value < 0:  # type: ignore[arg-type, operator]
        raise ConfigurationError(f"{name}={value!r} must be a finite number, not negative")
    if value == 0 and name not in {"stale_if_error", "unknown_kid_burst"}:
        raise ConfigurationError(f"{name}=0 would stop every fetch: set it above 0")
