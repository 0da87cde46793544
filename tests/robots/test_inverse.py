"""Inverse kinematics: solutions reach their poses, and poses out of reach have none."""

from __future__ import annotations

import pytest
import torch

from grasp.robots import inverse_kinematics, load_robot
from pcdiff.errors import InputError


def generator():
    return torch.Generator().manual_seed(3)


@pytest.mark.parametrize(("name", "analytic"), [("panda", True), ("panda", False), ("ur5e", False)])
def test_solutions_reach_the_pose(name, analytic):
    if analytic:
        pytest.importorskip("frankik")
    arm = load_robot(name)
    poses = arm.grasp_poses(arm.kinematics.random(20, generator()))
    solved = inverse_kinematics(arm, poses, generator(), 16, analytic)
    assert solved.found.any(dim=1).sum() >= 18
    reached = arm.grasp_poses(solved.q)
    error = (reached - poses[:, None]).abs().amax(dim=(-1, -2))
    assert error[solved.found].max() < 2e-3
    assert arm.within_limits(solved.q)[solved.found].all()
    assert solved.q[~solved.found].isnan().all()


def test_a_pose_out_of_reach_has_no_solution():
    arm = load_robot("panda")
    pose = torch.eye(4, dtype=torch.float64)
    pose[0, 3] = 1.5
    for analytic in (False, None):
        assert not inverse_kinematics(arm, pose[None], generator(), 4, analytic).found.any()


def test_what_cannot_be_asked_is_refused():
    arm, pose = load_robot("ur5e"), torch.eye(4)[None]
    with pytest.raises(InputError, match="the arm ur5e has no analytic inverse kinematics"):
        inverse_kinematics(arm, pose, generator(), analytic=True)
    with pytest.raises(InputError, match="tries must be at least 1, got 0"):
        inverse_kinematics(arm, pose, generator(), 0)
