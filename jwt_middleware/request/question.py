"""A request that nobody sent, to ask what would become of it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Question:
    """The view of a method, a path and maybe a token."""

    method: str
    path: str
    token: str | None = None
    scheme: str = "http"
    host: str | None = None
    client: str | None = None

    @property
    def is_websocket(self) -> bool:
        return self.method == "WEBSOCKET"

    def headers(self, name: str) -> list[str]:
        is_asked_for = name == "authorization" and self.token is not None
        return [f"Bearer {self.token}"] if is_asked_for else []

    def cookies(self, name: str) -> list[str]:
        return []

    def query(self, name: str) -> list[str]:
        return []


@dataclass(frozen=True, slots=True)
class Explanation:
    """What decides a request, and what would come back. ``str()`` tells it."""

    method: str
    path: str
    rules: tuple[str, ...]
    """The rule of each reading of the path, the path as sent first."""
    asks: tuple[str, ...]
    """What they ask of a principal beyond a valid token."""
    outcome: str

    def __str__(self) -> str:
        lines = [f"{self.method} {self.path}"]
        lines += [f"  falls under  {rule}" for rule in self.rules]
        lines += [f"  asks for     {requirement}" for requirement in self.asks]
        return "\n".join([*lines, f"  comes to     {self.outcome}"])
