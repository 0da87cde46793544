"""Labels from several machines, here two nodes of a Ray cluster on one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from datasets.labels import label_folder
from pcdiff.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = Path("grasps") / "panda"


def test_two_machines_make_the_labels_of_one(labelled, a_set, tmp_path):
    """The same files to the last bit, from two nodes at once."""
    pytest.importorskip("ray", reason="needs Ray, the extra `ray`")
    folder = shutil.copytree(a_set, tmp_path / "set")
    catalogue = json.loads((folder / "catalogue.json").read_text())
    catalogue["objects"] = catalogue["objects"][:2]
    (folder / "catalogue.json").write_text(json.dumps(catalogue))
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    os.mkfifo(meeting / "pipe")
    done = subprocess.run(
        [sys.executable, "-m", "tests.labels.ray_cluster", folder, meeting],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert len({path.name for path in meeting.iterdir()} - {"pipe"}) == 2
    made = {path.name: path.read_bytes() for path in (folder / OUTPUT).glob("*.h5")}
    assert set(made) == {f"{each['name']}.h5" for each in catalogue["objects"]}
    whole = {path.name: path.read_bytes() for path in (labelled[0] / OUTPUT).glob("*.h5")}
    assert made.items() <= whole.items()


def test_without_ray_one_sentence_says_what_to_install(a_set, settings, tmp_path, monkeypatch):
    folder = shutil.copytree(a_set, tmp_path / "set")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"Ray is not installed here: .*pcdiff-grasp\[ray\]"):
        label_folder(folder, settings, cluster="local")
