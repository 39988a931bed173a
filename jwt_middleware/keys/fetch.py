"""The only room that asks over the network. It knows nothing of policy."""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from threading import Lock
from time import monotonic
from typing import Any, Protocol

from jwt_middleware.keys.document import Rejected


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask, and how much of an answer to take."""

    url: str
    seconds: float
    """Time that it may take in all."""
    max_bytes: int
    """Size of the answer, decoded."""
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """What came back."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    """With names in lower case."""
    body: bytes = b""


class Fetcher(Protocol):
    """Asks over the network; give your own for a proxy, a private CA, or another client."""

    def fetch(self, request: Request) -> Response:
        """Return the answer, whatever its status; never follow a redirect.

        :raises Exception: anything at all, if there is none.
        """
        ...

    def close(self) -> None:
        """Close what is open."""
        ...


class HTTPFetcher:
    """Asks with httpx, which is imported at the first fetch."""

    def __init__(self) -> None:
        self._client: Any = None
        self._lock = Lock()

    def fetch(self, request: Request) -> Response:
        """Return the answer, whatever its status.

        :raises Rejected: if it is too large, too slow, or there is none.
        """
        import httpx

        deadline = monotonic() + request.seconds
        try:
            with self._connected(httpx).stream(
                "GET",
                request.url,
                headers=_headers(request),
                # Each step has its own limit in httpx; the sum is held by the deadline below.
                timeout=httpx.Timeout(min(3.0, request.seconds), connect=min(2.0, request.seconds)),
            ) as answer:
                headers = {name.lower(): value for name, value in answer.headers.items()}
                chunks = _until(deadline, answer.iter_raw())
                return Response(
                    answer.status_code, headers, _body(headers, chunks, request.max_bytes)
                )
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as problem:
            raise Rejected(f"no answer ({type(problem).__name__})") from None

    def _connected(self, httpx: Any) -> Any:
        with self._lock:
            if self._client is None:
                self._client = httpx.Client(follow_redirects=False)
            return self._client

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()


def _headers(request: Request) -> dict[str, str]:
    headers = {
        "Accept": "application/jwk-set+json, application/json;q=0.9",
        # Asked for plain, so that what a few bytes unfold to is seldom a question.
        "Accept-Encoding": "identity",
        "User-Agent": "asgi-wsgi-jwt",
    }
    return headers if request.etag is None else {**headers, "If-None-Match": request.etag}


def _until(deadline: float, chunks: Iterator[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        if monotonic() > deadline:
            raise Rejected("the answer came too slowly")
        yield chunk


def _body(headers: Mapping[str, str], chunks: Iterator[bytes], max_bytes: int) -> bytes:
    encoding = headers.get("content-encoding", "identity").lower()
    if encoding in {"gzip", "x-gzip"}:
        chunks = _unzipped(chunks, max_bytes)
    elif encoding != "identity":
        raise Rejected("the answer has an encoding that was not asked for")
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) > max_bytes:
            raise Rejected("the answer is too large")
    return bytes(body)


def _unzipped(chunks: Iterator[bytes], max_bytes: int) -> Iterator[bytes]:
    """Unfold gzip, never more than one byte beyond what is taken."""
    unzip = zlib.decompressobj(wbits=31)
    try:
        for chunk in chunks:
            yield unzip.decompress(chunk, max_bytes + 1)
            if unzip.unconsumed_tail:
                raise Rejected("the answer is too large")
    except zlib.error:
        raise Rejected("the answer is no gzip") from None
