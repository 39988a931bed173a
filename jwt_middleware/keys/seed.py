"""Exports a key set and starts from it in another process, where a start must not fetch."""

from collections.abc import Mapping
from typing import Any

from jwt_middleware.checks import is_number
from jwt_middleware.clock import Clock
from jwt_middleware.errors import ConfigurationError
from jwt_middleware.keys.distrust import Distrusted
from jwt_middleware.keys.document import Rejected, read_key_set, without_members
from jwt_middleware.keys.remote.options import ResolverOptions
from jwt_middleware.keys.snapshot import Snapshot

# The clocks of two machines may differ by this many seconds; beyond that, one of them is wrong.
TOLERANCE = 60.0


def export(snapshot: Snapshot, clock: Clock, distrusted: Distrusted) -> dict[str, Any]:
    """Return a seed for :func:`snapshot_from_seed` as JSON values. It holds public keys only.

    :param distrusted: the withdrawn keys. The document omits them, and the seed names them, so that
        they stay withdrawn where the seed is used and the issuer still publishes them.
    """
    age = snapshot.instant(clock.monotonic(), clock.now()) - snapshot.fetched_at
    document = without_members(snapshot.document, distrusted.withdraws)
    return {
        "url": snapshot.url,
        "fetched_at": clock.now() - age,
        "document": document.decode("utf-8", "replace"),
        "distrusted": distrusted.as_json(),
    }


def snapshot_from_seed(
    seed: Mapping[str, Any], options: ResolverOptions, clock: Clock, distrusted: Distrusted
) -> Snapshot | None:
    """Return the key set of a seed, with its age; ``None`` if it is too old to serve.

    :param distrusted: the keys to leave out; the withdrawn keys that the seed names are added.
    :raises ConfigurationError: if ``seed`` is not a seed, or its date is in the future.
    """
    _take_over(seed.get("distrusted", {}), distrusted)
    age = _age(seed.get("fetched_at"), clock.now())
    url, document = seed.get("url"), seed.get("document")
    if not isinstance(url, str) or not isinstance(document, str):
        raise ConfigurationError("seed= must have url and document: pass what export() returned")
    try:
        body = document.encode("utf-8")
        # If all keys were withdrawn, the document in the seed may be empty.
        key_set = read_key_set(body, options.max_keys, may_lack_keys=bool(distrusted))
    except (Rejected, UnicodeEncodeError):
        raise ConfigurationError("seed= must hold a usable key set: export a new one") from None
    fetched_at = clock.monotonic() - age
    hard_at = fetched_at + options.max_age
    snapshot = Snapshot(
        distrusted.without(key_set.keys),
        fetched_at=fetched_at,
        soft_at=fetched_at + options.refresh_after,
        hard_at=hard_at,
        dead_at=hard_at + options.stale_if_error,
        wall_offset=clock.now() - clock.monotonic(),
        url=url,
        document=body,
        imported=key_set.imported,
    )
    return None if snapshot.state(clock.monotonic(), clock.now()) == "dead" else snapshot


def _take_over(withdrawn: object, distrusted: Distrusted) -> None:
    try:
        kids, keys = _texts(withdrawn, "kids"), _texts(withdrawn, "keys")
        distrusted.take_over(kids, keys)
    except (TypeError, ValueError):
        raise ConfigurationError(
            "seed= has a 'distrusted' that must be two lists of text: pass what export() returned"
        ) from None


def _texts(withdrawn: object, name: str) -> list[str]:
    if not isinstance(withdrawn, Mapping):
        raise TypeError(name)
    texts = withdrawn.get(name, [])
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise TypeError(name)
    return texts


def _age(fetched_at: object, now: float) -> float:
    if not is_number(fetched_at):
        raise ConfigurationError(
            f"seed= has fetched_at={fetched_at!r}, which must be POSIX seconds: pass what export() "
            "returned"
        )
    age = now - fetched_at
    if age < -TOLERANCE:
        raise ConfigurationError(
            f"seed= has fetched_at={fetched_at!r}, which must not be in the future: set the clock, "
            "or export a new seed"
        )
    return max(0.0, age)
