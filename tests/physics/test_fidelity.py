"""The error of convex parts against closed forms, and parts of made vessels against the truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import ConvexHull

from datasets.household.objects import make
from datasets.household.shapes import box, revolve, union
from grasp.grippers.gripper import load_gripper
from grasp.objects.object import Object
from grasp.objects.signed_distances import signed_distances
from grasp.physics import PROTOCOL, convex_parts, convex_shape
from grasp.physics.body import rigid_body
from grasp.physics.fidelity import shape_error, shape_warning


def _object(pieces) -> Object:
    return Object.from_mesh(*union(pieces))


def _tray():
    """A box of 8 x 6 x 5 cm with a hollow of 7 x 5 x 4.5 cm that is open at the top."""
    low, high = np.array([0.0, 0.0, 0.0]), np.array([0.08, 0.06, 0.05])
    wall, floor = 0.005, 0.005
    return [
        box(low, (high[0], high[1], floor)),
        box((0, 0, floor), (wall, high[1], high[2])),
        box((high[0] - wall, 0, floor), high),
        box((wall, 0, floor), (high[0] - wall, wall, high[2])),
        box((wall, high[1] - wall, floor), (high[0] - wall, high[1], high[2])),
    ]


def _tube(sides: int = 32):
    """A vessel of revolution: 8 cm wide, 9 cm high, with a wall and a floor of 3 mm."""
    return [
        *revolve([(0.0, 0.0), (0.04, 0.0), (0.04, 0.003), (0.0, 0.003)], sides),
        *revolve([(0.037, 0.003), (0.04, 0.003), (0.04, 0.09), (0.037, 0.09)], sides),
    ]


def test_exact_parts_have_no_error() -> None:
    for pieces in ([box((0, 0, 0), (0.05, 0.04, 0.03))], _tray(), _tube()):
        error = shape_error(_object(pieces), pieces)
        assert (error.missed, error.inflated, error.filled) == (0, 0, 0)
        assert shape_warning("it", error) is None


def test_a_hull_fills_the_hollow() -> None:
    """Points within 1 mm of the walls and of the floor do not count."""
    hull = box((0, 0, 0), (0.08, 0.06, 0.05))
    error = shape_error(_object(_tray()), [hull])
    assert error.filled == pytest.approx(0.068 * 0.048 * 0.044, rel=0.03)
    assert error.hull == pytest.approx(0.08 * 0.06 * 0.05)
    assert error.missed == 0
    # Only the lid over the hollow is away from the mesh.
    area = 2 * (0.08 * 0.06 + 0.08 * 0.05 + 0.06 * 0.05)
    assert error.inflated == pytest.approx(0.068 * 0.048 / area, rel=0.1)
    warning = shape_warning("tray.stl", error)
    assert warning is not None
    assert warning.startswith(
        "the convex parts of tray.stl have 14% of their surface more than 1 mm"
    )
    assert "fill 14" in warning


@pytest.mark.parametrize(("by", "away"), [(0.0009, 0.0), (0.0011, 1.0)])
def test_inflated_and_missing_surface_counts_beyond_the_tolerance(by: float, away: float) -> None:
    small, large = box((0, 0, 0), (0.04, 0.04, 0.04)), box((-by,) * 3, (0.04 + by,) * 3)
    assert shape_error(_object([small]), [large]).inflated >= away
    assert shape_error(_object([large]), [small]).missed >= away
    if not away:
        # Only the edges and the corners are further away than the faces.
        assert shape_error(_object([small]), [large]).inflated < 0.05
        assert shape_error(_object([large]), [small]).missed < 0.05


def test_a_missing_part_is_missed_surface() -> None:
    left, right = box((0, 0, 0), (0.04, 0.04, 0.04)), box((0.04, 0, 0), (0.08, 0.04, 0.04))
    error = shape_error(_object([left, right]), [left])
    # The far half of the surface, without 1 mm beside the part.
    assert error.missed == pytest.approx((4 * 0.039 + 0.04) / (8 * 0.04 + 2 * 0.04), abs=0.02)
    assert (error.inflated, error.filled) == (0, 0)
    assert "miss 48% of its surface by more than 1 mm" in str(shape_warning("it", error))


def test_the_error_is_the_same_each_time() -> None:
    obj, smaller = _object([box((0, 0, 0), (0.04, 0.04, 0.04))]), [box((0, 0, 0), (0.03,) * 3)]
    first = shape_error(obj, smaller)
    assert first == shape_error(obj, smaller)
    assert 0 < first.missed < 1


def _inside_poses(count: int) -> np.ndarray:
    """Poses of a hand above the tube: one finger in the hollow or in the wall, one outside."""
    rng = np.random.default_rng(0)
    panda = load_gripper("panda")
    tip = panda.tool_center_point[2]
    poses = np.tile(np.eye(4), (count, 1, 1))
    angle, radius = rng.uniform(0, 2 * np.pi, count), rng.uniform(0.0, 0.08, count)
    poses[:, :3, 0] = np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)
    poses[:, :3, 2] = [0, 0, -1]
    poses[:, :3, 1] = np.cross(poses[:, :3, 2], poses[:, :3, 0])
    poses[:, :3, 3] = radius[:, None] * poses[:, :3, 0]
    poses[:, 2, 3] = tip + rng.uniform(0.02, 0.08, count)
    return poses


def test_a_thin_vessel_stays_hollow(tmp_path) -> None:
    from grasp.physics.trial import World

    pieces = _tube()
    obj = _object(pieces)
    parts = convex_parts(obj, tmp_path)
    error = shape_error(obj, parts)
    assert len(parts) <= 45
    assert error.missed <= 0.02
    assert error.inflated <= 0.02
    assert error.filled <= 0.001 * error.hull
    panda = load_gripper("panda")
    worlds = [
        World(rigid_body(obj, each, None, PROTOCOL.density), panda, 1.0, PROTOCOL)
        for each in (pieces, parts)
    ]
    poses = _inside_poses(200)
    exact, found = ([world.collides(pose, 0.08) for pose in poses] for world in worlds)
    assert 0.2 < np.mean(exact) < 0.8
    assert np.mean(np.array(exact) == np.array(found)) >= 0.97


def test_the_parts_of_a_mug_agree_with_its_signed_distances(tmp_path) -> None:
    """The error is read from the cache the second time, and exact parts have none."""
    made = make("mug", 0, 0)
    obj = Object.from_mesh(made.vertices, made.faces)
    shape = convex_shape(obj, tmp_path)
    again = convex_shape(obj, tmp_path)
    assert shape.error == again.error == shape_error(obj, shape.parts)
    assert shape.warning is None
    exact = Object.from_mesh(made.vertices, made.faces, parts=tuple(made.parts))
    assert convex_shape(exact, tmp_path).error is None
    points, distance = signed_distances(obj, 4000, np.random.default_rng(0))
    hulls = [ConvexHull(vertices).equations for vertices, _ in shape.parts]
    within = np.any([(points @ e[:, :3].T <= -e[:, 3]).all(axis=1) for e in hulls], axis=0)
    assert np.mean(within[distance > 0.001]) <= 0.001
    assert np.mean(within[distance < -0.001]) >= 0.99
