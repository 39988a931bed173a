"""Configuration of a rule that admits issuers, in place of a list.

The run-time state, with keys and caches, is in ``issuers/admitted_pool.py``.
"""

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import timedelta
from inspect import iscoroutinefunction
from typing import Annotated, Any

from jwt_middleware.errors import ConfigurationError
from jwt_middleware.issuers.issuer import Issuer
from jwt_middleware.keys.remote.pool_limits import MAX_FETCHES
from jwt_middleware.options import Count, Seconds, check_fields
from jwt_middleware.tokens.grants import GrantsOption, granted_names

# The limit of the SDKs of Auth0; a hundred key sets take a few megabytes.
MAX_ISSUERS = 100


Admitted = Issuer | Sequence[Issuer] | None
"""What the rule returns for a name: its issuers, or ``None`` if they are not trusted."""


def _plain_function(name: str, admit: Any) -> Callable[[str], Admitted]:
    if not callable(admit) or iscoroutinefunction(admit):
        raise ConfigurationError(
            f"{name}={admit!r} must be a plain function: write one that takes an issuer's name "
            "and returns an Issuer, a list of them or None, without await"
        )
    return admit  # type: ignore[no-any-return]


@dataclass(frozen=True)
class AdmittedIssuers:
    """Issuers that a rule admits, for applications that cannot list them all.

    :param admit: a function from the exact ``iss`` of a token that is not verified yet to the
        issuer of the same name, to a list of several that a token tells apart, or to ``None`` if it
        is not trusted. It gets nothing else of
        the token. It runs on the thread or event loop of the request, several calls at once,
        and must not block. If it raises, the token is refused with 503 ``keys_unavailable``
        and the log says where.
    :param most: how many issuers' keys are cached. The least recently used issuers are dropped,
        those without any verified token first.
    :param max_flights: how many key fetches may run at once for issuers with a verified token,
        for issuers that had one and were dropped since, and for all others.
    :param readmit_after: seconds after which the rule is called again. An issuer that the rule
        no longer admits stays trusted for as long.
    :param grants: the names that their tokens may grant, see ``Issuer``. By default they grant
        only what the ``grants`` of an issuer that the rule returns list. ``ANY_GRANTS``: every
        name in a token of any of them counts.
    :raises ConfigurationError: if ``admit`` is not a plain function, or ``most`` is
        not above ``max_flights``.
    """

    admit: Annotated[Callable[[str], Admitted], _plain_function]
    _: KW_ONLY
    most: Annotated[int, Count()] = MAX_ISSUERS
    max_flights: Annotated[int, Count()] = MAX_FETCHES
    readmit_after: Annotated[float | timedelta, Seconds()] = 300
    grants: Annotated[GrantsOption, granted_names] = None

    def __post_init__(self) -> None:
        check_fields(self, AdmittedIssuers)
        if self.most <= self.max_flights:
            raise ConfigurationError(
                f"most={self.most!r} must be more than max_flights={self.max_flights!r}: an issuer "
                "whose keys are being fetched is never dropped"
            )
