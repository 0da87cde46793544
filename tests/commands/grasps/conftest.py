"""The `grasp` command, run in this process, and grasps of a bar."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from trimesh.creation import box

from grasp import cli
from grasp.formats import Grasps, write_grasps
from grasp.objects.loading import load_object
from pcdiff import console


@pytest.fixture
def run(capsys):
    """Runs the command in this process; its exit code, standard output and standard error."""

    def command(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            console.run(cli.app, [str(argument) for argument in arguments])
        return SimpleNamespace(code=end.value.code, **capsys.readouterr()._asdict())

    return command


@pytest.fixture
def bar(tmp_path):
    """A bar of 3 x 3 x 12 cm in millimetres, with itself as its exact convex part."""
    solid = box((30.0, 30.0, 120.0))
    lines = ["o part_0"]
    lines += ["v {:g} {:g} {:g}".format(*vertex) for vertex in solid.vertices.tolist()]
    lines += ["f {} {} {}".format(*(np.array(face) + 1)) for face in solid.faces.tolist()]
    for name in ("bar.obj", "bar.parts.obj"):
        (tmp_path / name).write_text("\n".join(lines) + "\n")
    return tmp_path / "bar.obj"


def from_above(height):
    """A hand that points down, with its tool centre point on the bar's axis at a height."""
    pose = np.diag([1.0, -1.0, -1.0, 1.0])
    pose[2, 3] = height + 0.1034
    return pose


HOLDS, MISSES, COLLIDES = from_above(0.05), from_above(0.2), from_above(-0.02)


@pytest.fixture
def three(bar, tmp_path):
    obj = load_object(bar, unit="mm")
    path = tmp_path / "three.json"
    grasps = Grasps(
        np.stack([HOLDS, MISSES, COLLIDES]),
        gripper="panda",
        object_file="bar.obj",
        object_scale=0.001,
        object_sha256=obj.sha256,
        mass=0.1,
        friction=0.8,
    )
    write_grasps(path, grasps)
    return path
