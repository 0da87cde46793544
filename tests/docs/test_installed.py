"""The wheel works outside the checkout, where nothing but its own files can be found."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.docs.test_examples import ROOT, blocks

pytestmark = pytest.mark.extras


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The programs of an environment that holds the wheel, and the dependencies of this one."""
    folder = tmp_path_factory.mktemp("installed")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
    subprocess.run(build, cwd=ROOT, check=True)
    (wheel,) = folder.glob("*.whl")
    environment = folder / "environment"
    venv.create(environment, with_pip=True, symlinks=True)
    programs = environment / ("Scripts" if sys.platform == "win32" else "bin")
    install = [programs / "python", "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*install, wheel], check=True)
    # The packages of this environment, but not its link to the checkout: a path that a .pth file
    # names is searched, the .pth files in it are not read.
    paths = {"base": environment, "platbase": environment}
    site = Path(sysconfig.get_path("purelib", vars={key: str(path) for key, path in paths.items()}))
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return programs


def output_of(*command: str | Path, folder: Path) -> str:
    """What a command prints, in a folder and an environment that know nothing of the checkout."""
    clean = {"PATH": "", "HOME": str(folder), "SYSTEMROOT": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=folder, env=clean, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_packages_are_those_of_the_wheel(installed, tmp_path):
    program = "import pcdiff, grasp; print(pcdiff.__file__); print(grasp.__file__)"
    files = output_of(installed / "python", "-c", program, folder=tmp_path).splitlines()
    assert all(Path(file).is_relative_to(installed.parent) for file in files)


def test_the_examples_of_the_readme_run(installed, tmp_path):
    (tmp_path / "examples.py").write_text(blocks(ROOT / "README.md"))
    output_of(installed / "python", "examples.py", folder=tmp_path)


def test_the_commands_run(installed, tmp_path):
    output_of(installed / "pcdiff", "sample", "--count", "1", "--points", "64", folder=tmp_path)
    assert (tmp_path / "out" / "sheet.png").is_file()
    (tmp_path / "box.py").write_text(
        "import trimesh; trimesh.creation.box((0.04, 0.06, 0.12)).export('box.obj')"
    )
    output_of(installed / "python", "box.py", folder=tmp_path)
    output_of(
        installed / "grasp", "sample", "box.obj", "--count", "5", "--output", "grasps.json",
        folder=tmp_path,
    )  # fmt: skip
    assert "of 5 grasps" in output_of(
        installed / "grasp", "simulate", "box.obj", "grasps.json", folder=tmp_path
    )
