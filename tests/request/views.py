"""Requests, as far as a token source looks at them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from jwt_middleware.request.view import Sent, cookie_values

TOKEN = "eyJ.eyJ.c2ln"


@dataclass(frozen=True)
class View:
    """A request, as far as a source looks at it."""

    fields: Mapping[str, Sequence[str]] = field(default_factory=dict)
    parameters: Mapping[str, Sequence[str]] = field(default_factory=dict)
    is_websocket: bool = False
    method: str = "GET"
    path: str = "/"
    scheme: str = "https"
    host: str | None = None
    client: str | None = None
    sent: Sent = ("/", "", None)
    may_tunnel: bool = False

    def headers(self, name: str) -> list[str]:
        return list(self.fields.get(name, ()))

    def cookies(self, name: str) -> list[str]:
        return cookie_values(self.headers("cookie"), name)

    def query(self, name: str) -> list[str]:
        return list(self.parameters.get(name, ()))


def authorized(*headers: str) -> View:
    return View({"authorization": headers})


def cookies(*headers: str) -> View:
    return View({"cookie": headers})


def sockets(*headers: str) -> View:
    return View({"sec-websocket-protocol": headers}, is_websocket=True)
