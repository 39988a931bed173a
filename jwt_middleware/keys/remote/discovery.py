"""Finds the address of a key set: a fixed one, or the one in the issuer's discovery document.

OpenID Connect Discovery 1.0 and RFC 8414. The document must name the configured issuer, byte for
byte, because otherwise one issuer could pose as another.
"""

import re
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from jwt_middleware.clock import Clock
from jwt_middleware.errors import ConfigurationError
from jwt_middleware.evidence import Comparison, Phrase, kind_of, reason_of
from jwt_middleware.formats.urls import check_url, has_same_origin, url_problem
from jwt_middleware.keys.document import Rejected, read_json_object
from jwt_middleware.keys.remote.http import Fetcher, FetchRequest, FetchResponse
from jwt_middleware.keys.remote.options import ResolverOptions
from jwt_middleware.keys.snapshot import Snapshot

# Longer addresses are refused here, as servers and proxies do near this length (RFC 9110 §4.1).
MAX_URL_LENGTH = 8_000

# After this many seconds another fetch tries to discover again, beside one that hangs.
HUNG_DISCOVERY_PAUSE = 60.0

# The statuses for an address where nothing is found, or not any more (RFC 9110 §15.5).
_GONE = frozenset({404, 410})


# A host ends before these characters; a browser reads a backslash as a slash.
_HOST_ENDS = re.compile(r"[/?#\\]")


class AnsweredBadly(Rejected):
    """A response with a status that brings no document. It may have a ``Retry-After``."""

    def __init__(self, what: str, response: FetchResponse) -> None:
        super().__init__(f"{what} answered {response.status}")
        self.response = response


class Location:
    """Fetches a key set, and before it the discovery document if the address is not known."""

    def __init__(
        self,
        jwks_uri: str | None,
        issuer: str | None,
        options: ResolverOptions,
        fetcher: Fetcher,
        clock: Clock,
        *,
        discovery: str | None = None,
    ) -> None:
        """
        :param jwks_uri: the fixed address of the key set; if left out, discovery finds it.
        :param issuer: the issuer that the discovery document must name. The document is below this
            address.
        :param discovery: the address of the discovery document, if it is elsewhere.
        :raises ConfigurationError: for an address that keys must not be fetched from.
        """
        places = {"jwks_uri": jwks_uri, "discovery": discovery, "issuer": issuer}
        name, url = next((row for row in places.items() if row[1] is not None), ("issuer", None))
        check_url(name, url, allow_http=options.allow_http)
        if len(url or "") > MAX_URL_LENGTH:
            raise ConfigurationError(
                f"{name}= must not be longer than {MAX_URL_LENGTH:,} characters"
            )
        self._fixed = jwks_uri
        self._issuer = issuer or ""
        self._base = discovery or self._issuer
        self._places = (discovery,) if discovery is not None else discovery_urls(self._issuer)
        self._options = options
        self._fetcher = fetcher
        self._clock = clock
        self._discovered: str | None = None
        self._rediscover_at = 0.0
        self._rediscover_after = 0.0

    def ask_for_keys(self, known: Snapshot | None) -> tuple[str, FetchResponse]:
        """Return the address and the response: 200, or 304 if ``known`` is unchanged.

        :raises Rejected: for any other response.
        """
        # Real time and not self._clock, because this bounds the network and is not an age.
        deadline = monotonic() + self._options.timeout
        address, is_new = self._address(deadline)
        response = self._ask(address, deadline, known)
        if response.status in _GONE and self._fixed is None and not is_new:
            # The key set has moved, so discovery must find its new address.
            self._rediscover_at = 0.0
            address, _ = self._address(deadline)
            response = self._ask(address, deadline, known)
        if response.status == 200:
            return address, response
        # RFC 9110 §15.4.5: a 304 is valid only for a conditional request, which needs a known set.
        if response.status == 304 and known is not None and known.url == address:
            return address, response
        raise AnsweredBadly("the key set", response)

    def _address(self, deadline: float) -> tuple[str, bool]:
        """Return the address of the key set, and whether discovery found it just now."""
        if self._fixed is not None:
            return self._fixed, False
        # The greater of both ages counts, as for a key set, because the address decides which keys
        # are trusted.
        is_recent = (
            self._clock.monotonic() < self._rediscover_at
            and self._clock.now() < self._rediscover_after
        )
        if self._discovered is not None and is_recent:
            return self._discovered, False
        if self._discovered is not None:
            # Half of the time, so that a slow discovery leaves time for the key set. One that hangs
            # leaves none, so until it returns, other fetches use the address that is known.
            deadline = monotonic() + self._options.timeout / 2
            self._rediscover_in(HUNG_DISCOVERY_PAUSE)
        try:
            self._discovered = self._discover(deadline)
        except Exception:
            # The address that was found before is used while discovery fails.
            if self._discovered is None:
                raise
            self._rediscover_in(0.0)
            return self._discovered, False
        self._rediscover_in(self._options.discovery_lifetime)
        return self._discovered, True

    def _rediscover_in(self, seconds: float) -> None:
        self._rediscover_at = self._clock.monotonic() + seconds
        self._rediscover_after = self._clock.now() + seconds

    def _discover(self, deadline: float) -> str:
        refusals: list[Rejected] = []
        for url in self._places:
            try:
                return self._read(self._ask(url, deadline, None))
            except Rejected as rejected:
                refusals.append(rejected)
        # Where one place has no document, the other says more.
        raise next((each for each in refusals if not _is_absent(each)), refusals[0])

    def _read(self, response: FetchResponse) -> str:
        if response.status != 200:
            raise AnsweredBadly("discovery", response)
        return read_discovery(response.body, self._issuer, self._base, self._options)

    def _ask(self, url: str, deadline: float, known: Snapshot | None) -> FetchResponse:
        seconds = deadline - monotonic()
        if seconds <= 0:
            raise Rejected("took too long")
        is_same = known is not None and known.url == url
        response: object = self._fetcher.fetch(
            FetchRequest(
                url,
                seconds,
                self._options.max_bytes,
                etag=known.etag if known and is_same else None,
                last_modified=known.last_modified if known and is_same else None,
            )
        )
        return _checked(response, self._options.max_bytes)


def _is_absent(rejected: Rejected) -> bool:
    return isinstance(rejected, AnsweredBadly) and rejected.response.status in _GONE


def _checked(response: Any, max_bytes: int) -> FetchResponse:
    """Check the response of a fetcher, because the application's own may return anything.

    :raises Rejected: if it is not a response, or longer than ``max_bytes``.
    """
    status, fields, body = response.status, dict(response.headers), response.body
    is_answer = type(status) is int and isinstance(body, bytes)
    if not is_answer or not all(isinstance(text, str) for row in fields.items() for text in row):
        raise Rejected("the fetcher must return a FetchResponse of status, headers and body")
    if len(body) > max_bytes:
        raise Rejected("too large")
    return FetchResponse(status, fields, body)


def discovery_urls(issuer: str) -> tuple[str, str]:
    """Return the addresses at which an issuer's discovery document may be.

    OIDC Discovery §4.1 appends the well-known path to the issuer's; RFC 8414 §3.1 inserts it.
    """
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    origin = f"{parts.scheme}://{parts.netloc}"
    return (
        f"{origin}{path}/.well-known/openid-configuration",
        f"{origin}/.well-known/oauth-authorization-server{path}",
    )


def read_discovery(body: bytes, issuer: str, base: str, options: ResolverOptions) -> str:
    """Return the ``jwks_uri`` of a discovery document.

    :param issuer: the issuer that the document must name exactly (OIDC Discovery §4.3, RFC 8414
        §3.3).
    :param base: the address whose host counts as the issuer's own.
    :raises Rejected: if it names another issuer, or keys must not be fetched from its ``jwks_uri``.
    """
    metadata = read_json_object(body)
    named = metadata.get("issuer")
    if named != issuer:
        found = named if isinstance(named, str) else kind_of(named)
        raise Rejected(f"discovery names another issuer, {_sides((issuer,), found)}")
    uri = metadata.get("jwks_uri")
    if not isinstance(uri, str):
        raise Rejected("discovery has no jwks_uri")
    if len(uri) > MAX_URL_LENGTH:
        raise Rejected(f"the discovered jwks_uri is longer than {MAX_URL_LENGTH:,} characters")
    leaves_tls = base.startswith("https:") and not uri.startswith("https:")
    if leaves_tls or url_problem(uri, allow_http=options.allow_http):
        sides = _sides("https with a host and no credentials", _origin(uri))
        raise Rejected(f"keys must not be fetched from the discovered jwks_uri, {sides}")
    if options.same_origin and not has_same_origin(base, uri):
        sides = _sides((_origin(base),), _origin(uri))
        raise Rejected(f"the discovered jwks_uri is on another host, {sides}")
    return uri


def _sides(expected: object, found: object) -> str:
    compared = Comparison(expected, found)
    return reason_of("", compared.expected, compared.found, compared.hint)


def _origin(url: str) -> str:
    """Return scheme and host of a URL for the log, without any credentials."""
    scheme, _, rest = url.partition("://")
    host = _HOST_ENDS.split(rest, maxsplit=1)[0].rpartition("@")[2]
    return f"{scheme}://{host}" if host else Phrase("an address without a host")
