"""Readings of a path: every way in which an application could understand what was sent.

A guard and an application that understand one path differently is the largest class of holes in
this field (CVE-2019-9901, CVE-2021-29492, CVE-2023-27487 among many). So a path that anybody could
resolve to another place is refused, and for every other path the request must satisfy the rule of
each reading: percent-escapes decoded once more, a backslash taken as a slash, ``;parameters`` cut.
"""

import re
from collections.abc import Collection
from urllib.parse import unquote

from jwt_middleware.errors import PathInvalid

# An honest path has one reading, an odd one two or three. More than 32 is somebody's experiment.
MAX_READINGS = 32

# Working out readings is linear in the path, times their number: 2,048 characters, the length that
# old browsers stopped at, keeps the worst case under a millisecond. Ordinary paths have no limit.
MAX_UNUSUAL_LENGTH = 2_048

# Nothing that two readers could take differently: the whole path, once more, is its only reading.
_ORDINARY = re.compile(r"/[^%\\;\x00-\x1f\x7f-\x9f\ufffd\ud800-\udfff]*")

# RFC 9112 §3.2 has no place for controls in a path. U+FFFD and lone surrogates are what servers put
# where the bytes were no UTF-8, and frameworks disagree about those.
_UNREADABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ufffd\ud800-\udfff]")
_DOT_SEGMENT = re.compile(r"/\.{1,2}(?:/|$)")
_PARAMETERS = re.compile(r";[^/]*")
_METHOD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def readings(path: str, prefixes: Collection[str] = (), root: str = "") -> tuple[str, ...]:
    """Return every reading of ``path``, the path as sent first.

    :param path: as the wrapped application receives it; empty means ``/``.
    :param prefixes: mount points that the application may strip, each giving one more reading.
    :param root: the server's mount point, where it stands in the path and not before it.
    :raises PathInvalid: if the path cannot be read with certainty.
    """
    if path == "*":
        # OPTIONS * (RFC 9112 §3.2.4) is no path, but Flask and Bottle serve it as one.
        return ("*", "/*")
    if not path:
        return ("/",)
    found = [path] if _ORDINARY.fullmatch(path) else _closure(path)
    if root:
        found += [_after(reading, root) for reading in found if root in reading]
    for reading in found:
        if "/." in reading and _DOT_SEGMENT.search(reading):
            raise PathInvalid("the path has a dot segment")
    if prefixes:
        found += [strip_prefix(reading, prefix) for reading in found for prefix in prefixes]
    return tuple(dict.fromkeys(found))


def _closure(path: str) -> list[str]:
    """Return ``path`` and all that the three transformations make of it, in any order."""
    if not path.startswith("/"):
        raise PathInvalid("the path does not begin with a slash")
    if len(path) > MAX_UNUSUAL_LENGTH:
        raise PathInvalid("an escaped path is too long")
    found = {path: None}
    waiting = [path]
    while waiting:
        reading = waiting.pop()
        if _UNREADABLE.search(reading):
            raise PathInvalid("the path has a control character or bytes that are no UTF-8")
        for other in _one_step(reading):
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


def normal_method(method: str) -> str:
    """Return a method in upper case.

    A server may pass ``post`` on, and a framework may run it as ``POST``.

    :raises PathInvalid: if it is not a token (RFC 9110 §9.1).
    """
    if not _METHOD.fullmatch(method):
        raise PathInvalid("the method is not a token")
    return method.upper()
