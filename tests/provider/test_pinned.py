"""What is installed for these tests is pinned, and the pins name no place of this machine."""

import json
from pathlib import Path

HERE = Path(__file__).parent


def test_every_package_has_one_version_and_a_digest() -> None:
    """The lock agrees with the manifest, and says nothing of where packages come from."""
    manifest = json.loads((HERE / "package.json").read_text())
    lock = json.loads((HERE / "package-lock.json").read_text())
    root, *packages = lock["packages"].values()

    assert root["dependencies"] == manifest["dependencies"]
    assert all(version[0].isdigit() for version in manifest["dependencies"].values())
    assert packages
    assert all("integrity" in package and "version" in package for package in packages)
    assert not any("resolved" in package for package in packages)
