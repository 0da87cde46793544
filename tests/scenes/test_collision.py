"""Collisions of the open gripper against closed forms, slow references and the physics."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import trimesh
from scipy.spatial import ConvexHull
from scipy.spatial.transform import Rotation

from grasp.grippers.gripper import Gripper, load_gripper
from grasp.objects.object import Object
from grasp.physics import PROTOCOL, Conditions, simulate
from grasp.physics import in_collision as in_collision_in_physics
from grasp.scenes.collision import (
    POINT_TOLERANCE,
    TOLERANCE,
    closing_width,
    in_collision,
    meets_box,
    meets_half_space,
)
from pcdiff.errors import InputError

CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)
GRIPPERS = ("panda", "robotiq_2f_85", "robotiq_2f_140")


def random_poses(count: int, spread: float, rng: np.random.Generator) -> np.ndarray:
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, :3, :3] = Rotation.random(count, rng=rng).as_matrix()
    poses[:, :3, 3] = rng.normal(0, spread, (count, 3))
    return poses


def around(panda: Gripper, *turns: tuple[str, float], shift: float = 0.0) -> np.ndarray:
    """A pose with the pads at the origin, rotated about it and then shifted along the hand's x."""
    pose = np.eye(4)
    for axes, angle in turns:
        pose[:3, :3] = pose[:3, :3] @ Rotation.from_euler(axes, angle).as_matrix()
    pose[:3, 3] = pose[:3, :3] @ (np.array([shift, 0, 0]) - panda.tool_center_point)
    return pose


def moved(poses: np.ndarray, points: np.ndarray, by: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return by @ poses, points @ by[:3, :3].T + by[:3, 3]


# --- Points ---------------------------------------------------------------------------------------


def depth_of_points(poses: np.ndarray, gripper: Gripper, points: np.ndarray, width: float):
    """Depth of the deepest point inside one of the hand's boxes, computed one pair at a time."""
    depths = []
    for pose in poses:
        local = [np.linalg.inv(pose) @ [*point, 1] for point in points]
        depths.append(
            max(
                (box.half_extents - np.abs(each[:3] - box.centre)).min()
                for box in gripper.boxes(width)
                for each in local
            )
        )
    return np.array(depths)


@pytest.mark.parametrize("name", GRIPPERS)
@pytest.mark.parametrize("share", [1.0, 0.4])
def test_points_agree_with_a_slow_loop(name: str, share: float, rng: np.random.Generator) -> None:
    gripper = load_gripper(name)
    width = share * gripper.stroke
    poses, points = random_poses(60, 0.08, rng), rng.normal(0, 0.05, (25, 3))
    depth = depth_of_points(poses, gripper, points, width)
    for tolerance in (0.0, POINT_TOLERANCE, 0.004):
        found = in_collision(poses, gripper, points, width, tolerance)
        assert 0.1 < found.mean() < 0.9
        assert (found == (depth > tolerance)).all()


def test_a_point_counts_once_it_is_as_deep_as_the_tolerance(panda: Gripper) -> None:
    # The pad of the open finger is the plane x = 0.04; the point is at the middle of the fingertip.
    at_pad = np.array([0.04, 0.0, 0.1034])
    for inside, hit in ((-0.002, False), (0.0004, False), (0.0006, True), (0.0143 - 0.0004, False)):
        point = at_pad + np.array([inside, 0, 0])
        assert in_collision(np.eye(4)[None], panda, point[None]).tolist() == [hit], inside
        assert in_collision(np.eye(4)[None], panda, (point * [-1, 1, 1])[None]).tolist() == [hit]
    # Half closed, the finger is elsewhere.
    assert not in_collision(np.eye(4)[None], panda, at_pad[None] + [0.002, 0, 0], 0.02).any()
    assert in_collision(np.eye(4)[None], panda, at_pad[None] + [0.002 - 0.03, 0, 0], 0.02).all()


def test_chunks_and_culling_lose_nothing(panda: Gripper, rng: np.random.Generator) -> None:
    # More pairs than are processed at once; most points are far from all hands.
    poses = random_poses(40, 0.05, rng)
    points = np.concatenate([rng.normal(0, 0.08, (3000, 3)), rng.normal(0, 3.0, (5000, 3))])
    points[:, 2] += 0.3
    rng.shuffle(points)
    found = in_collision(poses, panda, points)
    one_by_one = [in_collision(pose[None], panda, points)[0] for pose in poses]
    assert 0.1 < found.mean() < 0.9
    assert found.tolist() == one_by_one
    halves = [in_collision(poses, panda, half) for half in np.array_split(points, 2)]
    assert (found == (halves[0] | halves[1])).all()


def test_collisions_are_invariant_to_a_common_motion(
    panda: Gripper, rng: np.random.Generator
) -> None:
    poses, points = random_poses(300, 0.08, rng), rng.normal(0, 0.05, (60, 3))
    found, width = in_collision(poses, panda, points), closing_width(poses, panda, points)
    # Kilometres away, where float32 has a resolution of 0.1 mm.
    by = random_poses(1, 1000.0, rng)[0]
    far = moved(poses, points, by)
    assert (in_collision(far[0], panda, far[1]) == found).all()
    np.testing.assert_allclose(closing_width(far[0], panda, far[1]), width, atol=1e-9)
    turn = np.diag([-1.0, -1.0, 1.0, 1.0])  # the same grasp of a parallel jaw
    assert (in_collision(poses @ turn, panda, points) == found).all()
    np.testing.assert_allclose(closing_width(poses @ turn, panda, points), width, atol=1e-12)
    single = in_collision(poses.astype(np.float32), panda, points.astype(np.float32))
    assert (single != found).mean() < 0.01


def test_no_points_and_no_poses(panda: Gripper) -> None:
    none, some = np.empty((0, 3)), np.zeros((3, 3))
    assert in_collision(np.eye(4)[None], panda, none).tolist() == [False]
    assert closing_width(np.eye(4)[None], panda, none).tolist() == [0.0]
    assert in_collision(np.empty((0, 4, 4)), panda, some).shape == (0,)
    assert closing_width(np.empty((0, 4, 4)), panda, some).shape == (0,)


# --- Half-spaces and boxes ------------------------------------------------------------------------


@pytest.mark.parametrize("name", GRIPPERS)
def test_half_space_agrees_with_the_lowest_corner(name: str, rng: np.random.Generator) -> None:
    gripper = load_gripper(name)
    poses = random_poses(300, 0.1, rng)
    surface = random_poses(1, 0.03, rng)[0]
    corners = np.concatenate(
        [box.centre + CORNERS * box.half_extents for box in gripper.boxes(0.03)]
    )
    local = np.linalg.inv(surface) @ poses
    heights = (local @ np.column_stack([corners, np.ones(len(corners))]).T)[:, 2]
    found = meets_half_space(poses, gripper, surface, 0.03)
    assert 0.1 < found.mean() < 0.9
    assert (found == (heights.min(axis=1) < -TOLERANCE)).all()


def test_a_hand_from_above_may_touch_the_table(panda: Gripper) -> None:
    down = np.eye(4)
    down[:3, :3] = np.diag([1.0, -1.0, -1.0])
    for clear, hit in ((0.001, False), (-0.0009, False), (-0.0011, True)):
        down[2, 3] = 0.4 + 0.1122 + clear
        table = np.eye(4)
        table[:3, 3] = [5.0, 7.0, 0.4]  # any origin in the plane is the same
        assert meets_half_space(down[None], panda, table).tolist() == [hit], clear


def penetration(pose: np.ndarray, gripper: Gripper, T_box: np.ndarray, size: np.ndarray) -> float:
    """Depth from the Minkowski difference, which is the convex hull of differences of corners."""
    solid = (CORNERS * size / 2) @ T_box[:3, :3].T + T_box[:3, 3]
    depths = []
    for box in gripper.boxes(gripper.stroke):
        hand = (box.centre + CORNERS * box.half_extents) @ pose[:3, :3].T + pose[:3, 3]
        hull = ConvexHull((hand[:, None] - solid).reshape(-1, 3))
        depths.append(-hull.equations[:, 3].max())  # from the origin to the nearest side
    return max(depths)


def test_box_agrees_with_the_minkowski_difference(panda: Gripper, rng: np.random.Generator) -> None:
    T_box, size = random_poses(1, 0.05, rng)[0], np.array([0.03, 0.12, 0.004])
    poses = random_poses(120, 0.1, rng)
    poses[:20, :3, :3] = T_box[:3, :3]  # parallel edges
    poses[20:40, :3, :3] = T_box[:3, :3] @ Rotation.from_euler("x", 1e-7).as_matrix()
    depth = np.array([penetration(pose, panda, T_box, size) for pose in poses])
    for tolerance in (0.0, TOLERANCE, 0.01):
        found = meets_box(poses, panda, T_box, size, tolerance=tolerance)
        clear_cut = np.abs(depth - tolerance) > 1e-7
        assert clear_cut.all()
        assert (found == (depth > tolerance)).all()
    assert 0.1 < (depth > 0).mean() < 0.9


def test_box_agrees_with_the_physics(panda: Gripper, rng: np.random.Generator) -> None:
    sides = (0.05, 0.06, 0.1)
    mesh = trimesh.creation.box(sides)
    vertices, faces = np.array(mesh.vertices), np.array(mesh.faces, dtype=np.int64)
    obj = Object.from_mesh(vertices, faces, parts=((vertices, faces),))
    poses = random_poses(400, 0.06, rng)
    ours = [
        meets_box(poses, panda, np.eye(4), np.array(sides), tolerance=tolerance)
        for tolerance in (PROTOCOL.collision_tolerance * share for share in (0.99, 1.01))
    ]
    theirs = in_collision_in_physics(poses, panda, obj)
    assert 0.2 < theirs.mean() < 0.9
    assert (ours[1] <= theirs).all()
    assert (theirs <= ours[0]).all()
    # No point is deeper than the whole overlap.
    points = obj.surface(20_000, rng)[0]
    by_points = in_collision(poses, panda, points)
    deeper = meets_box(poses, panda, np.eye(4), np.array(sides), tolerance=0.99 * POINT_TOLERANCE)
    assert (by_points <= deeper).all()
    assert (by_points == theirs).mean() > 0.97


# --- Widths ---------------------------------------------------------------------------------------


def solid(mesh: trimesh.Trimesh) -> Object:
    vertices, faces = np.array(mesh.vertices), np.array(mesh.faces, dtype=np.int64)
    return Object.from_mesh(vertices, faces, parts=((vertices, faces),))


def test_width_of_a_box_is_its_side_anywhere_between_the_pads(
    panda: Gripper, rng: np.random.Generator
) -> None:
    points = solid(trimesh.creation.box((0.03, 0.05, 0.06))).surface(4096, rng)[0]
    poses = np.stack(
        [
            around(panda),
            around(panda, shift=0.02),  # nearer to one finger
            around(panda, ("z", math.pi / 2)),  # across its side of 5 cm
            around(panda, ("x", math.pi / 2)),  # from another side
        ]
    )
    np.testing.assert_allclose(
        closing_width(poses, panda, points), [0.03, 0.03, 0.05, 0.03], atol=1e-12
    )


def test_width_of_balls_and_rods(panda: Gripper, rng: np.random.Generator) -> None:
    rod = trimesh.creation.cylinder(0.02, 0.2, sections=256)
    points = solid(rod).surface(40_000, rng)[0]
    across = around(panda, ("y", math.pi / 2), ("z", math.pi / 2))  # y along the rod
    np.testing.assert_allclose(closing_width(across[None], panda, points), 0.04, atol=1e-4)
    # The pads end 6 mm before the middle, so they touch the chord there.
    high = across.copy()
    high[:3, 3] -= high[:3, 2] * (0.0088 + 0.006)
    chord = 2 * math.sqrt(0.02**2 - 0.006**2)
    np.testing.assert_allclose(closing_width(high[None], panda, points), chord, atol=3e-4)


def test_the_shaft_of_a_finger_may_touch_first(panda: Gripper) -> None:
    # The shafts are 1.2 mm behind the pads.
    at_shaft = np.array([[0.02, 0.0, 0.08], [-0.01, 0.0, 0.08]])
    at_pad = np.array([[0.001, 0.0, 0.1034], [-0.001, 0.0, 0.1034]])
    widths = [
        closing_width(np.eye(4)[None], panda, points)[0]
        for points in (at_shaft, at_pad, np.concatenate([at_shaft, at_pad]), at_shaft / [20, 1, 1])
    ]
    np.testing.assert_allclose(widths, [0.03 - 2 * 0.0012, 0.002, 0.0276, 0.0], atol=1e-12)


def test_points_outside_the_fingers_do_not_count(panda: Gripper) -> None:
    beside = [[0, 0.0088, 0.1034], [0, 0, 0.1123], [0, 0, 0.058], [0.041, 0, 0.1034]]
    points = np.array([[0.01, 0, 0.1034], *beside])
    for which in ([1], [2], [3], [4], [1, 2, 3, 4]):
        assert closing_width(np.eye(4)[None], panda, points[which])[0] == 0, which
        # A single point has no extent, and points beside the fingers add none.
        assert closing_width(np.eye(4)[None], panda, points[[0, *which]])[0] == 0, which


def test_widths_agree_with_the_physics(panda: Gripper, rng: np.random.Generator) -> None:
    box = solid(trimesh.creation.box((0.03, 0.05, 0.06)))
    rod = solid(trimesh.creation.cylinder(0.025, 0.1, sections=64))
    ball = solid(trimesh.creation.icosphere(4, 0.03))
    across = ("y", math.pi / 2), ("z", math.pi / 2)
    for obj, poses in (
        (box, [around(panda), around(panda, shift=0.02), around(panda, ("z", math.pi / 2))]),
        (rod, [around(panda, *across), around(panda, ("x", math.pi / 2))]),
        (ball, [around(panda), around(panda, ("xyz", [0.3, 0.5, 0.7]))]),
    ):
        # The pads sink into light objects by millimetres, but hardly into a heavy one.
        trials = simulate(obj, panda, np.stack(poses), Conditions(mass=1.0))
        assert trials.success.all()
        ours = closing_width(np.stack(poses), panda, obj.surface(8192, rng)[0])
        np.testing.assert_allclose(ours, trials.width, atol=5e-4)


# --- Tensors --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_tensors_give_the_results_of_arrays(
    dtype: torch.dtype, panda: Gripper, rng: np.random.Generator
) -> None:
    poses = torch.from_numpy(random_poses(300, 0.08, rng)).to(dtype)
    points = torch.from_numpy(rng.normal(0, 0.05, (1000, 3))).to(dtype)
    surface = torch.from_numpy(random_poses(1, 0.03, rng)[0]).to(dtype)
    size = torch.tensor([0.03, 0.12, 0.004], dtype=dtype)
    for test, others in (
        (in_collision, (points[:40],)),
        (closing_width, (points,)),
        (meets_half_space, (surface,)),
        (meets_box, (surface, size)),
    ):
        expected = test(poses.numpy(), panda, *(other.numpy() for other in others))
        assert 0.05 < (expected > 0).mean() < 0.95, test.__name__
        for given in (others, [other.numpy() for other in others]):
            found = test(poses, panda, *given)
            assert isinstance(found, torch.Tensor)
            if found.dtype == torch.bool:
                assert found.tolist() == expected.tolist(), test.__name__
            else:
                np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-15)


def test_tensors_of_no_points_and_no_poses(panda: Gripper) -> None:
    some, none = torch.eye(4).expand(1, 4, 4), torch.empty(0, 4, 4)
    assert in_collision(some, panda, torch.empty(0, 3)).tolist() == [False]
    assert closing_width(some, panda, torch.empty(0, 3)).tolist() == [0.0]
    assert in_collision(none, panda, torch.zeros(3, 3)).shape == (0,)
    assert closing_width(none, panda, torch.zeros(3, 3)).shape == (0,)


# --- Bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"poses": 2 * np.eye(4)[None]}, "last row"),
        ({"poses": np.diag([2.0, 1, 1, 1])[None]}, "orthonormal"),
        ({"points": np.array([[0.0, np.nan, 0.0]])}, "finite"),
        ({"width": 0.2}, "must be between 0 and 0.08"),
        ({"tolerance": -0.001}, "tolerance"),
    ],
)
def test_refusals(panda: Gripper, change: dict[str, object], sentence: str) -> None:
    given = {"poses": np.eye(4)[None], "gripper": panda, "points": np.zeros((1, 3)), **change}
    with pytest.raises(InputError, match=sentence):
        in_collision(**given)


def test_refusals_of_boxes_and_surfaces(panda: Gripper) -> None:
    pose = np.eye(4)[None]
    with pytest.raises(InputError, match="above 0"):
        meets_box(pose, panda, np.eye(4), np.array([0.1, 0.0, 0.1]))
    with pytest.raises(InputError, match="box 0 is not orthonormal"):
        meets_box(pose, panda, np.diag([2.0, 1, 1, 1]), np.ones(3))
    with pytest.raises(InputError, match="half-space 0 is not orthonormal"):
        meets_half_space(pose, panda, np.diag([2.0, 1, 1, 1]))
