"""Fetches documents over HTTP. The only module that uses the network, and without any policy.

Each fetch has a client of its own. A key set is fetched every few minutes, so an open connection
saves nothing, and a fork, a closed event loop or a cookie cannot do harm.
"""

import socket
import ssl
import threading
import zlib
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Protocol

from jwt_middleware.checks import check_flag
from jwt_middleware.errors import ConfigurationError
from jwt_middleware.forks import TinyLock, renew_after_fork
from jwt_middleware.keys.document import Rejected
from jwt_middleware.keys.remote.public_hosts import pinned

# An issuer that takes longer to connect counts as down; jose and Nimbus have similar limits.
CONNECT_SECONDS = 2.0
READ_SECONDS = 3.0

# The failures after which a fetch is retried once, by the class names that httpx and httpx2 share.
# A timeout is not among them, because the time is used up.
_WORTH_A_RETRY = frozenset({"ConnectError", "ReadError", "WriteError", "RemoteProtocolError"})

Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """What to fetch, and the limits of the response."""

    url: str
    seconds: float
    """The total time that the fetch may take."""
    max_bytes: int
    """The largest size of the decoded response body."""
    etag: str | None = None
    """The ETag of the current set (RFC 9110 §13.1.2)."""
    last_modified: str | None = None

    def headers(self) -> dict[str, str]:
        """Return the header fields of the request."""
        fields = {
            "Accept": "application/jwk-set+json, application/json;q=0.9",
            "Accept-Encoding": "gzip",
            "User-Agent": "asgi-wsgi-jwt",
        }
        if self.etag is not None:
            fields["If-None-Match"] = self.etag
        elif self.last_modified is not None:
            fields["If-Modified-Since"] = self.last_modified
        return fields


@dataclass(frozen=True, slots=True)
class FetchResponse:
    """The response to a :class:`FetchRequest`."""

    status: int
    headers: Headers = field(default_factory=dict)
    """The header fields, with names in lower case."""
    body: bytes = b""


class Fetcher(Protocol):
    """Fetches over the network. Implement it where :class:`HTTPFetcher` does not fit."""

    def fetch(self, request: FetchRequest) -> FetchResponse:
        """Return the response, with any status. It must not follow a redirect.

        It is called from several threads, each time with another request.

        :raises Exception: any exception, for lack of a response.
        """
        ...


class HTTPFetcher:
    """Fetches with httpx, which is imported at the first fetch, or with the client given."""

    def __init__(
        self,
        client: Any = None,
        *,
        verify: Any = True,
        proxy: str | None = None,
        trust_env: bool = True,
        headers: Headers | Callable[[], Headers] | None = None,
        public_only: bool = False,
    ) -> None:
        """
        :param client: an ``httpx.Client`` or ``httpx2.Client`` to fetch with. The application must
            close it, and ``verify``, ``proxy`` and ``trust_env`` are set on it instead of here.
        :param verify: the ``ssl.SSLContext`` that certificates are checked with, as in httpx.
        :param proxy: the address of a proxy.
        :param trust_env: whether httpx uses proxies and authorities of the environment.
        :param headers: header fields to add, or a function that returns them at each fetch, such
            as a token that is read from a file.
        :param public_only: whether to refuse a host with an address that is not public, and to
            connect to the address that was checked. It cannot be combined with a proxy, which
            resolves names itself.
        :raises ConfigurationError: for a value of another kind.
        """
        check_flag("trust_env", trust_env)
        check_flag("public_only", public_only)
        if client is not None and not callable(getattr(client, "stream", None)):
            raise ConfigurationError(f"client={client!r} must be a client: write httpx.Client(...)")
        if not isinstance(verify, bool | str | ssl.SSLContext):
            raise ConfigurationError(
                f"verify={verify!r} must be an ssl.SSLContext: write ssl.create_default_context()"
            )
        # The values are not shown, because they may contain credentials.
        if proxy is not None and (not isinstance(proxy, str) or not proxy):
            raise ConfigurationError("proxy= must be text, such as 'http://proxy.example:3128'")
        if headers is not None and not callable(headers) and not isinstance(headers, Mapping):
            raise ConfigurationError("headers= must be a mapping, such as {'X-Key': '...'}")
        self._client = client
        self._settings: dict[str, Any] = {
            "verify": verify,
            "proxy": proxy,
            "trust_env": trust_env,
        }
        self._given_verify = verify
        self._headers = headers
        self._public_only = public_only
        self._calls: set[_Call] = set()
        self._lock = TinyLock()
        renew_after_fork(self)

    @property
    def compared_by(self) -> tuple[Hashable, ...]:
        """The settings as one value to compare. Objects in it are compared by identity."""
        headers, verify = self._headers, self._given_verify
        fields: Hashable = id(headers)
        if isinstance(headers, Mapping) and all(isinstance(each, str) for each in headers.values()):
            fields = frozenset(headers.items())
        return (
            id(self._client),
            verify if isinstance(verify, bool | str) else id(verify),
            self._settings["proxy"],
            self._settings["trust_env"],
            fields,
            self._public_only,
        )

    def fetch(self, request: FetchRequest) -> FetchResponse:
        """Return the response, with any status. A broken connection is retried once.

        :raises Rejected: if the response is too large or too slow, or there is none.
        """
        call = _Call(monotonic() + request.seconds)
        with self._lock:
            self._calls.add(call)
        try:
            with call.watched(request.seconds):
                return self._ask_twice(request, call)
        finally:
            with self._lock:
                self._calls.discard(call)

    def _ask_twice(self, request: FetchRequest, call: "_Call") -> FetchResponse:
        reason = self._attempt(request, call)
        if isinstance(reason, str) and reason in _WORTH_A_RETRY and not call.is_over():
            reason = self._attempt(request, call)
        if isinstance(reason, FetchResponse):
            return reason
        # Only the class of an exception is named, because its text may hold addresses and more.
        raise Rejected("took too long" if call.is_over() else f"no answer ({reason})")

    def _attempt(self, request: FetchRequest, call: "_Call") -> FetchResponse | str:
        """Return the response, or the class name of the failure."""
        try:
            return self._ask(request, call)
        except Rejected:
            raise
        except Exception as problem:  # noqa: BLE001 - httpx, httpx2, ssl and the socket each have theirs
            return type(problem).__name__

    def _ask(self, request: FetchRequest, call: "_Call") -> FetchResponse:
        url, headers = request.url, self._fields(request)
        extensions: dict[str, Any] = {"trace": call.trace}
        if self._public_only:
            url, headers["Host"], extensions["sni_hostname"] = pinned(url)
        with (
            self._connected() as client,
            client.stream(
                "GET",
                url,
                headers=headers,
                follow_redirects=False,
                timeout=(CONNECT_SECONDS, READ_SECONDS, READ_SECONDS, CONNECT_SECONDS),
                extensions=extensions,
            ) as answer,
        ):
            fields = {name.lower(): value for name, value in answer.headers.items()}
            if answer.status_code != 200:
                # RFC 9110 §15.4.5: a 304 has no content, whatever Content-Encoding it repeats. Of
                # other responses only the status and the fields are used.
                return FetchResponse(answer.status_code, fields)
            encoding, chunks = _coded(answer)
            body = _body(encoding, call.until_over(chunks), request.max_bytes)
            return FetchResponse(answer.status_code, fields, body)

    def _fields(self, request: FetchRequest) -> dict[str, str]:
        extra = self._headers() if callable(self._headers) else self._headers
        return {**request.headers(), **(extra or {})}

    def _connected(self) -> AbstractContextManager[Any]:
        if self._client is not None:
            return nullcontext(self._client)
        import httpx

        if self._settings["verify"] is True:
            # Reading the bundle of authorities costs milliseconds, so it is read once. The lock is
            # not held, because the bundle may be a file on a share that hangs.
            self._settings["verify"] = httpx.create_ssl_context(
                trust_env=self._settings["trust_env"]
            )
        return httpx.Client(**self._settings)

    def close(self) -> None:
        """Abort the fetches under way. Their callers get :class:`Rejected`."""
        with self._lock:
            calls = list(self._calls)
        for call in calls:
            call.cut()

    def after_fork(self) -> None:
        """Forget the fetches of the parent process."""
        self._lock = TinyLock()
        self._calls = set()


class _Call:
    """One fetch and its deadline, which holds even while a single read blocks."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._is_cut = False
        self._sockets: list[socket.socket] = []

    def is_over(self) -> bool:
        return self._is_cut or monotonic() >= self._deadline

    def watched(self, seconds: float) -> "AbstractContextManager[Any]":
        """Cut the connection at the deadline, because httpx bounds each step but not their sum."""
        timer = threading.Timer(seconds, self.cut)
        timer.daemon = True
        return _Running(timer)

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Record the connections that the client opens (an extension of httpcore)."""
        stream = info.get("return_value")
        if event.endswith(("connect_tcp.complete", "start_tls.complete")) and stream is not None:
            connection = stream.get_extra_info("socket")
            if connection is not None:
                self._sockets.append(connection)
            if self._is_cut:
                self.cut()

    def cut(self) -> None:
        """Shut the connections down, which wakes the thread that reads from them."""
        self._is_cut = True
        for connection in self._sockets:
            with suppress(OSError):
                # socket.socket.shutdown and not the method of SSLSocket, which would change state
                # that the reading thread uses.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def until_over(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            if self.is_over():
                raise Rejected("took too long")
            yield chunk


class _Running:
    """Runs a timer for the duration of a ``with`` block."""

    def __init__(self, timer: threading.Timer) -> None:
        self._timer = timer

    def __enter__(self) -> None:
        # If no thread can be started, only the limits of each step apply.
        with suppress(RuntimeError):
            self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()


def _coded(answer: Any) -> tuple[str, Iterator[bytes]]:
    """Return the encoding of a response body, and the chunks as they are received."""
    if answer.is_stream_consumed:
        # A transport made for tests returns a body that is already read and decoded.
        return "identity", iter([answer.content])
    return answer.headers.get("content-encoding", "").strip().lower(), answer.iter_raw()


def _body(encoding: str, chunks: Iterator[bytes], max_bytes: int) -> bytes:
    """Return the decoded body. Its decoded size is limited, whatever ``Content-Length`` says."""
    if encoding in {"gzip", "x-gzip"}:
        chunks = _unzipped(chunks, max_bytes)
    elif encoding not in {"identity", ""}:
        raise Rejected("an encoding that was not asked for")
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) > max_bytes:
            raise Rejected("too large")
    return bytes(body)


# A name and a comment in the header, and the trailer (RFC 1952 §2.3).
_GZIP_OVERHEAD = 4_096


def _unzipped(chunks: Iterator[bytes], max_bytes: int) -> Iterator[bytes]:
    """Decompress gzip, each chunk to at most one byte more than ``max_bytes``."""
    unzip = zlib.decompressobj(wbits=31)
    received = 0
    try:
        for chunk in chunks:
            yield unzip.decompress(chunk, max_bytes + 1)
            received += len(chunk)
            # Headers and empty blocks decompress to nothing and may be endless, so received bytes
            # are limited as well.
            if unzip.unconsumed_tail or received > max_bytes + _GZIP_OVERHEAD:
                raise Rejected("too large")
            if unzip.unused_data:
                raise Rejected("it goes on after its end")
    except zlib.error:
        raise Rejected("no gzip") from None
    # Without any bytes the body is empty, with gzip as well.
    if received and not unzip.eof:
        raise Rejected("cut short")
