"""Kinematics against pinocchio, published Denavit-Hartenberg parameters and finite differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from grasp.robots import load_robot, robot_from_urdf, shipped_robots
from grasp.robots.loading import SHIPPED
from pcdiff.errors import InputError
from pcdiff.manifolds.se3 import SE3

MIXED = """
<robot name="mixed">
  <link name="world"/><link name="cart"/><link name="post"/><link name="boom"/><link name="tool"/>
  <link name="jaw"><collision><geometry><box size="0.02 0.1 0.04"/></geometry></collision></link>
  <joint name="rail" type="prismatic"><parent link="world"/><child link="cart"/>
    <origin xyz="0 0.1 0.2" rpy="0.1 0 0"/><axis xyz="1 1 0"/><limit lower="-1" upper="2"/></joint>
  <joint name="weld" type="fixed"><parent link="cart"/><child link="post"/>
    <origin xyz="0 0 0.3" rpy="0 0.4 0"/></joint>
  <joint name="swing" type="continuous"><parent link="post"/><child link="boom"/>
    <origin xyz="0.2 0 0"/><axis xyz="0 0 2"/></joint>
  <joint name="grip" type="prismatic"><parent link="boom"/><child link="jaw"/>
    <origin xyz="0 0.3 0"/><axis xyz="0 1 0"/><limit lower="0.01" upper="0.04"/></joint>
  <joint name="end" type="fixed"><parent link="boom"/><child link="tool"/>
    <origin xyz="0.5 0 0" rpy="0 0 0.3"/></joint>
</robot>
"""


@pytest.fixture
def mixed(tmp_path):
    (tmp_path / "mixed.urdf").write_text(MIXED)
    return tmp_path / "mixed.urdf"


def random(arm, count, seed=0):
    return arm.kinematics.random(count, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("name", "tip"), [("panda", "panda_hand"), ("ur5e", "tool0")])
def test_poses_and_jacobians_are_those_of_pinocchio(name, tip):
    pin = pytest.importorskip("pinocchio")
    arm = load_robot(name)
    model = pin.buildModelFromUrdf(str(SHIPPED / f"{name}.urdf"))
    data, frame, mount = model.createData(), model.getFrameId(tip), pin.SE3(arm.T_tip_grasp)
    q = random(arm, 20)
    poses, jacobians = arm.grasp_jacobian(q)
    for each, pose, jacobian in zip(q.numpy(), poses, jacobians, strict=True):
        at_tip = pin.computeFrameJacobian(model, data, each, frame, pin.LOCAL)
        pin.framesForwardKinematics(model, data, each)
        assert np.abs((data.oMf[frame] * mount).homogeneous - pose.numpy()).max() < 1e-12
        assert np.abs(mount.inverse().action @ at_tip - jacobian.numpy()).max() < 1e-12
    assert (np.abs(model.lowerPositionLimit - arm.kinematics.lower.numpy()) < 1e-9).all()
    assert (np.abs(model.velocityLimit - arm.kinematics.velocity.numpy()) < 1e-9).all()


def denavit_hartenberg(q, rows, modified):
    """The product of the transforms of published parameters (a, d, α)."""
    pose = np.eye(4)
    for angle, (a, d, alpha) in zip(q, rows, strict=True):
        turn, shift, twist = np.eye(4), np.eye(4), np.eye(4)
        turn[:2, :2] = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
        turn[2, 3], shift[0, 3] = d, a
        twist[1:3, 1:3] = [[math.cos(alpha), -math.sin(alpha)], [math.sin(alpha), math.cos(alpha)]]
        pose = pose @ (twist @ shift @ turn if modified else turn @ shift @ twist)
    return pose


def test_the_panda_has_its_published_parameters():
    h = math.pi / 2
    rows = [
        (0, 0.333, 0), (0, 0, -h), (0, 0.316, h), (0.0825, 0, h), (-0.0825, 0.384, -h), (0, 0, h),
        (0.088, 0, h),
    ]  # fmt: skip
    arm = load_robot("panda")
    flange = np.eye(4)
    flange[2, 3] = 0.107
    quarter = np.eye(4)
    quarter[:2, :2] = np.array([[1, -1], [1, 1]]) / math.sqrt(2)  # −π/4 to the hand, π/2 to x
    for q in random(arm, 5, 1).numpy():
        expected = denavit_hartenberg(q, rows, modified=True) @ flange @ quarter
        assert np.abs(arm.grasp_poses(torch.tensor(q)).numpy() - expected).max() < 1e-12


def test_the_ur5e_has_its_published_parameters():
    h = math.pi / 2
    rows = [
        (0, 0.1625, h), (-0.425, 0, 0), (-0.3922, 0, 0), (0, 0.1333, h), (0, 0.0997, -h),
        (0, 0.0996, 0),
    ]  # fmt: skip
    arm = load_robot("ur5e")
    for q in random(arm, 5, 1).numpy():
        expected = denavit_hartenberg(q, rows, modified=False) @ arm.T_tip_grasp
        assert np.abs(arm.grasp_poses(torch.tensor(q)).numpy() - expected).max() < 1e-9


def test_joints_that_slide_turn_without_limits_or_do_not_belong_to_the_arm(mixed):
    arm = robot_from_urdf(mixed, "tool", np.eye(4))
    assert arm.kinematics.names == ("rail", "swing")
    assert arm.kinematics.lower.tolist() == [-1, -math.inf]
    assert arm.kinematics.velocity.tolist() == [math.inf, math.inf]
    q = torch.tensor([0.7, 2.0], dtype=torch.float64)

    def about(axis, angle):
        skew = np.cross(np.eye(3), axis)
        return np.eye(3) + math.sin(angle) * skew + (1 - math.cos(angle)) * skew @ skew

    x, y, z = np.eye(3)
    cart = np.array([0, 0.1, 0.2]) + about(x, 0.1) @ np.array([1, 1, 0]) * 0.7 / math.sqrt(2)
    post = cart + about(x, 0.1) @ [0, 0, 0.3]
    boom = about(x, 0.1) @ about(y, 0.4)
    place = post + boom @ [0.2, 0, 0]
    boom = boom @ about(z, 2.0)
    pose = arm.grasp_poses(q).numpy()
    assert np.allclose(pose[:3, 3], place + boom @ [0.5, 0, 0], atol=1e-12)
    assert np.allclose(pose[:3, :3], boom @ about(z, 0.3), atol=1e-12)
    # The jaw rests at the lower limit of its joint, so that its box is around (0, 0.31, 0).
    middle = arm.links.places(arm.kinematics.frames(q)).mean(dim=0).numpy()
    assert np.allclose(middle, place + boom @ [0, 0.31, 0], atol=1e-12)


@pytest.mark.parametrize("name", [*shipped_robots(), "mixed"])
def test_jacobians_are_derivatives_of_the_retraction(name, mixed):
    arm = robot_from_urdf(mixed, "tool", np.eye(4)) if name == "mixed" else load_robot(name)
    q = random(arm, 4)
    poses, jacobian = arm.grasp_jacobian(q)
    frames = arm.kinematics.frames(q)
    places = arm.spheres.places(frames)
    points = arm.kinematics.point_jacobians(frames, places, arm.spheres.frame)
    step, space = 1e-6, SE3(0.1)
    for joint in range(arm.joints):
        there, back = q.clone(), q.clone()
        there[:, joint] += step
        back[:, joint] -= step
        change = space.local(poses, arm.grasp_poses(there))
        change = (change - space.local(poses, arm.grasp_poses(back))) / (2 * step)
        assert (change - jacobian[..., joint]).abs().max() < 1e-8
        moved = [arm.spheres.places(arm.kinematics.frames(each)) for each in (there, back)]
        assert ((moved[0] - moved[1]) / (2 * step) - points[..., joint]).abs().max() < 1e-8


def test_single_precision_is_close_to_double():
    arm = load_robot("panda")
    q = random(arm, 50)
    exact, rounded = arm.grasp_poses(q), arm.grasp_poses(q.float())
    assert rounded.dtype == torch.float32
    assert (exact - rounded).abs().max() < 2e-6


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("continuous", "floating"), "swing is floating"),
        (('lower="-1" upper="2"', 'lower="2" upper="-1"'), "lower limits of mixed must not be abo"),
        (
            ('<axis xyz="0 0 2"/>', '<axis xyz="0 0 1"/><mimic joint="rail"/>'),
            "but swing mimics another joint",
        ),
    ],
)
def test_an_arm_that_cannot_be_used_is_refused(mixed, change, complaint):
    mixed.write_text(MIXED.replace(*change))
    with pytest.raises(InputError, match=complaint):
        robot_from_urdf(mixed, "tool", np.eye(4))


def test_wrong_arguments_are_refused(mixed):
    with pytest.raises(InputError, match=r"must have the link 'hand', got the links world, cart"):
        robot_from_urdf(mixed, "hand", np.eye(4))
    with pytest.raises(InputError, match="no joint of the robot mixed moves the link 'world'"):
        robot_from_urdf(mixed, "world", np.eye(4))
    with pytest.raises(InputError, match="T_tip_grasp must be a pose"):
        robot_from_urdf(mixed, "tool", np.eye(3))
    with pytest.raises(InputError, match=r"joint rail .* home must be from -1 to 2, got 3"):
        robot_from_urdf(mixed, "tool", np.eye(4), home=[3.0, 0.0])
    with pytest.raises(InputError, match="home must be 2 finite numbers"):
        robot_from_urdf(mixed, "tool", np.eye(4), home=[3.0, 0.0, 0.0])
    with pytest.raises(InputError, match="there is no robot 'kuka': expected panda, ur5e"):
        load_robot("kuka")
    with pytest.raises(InputError, match="7 numbers, one per joint, got 6"):
        load_robot("panda").grasp_poses(torch.zeros(6))
