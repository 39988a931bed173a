"""What an error advises to write is accepted when it is written."""

import ast
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest

import jwt_middleware as front
from tests.support.odd_values import odd_values
from tests.support.short_form import SECRET
from tests.test_every_option import every_case, outcome

NAMES = {name: getattr(front, name) for name in front.__all__}

# Advice about the machine, which a test cannot follow, and about options beside this one.
ELSEWHERE = re.compile(r"Secret\.from_env|KeyFile|@requires|\.\.\.")


def advised(said: str, option: str) -> Iterator[Any]:
    """Yield the values that an error says to write, as far as they are whole expressions."""
    for text in re.findall(r"(?:\bwrite|\bsuch as) (.+)", said):
        ends = [met.start() for met in re.finditer(r",? (?:or|for|with|in)\b|[;:,]", text)]
        for end in (*ends, len(text)):
            candidate = text[:end].removeprefix(f"{option}=")
            if not ELSEWHERE.search(candidate) and is_expression(candidate):
                yield eval(candidate, dict(NAMES))
                break


def is_expression(text: str) -> bool:
    """Tell whether text is an expression of literals and names of the front door."""
    try:
        tree = ast.parse(text, mode="eval")
    except SyntaxError:
        return False
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return names <= {*NAMES, "str", "dict", "print"}


async def is_accepted(name: str, option: str, value: Any, complaint: str) -> bool:
    """Tell whether advice helps: as the value, as a part of it, or as the thing itself."""
    if type(value).__name__ == name:
        return True
    names = [{value: "x"}] if isinstance(value, str) else []
    for each in (value, [value], {"x": value}, *names):
        said = await outcome(name, option, each)
        # Another option may be wrong beside it, which is another complaint.
        if said is None or subject(said) != subject(complaint):
            return True
    return False


def subject(said: str) -> str:
    """Return what a message is about: all before the value."""
    return re.split(r"[ =:(\[]", said, maxsplit=1)[0]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.parametrize(("name", "option"), list(every_case()), ids=lambda each: each)
async def test_what_an_error_advises_is_accepted(
    name: str, option: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the option was set to before."""
    caplog.set_level(logging.CRITICAL)
    monkeypatch.setenv("x", SECRET.decode())
    useless: list[tuple[str, Any]] = []
    followed: set[str] = set()
    for odd in odd_values():
        if option == "app" and callable(odd):
            continue
        said = await outcome(name, option, odd) or ""
        for value in advised(said, option):
            if repr(value) not in followed:
                followed.add(repr(value))
                if not await is_accepted(name, option, value, said):
                    useless.append((said[:200], value))

    assert useless == []


def test_advice_is_found_in_a_sentence() -> None:
    """The first expression after the word, and none that names what is not there."""
    assert list(advised("x=1 must be a list, such as ['a']", "x")) == [["a"]]
    assert list(advised("x='' must be known: write 'a', 'b' or 'c'", "x")) == ["a"]
    assert list(advised("x=1 is wrong: write x=['a'], or leave it out", "x")) == [["a"]]
    assert list(advised("x=1: write KeyFile('a')", "x")) == []
    assert list(advised("x=1: write something else", "x")) == []
