"""Spellings of requests, from a grammar and a seed: the same numbers give the same requests."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

from tests.routers.handlers import HANDLERS

SEED = 20_260
MOUNT = "/api"

# What stands for a slash, a dot and a semicolon to one reader or another.
SLASHES = [b"//", b"///", b"%2F", b"%2f", b"%252F", b"%25252f", b"\\", b"%5C", b"%5c", b"%255C"]
SLASHES += [
    b"/%2F",
    b"\xef\xbc\x8f",
    b"%EF%BC%8F",
    b"%C0%AF",
    b"%c0%2f",
    b"%u2215",
    b"/;/",
    b"/%3B/",
]
DOTS = [b"/./", b"/../", b"/x/../", b"/%2e/", b"/%2E%2e/", b"/.%2e/", b"/%252e%252E/", b"/..;/"]
DOTS += [b"/..%3Bx/", b"\\..\\", b"/%C0%AE%C0%AE/", b"/.../", b"/. ./", b"/%2e%2e%2f", b"/..%5c"]
PARAMETERS = [
    b";",
    b";x=1",
    b"%3B",
    b"%3bx=1",
    b"%253B",
    b";/",
    b";.",
    b";%2e%2e",
    b";a=/b",
    b",x=1",
]
CONTROLS = [b"%00", b"%0A", b"%0a", b"%0D", b"%0d%0A", b"%09", b"%20", b"%7F", b"%1b", b"%C2%85"]
CONTROLS += [
    b"%2500",
    b"%250A",
    b"%E2%80%A8",
    b"%C2%A0",
    b"%EF%BB%BF",
    b"%E2%80%8B",
    b"%0b",
    b"%1f",
]
NO_UTF8 = [b"%FF", b"%ff%FE", b"\xff", b"\xe9", b"%E2%80", b"%ED%A0%80", b"%C0%80", b"%F5%80%80%80"]
MARKS = [b"?", b"%3F", b"%3f", b"%253F", b"#", b"%23", b"%2523", b"?x=/admin", b"#/admin", b"%3Fx#"]
MARKS += [
    b"%",
    b"%%",
    b"%2",
    b"%zz",
    b"%25",
    b"+",
    b"%2B",
    b"~",
    b"*",
    b":",
    b"@",
    b"!",
    b"$",
    b"|",
]
ENDINGS = [
    b"/",
    b"//",
    b"%2F",
    b"/.",
    b"/..",
    b"/%2e",
    b"/;",
    b".json",
    b".html",
    b"/index",
    b"%20",
]
ENDINGS += [b"/*", b"/%", b"%0A", b"%00.css", b";.css", b"/x.css", b"~", b"/.", b"\\", b"%5C", b"?"]
BEGINNINGS = [
    b"/",
    b"//",
    b"http://testserver",
    b"http://testserver/docs/..",
    b"//testserver",
    b".",
]
BEGINNINGS += [
    b"/docs",
    b"/docs/..",
    b"/docs/..%2f",
    b"/sub",
    b"/sub/..",
    b"/api",
    b"/api/",
    b"/api/api",
]
BEGINNINGS += [
    b"/API",
    b"%2F",
    b"\\",
    b"/%2F",
    b";",
    b"/;x",
    b"/public/api",
    b"/docs/api",
    b"/apix/api",
]
WHOLE = [b"*", b"", b"/", b"//", b"/*", b"%2A", b"?", b"#", b"testserver:80", b"http://testserver"]
WHOLE += [
    b"admin",
    b"api",
    b"/api",
    b"/apiadmin",
    b"/api;/admin",
    b"/orgs/",
    b"/orgs//members",
    b" ",
    b".",
]
WHOLE += [b"/@@admin", b"/@@users", b"/admin/@@users", b"/ADMIN", b"/Admin/users"]
WHOLE += [b"/index", b"/admin/index", b"/admin/users.json", b"/me.json", b"/m%65", b"/ad-min"]
WHOLE += [b"/admin%2Fusers", b"/docs%2Fprivate", b"/docs/a#/../private", b"/v1_0/report-pdf"]
WHOLE += [b"/subsecret", b"/subopen", b"/admin/users/", b"/docs/api/admin"]

METHODS = [
    "post",
    "Get",
    "HEAD",
    "OPTIONS",
    "BREW",
    "PUT",
    "DELETE",
    "PATCH",
    "head",
    "dELETE",
    "TRACE",
]
METHODS += [
    "CONNECT",
    "QUERY",
    "POST",
    "WEBSOCKET",
    "PROPFIND",
    "GET ",
    "G\u00c9T",
    "",
    "PROXY",
    "ANY",
]

EXTRA_HEADERS: tuple[tuple[str, str], ...] = (
    ("X-HTTP-Method-Override", "DELETE"),
    ("X-HTTP-Method", "POST"),
    ("X-Method-Override", "GET"),
    ("X-Original-URL", "/admin"),
    ("X-Rewrite-URL", "/admin"),
    ("X-Original-URI", "/docs/a"),
    ("X-Forwarded-Prefix", "/api"),
    ("X-Forwarded-Path", "/docs"),
    ("X-Script-Name", "/admin"),
    ("X-Vhm-Root", "/admin"),
    ("X-Vhm-Root", "/docs"),
    ("X-Forwarded-Method", "GET"),
    ("Upgrade", "websocket"),
    ("Host", "evil/docs"),
)


@dataclass(frozen=True)
class Spelling:
    """One request, as a client writes it."""

    method: str
    target: bytes
    header: tuple[str, str] | None = None


Change = Callable[[random.Random, bytes], bytes]


def _place(rng: random.Random, target: bytes) -> int:
    return rng.randint(0, len(target))


def _insert(pieces: list[bytes]) -> Change:
    def change(rng: random.Random, target: bytes) -> bytes:
        place = _place(rng, target)
        return target[:place] + rng.choice(pieces) + target[place:]

    return change


def _for_slash(pieces: list[bytes]) -> Change:
    def change(rng: random.Random, target: bytes) -> bytes:
        places = [i for i, byte in enumerate(target) if byte == ord("/")]
        if not places:
            return target
        place = rng.choice(places)
        return target[:place] + rng.choice(pieces) + target[place + 1 :]

    return change


def _escape(rng: random.Random, target: bytes) -> bytes:
    """Escape one character, once to three times, in upper or lower hex."""
    if not target:
        return target
    place = rng.randrange(len(target))
    escaped = escaped_byte(target[place], rng.randint(1, 3), upper=rng.random() < 0.5)
    return target[:place] + escaped + target[place + 1 :]


def escaped_byte(byte: int, times: int, *, upper: bool) -> bytes:
    digits = f"{byte:02X}" if upper else f"{byte:02x}"
    return ("%" + "25" * (times - 1) + digits).encode()


def _recase(rng: random.Random, target: bytes) -> bytes:
    place = _place(rng, target)
    return target[:place] + target[place:].swapcase()


def _confuse(rng: random.Random, target: bytes) -> bytes:
    """Write a letter as one that folds or normalises to it."""
    for letter, other in rng.sample(
        [("s", "\u017f"), ("i", "\u0131"), ("a", "\uff41"), ("k", "\u212a")], 4
    ):
        if letter.encode() in target:
            piece = "".join(f"%{byte:02X}" for byte in other.encode()).encode()
            return target.replace(letter.encode(), piece, 1)
    return target


def _drop(rng: random.Random, target: bytes) -> bytes:
    place = _place(rng, target)
    return target[:place] + target[place + 1 :]


CHANGES: list[Change] = [
    _for_slash(SLASHES),
    _for_slash(DOTS),
    _insert(PARAMETERS),
    _insert(CONTROLS),
    _insert(NO_UTF8),
    _insert(MARKS),
    _escape,
    _escape,
    _recase,
    _confuse,
    _drop,
    lambda rng, target: target + rng.choice(ENDINGS),
    lambda rng, target: rng.choice(BEGINNINGS) + target,
    lambda rng, target: target.removeprefix(b"/"),
]


def bases() -> list[tuple[str, bytes]]:
    """Return an honest method and target for each handler."""
    return [
        ((handler.methods or ("GET",))[0], target.encode())
        for handler in HANDLERS
        for target in handler.targets
    ]


def _systematic() -> Iterator[Spelling]:
    """Every single step away from an honest request."""
    for (method, target), other in product(bases(), [None, *METHODS]):
        yield Spelling(other if other is not None else method, target)
    for (method, target), header in product(bases(), EXTRA_HEADERS):
        yield Spelling(method, target, header)
    for target, method in product(WHOLE, ["GET", "OPTIONS", "POST"]):
        yield Spelling(method, target)
    for method, target in bases():
        for changed in _changed_once(target):
            yield Spelling(method, changed)


def _changed_once(target: bytes) -> Iterator[bytes]:
    yield from (piece + target for piece in BEGINNINGS)
    yield from (target + piece for piece in [*ENDINGS, *PARAMETERS, *CONTROLS, *MARKS, *NO_UTF8])
    for place, byte in enumerate(target):
        for times, upper in ((1, True), (2, False), (3, True)):
            yield target[:place] + escaped_byte(byte, times, upper=upper) + target[place + 1 :]
        if byte == ord("/"):
            yield from (target[:place] + piece + target[place + 1 :] for piece in [*SLASHES, *DOTS])


def _random(rng: random.Random) -> Spelling:
    method, target = rng.choice(bases())
    for _ in range(rng.randint(1, 4)):
        target = rng.choice(CHANGES)(rng, target)
    if rng.random() < 0.15:
        method = rng.choice(METHODS)
    return Spelling(method, target, rng.choice(EXTRA_HEADERS) if rng.random() < 0.1 else None)


def spellings(count: int, seed: int = SEED) -> list[Spelling]:
    """Return ``count`` distinct spellings: all single steps first, then random walks."""
    found = dict.fromkeys(_systematic())
    rng = random.Random(seed)
    while len(found) < count:
        found[_random(rng)] = None
    return list(found)[:count]


def sample(count: int, out_of: int, seed: int = SEED) -> list[Spelling]:
    """Return ``count`` of the first ``out_of`` spellings, spread over all of them.

    Those that are written out as a whole are always among them.
    """
    always = [Spelling("GET", target) for target in WHOLE]
    chosen = random.Random(seed).sample(spellings(out_of), count)
    return list(dict.fromkeys([*always, *chosen]))[:count]
