"""An integration whose framework is not installed says what to install."""

import subprocess
import sys

import pytest

FRAMEWORKS = {
    "django": ["asgiref", "django"],
    "drf": ["rest_framework"],
    "django_endpoints": ["django"],
    "fastapi": ["fastapi"],
    "fastapi_endpoints": ["fastapi"],
    "fastapi_users": ["fastapi"],
    "flask": ["flask"],
    "flask_endpoints": ["flask"],
    "flask_users": ["flask"],
    "starlette": ["starlette"],
}

# None in sys.modules makes an import fail as that of a missing module does.
PROGRAM = """
import sys
sys.modules.update(dict.fromkeys(sys.argv[2:]))
import jwt_middleware
__import__("jwt_middleware.integrations." + sys.argv[1])
"""


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_the_import_fails_with_a_sentence(name: str) -> None:
    """Also where another package of the framework is looked for first."""
    command = [sys.executable, "-c", PROGRAM, name, *FRAMEWORKS[name]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    last = done.stderr.strip().rpartition("\n")[2]
    assert last.startswith(f"ImportError: jwt_middleware.integrations.{name} needs ")
    assert "pip install " in last
