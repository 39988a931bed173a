"""Readings of a path: every way in which an application could understand what was sent.

A guard and an application that understand one path differently is the largest class of holes in
this field (CVE-2019-9901, CVE-2021-29492, CVE-2023-27487 among many). So a path that anybody could
resolve to another place is refused, and for every other path the request must satisfy the rule of
each reading: percent-escapes decoded once more, a backslash taken as a slash, ``;parameters`` cut.
"""

import re
from collections.abc import Collection, Iterable
from typing import NamedTuple
from urllib.parse import unquote

from jwt_middleware.errors import PathInvalid
from jwt_middleware.rules.applications import Application, Front, Step

# An honest path has one reading, an odd one two or three. More than 32 is somebody's experiment.
MAX_READINGS = 32

# Working out readings is linear in the path, times their number: 2,048 characters, the length that
# old browsers stopped at, keeps the worst case under a millisecond. Ordinary paths have no limit.
MAX_UNUSUAL_LENGTH = 2_048

# An ordinary path has one reading for each prefix that a host may choose, however many hosts there
# are. An odd one has several for each, and what is looked up must not grow with both.
_MAX_READINGS_IN_FRONT = 1_024

# Nothing that two readers could take differently: the whole path, once more, is its only reading.
_ORDINARY = re.compile(r"/[^%\\;\x00-\x1f\x7f-\x9f\ufffd\ud800-\udfff]*")

# RFC 9112 §3.2 has no place for controls in a path. U+FFFD and lone surrogates are what servers put
# where the bytes were no UTF-8, and frameworks disagree about those.
_UNREADABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ufffd\ud800-\udfff]")
_DOT_SEGMENT = re.compile(r"/\.{1,2}(?:/|$)")
_PARAMETERS = re.compile(r";[^/]*")


def readings(
    path: str,
    prefixes: Collection[str] = (),
    roots: Collection[str] = (),
    steps: Collection[Step] = (),
) -> tuple[str, ...]:
    """Return every reading of ``path``, the path as sent first.

    :param path: as the wrapped application receives it; empty means ``/``.
    :param prefixes: mount points that the application may strip, each giving one more reading.
    :param roots: the server's mount point, where it may be inside the path and not before it.
    :param steps: what else the application's router may make of a path.
    :raises PathInvalid: if the path cannot be read with certainty.
    """
    if path == "*":
        # OPTIONS * (RFC 9112 §3.2.4) is no path, but Flask and Bottle serve it as one, and Sanic as
        # the root.
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
    """Return ``path`` and all that the three transformations and ``steps`` make of it."""
    if not path.startswith("/"):
        raise PathInvalid("the path does not begin with a slash")
    if len(path) > MAX_UNUSUAL_LENGTH and not _ORDINARY.fullmatch(path):
        raise PathInvalid("an escaped path is too long")
    found = {path: None}
    waiting = [path]
    while waiting:
        reading = waiting.pop()
        if _UNREADABLE.search(reading):
            raise PathInvalid("the path has a control character or bytes that are no UTF-8")
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
    """Return ``path`` below ``prefix``; the path itself where it does not lie below."""
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
    """Where a request's path may lie for the application."""

    paths: tuple[str, ...]
    """Each a path that the application may route by: the likeliest first."""
    roots: tuple[str, ...] = ()
    """The mount point, where the path does not begin with it, or is not known to lose it."""
    whole: str | None = None
    """The path with its mount point, where an application is not known to route by it."""


def place(
    path: str, mount_point: str, application: Application, prefixes: Collection[str] = ()
) -> Place:
    """Return where a path may lie for an application that is mounted.

    A mount point may be a client's word (Daphne takes it from a header), and what frameworks make
    of one that is odd differs. So wherever it comes off, the whole path counts as well.

    :param path: as the server hands it over; under WSGI without the mount point.
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
    # Starlette and others strip the mount point as it is written: one that ends in a slash comes
    # off elsewhere than we cut it. An application with a mount point of its own goes by that alone.
    is_odd = root != mount_point or "//" in root or not root.startswith("/")
    own = application.mount_points
    if is_odd or (application.prefixes and root not in own) or application.ignores_mount_point:
        return Place((below, whole, *also), (mount_point,) if is_odd else ())
    return Place((below, *also), whole=None if root in own or root in prefixes else whole)


def refuse_fragment(raw_path: bytes) -> None:
    """Refuse a target with a fragment (RFC 9112 §3.2), which only some servers and routers cut off.

    :raises PathInvalid: for such a target.
    """
    if b"#" in raw_path:
        raise PathInvalid("the target has a fragment")


def raw_segments(
    raw_path: bytes, path: str, mount_point: str, application: Application
) -> Iterable[tuple[str, ...]]:
    """Yield the segments of a path as sent, split first and decoded after, where they differ.

    A router that goes by the path as sent may not decode them at all.

    :param raw_path: the target of the request, before escapes are decoded.
    :param path: what the server made of it.
    :raises PathInvalid: if they cannot be read with certainty.
    """
    text = raw_path.partition(b"?")[0].decode("utf-8", "surrogateescape")
    is_another_spelling = "%2f" in text.lower() and unquote(text) == path
    # Where it is none, something in front has rewritten the path, and routers go by that.
    if not is_another_spelling and not application.matches_raw_path:
        return
    root = mount_point.rstrip("/")
    for each in dict.fromkeys((strip_prefix(text, root), text)):
        found = tuple(unquote(part, errors="surrogateescape") for part in segments(each))
        if any(_DOT_SEGMENT.search(f"/{part}") or _UNREADABLE.search(part) for part in found):
            raise PathInvalid("the target has a dot segment or what cannot be read")
        yield found
        if application.matches_raw_path:
            yield segments(each)


def _after(path: str, root: str) -> str:
    """Return what stands behind a mount point, wherever that stands.

    A server that follows ASGI begins each path with its ``root_path``. Where another begins in the
    middle of a segment (``/apiadmin``, also what a server makes of a target without a slash), Quart
    serves ``/admin``, and wherever the mount point stands inside, Litestar serves what comes after.
    """
    rest = path.partition(root)[2]
    return rest if rest.startswith("/") else f"/{rest}"


def segments(path: str) -> tuple[str, ...]:
    """Return the segments of a path; empty ones do not count, so ``//a/`` is ``/a``."""
    return tuple(filter(None, path.split("/")))


def with_empty_segments(path: str) -> tuple[tuple[str, ...], ...]:
    """Return the segments for a router that fills holes with nothing, as Falcon does.

    There ``/orgs//members`` is ``/orgs/{org}/members``. One slash at the end is no empty segment:
    that is how others write the page itself.
    """
    if "//" not in path:
        return ()
    kept = tuple(path.lstrip("/").split("/"))
    if "" not in kept[:-1]:
        return ()
    return (kept, kept[:-1]) if not kept[-1] else (kept,)
