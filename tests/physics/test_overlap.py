"""Overlap of boxes with meshes against distances computed by hand and against sampled points."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from grasp.grippers.gripper import Box
from grasp.objects.object import Object
from grasp.physics.overlap import overlaps, triangles_meet_box
from pcdiff.errors import InputError
from tests.physics.conftest import box

TOLERANCE = 0.001
CUBE = Box(np.zeros(3), np.full(3, 0.01))


def _at(*points: tuple[float, float, float]) -> np.ndarray:
    poses = np.tile(np.eye(4), (len(points), 1, 1))
    poses[:, :3, 3] = points
    return poses


@pytest.mark.parametrize("other", [0.02, 0.5, 0.003])
def test_boxes_overlap_if_they_are_deeper_than_the_tolerance(other: float) -> None:
    """Also where no vertex or no edge of the one is inside the other."""
    apart = 0.01 + other / 2
    poses = _at((apart - 0.0009, 0, 0), (apart - 0.0011, 0, 0), (0, -(apart - 0.0011), 0.0))
    turned = poses.copy()
    turned[:, :3, :3] = Rotation.from_euler("x", 90, degrees=True).as_matrix()
    for each in (poses, turned):
        found = overlaps(box(other, other, other), [CUBE], each, TOLERANCE)
        assert found.tolist() == [False, True, True]


def test_a_corner_of_a_box_overlaps_a_face() -> None:
    # The space diagonal of the box points down, so that a corner reaches √3 cm below its centre.
    lowest = np.sqrt(3) * 0.01
    pose = _at((0.0013, 0.0004, 0.05 + lowest - 0.0009), (0.0013, 0.0004, 0.05 + lowest - 0.0011))
    pose[:, :3, :3] = Rotation.align_vectors([[0, 0, -1]], [[1, 1, 1]])[0].as_matrix()
    assert overlaps(box(0.1, 0.1, 0.1), [CUBE], pose, TOLERANCE).tolist() == [False, True]


def test_a_box_deep_inside_a_solid_overlaps_it() -> None:
    assert overlaps(box(0.2, 0.2, 0.2), [CUBE], _at((0, 0, 0)), TOLERANCE).tolist() == [True]


def test_a_sheet_overlaps_a_box_but_has_no_inside() -> None:
    square = np.array([[0.0, -1, -1], [0, 1, -1], [0, 1, 1], [0, -1, 1]])
    sheet = Object.from_mesh(square, np.array([[0, 1, 2], [0, 2, 3]]))
    poses = _at((0.0085, 0, 0), (0.0095, 0, 0), (0.05, 0, 0), (-0.05, 0, 0))
    found = overlaps(sheet, [CUBE], poses, TOLERANCE)
    assert found.tolist() == [True, False, False, False]


def test_any_box_counts_and_no_box_overlaps_nothing() -> None:
    far = Box(np.array([0.0, 0.0, 1.0]), np.full(3, 0.01))
    poses = _at((0, 0, 0), (0, 0, -1.0))
    cube = box(0.01, 0.01, 0.01)
    assert overlaps(cube, [far, CUBE], poses, TOLERANCE).tolist() == [True, True]
    assert overlaps(cube, [], poses, TOLERANCE).tolist() == [False, False]
    assert overlaps(cube, [CUBE], poses[:0], TOLERANCE).shape == (0,)


def test_triangles_meet_a_box_where_sampled_points_do(rng: np.random.Generator) -> None:
    half = np.array([1.0, 0.5, 0.2])
    triangles = rng.normal(0, 1.0, (200, 3, 3)) + rng.normal(0, 0.7, (200, 1, 3))
    shares = rng.dirichlet([0.7, 0.7, 0.7], 4000)
    points = np.einsum("sc,nci->nsi", shares, triangles)
    excess = (np.abs(points) - half).max(axis=2).min(axis=1)
    clear = np.abs(excess) > 0.05  # the samples are dense enough to decide these
    found = triangles_meet_box(triangles, half)
    assert 50 < found.sum() < 150
    assert clear.sum() > 150
    np.testing.assert_array_equal(found[clear], excess[clear] < 0)


def test_a_cloud_is_refused(rng: np.random.Generator) -> None:
    cloud = Object.from_points(rng.normal(0, 0.03, (200, 3)))
    with pytest.raises(InputError, match="is a point cloud, expected a mesh"):
        overlaps(cloud, [CUBE], _at((0, 0, 0)), TOLERANCE)
