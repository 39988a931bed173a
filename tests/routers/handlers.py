"""The handlers that every application has, and the rule that is written for each.

Each handler asks for a role of its own, so that whoever reaches it without that role has found a
weaker rule than the one written for it.
"""

from dataclasses import dataclass, replace
from typing import Literal

from jwt_middleware import Guard, has_role, optional, protect, public
from jwt_middleware.rules.rule import Rule
from jwt_middleware.testing import KeyPair

Access = Literal["public", "optional", "token", "role"]

PAIR = KeyPair(b"0123456789abcdefghijklmnopqrstuv", "HS256", None)


@dataclass(frozen=True)
class Handler:
    """One handler: where it stands and what its rule asks."""

    name: str
    path: str
    """As our patterns spell it; ``/**`` where a router takes a whole path."""
    access: Access = "role"
    methods: tuple[str, ...] | None = ("GET",)
    """``None``: the handler takes any method, and so does its rule."""
    examples: tuple[str, ...] = ()
    """What a client writes for it; the path itself where it has no hole."""

    @property
    def rule(self) -> Rule:
        methods = None if self.methods is None else list(self.methods)
        match self.access:
            case "public":
                return public(self.path, methods=methods)
            case "optional":
                return optional(self.path, methods=methods)
            case "token":
                return protect(self.path, methods=methods)
            case "role":
                return protect(self.path, methods=methods, requires=has_role(self.name))

    @property
    def targets(self) -> tuple[str, ...]:
        return self.examples or (self.path,)

    @property
    def weak(self) -> tuple[str | None, ...]:
        """``Authorization`` values with which nobody may reach this handler."""
        match self.access:
            case "public":
                return ()
            case "optional":
                return ("Bearer garbage",)
            case "token":
                return (None, "Bearer garbage")
            case "role":
                return (None, f"Bearer {token_without(self.name)}")


# In the order in which they are registered and their rules are written.
HANDLERS = (
    Handler("home", "/", "public"),
    Handler("feed", "/feed", "optional"),
    Handler("me", "/me", "token"),
    Handler("admin", "/admin"),
    Handler("users", "/admin/users"),
    Handler("create_user", "/admin/users", methods=("POST",)),
    Handler("user", "/admin/users/{id}", examples=("/admin/users/7", "/admin/users/zo%C3%AB")),
    Handler("drop_user", "/admin/users/{id}", methods=("DELETE",), examples=("/admin/users/7",)),
    Handler("below_admin", "/admin/**", examples=("/admin/a/b/c", "/admin/users/7/keys")),
    Handler("private_docs", "/docs/private"),
    Handler("docs_home", "/docs", "public"),
    Handler("docs", "/docs/**", "public", examples=("/docs/a/index.html",)),
    Handler("orgs", "/orgs", "public"),
    Handler("org", "/orgs/{org}", examples=("/orgs/acme",)),
    Handler("members", "/orgs/{org}/members", examples=("/orgs/acme/members",)),
    Handler("files_home", "/files"),
    Handler("files", "/files/**", examples=("/files/2026/report.v1.pdf",)),
    Handler("item", "/items/{number}", "public", examples=("/items/42",)),
    Handler("put_item", "/items/{number}", methods=("PUT",), examples=("/items/42",)),
    Handler("upload", "/upload", methods=("POST",)),
    Handler("hook", "/hook", methods=None),
    Handler("report", "/v1.0/report.pdf"),
    Handler("cafe", "/caf\u00e9", examples=("/caf%C3%A9",)),
    Handler("sub_open", "/sub/open", "public"),
    Handler("sub_secret", "/sub/secret"),
    Handler("page", "/{page}", "public", examples=("/about", "/admin.html")),
)
_TURNED: dict[Access, Access] = {
    "public": "role",
    "optional": "token",
    "token": "optional",
    "role": "public",
}
# The same handlers where what was open is protected, so that nothing hides behind an open rule.
TURNED_OVER = tuple(replace(handler, access=_TURNED[handler.access]) for handler in HANDLERS)
SUB = "/sub"
"""Where a second application is mounted inside the first."""
ANY_METHOD = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""What a router is told that wants a list."""

served: list[str] = []
"""The names of the handlers that ran; whoever asks clears it first."""


def build_guard(handlers: tuple[Handler, ...] = HANDLERS, *, case_sensitive: bool = True) -> Guard:
    return Guard(
        case_sensitive=case_sensitive,
        rules=[handler.rule for handler in handlers],
        key=PAIR.private,
        algorithms=["HS256"],
        issuer="https://a/",
    )


def token_without(role: str) -> str:
    """Return a good token with every role but one."""
    roles = [handler.name for handler in HANDLERS if handler.name != role]
    claims = {"iss": "https://a/", "sub": "mallory", "exp": 4_000_000_000, "roles": roles}
    return PAIR.sign(claims)


WITH_EVERY_ROLE = f"Bearer {token_without('')}"
