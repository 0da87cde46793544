"""The README's Python examples run as they stand, and its commands exist."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from grasp.cli import app as grasp_app
from pcdiff.cli import app as pcdiff_app

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.parametrize("source", EXAMPLES, ids=lambda source: source.splitlines()[0])
def test_example_runs(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(source, "README.md", "exec"), {})


def test_the_example_on_poses_reaches_its_goal():
    names: dict[str, object] = {}
    (source,) = (each for each in EXAMPLES if "AnnealedLangevin" in each)
    exec(compile(source, "README.md", "exec"), names)
    distance = names["space"].local(names["goal"], names["x"]).norm(dim=-1)  # type: ignore[attr-defined]
    assert distance.max() < 0.05


@pytest.mark.parametrize(("program", "app"), [("pcdiff", pcdiff_app), ("grasp", grasp_app)])
def test_every_command_is_named_and_exists(program, app):
    named = set(re.findall(rf"^{program} (\w+)", README, flags=re.MULTILINE))
    assert named == {command.callback.__name__ for command in app.registered_commands}


def test_every_make_target_that_is_named_exists():
    makefile = (Path(__file__).parents[1] / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, flags=re.MULTILINE))
    assert set(re.findall(r"make ([a-z]+)", README)) <= targets


@pytest.mark.parametrize("module", sorted(set(re.findall(r"python -m (datasets\.\w+)", README))))
def test_every_converter_that_is_named_exists(module):
    assert importlib.util.find_spec(module) is not None
