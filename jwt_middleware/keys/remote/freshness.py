"""How long an answer keeps, and when to ask again, as its headers say it (RFC 9110, RFC 9111)."""

import random
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from jwt_middleware.keys.remote.options import ResolverOptions

_DIRECTIVE = re.compile(r"""([a-z-]+)\s*(?:=\s*("[^"]*"|[^\s,;]*))?""")
_SECONDS = re.compile(r"[0-9]{1,12}")

# No publisher may make us ask more often than once a minute. Okta says no-cache near a rotation,
# Zitadel and Apple always, and mean "soon", not "at each request".
LEAST_LIFETIME = 60.0

# Part of a stated lifetime after which a set is renewed, so that nobody waits at its end.
_RENEWED_AT = 0.8

# Several processes that started together drift apart by this part of the interval.
_JITTER = 0.1

# Nobody may lock us out for longer than this, by mistake or on purpose.
LONGEST_RETRY_AFTER = 300.0


def ages(
    options: ResolverOptions, lifetime: float | None, rng: random.Random
) -> tuple[float, float]:
    """Return the ages from which a set wants to be renewed, and has to be.

    What an answer says shortens both, and lengthens them only by permission: Keycloak 23.0.0 said
    thirty days, in which a withdrawn key would have served.

    :param lifetime: what the answer says.
    """
    soft, hard = options.refresh_after, options.max_age
    if lifetime is not None:
        if options.trusted_max_age is not None and lifetime > hard:
            longer = min(lifetime, options.trusted_max_age)
            soft, hard = soft * longer / hard, longer
        # The floor holds for the earliest moment that chance may choose.
        soft = min(soft, max(lifetime * _RENEWED_AT, LEAST_LIFETIME / (1 - _JITTER)))
        hard = min(hard, max(lifetime, soft / _RENEWED_AT))
    return soft * (1 - _JITTER * rng.random()), hard


def stated_lifetime(headers: Mapping[str, str], now: float) -> float | None:
    """Return for how many more seconds an answer says it is fresh; ``None`` if it does not say.

    An answer that says it wrongly is stale (RFC 9111 §4.2.1).

    :param headers: with names in lower case.
    :param now: POSIX time, for an answer without ``Date``.
    """
    directives = _DIRECTIVE.findall(headers.get("cache-control", "").lower())
    names = {name for name, _ in directives}
    if not names.isdisjoint({"no-store", "no-cache"}):
        return 0.0
    if "max-age" in names:
        # The least of several: RFC 9111 §4.2.1 lets a cache be strict about them.
        ages = [_seconds(value.strip('"')) for name, value in directives if name == "max-age"]
        return max(0.0, min(ages) - _seconds(headers.get("age", "0")))
    if "expires" in headers:
        expires = _date(headers["expires"])
        return 0.0 if expires is None else max(0.0, expires - (_date(headers.get("date")) or now))
    return None


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds of ``Retry-After``, within reason (RFC 9110 §10.2.3)."""
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
