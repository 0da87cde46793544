"""The core installs from wheels alone: no compiler, on every platform and Python that we name.

`pip index versions` asks the registry what fits a platform, and downloads nothing.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.conftest import NO_REGISTRY

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"][
    "dependencies"
]
LINUX = ("manylinux_2_35", "manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014")
PLATFORMS = {
    "Linux x86_64": [f"{name}_x86_64" for name in LINUX],
    "Linux aarch64": [f"{name}_aarch64" for name in LINUX],
    "macOS arm64": ["macosx_14_0_arm64"],
    "Windows": ["win_amd64"],
}
MARKERS = {
    "Linux x86_64": {"sys_platform": "linux", "platform_machine": "x86_64"},
    "Linux aarch64": {"sys_platform": "linux", "platform_machine": "aarch64"},
    "macOS arm64": {"sys_platform": "darwin", "platform_machine": "arm64"},
    "Windows": {"sys_platform": "win32", "platform_machine": "AMD64"},
}
"""What a requirement's condition, such as `; sys_platform == "linux"`, may ask of a platform."""

PYTHONS = ("3.11", "3.12", "3.13", "3.14")


def versions(name: str, platform: str, python: str) -> list[str]:
    """The versions of a distribution that have a wheel for a platform and a Python."""
    command = [sys.executable, "-m", "pip", "index", "versions", name, "--only-binary=:all:"]
    command += ["--python-version", python]
    for tag in PLATFORMS[platform]:
        command += ["--platform", tag]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    listed = re.search(r"^Available versions: (.*)$", done.stdout, flags=re.MULTILINE)
    return listed[1].split(", ") if listed else []


@pytest.fixture(scope="module")
def registry() -> None:
    """Skip where there is no registry: then nothing can be said about its wheels."""
    if not versions("numpy", "Linux x86_64", "3.12"):
        pytest.skip(NO_REGISTRY)


@pytest.mark.extras
@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("python", PYTHONS)
def test_every_requirement_has_a_wheel(platform, python):
    machine = {**MARKERS[platform], "python_version": python}
    requirements = [
        each
        for each in map(Requirement, REQUIREMENTS)
        if each.marker is None or each.marker.evaluate(machine)
    ]

    def lacks(requirement: Requirement) -> bool:
        found = versions(requirement.name, platform, python)
        return not any(requirement.specifier.contains(each) for each in found)

    with ThreadPoolExecutor(4) as pool:
        lacking = list(pool.map(lacks, requirements))
    assert [each.name for each, bad in zip(requirements, lacking, strict=True) if bad] == []
