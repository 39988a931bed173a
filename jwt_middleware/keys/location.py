"""Where a key set is: a fixed address, or one that the issuer's discovery document names."""

from jwt_middleware.clock import Clock
from jwt_middleware.errors import ConfigurationError
from jwt_middleware.keys.document import Rejected, check_url, discovery_urls, read_discovery
from jwt_middleware.keys.fetch import Fetcher, Request, Response
from jwt_middleware.keys.options import ResolverOptions
from jwt_middleware.keys.snapshot import Snapshot

# A key set seldom moves; when it does, its old address answers 404 or 410 and we look at once.
DISCOVERY_LIFETIME = 12 * 3600.0


class Location:
    """Asks for a key set, and first for its address where that is not known."""

    def __init__(
        self,
        jwks_uri: str | None,
        issuer: str | None,
        options: ResolverOptions,
        fetcher: Fetcher,
        clock: Clock,
    ) -> None:
        self._fixed = jwks_uri
        self._issuer = issuer or ""
        self._options = options
        self._fetcher = fetcher
        self._clock = clock
        self._discovered: tuple[str, float] | None = None

    def ask_for_keys(self, known: Snapshot | None) -> Response:
        """Return a good answer for the key set: 200, or 304 if ``known`` still stands.

        :raises Rejected: for any other.
        """
        deadline = self._clock.monotonic() + self._options.timeout
        address = self._fixed or self._discover(deadline)
        response = self._ask(address, deadline, known.etag if known else None)
        if response.status in {404, 410}:
            self._discovered = None
        if response.status == 200 or (response.status == 304 and known is not None):
            return response
        raise Rejected(f"the key set answered {response.status}", _retry_after(response))

    def _discover(self, deadline: float) -> str:
        if self._discovered is not None and self._clock.monotonic() < self._discovered[1]:
            return self._discovered[0]
        refused = Rejected("there is no discovery document")
        for url in discovery_urls(self._issuer):
            try:
                address = self._read_discovery(url, deadline)
            except Rejected as rejected:
                refused = rejected
            else:
                self._discovered = (address, self._clock.monotonic() + DISCOVERY_LIFETIME)
                return address
        raise refused

    def _read_discovery(self, url: str, deadline: float) -> str:
        response = self._ask(url, deadline, None)
        if response.status != 200:
            raise Rejected(f"discovery answered {response.status}", _retry_after(response))
        address = read_discovery(response.body, self._issuer)
        try:
            check_url("jwks_uri", address, allow_http=self._options.allow_http)
        except ConfigurationError:
            raise Rejected(
                "the discovered jwks_uri is no address that keys may come from"
            ) from None
        return address

    def _ask(self, url: str, deadline: float, etag: str | None) -> Response:
        seconds = deadline - self._clock.monotonic()
        if seconds <= 0:
            raise Rejected("discovery took too long")
        return self._fetcher.fetch(Request(url, seconds, self._options.max_bytes, etag))


def _retry_after(response: Response) -> float | None:
    """Return the seconds of ``Retry-After``; a date counts as none (RFC 9110 §10.2.3)."""
    stated = response.headers.get("retry-after", "")
    return float(stated) if stated.isascii() and stated.isdigit() and len(stated) < 10 else None
