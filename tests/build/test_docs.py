"""What the README and the docs say is so."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from jwt_middleware.endpoint_errors import endpoint_refusals
from jwt_middleware.errors import refusals

ROOT = Path(__file__).parents[2]
OTHERS = ["README.md", "CONTRIBUTING.md", "tests/README.md"]
PAGES = [*(ROOT / name for name in OTHERS), *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)
BLOCKS = [
    pytest.param(code, id=f"{page.relative_to(ROOT)}-{number}")
    for page in PAGES
    for number, code in enumerate(BLOCK.findall(page.read_text(encoding="utf-8")))
]


@pytest.mark.slow
@pytest.mark.parametrize("code", BLOCKS)
def test_a_code_block_runs(code: str) -> None:
    """As it stands, in a process of its own."""
    apps = ["django.contrib.contenttypes", "django.contrib.auth"]
    settings = "from django.conf import settings; import django; "
    settings += (
        f"settings.configure(ROOT_URLCONF=__name__, INSTALLED_APPS={apps}); django.setup()\n"
    )
    source = settings + code if "django" in code else code
    env = {**os.environ, "JWT_SECRET": "a secret of at least thirty-two bytes"}

    done = subprocess.run(
        [sys.executable, "-c", source], env=env, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr


def test_every_code_has_its_row() -> None:
    """The table of errors is that of the source, in its order."""
    rows = re.findall(
        r"^\| `(\w+)` \| (\d+) \| (.*) \|$", (ROOT / "docs/errors.md").read_text(), re.MULTILINE
    )

    every = [*refusals(), *endpoint_refusals()]
    assert rows == [(kind.code, str(kind.status), kind.public) for kind in every]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_link_leads_somewhere(page: Path) -> None:
    """Every relative link names a file."""
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))

    assert all((page.parent / link).exists() for link in links)


def test_importing_the_package_imports_no_framework_and_no_client() -> None:
    """Nor the HTTP client, which the first fetch imports."""
    wanted = ["starlette", "fastapi", "flask", "django", "httpx", "redis", "sqlalchemy"]
    code = f"import sys, jwt_middleware; print(*set({wanted}) & set(sys.modules))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == []


def test_a_namesake_that_is_installed_is_warned_of(tmp_path: Path) -> None:
    """Another distribution has the same import name."""
    metadata = tmp_path / "jwt_middleware_x-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: jwt-middleware\nVersion: 1\n")
    metadata.rename(tmp_path / "jwt_middleware-1.dist-info")

    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys; sys.path.append({str(tmp_path)!r}); import jwt_middleware",
        ],
        capture_output=True,
        text=True,
        check=True,
    )

    assert "has the same import name" in done.stderr
