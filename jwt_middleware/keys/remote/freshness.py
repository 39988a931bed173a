"""Reads from headers how long a response is fresh, and when to retry (RFC 9110, RFC 9111)."""

import random
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from jwt_middleware.keys.remote.options import ResolverOptions

_DIRECTIVE = re.compile(r"""([a-z-]+)\s*(?:=\s*("[^"]*"|[^\s,;]*))?""")
_SECONDS = re.compile(r"[0-9]{1,12}")

# An issuer cannot cause more than one refresh a minute. Okta sends no-cache near a rotation,
# Zitadel and Apple always do, and they mean "soon", not "at each request".
LEAST_LIFETIME = 60.0

# A set is refreshed after this part of a stated lifetime, so that no request waits at its end.
_RENEWED_AT = 0.8

# The interval is shortened at random by up to this part, so that processes that started together
# do not fetch together.
_JITTER = 0.1

# The longest Retry-After that is obeyed, so that an issuer cannot stop the fetches for longer.
LONGEST_RETRY_AFTER = 300.0


def ages(
    options: ResolverOptions, lifetime: float | None, rng: random.Random
) -> tuple[float, float]:
    """Return the ages from which a set is refreshed in the background, and is expired.

    A stated lifetime shortens both. It lengthens them only up to ``trusted_max_age``: Keycloak
    23.0.0 stated thirty days, during which a withdrawn key would have served.

    :param lifetime: the lifetime that the response states.
    """
    soft, hard = options.refresh_after, options.max_age
    if lifetime is not None:
        if options.trusted_max_age is not None and lifetime > hard:
            longer = min(lifetime, options.trusted_max_age)
            soft, hard = soft * longer / hard, longer
        # The floor is raised by the jitter, so that LEAST_LIFETIME holds for the shortest interval.
        soft = min(soft, max(lifetime * _RENEWED_AT, LEAST_LIFETIME / (1 - _JITTER)))
        hard = min(hard, max(lifetime, soft / _RENEWED_AT))
    return soft * (1 - _JITTER * rng.random()), hard


def stated_lifetime(headers: Mapping[str, str], now: float) -> float | None:
    """Return how many more seconds a response is fresh; ``None`` if its headers do not say.

    A response with an invalid statement is stale (RFC 9111 §4.2.1).

    :param headers: the header fields, with names in lower case.
    :param now: the POSIX time, for a response without ``Date``.
    """
    directives = _DIRECTIVE.findall(headers.get("cache-control", "").lower())
    names = {name for name, _ in directives}
    if not names.isdisjoint({"no-store", "no-cache"}):
        return 0.0
    if "max-age" in names:
        # The least of several values, because RFC 9111 §4.2.1 allows a cache to be strict.
        ages = [_seconds(value.strip('"')) for name, value in directives if name == "max-age"]
        return max(0.0, min(ages) - _seconds(headers.get("age", "0")))
    if "expires" in headers:
        expires = _date(headers["expires"])
        return 0.0 if expires is None else max(0.0, expires - (_date(headers.get("date")) or now))
    return None


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds of ``Retry-After``, five minutes at the most (RFC 9110 §10.2.3)."""
    stated = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(stated):
        return min(float(stated), LONGEST_RETRY_AFTER)
    date = _date(stated)
    if date is None:
        return None
    return min(max(0.0, date - (_date(headers.get("date")) or now)), LONGEST_RETRY_AFTER)


def _seconds(text: str) -> float:
    text = text.strip()
    return float(text) if _SECONDS.fullmatch(text) else 0.0


def _date(text: str | None) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp() if text else None
    except (ValueError, OverflowError):
        return None
