"""A real browser, as Debian installs it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

from tests.provider.real import lacking

PATIENCE = 60
"""Seconds that a page may take; a busy machine needs some."""

_FLAGS = """
    --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-dev-shm-usage
    --disable-background-networking --disable-component-update --disable-sync
"""


@contextmanager
def chromium(profile: Path) -> Iterator[Chrome]:
    """Run a browser for as long as the block lasts."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        lacking("chromium and chromedriver are not installed, and a browser is what this is about")
        return
    options = ChromeOptions()
    options.binary_location = program
    for flag in _FLAGS.split():
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={profile}")
    with Chrome(options, Service(driver)) as started:
        started.set_page_load_timeout(PATIENCE)
        started.set_script_timeout(PATIENCE)
        yield started
