"""Grasps that the tests write and read."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from grasp.formats import Grasps


def rigid(count, rng):
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, :3, :3] = Rotation.random(count, rng).as_matrix()
    poses[:, :3, 3] = rng.normal(0, 0.1, (count, 3))
    return poses


@pytest.fixture
def grasps(rng):
    """Seven grasps with all fields known, best first."""
    return Grasps(
        poses=rigid(7, rng),
        gripper="panda",
        object_file="meshes/Mug/grüner Becher.obj",
        object_scale=0.0268,
        energy=np.sort(rng.normal(size=7)),
        success_probability=-np.sort(-rng.uniform(size=7)),
        success=rng.uniform(size=7) < 0.5,
        width=rng.uniform(0, 0.08, 7),
        in_collision=np.arange(7) >= 5,
        failure=np.array(["", "dropped", "", "missed", "", "collision", ""]),
        mass=0.13,
        friction=0.7,
        center_of_mass=rng.normal(0, 0.01, 3),
        object_sha256="ab" * 32,
        sampler={"weights": "panda", "seed": 0, "steps": 15},
        protocol="1",
        tool_center_point=np.array([0, 0, 0.1034]),
        reason="7 of the 200 were kept",
    )
