"""Computes the readings of a path: every path that an application could route a request by.

Guards and applications that read one path differently are a common cause of bypasses
(CVE-2019-9901, CVE-2021-29492 and CVE-2023-27487, for example). So a path with dot segments or
unreadable characters is refused. For any other path the request must satisfy the rule of each
reading. Readings are the path with percent-escapes decoded once more, with a backslash as a slash,
and without ``;parameters``.
"""

import re
from collections.abc import Collection, Iterable
from typing import NamedTuple
from urllib.parse import unquote

from jwt_middleware.errors import PathInvalid
from jwt_middleware.rules.applications import Application, Front, Step

# An ordinary path has one reading and an unusual path two or three. More than 32 occur only in
# attacks, so such a path is refused.
MAX_READINGS = 32

# The cost of readings is the length of the path times their number. 2,048 characters, the limit of
# old browsers, keep the worst case under a millisecond. Ordinary paths have no limit.
MAX_UNUSUAL_LENGTH = 2_048

# An ordinary path has one reading for each prefix that a host may choose, however many hosts there
# are. An unusual path has several for each, and the work must not grow with both.
_MAX_READINGS_IN_FRONT = 1_024

# A path of these characters has itself as its only reading, because no two applications read it
# differently.
_ORDINARY = re.compile(r"/[^%\\;\x00-\x1f\x7f-\x9f\ufffd\ud800-\udfff]*")

# RFC 9112 §3.2 does not allow control characters in a path. Servers write U+FFFD or lone surrogates
# for bytes that are not UTF-8, and frameworks disagree about these, so both are refused.
_UNREADABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ufffd\ud800-\udfff]")
_DOT_SEGMENT = re.compile(r"/\.{1,2}(?:/|$)")
_PARAMETERS = re.compile(r";[^/]*")


def readings(
    path: str,
    prefixes: Collection[str] = (),
    roots: Collection[str] = (),
    steps: Collection[Step] = (),
) -> tuple[str, ...]:
    """Return every reading of ``path``; the first is the path as sent.

    :param path: the path that the wrapped application receives; empty means ``/``.
    :param prefixes: mount points that the application may strip; each adds one reading.
    :param roots: the server's mount point, if it may be inside the path instead of before it.
    :param steps: further changes that the application's router may make to a path.
    :raises PathInvalid: if the path cannot be read with certainty.
    """
    if path == "*":
        # The target of OPTIONS * (RFC 9112 §3.2.4) is not a path, but Flask and Bottle route it as
        # one, and Sanic as the root. So all three readings count.
        return ("*", "/*", "/")
    if not path:
        return ("/",)
    is_ordinary = not steps and _ORDINARY.fullmatch(path)
    found = [path] if is_ordinary else _closure(path, steps)
    if roots:
        found += [_after(one, root) for one in found for root in roots if root in one]
    for reading in found:
        if "/." in reading and _DOT_SEGMENT.search(reading):
            raise PathInvalid("the path has a dot segment")
    if prefixes:
        found += [strip_prefix(reading, prefix) for reading in found for prefix in prefixes]
    return tuple(dict.fromkeys(found))


def _closure(path: str, steps: Collection[Step]) -> list[str]:
    """Return ``path`` and all paths derived by the three transformations and ``steps``."""
    if not path.startswith("/"):
        raise PathInvalid("the path does not begin with a slash")
    if len(path) > MAX_UNUSUAL_LENGTH and not _ORDINARY.fullmatch(path):
        raise PathInvalid("an escaped path is too long")
    found = {path: None}
    waiting = [path]
    while waiting:
        reading = waiting.pop()
        if _UNREADABLE.search(reading):
            raise PathInvalid("the path has a control character or bytes that are not UTF-8")
        for other in (*_one_step(reading), *[step(reading) for step in steps]):
            if other not in found:
                found[other] = None
                waiting.append(other)
        if len(found) > MAX_READINGS:
            raise PathInvalid("the path has too many readings")
    return list(found)


def _one_step(path: str) -> tuple[str, ...]:
    return unquote(path), path.replace("\\", "/"), _PARAMETERS.sub("", path)


def strip_prefix(path: str, prefix: str) -> str:
    """Return ``path`` without ``prefix``, or unchanged where it is not below ``prefix``."""
    if not prefix or prefix == "/" or not path.startswith(prefix):
        return path
    rest = path[len(prefix) :]
    return (rest or "/") if rest[:1] in {"", "/"} else path


def with_fronts(
    every: tuple[str, ...], fronts: Collection[Front], prefixes: Collection[str]
) -> tuple[str, ...]:
    """Return readings, and each of them with what the host may put in front of it.

    All prefixes count, whatever host a request names: proxies and frameworks disagree about which
    of several headers names it.

    :param prefixes: other mount points that the dispatcher may be behind.
    :raises PathInvalid: if there are too many.
    """
    if not fronts:
        return every
    if len(every) > 1 and len(every) * len(fronts) > _MAX_READINGS_IN_FRONT:
        raise PathInvalid("the path has too many readings for so many hosts")
    inside = [path for path in every if path.startswith("/")]
    found = [other for path in inside for front in fronts for other in _with(path, front, prefixes)]
    return tuple(dict.fromkeys((*every, *found)))


def _with(path: str, front: Front, prefixes: Collection[str]) -> Iterable[str]:
    yield f"{front.prefix}{path}"
    for mount_point in (front.mount_point, *prefixes):
        below = strip_prefix(path, mount_point)
        if below is not path:
            yield f"{mount_point}{front.prefix}{below}"


class Place(NamedTuple):
    """The paths by which an application may route one request."""

    paths: tuple[str, ...]
    """Paths that the application may route by, the likeliest first."""
    roots: tuple[str, ...] = ()
    """The mount point, if the path does not begin with it or may not lose it."""
    whole: str | None = None
    """The path with its mount point, unless the application is known to strip that mount point."""


def place(
    path: str, mount_point: str, application: Application, prefixes: Collection[str] = ()
) -> Place:
    """Return the paths by which a mounted application may route a request.

    A client may set the mount point (Daphne takes it from a header), and frameworks treat unusual
    mount points differently. So the whole path also counts wherever a mount point is stripped.

    :param path: the path that the server passes on; under WSGI without the mount point.
    :param mount_point: ``root_path`` or ``SCRIPT_NAME``.
    :param prefixes: mount points that the operator has named.
    """
    root = mount_point.rstrip("/")
    if not root:
        return Place((path,))
    whole = path if application.paths_are_whole else f"{root}{path}"
    below = strip_prefix(path, root) if application.paths_are_whole else path
    if below is whole:
        return Place((path,), (root, mount_point))
    also = application.at_mount_point if below == "/" else ()
    # Starlette and others strip the mount point as written, so one with a slash at the end is cut
    # at another place than here. An application with its own mount point strips only that one.
    is_odd = root != mount_point or "//" in root or not root.startswith("/")
    own = application.mount_points
    if is_odd or (application.prefixes and root not in own) or application.ignores_mount_point:
        return Place((below, whole, *also), (mount_point,) if is_odd else ())
    return Place((below, *also), whole=None if root in own or root in prefixes else whole)


def refuse_fragment(raw_path: bytes) -> None:
    """Refuse a target with a fragment (RFC 9112 §3.2), which only some servers and routers remove.

    :raises PathInvalid: if the target has a fragment.
    """
    if b"#" in raw_path:
        raise PathInvalid("the target has a fragment")


def raw_segments(
    raw_path: bytes, path: str, mount_point: str, application: Application
) -> Iterable[tuple[str, ...]]:
    """Yield the segments of the path as sent: split first, then decoded, where the order matters.

    A router that matches the path as sent may not decode the segments at all.

    :param raw_path: the target of the request, before percent-escapes are decoded.
    :param path: the path that the server decoded from the target.
    :raises PathInvalid: if the segments cannot be read with certainty.
    """
    text = raw_path.partition(b"?")[0].decode("utf-8", "surrogateescape")
    is_another_spelling = "%2f" in text.lower() and unquote(text) == path
    # Otherwise a component in front has rewritten the path, and routers match the rewritten path.
    if not is_another_spelling and not application.matches_raw_path:
        return
    root = mount_point.rstrip("/")
    for each in dict.fromkeys((strip_prefix(text, root), text)):
        found = tuple(unquote(part, errors="surrogateescape") for part in segments(each))
        if any(_DOT_SEGMENT.search(f"/{part}") or _UNREADABLE.search(part) for part in found):
            raise PathInvalid("the target has a dot segment or a character that cannot be read")
        yield found
        if application.matches_raw_path:
            yield segments(each)


def _after(path: str, root: str) -> str:
    """Return the part of a path after a mount point, which may be anywhere in the path.

    A server that follows ASGI begins each path with its ``root_path``. Other servers, and targets
    without a slash, yield paths such as ``/apiadmin``, for which Quart serves ``/admin``. Litestar
    serves the part after the mount point wherever the mount point is inside the path.
    """
    rest = path.partition(root)[2]
    return rest if rest.startswith("/") else f"/{rest}"


def segments(path: str) -> tuple[str, ...]:
    """Return the segments of a path without empty ones, so that ``//a/`` is ``/a``."""
    return tuple(filter(None, path.split("/")))


def with_empty_segments(path: str) -> tuple[tuple[str, ...], ...]:
    """Return the segments for a router whose parameters match an empty segment, as in Falcon.

    There ``/orgs//members`` matches ``/orgs/{org}/members``. One slash at the end also counts as
    no segment, because other routers serve the same page with and without it.
    """
    if "//" not in path:
        return ()
    kept = tuple(path.lstrip("/").split("/"))
    if "" not in kept[:-1]:
        return ()
    return (kept, kept[:-1]) if not kept[-1] else (kept,)
