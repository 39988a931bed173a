"""How the routers of other projects read a request, where the decoded path does not say it all.

Each router was compared with the guard (``tests/routers``). What is not listed here matches whole
segments of the decoded path, below its mount point, and with regard to case.
"""

import string
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import quote

Step = Callable[[str], str]
"""Returns what one kind of router makes of a path, which is then one more reading of it."""

Fold = Callable[[str], str]
"""Returns one spelling for all segments that a router takes for the same."""


@dataclass(frozen=True, slots=True)
class Router:
    """How one project's router differs from matching whole segments of the decoded path."""

    steps: tuple[Step, ...] = ()
    fold: Fold | None = None
    ignores_mount_point: bool = False
    """Whether it matches the whole path, ``root_path`` or ``SCRIPT_NAME`` included."""
    matches_raw_path: bool = False
    """Whether it matches the path as it was sent, before escapes are decoded."""


def fold_case(segment: str) -> str:
    """Return one spelling for all that a regular expression without regard to case matches."""
    return segment.lower() if segment.isascii() else "".join(map(_folded, segment))


def _folded(letter: str) -> str:
    # Dotted capital I is the one letter that `re` compares with ASCII and casefold() does not.
    folded = "i" if letter == "\u0130" else letter.upper().casefold()
    # To `re`, a letter that folds to several is still one letter: no two others may equal it.
    return folded if len(folded) == 1 else f"\0{folded}\0"


_UNDERSCORES = str.maketrans(string.punctuation, "_" * len(string.punctuation))


def fold_punctuation(segment: str) -> str:
    """Return a segment as CherryPy looks a handler up: every punctuation mark is ``_``."""
    return segment.translate(_UNDERSCORES)


def fold_quoted_punctuation(segment: str) -> str:
    """Return a segment as TurboGears looks a method up: quoted first, then as CherryPy does it."""
    return fold_punctuation(quote(segment, safe="/~!$&'()*+,;=:@", errors="surrogatepass"))


def without_extension(path: str) -> str:
    """Cut what stands after the last dot of the last segment, as TurboGears does."""
    before, slash, last = path.rstrip("/").rpartition("/")
    return f"{before}{slash}{last.rpartition('.')[0]}" if "." in last else path


def without_index(path: str) -> str:
    """Cut a last segment ``index``, which CherryPy and TurboGears serve as the path before it."""
    before, slash, last = path.rstrip("/").rpartition("/")
    return before or "/" if slash and last == "index" else path


def without_view_marks(path: str) -> str:
    """Cut ``@@`` in front of a segment, by which Pyramid's traversal names a view."""
    return path.replace("/@@", "/") if "/@@" in path else path


MEASURED: dict[str, Router] = {
    "blacksheep": Router(fold=fold_case, matches_raw_path=True),
    "bottle": Router(),
    "cherrypy": Router((without_index,), fold_punctuation, ignores_mount_point=True),
    "django": Router(),
    "falcon": Router(ignores_mount_point=True),
    "fastapi": Router(),
    "flask": Router(),
    "litestar": Router(),
    "pyramid": Router((without_view_marks,)),
    "quart": Router(),
    "sanic": Router(ignores_mount_point=True, matches_raw_path=True),
    "starlette": Router(),
    "tg": Router((without_extension, without_index), fold_quoted_punctuation),
}
"""By the package that an application's class is from."""


class Application:
    """What a face knows of the application that it stands in front of. Compared by identity."""

    def __init__(
        self,
        packages: Iterable[str] = (),
        mount_points: Iterable[str] = (),
        *,
        paths_are_whole: bool = True,
    ) -> None:
        """
        :param packages: the package of each framework inside.
        :param mount_points: the ``root_path`` of each application inside, which it strips itself.
        :param paths_are_whole: whether the server's path includes the mount point, as in ASGI and
            not in WSGI.
        """
        routers = [MEASURED[name] for name in dict.fromkeys(packages) if name in MEASURED]
        self.is_measured = bool(routers)
        """Whether a framework inside was recognised."""
        self.mount_points = tuple(mount_points)
        self.paths_are_whole = paths_are_whole
        self.steps: tuple[Step, ...] = tuple(
            dict.fromkeys(step for router in routers for step in router.steps)
        )
        self.folds: tuple[Fold, ...] = tuple(
            dict.fromkeys(router.fold for router in routers if router.fold)
        )
        self.ignores_mount_point = any(router.ignores_mount_point for router in routers)
        self.matches_raw_path = any(router.matches_raw_path for router in routers)
        self.facts = (tuple(routers), self.mount_points, paths_are_whole)
        """All of it as a value, equal for two applications that read a request alike."""


UNKNOWN = Application()
"""An application of which nothing is known."""
