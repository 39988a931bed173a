"""Describes how the routers of known frameworks read a request.

Each router was compared with the guard (``tests/routers``). Only differences are listed here. By
default, a router matches whole segments of the decoded path below its mount point, and case counts.
"""

import string
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote

Step = Callable[[str], str]
"""Returns the path that one kind of router derives from a path: one more reading."""

Segments = tuple[str | None, ...]
"""Segments of a path; ``None`` for a segment without a fixed name."""


class Fold(Protocol):
    """Maps all paths that a router treats as equal to one spelling."""

    def __call__(self, segments: Segments, *, is_whole: bool) -> Segments:
        """Return the common spelling of the segments.

        :param is_whole: ``True`` if the path ends after the last segment; ``False`` if more
            segments may follow.
        """
        ...


@dataclass(frozen=True, slots=True)
class Router:
    """How one framework's router differs from matching whole segments of the decoded path."""

    steps: tuple[Step, ...] = ()
    fold: Fold | None = None
    ignores_mount_point: bool = False
    """Whether the router matches the whole path, ``root_path`` or ``SCRIPT_NAME`` included."""
    at_mount_point: str | None = None
    """The path that the router uses for the mount point itself, besides ``/``."""
    matches_raw_path: bool = False
    """Whether the router matches the path as sent, before percent-escapes are decoded."""
    root_header: str | None = None
    """A header that the router puts in front of the path, and that a client can send."""
    method_parameter: str | None = None
    """A query parameter that overrides the method."""


@dataclass(frozen=True, slots=True)
class Front:
    """What a dispatcher may put in front of a path because of the host that a client names."""

    prefix: str
    """Begins with a slash and does not end with one."""
    mount_point: str = ""
    """Where the dispatcher's application is mounted: the prefix goes behind it."""


def fold_case(segments: Segments, *, is_whole: bool) -> Segments:  # noqa: ARG001 - a Fold
    """Return the segments with differences of case removed."""
    return _each(in_one_case, segments)


def _each(fold: Callable[[str], str], segments: Segments) -> Segments:
    return tuple(segment if segment is None else fold(segment) for segment in segments)


def in_one_case(segment: str) -> str:
    """Return one spelling for all texts that a case-insensitive regular expression matches."""
    return segment.lower() if segment.isascii() else "".join(map(_folded, segment))


def _folded(letter: str) -> str:
    # `re` takes dotted capital I for an ASCII "i", but casefold() does not, so it is mapped here.
    folded = "i" if letter == "\u0130" else letter.upper().casefold()
    # `re` compares single letters, so a letter that folds to several must not equal two others.
    return folded if len(folded) == 1 else f"\0{folded}\0"


_UNDERSCORES = str.maketrans(string.punctuation, "_" * len(string.punctuation))


def fold_for_cherrypy(segments: Segments, *, is_whole: bool) -> Segments:
    """Return the segments by which CherryPy finds a handler: every punctuation mark is ``_``."""
    found = _each(_punctuation, segments)
    return _without_index(found) if is_whole else found


def fold_for_turbogears(segments: Segments, *, is_whole: bool) -> Segments:
    """Return the segments by which TurboGears finds a method.

    TurboGears removes the extension, quotes the segments and then does as CherryPy.
    """
    last = segments[-1] if segments and is_whole else None
    if last is not None and "." in last:
        name = last.rpartition(".")[0]
        segments = (*segments[:-1], name) if name else segments[:-1]
    found = _each(_quoted_punctuation, segments)
    return _without_index(found) if is_whole else found


def _punctuation(segment: str) -> str:
    return segment.translate(_UNDERSCORES)


def _quoted_punctuation(segment: str) -> str:
    return _punctuation(quote(segment, safe="/~!$&'()*+,;=:@", errors="surrogatepass"))


def _without_index(segments: Segments) -> Segments:
    # CherryPy and TurboGears serve the method "index" of an object for the object itself, so a
    # path with "index" at the end must fall under the same rule as the path without it.
    while segments and segments[-1] == "index":
        segments = segments[:-1]
    return segments


def without_extension(path: str) -> str:
    """Return the path without the extension of its last segment, as TurboGears routes it."""
    before, _, last = path.rstrip("/").rpartition("/")
    # A name of dots alone has no extension: cut to one dot it would be read as a dot segment.
    has_extension = "." in last and last.strip(".") != ""
    return f"{before}/{last.rpartition('.')[0]}" if has_extension else path


def without_view_marks(path: str) -> str:
    """Return the path without the ``@@`` by which Pyramid's traversal marks a view."""
    return path.replace("/@@", "/") if "/@@" in path else path


MEASURED: dict[str, Router] = {
    "blacksheep": Router(fold=fold_case, matches_raw_path=True),
    "bottle": Router(),
    "cherrypy": Router(fold=fold_for_cherrypy, ignores_mount_point=True),
    "django": Router(),
    "falcon": Router(ignores_mount_point=True),
    "fastapi": Router(),
    "flask": Router(),
    "litestar": Router(),
    "pyramid": Router((without_view_marks,), root_header="x-vhm-root"),
    "quart": Router(at_mount_point="/ "),
    "sanic": Router(ignores_mount_point=True, matches_raw_path=True),
    "starlette": Router(),
    "tg": Router((without_extension,), fold_for_turbogears, method_parameter="_method"),
}
"""The measured routers, by the package that defines the application's class."""


class Application:
    """What an integration knows of the application that it wraps. Compared by identity."""

    def __init__(
        self,
        packages: Iterable[str] = (),
        mount_points: Iterable[str] = (),
        maybe_mount_points: Iterable[str] = (),
        fronts: Iterable[Front] = (),
        *,
        paths_are_whole: bool = True,
        fills_user: bool = False,
    ) -> None:
        """
        :param packages: the package of each framework inside.
        :param mount_points: the ``root_path`` of each application inside, which the application
            itself strips.
        :param maybe_mount_points: the mount points of objects inside that may or may not receive
            the request.
        :param fronts: prefixes that dispatchers inside may put in front of a path, by the host.
        :param paths_are_whole: whether the server's path includes the mount point: it does in
            ASGI, but not in WSGI.
        :param fills_user: whether a middleware inside writes its user into the user that the scope
            has, as Channels' AuthMiddleware does.
        """
        routers = [MEASURED[name] for name in dict.fromkeys(packages) if name in MEASURED]
        self.is_measured = bool(routers)
        """Whether a framework inside was recognised."""
        self.mount_points = tuple(mount_points)
        self.prefixes = tuple(dict.fromkeys((*self.mount_points, *maybe_mount_points)))
        """All mount points that may be stripped from a path inside."""
        self.fronts = tuple(dict.fromkeys(fronts))
        self.paths_are_whole = paths_are_whole
        self.fills_user = fills_user
        self.steps: tuple[Step, ...] = tuple(
            dict.fromkeys(step for router in routers for step in router.steps)
        )
        self.folds: tuple[Fold, ...] = tuple(
            dict.fromkeys(router.fold for router in routers if router.fold)
        )
        self.ignores_mount_point = any(router.ignores_mount_point for router in routers)
        self.matches_raw_path = any(router.matches_raw_path for router in routers)
        self.root_headers = tuple(router.root_header for router in routers if router.root_header)
        self.at_mount_point = tuple(
            router.at_mount_point for router in routers if router.at_mount_point
        )
        self.method_parameters = tuple(
            router.method_parameter for router in routers if router.method_parameter
        )
        self.reads_more = bool(self.root_headers or self.method_parameters)
        """Whether a header or a query parameter also decides the route."""
        places = (self.mount_points, self.prefixes, self.fronts)
        self.facts = (tuple(routers), *places, paths_are_whole)
        """All settings as one value, equal for two applications that read requests alike."""


UNKNOWN = Application()
"""The description of an unknown application."""
