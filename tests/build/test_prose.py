"""Docstrings, comments and messages of the package, and the documentation, name who acts."""

import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = sorted((ROOT / "jwt_middleware").rglob("*.py"))
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "SECURITY.md"])

# Words for an unnamed actor, and phrases that English has shorter ones for.
AVOIDED = re.compile(
    r"\b(?:nobody|whoever|whomever|whom|somebody|anybody|nowhere)\b"
    r"|(?<!there )(?<!There )\bis (?:no|none)\b(?!\s+(?:longer|more|less|later|older|different))"
    r"|\bin vain\b|\bfor good\b|\bat hand\b|\bheld against\b|\bgoes without\b",
    re.IGNORECASE,
)

# Names of test tokens, which users write in their tests.
NAMES = {"with a kid that is no text", "nobody"}


def prose_of(source: str) -> list[tuple[int, str]]:
    """Return the strings and comments of a module with their lines."""
    kinds = {tokenize.STRING, tokenize.COMMENT, getattr(tokenize, "FSTRING_MIDDLE", -1)}
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return [(token.start[0], token.string) for token in tokens if token.type in kinds]


@pytest.mark.parametrize("path", PACKAGE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_prose_of_a_module_is_plain(path: Path) -> None:
    """In its strings and comments; the names of variables are not looked at."""
    found = [
        (line, AVOIDED.findall(text))
        for line, text in prose_of(path.read_text("utf-8"))
        if AVOIDED.search(text) and text.strip("\"'") not in NAMES
    ]

    assert found == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_prose_of_a_page_is_plain(path: Path) -> None:
    """Outside its blocks of code and its quotations of code."""
    text = re.sub(r"```.*?```|`[^`]*`", "", path.read_text("utf-8"), flags=re.DOTALL)

    assert AVOIDED.findall(text) == []


def test_a_word_on_the_list_is_found() -> None:
    """In a docstring, a comment and an f-string; and not as the name of a variable."""
    source = '"""Whoever asks."""\n# nobody\nnobody = f"that is no {source}"\n'

    assert len([text for _, text in prose_of(source) if AVOIDED.search(text)]) == 3
