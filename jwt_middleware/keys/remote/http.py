"""The only room that asks over the network. It knows nothing of policy.

One client for each fetch: a set is asked for every few minutes, so there is nothing to gain from an
open connection, and nothing to lose over a fork, a closed loop or a cookie.
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

from jwt_middleware.checks import check_flag, check_text, mapped
from jwt_middleware.errors import ConfigurationError
from jwt_middleware.forks import TinyLock, renew_after_fork
from jwt_middleware.keys.document import Rejected
from jwt_middleware.keys.remote.public_hosts import pinned

# A publisher that takes longer to connect is down; jose and Nimbus are near these.
CONNECT_SECONDS = 2.0
READ_SECONDS = 3.0

# What may be tried once more at once, by the names that httpx and its successor share. A timeout is
# not among them: the time is gone.
_WORTH_A_RETRY = frozenset({"ConnectError", "ReadError", "WriteError", "RemoteProtocolError"})

Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """What to ask, and how much of an answer to take."""

    url: str
    seconds: float
    """Time that it may take in all."""
    max_bytes: int
    """Size of the answer, decoded."""
    etag: str | None = None
    """Of the set that is known already (RFC 9110 §13.1.2)."""
    last_modified: str | None = None

    def headers(self) -> dict[str, str]:
        """Return the header fields that belong to it."""
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
    """What came back."""

    status: int
    headers: Headers = field(default_factory=dict)
    """With names in lower case."""
    body: bytes = b""


class Fetcher(Protocol):
    """Asks over the network; give your own where :class:`HTTPFetcher` does not fit."""

    def fetch(self, request: FetchRequest) -> FetchResponse:
        """Return the answer, whatever its status; never follow a redirect.

        Called from several threads, each time with its own request.

        :raises Exception: anything at all, if there is none.
        """
        ...


class HTTPFetcher:
    """Asks with httpx, which is imported at the first fetch, or with a client of yours."""

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
        :param client: an ``httpx.Client`` or ``httpx2.Client`` to ask with; it stays yours to
            close, and ``verify``, ``proxy`` and ``trust_env`` are its own affair.
        :param verify: what certificates are held against, as httpx takes it: an ``ssl.SSLContext``.
        :param proxy: the address of a proxy.
        :param trust_env: whether proxies and authorities of the environment count, as httpx reads
            them.
        :param headers: header fields to add, or what yields them at each fetch, such as a token
            that is read from a file.
        :param public_only: refuse a host of which any address is not public, and connect to the
            very address that was checked. Not together with a proxy, which resolves for itself.
        :raises ConfigurationError: for a value of another kind.
        """
        check_flag("trust_env", trust_env)
        check_flag("public_only", public_only)
        if client is not None and not callable(getattr(client, "stream", None)):
            raise ConfigurationError(f"client={client!r} is no client: write httpx.Client(...)")
        if not isinstance(verify, bool | str | ssl.SSLContext):
            raise ConfigurationError(
                f"verify={verify!r} must be an ssl.SSLContext, such as ssl.create_default_context()"
            )
        if proxy is not None:
            check_text("proxy", proxy, "http://proxy.example:3128")
        if headers is not None and not callable(headers):
            mapped("headers", headers, "{'X-Key': '...'}")
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
    def value(self) -> tuple[Hashable, ...]:
        """What it asks with, to be compared: objects are the same only if they are the very one."""
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
        """Return the answer, whatever its status; a broken connection is tried once more.

        :raises Rejected: if it is too large, too slow, or there is none.
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
        # The name of an exception's class says enough; its text may hold addresses and more.
        raise Rejected("took too long" if call.is_over() else f"no answer ({reason})")

    def _attempt(self, request: FetchRequest, call: "_Call") -> FetchResponse | str:
        """Return the answer, or the kind of failure."""
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
                # other answers nothing but the status and the fields is used.
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

        with self._lock:
            if self._settings["verify"] is True:
                # Reading the bundle of authorities costs milliseconds: once is enough.
                self._settings["verify"] = httpx.create_ssl_context(
                    trust_env=self._settings["trust_env"]
                )
        return httpx.Client(**self._settings)

    def close(self) -> None:
        """Cut off what is under way; its callers are told that there was no answer."""
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
        """Cut the connection when the time is up: httpx only bounds each step, not their sum."""
        timer = threading.Timer(seconds, self.cut)
        timer.daemon = True
        return _Running(timer)

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Take note of the connections that the client opens (an extension of httpcore)."""
        stream = info.get("return_value")
        if event.endswith(("connect_tcp.complete", "start_tls.complete")) and stream is not None:
            connection = stream.get_extra_info("socket")
            if connection is not None:
                self._sockets.append(connection)
            if self._is_cut:
                self.cut()

    def cut(self) -> None:
        """Wake whoever reads from the connections."""
        self._is_cut = True
        for connection in self._sockets:
            with suppress(OSError):
                # Not the method of a TLS socket, which would touch state that its reader uses.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def until_over(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            if self.is_over():
                raise Rejected("took too long")
            yield chunk


class _Running:
    """A timer for as long as a block lasts."""

    def __init__(self, timer: threading.Timer) -> None:
        self._timer = timer

    def __enter__(self) -> None:
        # Where there are no threads, the limits of each step are all there is.
        with suppress(RuntimeError):
            self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()


def _coded(answer: Any) -> tuple[str, Iterator[bytes]]:
    """Return the encoding of an answer's body, and the body as it comes."""
    if answer.is_stream_consumed:
        # A transport made for tests hands over a body that was read and decoded before.
        return "identity", iter([answer.content])
    return answer.headers.get("content-encoding", "").strip().lower(), answer.iter_raw()


def _body(encoding: str, chunks: Iterator[bytes], max_bytes: int) -> bytes:
    """Return the decoded body; what is counted is what comes out, not what is announced."""
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
    """Unfold gzip, never more than one byte beyond what is taken."""
    unzip = zlib.decompressobj(wbits=31)
    received = 0
    try:
        for chunk in chunks:
            yield unzip.decompress(chunk, max_bytes + 1)
            received += len(chunk)
            # Headers and empty blocks unfold to nothing, and may go on for ever.
            if unzip.unconsumed_tail or received > max_bytes + _GZIP_OVERHEAD:
                raise Rejected("too large")
            if unzip.unused_data:
                raise Rejected("it goes on after its end")
    except zlib.error:
        raise Rejected("no gzip") from None
    # No bytes at all are an empty body, which the encoding does not change.
    if received and not unzip.eof:
        raise Rejected("cut short")
