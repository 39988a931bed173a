"""The index of attacks is complete, and names only tests that are there."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
ATTACKS = TESTS / "attacks"
INDEX = ATTACKS / "INDEX.md"
CVE = re.compile(r"CVE-\d{4}-\d+")


def functions_of(tree: ast.Module) -> dict[str, str]:
    """Return the test functions of a module, each with its docstring and that of the module."""
    about = ast.get_docstring(tree) or ""
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {
        node.name: f"{about}\n{ast.get_docstring(node) or ''}"
        for node in found
        if node.name.startswith("test_")
    }


def every_test() -> Iterator[tuple[str, str, bool]]:
    """Yield the id of every test, what it says, and whether it is in the folder of attacks."""
    for file in sorted(TESTS.rglob("test_*.py")):
        name = file.relative_to(ROOT).as_posix()
        for test, says in functions_of(ast.parse(file.read_text(encoding="utf-8"))).items():
            yield f"{name}::{test}", says, file.parent == ATTACKS


EVERY = list(every_test())


def rows() -> list[str]:
    """Return the test of each row."""
    return re.findall(r"^\|.*`(tests/\S+)` \|$", INDEX.read_text(encoding="utf-8"), re.MULTILINE)


def test_every_attack_is_in_the_index() -> None:
    """Each test of the folder, and each elsewhere that names a CVE."""
    wanted = {name for name, says, is_attack in EVERY if is_attack or CVE.search(says)}

    assert wanted
    assert wanted - set(rows()) == set()


def test_every_row_names_a_test() -> None:
    """Once, and none that has been renamed or removed."""
    found = rows()
    text = INDEX.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("|") and "::" in line]

    assert set(found) - {name for name, _, _ in EVERY} == set()
    assert len(found) == len(set(found)) == len(lines)


def test_every_cve_that_a_test_names_is_named_in_its_row() -> None:
    """So that the index can be searched by it."""
    lines = INDEX.read_text(encoding="utf-8").splitlines()
    for name, says, _ in EVERY:
        for cve in CVE.findall(says):
            assert any(cve in line and f"`{name}`" in line for line in lines), (cve, name)


def test_a_cve_in_a_docstring_is_found() -> None:
    """That of the test, or that of its module."""
    source = '"""About CVE-2000-1."""\nasync def test_a() -> None: ...\ndef helper() -> None: ...'

    assert CVE.findall(functions_of(ast.parse(source))["test_a"]) == ["CVE-2000-1"]
    assert list(functions_of(ast.parse(source))) == ["test_a"]
