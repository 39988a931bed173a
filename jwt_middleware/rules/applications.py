"""How the routers of other projects read a request, where the decoded path does not say it all.

Each router was compared with the guard (``tests/routers``). What is not listed here matches whole
segments of the decoded path, below its mount point, and with regard to case.
"""

import string
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote

Step = Callable[[str], str]
"""Returns what one kind of router makes of a path, which is then one more reading of it."""

Segments = tuple[str | None, ...]
"""Segments of a path; ``None`` for one that no name stands for."""


class Fold(Protocol):
    """Gives one spelling to all paths that a router takes for the same."""

    def __call__(self, segments: Segments, *, is_whole: bool) -> Segments:
        """Return that spelling.

        :param is_whole: whether the last segment is the end of the path, or more may follow.
        """
        ...


@dataclass(frozen=True, slots=True)
class Router:
    """How one project's router differs from matching whole segments of the decoded path."""

    steps: tuple[Step, ...] = ()
    fold: Fold | None = None
    ignores_mount_point: bool = False
    """Whether it matches the whole path, ``root_path`` or ``SCRIPT_NAME`` included."""
    at_mount_point: str | None = None
    """What it takes the mount point itself for, besides ``/``."""
    matches_raw_path: bool = False
    """Whether it matches the path as it was sent, before escapes are decoded."""
    root_header: str | None = None
    """A header that it puts in front of the path, and that a client can send."""
    method_parameter: str | None = None
    """A parameter of the query that it takes for the method."""


@dataclass(frozen=True, slots=True)
class Front:
    """What a dispatcher may put in front of a path because of the host that a client names."""

    prefix: str
    """Begins with a slash and does not end with one."""
    mount_point: str = ""
    """Where the dispatcher's application is mounted: the prefix goes behind it."""


def fold_case(segments: Segments, *, is_whole: bool) -> Segments:  # noqa: ARG001 - a Fold
    """Return segments in one case."""
    return _each(in_one_case, segments)


def _each(fold: Callable[[str], str], segments: Segments) -> Segments:
    return tuple(segment if segment is None else fold(segment) for segment in segments)


def in_one_case(segment: str) -> str:
    """Return one spelling for all that a regular expression without regard to case matches."""
    return segment.lower() if segment.isascii() else "".join(map(_folded, segment))


def _folded(letter: str) -> str:
    # Dotted capital I is the one letter that `re` compares with ASCII and casefold() does not.
    folded = "i" if letter == "\u0130" else letter.upper().casefold()
    # To `re`, a letter that folds to several is still one letter: no two others may equal it.
    return folded if len(folded) == 1 else f"\0{folded}\0"


_UNDERSCORES = str.maketrans(string.punctuation, "_" * len(string.punctuation))


def fold_for_cherrypy(segments: Segments, *, is_whole: bool) -> Segments:
    """Return segments as CherryPy looks a handler up: every punctuation mark is ``_``."""
    found = _each(_punctuation, segments)
    return _without_index(found) if is_whole else found


def fold_for_turbogears(segments: Segments, *, is_whole: bool) -> Segments:
    """Return segments as TurboGears looks a method up: no extension, quoted, then as CherryPy."""
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
    # Both serve the method "index" of an object for the object itself.
    while segments and segments[-1] == "index":
        segments = segments[:-1]
    return segments


def without_extension(path: str) -> str:
    """Cut what stands after the last dot of the last segment, as TurboGears does."""
    before, _, last = path.rstrip("/").rpartition("/")
    # A name of dots alone is no file; what was cut to one dot would be read as a dot segment.
    has_extension = "." in last and last.strip(".") != ""
    return f"{before}/{last.rpartition('.')[0]}" if has_extension else path


def without_view_marks(path: str) -> str:
    """Cut ``@@`` in front of a segment, by which Pyramid's traversal names a view."""
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
"""By the package that an application's class is from."""


class Application:
    """What a face knows of the application that it stands in front of. Compared by identity."""

    def __init__(
        self,
        packages: Iterable[str] = (),
        mount_points: Iterable[str] = (),
        maybe_mount_points: Iterable[str] = (),
        fronts: Iterable[Front] = (),
        *,
        paths_are_whole: bool = True,
    ) -> None:
        """
        :param packages: the package of each framework inside.
        :param mount_points: the ``root_path`` of each application inside, which it strips itself.
        :param maybe_mount_points: those that something inside strips, which may be what a request
            reaches or not.
        :param fronts: what dispatchers inside may put in front of a path, by the host.
        :param paths_are_whole: whether the server's path includes the mount point, as in ASGI and
            not in WSGI.
        """
        routers = [MEASURED[name] for name in dict.fromkeys(packages) if name in MEASURED]
        self.is_measured = bool(routers)
        """Whether a framework inside was recognised."""
        self.mount_points = tuple(mount_points)
        self.prefixes = tuple(dict.fromkeys((*self.mount_points, *maybe_mount_points)))
        """All that may come off a path inside."""
        self.fronts = tuple(dict.fromkeys(fronts))
        self.paths_are_whole = paths_are_whole
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
        """Whether more of a request than its method and path decides where it goes."""
        places = (self.mount_points, self.prefixes, self.fronts)
        self.facts = (tuple(routers), *places, paths_are_whole)
        """All of it as a value, equal for two applications that read a request alike."""


UNKNOWN = Application()
"""An application of which nothing is known."""
