"""A full disk and the name of a file that is no UTF-8 cost no grasps."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from grasp.formats import Grasps, read_grasps, write_grasps

ODD = "mug \udcff.obj"
"""How Python represents the name `mug`, a space, the byte FF and `.obj`."""


@pytest.mark.parametrize("ending", ["json", "h5", "yaml"])
def test_a_full_disk_ends_in_one_sentence_in_every_format(tmp_path, ending):
    """HDF5 used to end the process with a segmentation fault when Python exited."""
    pytest.importorskip("resource")
    program = """
import resource, sys
import numpy as np
from grasp.formats import Grasps, write_grasps
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
grasps = Grasps(np.tile(np.eye(4), (3000, 1, 1)), gripper="panda")
try:
    write_grasps(sys.argv[1], grasps)
except ValueError as error:
    print(type(error).__name__, error)
"""
    path = tmp_path / f"g.{ending}"
    path.write_text("old")
    command = [sys.executable, "-c", program, path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"InputError cannot write {path}: File too large\n"
    assert [each.read_text() for each in tmp_path.iterdir()] == ["old"]


@pytest.mark.parametrize("ending", ["json", "h5", "yaml"])
def test_a_mesh_whose_name_is_no_utf_8_is_written_and_read(grasps, tmp_path, ending):
    odd = dataclasses.replace(grasps, object_file=ODD, sampler={"file": ODD}, reason=f"of {ODD}")
    path = tmp_path / f"g\udcfe.{ending}"
    write_grasps(path, odd)
    again = read_grasps(path)
    assert np.allclose(again.poses, grasps.poses, atol=1e-6)
    # Only JSON can spell half a character; elsewhere the byte is spelled out.
    name = ODD if ending == "json" else "mug \\xff.obj"
    assert (again.object_file, again.reason) == (name, f"of {name}")
    if ending != "yaml":  # it has no place for the sampler
        assert again.sampler == {"file": ODD}


def test_half_a_character_in_a_file_is_passed_on(grasps, tmp_path):
    """It used to be noticed only when the labelled grasps were written, after the physics."""
    write_grasps(tmp_path / "a.json", dataclasses.replace(grasps, sampler={"a": "\udc80"}))
    for ending in ("json", "h5"):
        write_grasps(tmp_path / f"b.{ending}", read_grasps(tmp_path / "a.json"))
        assert read_grasps(tmp_path / f"b.{ending}").sampler == {"a": "\udc80"}
    assert isinstance(grasps, Grasps)
