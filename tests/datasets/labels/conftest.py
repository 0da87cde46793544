"""A small set of objects with exact parts, without and with labels."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from datasets.household import make_set, write_set
from datasets.labels import LabellingResult, Settings, label_folder
from grasp.grippers.gripper import load_gripper

FAMILIES = ["box", "bowl", "knob"]
COUNT = 12


@pytest.fixture(scope="session")
def settings() -> Settings:
    return Settings(load_gripper("panda"), COUNT, near_misses=0.25, seed=7)


@pytest.fixture(scope="session")
def a_set(tmp_path_factory) -> Path:
    """Four objects of three families; read-only."""
    folder = tmp_path_factory.mktemp("sets") / "set"
    write_set(folder, make_set(4, 0, FAMILIES), {"maker": "tests"}, "MIT")
    return folder


@pytest.fixture(scope="session")
def labelled(a_set, settings) -> tuple[Path, LabellingResult]:
    """The same set with labels; read-only."""
    folder = a_set.with_name("labelled")
    shutil.copytree(a_set, folder)
    return folder, label_folder(folder, settings, workers=2)


@pytest.fixture
def copy(labelled, tmp_path) -> Path:
    """A copy of the labelled set."""
    return Path(shutil.copytree(labelled[0], tmp_path / "copy"))
