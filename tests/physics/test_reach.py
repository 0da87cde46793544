"""Straight approaches past known obstacles, and lifts against hand-computed mechanics."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from grasp.grippers.gripper import Gripper
from grasp.objects.object import Object
from grasp.physics import PROTOCOL, Conditions, Protocol
from grasp.physics.reach import APPROACH, approaches, lifts
from pcdiff.errors import InputError
from tests.physics.conftest import BOTH, box, hold

CUBE = box(0.03, 0.03, 0.03)
Block = tuple[tuple[float, float, float], tuple[float, float, float]]

# The hand approaches along +z and begins 25.9 mm behind its origin, which `hold` places 103.4 mm
# before the middle of the pads.
BACK = -0.1034 - 0.0259


def cube_and(*blocks: Block) -> Object:
    """The cube and blocks, each with the lower and the upper corner, as convex parts."""
    solids = [trimesh.creation.box((0.03, 0.03, 0.03))]
    solids += [trimesh.creation.box(bounds=block) for block in blocks]
    parts = tuple((np.array(s.vertices), np.array(s.faces, dtype=np.int64)) for s in solids)
    whole = trimesh.util.concatenate(solids)
    return Object.from_mesh(np.array(whole.vertices), np.array(whole.faces), parts=parts)


def behind(z: float, thickness: float, y: float = 0.0) -> Block:
    """A bar across the way of the hand, which ends at a height z."""
    return (-0.2, y - 0.01, z - thickness), (0.2, y + 0.01, z)


@pytest.mark.parametrize(
    ("blocks", "free"),
    [
        ((), True),
        ((behind(BACK - 0.005, 0.01),), False),  # just behind the hand
        ((behind(BACK - 0.047, 0.001),), False),  # thinner than the distance of two checks
        ((behind(BACK - APPROACH + 0.002, 0.05),), False),  # at the very start of the way
        ((behind(BACK - APPROACH + 0.0005, 0.05),), True),  # an overlap that is tolerated
        ((behind(BACK - APPROACH - 0.002, 0.05),), True),  # behind the start of the way
        ((behind(BACK - 0.05, 0.01, y=0.045),), True),  # the hand is 63 mm thick
        ((behind(BACK - 0.05, 0.01, y=0.038),), False),
        ((((-0.2, -0.2, 0.03), (0.2, 0.2, 0.04)),), True),  # beyond the cube
        ((((0.041, -0.02, -0.1), (0.06, 0.02, -0.05)),), False),  # a finger is in it at the end
    ],
)  # fmt: skip
def test_obstacles_on_the_way(panda: Gripper, blocks: tuple[Block, ...], free: bool) -> None:
    assert approaches(cube_and(*blocks), panda, hold()[None]).tolist() == [free]


def test_a_hand_reaches_out_of_a_frame_only_along_its_opening(panda: Gripper) -> None:
    """Four walls and a lid surround the cube; the hand fits between them and enters from below."""
    a, b, low, top = 0.15, 0.16, -0.2, 0.25
    walls: list[Block] = [
        ((a, -b, low), (b, b, top)), ((-b, -b, low), (-a, b, top)),
        ((-b, a, low), (b, b, top)), ((-b, -b, low), (b, -a, top)),
        ((-b, -b, top), (b, b, top + 0.01)),
    ]  # fmt: skip
    framed = cube_and(*walls)
    turns = [Rotation.identity(), *(Rotation.from_euler("x", t, degrees=True) for t in (90, 180))]
    poses = []
    for turn in turns:
        pose = np.eye(4)
        pose[:3, :3] = turn.as_matrix()
        pose[:3, 3] = -0.1034 * pose[:3, 2]
        poses.append(pose)
    # From below, from the side through a wall, and from above: 229 mm fit below the lid.
    assert approaches(framed, panda, np.stack(poses)).tolist() == [True, False, True]
    assert approaches(CUBE, panda, np.stack(poses)).tolist() == [True, True, True]


def test_moving_object_and_hand_together_changes_nothing(panda: Gripper) -> None:
    # A bar blocks the way from below, and a post beside the way from above is 2 mm from the hand.
    obj = cube_and(behind(BACK - 0.03, 0.01), ((0.104, -0.02, 0.15), (0.12, 0.02, 0.3)))
    down = np.diag([1.0, -1.0, -1.0, 1.0])
    poses = np.stack([hold(), hold((0.005, 0, 0)), down @ hold(), down @ hold((0.005, 0, 0))])
    move = np.eye(4)
    move[:3, :3] = Rotation.from_euler("xyz", [0.3, -1.2, 2.0]).as_matrix()
    move[:3, 3] = [0.4, -0.7, 0.2]

    def moved(vertices: np.ndarray) -> np.ndarray:
        return vertices @ move[:3, :3].T + move[:3, 3]

    parts = tuple((moved(vertices), faces) for vertices, faces in obj.parts or ())
    other = Object.from_mesh(moved(obj.vertices), obj.faces, parts=parts)
    found = approaches(obj, panda, poses)
    assert found.tolist() == [False, False, True, False]
    assert approaches(other, panda, move @ poses).tolist() == found.tolist()


# --- Lifts ----------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("down", [(0, 0, 1), (0, 1, 0), (0, -1, 0), (0, -0.6, 0.8)])
def test_a_lift_succeeds_if_friction_bears_the_weight(
    panda: Gripper, down: tuple[float, float, float], protocol: Protocol
) -> None:
    # Coulomb: two pads bear at most 2·μ·F against the weight m·g.
    friction = 0.5
    limit = 2 * friction * protocol.finger_force(panda.max_force) / protocol.gravity
    for share, carried in ((0.9, True), (1.1, False)):
        given = Conditions(mass=share * limit, friction=friction)
        found = lifts(CUBE, panda, hold()[None], np.array(down, float), given, protocol=protocol)
        assert found.tolist() == [carried], share


@BOTH
def test_a_palm_below_the_object_bears_the_weight(panda: Gripper, protocol: Protocol) -> None:
    """A cube that is too heavy for friction slides onto the palm, still between the pads."""
    limit = 2 * 0.5 * protocol.finger_force(panda.max_force) / protocol.gravity
    given = Conditions(mass=1.1 * limit, friction=0.5)
    for height, carried in ((-1.0, True), (1.0, False)):
        down = np.array([0.0, 0.0, height])
        assert lifts(CUBE, panda, hold()[None], down, given, protocol=protocol)[0] == carried


@BOTH
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_along_the_closing_axis_the_fingers_bear_the_weight(
    panda: Gripper, sign: float, protocol: Protocol
) -> None:
    """The gear shares the weight between the drives, so they bear up to 2·F without friction."""
    limit = 2 * protocol.finger_force(panda.max_force) / protocol.gravity
    down = np.array([sign, 0.0, 0.0])
    for share, carried in ((0.9, True), (1.1, False)):
        given = Conditions(mass=share * limit, friction=0.3)
        found = lifts(CUBE, panda, hold()[None], down, given, protocol=protocol)
        assert found.tolist() == [carried], share


@BOTH
def test_gravity_is_in_the_frame_of_the_object(panda: Gripper, protocol: Protocol) -> None:
    """Gravity pulls the cube along the pads of one hand and into a pad of the other.

    The weight is between the limits of these two hands, 0.6·F and 2·F.
    """
    force = protocol.finger_force(panda.max_force)
    given = Conditions(mass=1.2 * force / protocol.gravity, friction=0.3)
    turned = hold()
    turned[:3, :3] = Rotation.from_euler("z", 90, degrees=True).as_matrix()
    poses = np.stack([hold(), turned])
    for down, carried in (((1, 0, 0), [True, False]), ((0, 1, 0), [False, True])):
        found = lifts(CUBE, panda, poses, np.array(down, float), given, protocol=protocol)
        assert found.tolist() == carried


@BOTH
def test_what_cannot_be_held_cannot_be_lifted(panda: Gripper, protocol: Protocol) -> None:
    poses = np.stack([hold((0.04, 0.0, 0.0)), hold((0.0, 0.1, 0.0)), hold()])
    found = lifts(CUBE, panda, poses, np.array([0.0, 0.0, -1.0]), protocol=protocol)
    assert found.tolist() == [False, False, True]


def test_the_conditions_of_a_lift_are_those_of_the_protocol(panda: Gripper) -> None:
    # A steel box, of 7850 kg/m³, needs some friction: m·g against 2·μ·F.
    large, down = box(0.07, 0.1, 0.06), np.array([0.0, 0.0, 1.0])
    mass = 7850 * 0.07 * 0.1 * 0.06
    friction = mass * PROTOCOL.gravity / (2 * PROTOCOL.finger_force(panda.max_force))
    for share, carried in ((0.9, False), (1.2, True)):
        given = Conditions(density=7850.0, friction=share * friction)
        assert lifts(large, panda, hold()[None], down, given).tolist() == [carried]
    assert lifts(large, panda, hold()[None], down).tolist() == [True]


def test_what_reach_refuses(panda: Gripper) -> None:
    down = np.array([0.0, 0.0, 1.0])
    cloud = Object.from_points(np.random.default_rng(0).normal(0, 0.03, (200, 3)))
    bent = hold()
    bent[0, 1] = 0.3
    for call in (approaches, lambda o, g, p: lifts(o, g, p, down)):
        with pytest.raises(InputError, match="is a point cloud, but physics needs a mesh"):
            call(cloud, panda, hold()[None])
        with pytest.raises(InputError, match="is not orthonormal"):
            call(CUBE, panda, bent[None])
        with pytest.raises(InputError, match="expected at most 100 m"):
            call(CUBE, panda, hold((0.0, 200.0, 0.0))[None])
        assert call(CUBE, panda, np.zeros((0, 4, 4))).shape == (0,)
    for length in (0.0, 0.999, 2.0, np.nan):
        with pytest.raises(InputError, match="direction of gravity must have the length 1, got"):
            lifts(CUBE, panda, hold()[None], length * down)
