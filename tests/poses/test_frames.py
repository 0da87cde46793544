"""Converters of poses against Franka's URDF and the directions in which the fingers move."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from grasp.poses import frames
from pcdiff.errors import InputError


def pose(rotation, translation):
    matrix = rotation.as_matrix()
    transform = np.zeros((*matrix.shape[:-2], 4, 4))
    transform[..., :3, :3], transform[..., :3, 3], transform[..., 3, 3] = matrix, translation, 1
    return transform


def some_poses(count, rng):
    rotations = Rotation.random(count, rng)
    return pose(rotations, rng.normal(size=(count, 3)))


@pytest.mark.parametrize("frame", frames.FRAMES)
def test_converting_to_a_frame_and_back_gives_the_same_pose(frame):
    poses = some_poses(20, np.random.default_rng(0))
    back = frames.from_frame(frames.to_frame(poses, frame), frame)
    np.testing.assert_allclose(back, poses, atol=1e-15)


def test_panda_hand_closes_along_y_and_approaches_along_z():
    # In both frames the fingers close along the same direction of the world.
    T_object_grasp = some_poses(20, np.random.default_rng(1))
    T_object_hand = frames.to_frame(T_object_grasp, "panda_hand")
    np.testing.assert_allclose(T_object_hand[:, :3, 1], T_object_grasp[:, :3, 0], atol=1e-15)
    np.testing.assert_allclose(T_object_hand[:, :3, 2], T_object_grasp[:, :3, 2], atol=1e-15)
    np.testing.assert_allclose(T_object_hand[:, :3, 3], T_object_grasp[:, :3, 3], atol=1e-15)
    np.testing.assert_allclose(np.linalg.det(T_object_hand), 1)


def test_frames_match_the_chain_of_the_published_urdf():
    # panda_joint8: xyz 0 0 0.107; panda_hand_joint: rpy 0 0 -pi/4; then T_hand_grasp = R_z(pi/2).
    joint8 = pose(Rotation.identity(), [0, 0, 0.107])
    hand_joint = pose(Rotation.from_euler("xyz", [0, 0, -math.pi / 4]), [0, 0, 0])
    T_hand_grasp = pose(Rotation.from_euler("z", math.pi / 2), [0, 0, 0])
    T_world_link7 = some_poses(5, np.random.default_rng(2))
    T_world_flange = T_world_link7 @ joint8
    T_world_hand = T_world_flange @ hand_joint
    T_world_grasp = T_world_hand @ T_hand_grasp
    for frame, expected in (
        ("panda_hand", T_world_hand),
        ("panda_flange", T_world_flange),
        ("panda_link7", T_world_link7),
        ("gripper", T_world_grasp),
    ):
        found = frames.to_frame(T_world_grasp, frame)
        np.testing.assert_allclose(found, expected, atol=1e-12)
        back = frames.from_frame(expected, frame)
        np.testing.assert_allclose(back, T_world_grasp, atol=1e-12)


def test_fingertips_match_the_mujoco_model_of_the_panda():
    # The MuJoCo model of the arm puts the hand in link 7 at z = 0.107, quaternion (w, x, y, z) =
    # (0.9238795, 0, 0, -0.3826834), and its finger pads move along y of the hand.
    T_link7_hand = pose(Rotation.from_quat([0, 0, -0.3826834, 0.9238795]), [0, 0, 0.107])
    T_link7_grasp = frames.FRAMES["panda_link7"]
    pad_in_grasp = np.array([0.04, 0, 0.1034, 1])
    pad_in_hand = np.array([0, 0.04, 0.1034, 1])
    np.testing.assert_allclose(T_link7_grasp @ pad_in_grasp, T_link7_hand @ pad_in_hand, atol=1e-7)


def test_inverse_is_the_matrix_inverse():
    poses = some_poses(9, np.random.default_rng(3)).reshape(3, 3, 4, 4)
    np.testing.assert_allclose(frames.inverse(poses), np.linalg.inv(poses), atol=1e-14)


@pytest.mark.parametrize("approach", ["+x", "-x", "+y", "-y", "+z", "-z"])
@pytest.mark.parametrize("closing", ["+x", "-x", "+y", "-y", "+z", "-z"])
def test_axes_convert_our_approach_and_closing_axes(approach, closing):
    if approach[1] == closing[1]:
        with pytest.raises(InputError, match="perpendicular"):
            frames.axes(approach, closing)
        return
    transform = frames.axes(approach, closing)
    for ours, name in ((2, approach), (0, closing)):
        expected = np.zeros(3)
        expected["xyz".index(name[1])] = float(f"{name[0]}1")
        np.testing.assert_array_equal(transform[:3, ours], expected)
    assert np.linalg.det(transform) == pytest.approx(1)


def test_constants_are_read_only():
    with pytest.raises(ValueError, match="read-only"):
        frames.FRAMES["panda_hand"][0, 0] = 2


@pytest.mark.parametrize("name", ["z", "+w", "up", ""])
def test_an_unknown_axis_is_refused(name):
    with pytest.raises(InputError, match="approach axis"):
        frames.axes(name, "+x")


def test_an_unknown_frame_is_refused_with_a_list_of_known_frames():
    with pytest.raises(
        InputError, match="gripper, panda_hand, panda_flange, panda_link7, got 'tcp'"
    ):
        frames.to_frame(np.eye(4), "tcp")
