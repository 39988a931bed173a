"""Writes docs/options.md, the reference of all options, out of the classes that have them."""

import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "options.md"

HEAD = """# Options

Every option of the guard, of an issuer and of its keys, and of what issues tokens. This page is
made from the code: `make fix` writes it again. `JWTMiddleware` and `JWTWSGIMiddleware` take the
options of `Guard`. Flask reads the same from `app.config`, as `JWT_RULES` and the like, and Django
from the dictionary `JWT_MIDDLEWARE`, in capital letters. A length of time is a number of seconds or
a `timedelta`.
"""


def page() -> str:
    """Return the text of the page."""
    from jwt_middleware import AdmittedIssuers, Guard, Issuer, ResolverOptions
    from jwt_middleware.endpoints import (
        JWKSEndpoint,
        LogoutEndpoint,
        MetadataEndpoint,
        RefreshEndpoint,
        RevocationEndpoint,
        TokenCookies,
    )
    from jwt_middleware.issuing import KeyRing, Minter, PublicKeyRing, TokenPairs
    from jwt_middleware.revocation import RevocationList
    from jwt_middleware.stores import SQLiteStore
    from jwt_middleware.stores.redis import RedisStore
    from jwt_middleware.stores.sql import SQLStore

    verifying = (Guard, Issuer, AdmittedIssuers, ResolverOptions)
    issuing = (KeyRing, PublicKeyRing, Minter, TokenPairs)
    endpoints = (
        JWKSEndpoint,
        MetadataEndpoint,
        RefreshEndpoint,
        RevocationEndpoint,
        LogoutEndpoint,
        TokenCookies,
    )
    return HEAD + "".join(
        map(
            _section,
            (*verifying, RevocationList, *issuing, *endpoints, SQLiteStore, SQLStore, RedisStore),
        )
    )


def _section(owner: type) -> str:
    from jwt_middleware.options import options_of

    columns = "| option | type | default | meaning |\n| --- | --- | --- | --- |\n"
    return f"\n## {owner.__name__}\n\n{columns}{''.join(map(_row, options_of(owner).values()))}"


def _row(option: Any) -> str:
    meaning = re.sub(r":(?:class|meth):`~?(?:[\w.]*\.)?(\w+)`", r"`\1`", option.meaning).replace(
        "``", "`"
    )
    meaning = meaning[:1].upper() + meaning[1:]
    cells = (f"`{option.name}`", f"`{_type(option.type)}`", _default(option), meaning)
    return f"| {' | '.join(each.replace('|', chr(92) + '|') for each in cells)} |\n"


def _type(annotation: Any) -> str:
    text = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    return re.sub(r"\b(?:\w+\.)+(\w+)", r"\1", text)


def _default(option: Any) -> str:
    from jwt_middleware.options import REQUIRED

    if option.default is REQUIRED:
        return "required"
    text = repr(option.default)
    return f"`{text if len(text) < 160 else f'{type(option.default).__name__}()'}`"


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    PAGE.write_text(page(), encoding="utf-8")
