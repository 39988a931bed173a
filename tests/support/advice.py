"""What an error advises to write, read out of its sentence."""

import ast
import re
from collections.abc import Iterator
from typing import Any

import jwt_middleware as front

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


def subject(said: str) -> str:
    """Return what a message is about: all before the value."""
    return re.split(r"[ =:(\[]", said, maxsplit=1)[0]
