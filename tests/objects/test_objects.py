"""Objects from arrays: their measures against closed forms, and arrays that are refused."""

from __future__ import annotations

import jaxtyping
import numpy as np
import pytest

from grasp.objects.object import Object
from pcdiff.errors import InputError
from tests.objects.shapes import bowl, box


def test_box_is_measured():
    obj = box(corner=(3.0, -2.0, 1.0))
    assert np.allclose(obj.bounds, [[3, -2, 1], [3.125, -1.75, 1.5]], atol=1e-15)
    assert np.allclose(obj.extent, [0.125, 0.25, 0.5], atol=1e-15)
    assert np.allclose(obj.centre, [3.0625, -1.875, 1.25], atol=1e-12)
    assert np.isclose(obj.area, 2 * (0.125 * 0.25 + 0.25 * 0.5 + 0.5 * 0.125), rtol=1e-12)
    assert obj.is_mesh and obj.normals is None


def test_centre_of_a_closed_mesh_is_the_centre_of_mass():
    corners = np.array([[0, 0, 0], [0.3, 0, 0], [0, 0.2, 0], [0, 0, 0.1]])
    faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
    assert np.allclose(Object.from_mesh(corners, faces).centre, corners.mean(axis=0), atol=1e-15)
    vessel = bowl()
    assert np.allclose(vessel.centre, vessel.mesh().center_mass, atol=1e-12)


def test_centre_of_an_open_mesh_is_the_mean_of_its_area():
    whole = box((0.2, 0.2, 0.2))
    heights = whole.vertices[whole.faces][:, :, 2]
    open_box = Object.from_mesh(whole.vertices, whole.faces[heights.min(axis=1) < 0.1])
    # Four sides at half the height and a bottom.
    assert np.allclose(open_box.centre, [0.1, 0.1, 4 * 0.1 / 5], atol=1e-15)


def test_centre_of_a_surface_that_crosses_itself_is_inside_its_box():
    # A box beside one that is inside out and almost as large: the centre of mass is far away.
    outer, other = box((0.2, 0.2, 0.2)), box((0.19, 0.19, 0.19), (0.5, 0.0, 0.0))
    vertices = np.vstack([outer.vertices, other.vertices])
    both = Object.from_mesh(vertices, np.vstack([outer.faces, other.faces[:, ::-1] + 8]))
    areas = np.array([6 * 0.2**2, 6 * 0.19**2])
    assert both.centre[0] == pytest.approx(areas @ [0.1, 0.595] / areas.sum(), rel=1e-12)


def test_cavity_stays_inside_out():
    outer, inner = box((0.2, 0.2, 0.2)), box((0.1, 0.1, 0.1), (0.05, 0.05, 0.05))
    vertices = np.vstack([outer.vertices, inner.vertices])
    faces = np.vstack([outer.faces, inner.faces[:, ::-1] + len(outer.vertices)])
    for given in (faces, faces[:, ::-1]):
        hollow = Object.from_mesh(vertices, given)
        assert np.isclose(np.linalg.det(hollow.vertices[hollow.faces]).sum() / 6, 0.007)


def without_lid(obj: Object) -> np.ndarray:
    top = obj.vertices[obj.faces][:, :, 2].min(axis=1) > obj.bounds[1, 2] - 1e-9
    return np.array(obj.faces[~top])


def flux(obj: Object) -> float:
    """Sum over the faces that is positive if normals point away from the centre on the whole."""
    triangles = obj.vertices[obj.faces] - obj.bounds.mean(axis=0)
    return float(np.linalg.det(triangles).sum())


@pytest.mark.parametrize("shape", [box, bowl])
def test_open_mesh_is_turned_outside_out(shape, rng):
    obj = shape()
    faces = without_lid(obj)
    assert 0 < len(faces) < len(obj.faces)
    torn = np.where(rng.uniform(size=(len(faces), 1)) < 0.4, faces[:, ::-1], faces)
    expected = Object.from_mesh(obj.vertices, faces)
    for given in (faces, faces[:, ::-1], torn):
        found = Object.from_mesh(obj.vertices + np.array([5.0, 0, 0]), given)
        assert found.sided.all()
        assert np.allclose(found.face_normals, expected.face_normals, atol=1e-6)
    # The whole is closed, so its normals are outward.
    assert flux(obj) > 0 and flux(expected) > 0


def test_each_piece_of_an_open_mesh_is_turned(rng):
    # A box without a lid, and far above it two sheets that form the two sides of a plate.
    whole = box((0.2, 0.2, 0.2))
    square = np.array([[0, 0, 0], [0.2, 0, 0], [0.2, 0.2, 0], [0, 0.2, 0]])
    lower, upper = (square + np.array([0, 0, height]) for height in (1.0, 1.01))
    up = np.array([[0, 1, 2], [0, 2, 3]])
    vertices = np.vstack([whole.vertices, lower, upper])
    pieces = [without_lid(whole), up[:, ::-1] + 8, up + 12]
    expected = np.vstack(pieces)
    for flips in ([1, 1, 1], [-1, 1, 1], [1, -1, 1], [1, 1, -1], [-1, -1, -1]):
        given = np.vstack([piece[:, ::flip] for piece, flip in zip(pieces, flips, strict=True)])
        found = Object.from_mesh(vertices, given)
        assert found.sided.all()
        turned = np.sort(expected, axis=1), np.sort(found.faces, axis=1)
        assert np.array_equal(*turned)
        normals = Object.from_mesh(vertices, expected).face_normals
        assert np.array_equal(np.sign(found.face_normals.round(9)), np.sign(normals.round(9)))


@pytest.mark.parametrize("turn", [1, -1])
def test_flat_sheet_stays_as_it_is(turn):
    square = np.array([[0, 0, 0], [0.2, 0, 0], [0.2, 0.1, 0], [0, 0.1, 0]])
    faces = np.array([[0, 1, 2], [0, 2, 3]])[:, ::turn]
    sheet = Object.from_mesh(square, faces)
    assert not sheet.sided.any()
    assert np.allclose(sheet.face_normals, [0, 0, turn])
    assert box().sided.all()


def test_open_mesh_made_again_is_the_same():
    obj = bowl()
    first = Object.from_mesh(obj.vertices, without_lid(obj)[:, ::-1])
    again = Object.from_mesh(first.vertices, first.faces)
    assert first.sha256 == again.sha256


def test_surface_is_sampled_by_area(rng):
    obj = box()
    count = 20_000
    points, normals = obj.surface(count, rng)
    for axis in range(3):
        others = np.prod(np.delete(obj.extent, axis))
        for side in (0, 1):
            on = np.abs(points[:, axis] - obj.bounds[side, axis]) < 1e-12
            assert np.allclose(normals[on], np.eye(3)[axis] * (2 * side - 1))
            share = others / (2 * (0.125 * 0.25 + 0.25 * 0.5 + 0.5 * 0.125))
            assert abs(on.mean() - share) < 5 * np.sqrt(share * (1 - share) / count)
            # Uniform on the rectangle: the mean and the variance of each coordinate.
            for other in {0, 1, 2} - {axis}:
                unit = points[on, other] / obj.extent[other]
                assert abs(unit.mean() - 1 / 2) < 5 * np.sqrt(1 / 12 / on.sum())
                assert abs(unit.var() - 1 / 12) < 5 * np.sqrt(1 / 180 / on.sum())


def test_surface_depends_on_the_generator_alone():
    first, second = (bowl().surface(50, np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(first[0], second[0]) and np.array_equal(first[1], second[1])


def test_surface_of_a_cloud_is_a_subset(rng):
    points, normals = box().surface(100, rng)
    cloud = Object.from_points(points, normals)
    some, directions = cloud.surface(60, rng)
    assert len(np.unique(some, axis=0)) == 60
    index = [np.flatnonzero((points == point).all(axis=1))[0] for point in some]
    assert np.allclose(directions, normals[index], atol=1e-12)
    assert len(cloud.surface(500, rng)[0]) == 500


def test_cloud_is_measured(rng):
    points = rng.normal(size=(200, 3)) * 0.05
    cloud = Object.from_points(points)
    assert np.array_equal(cloud.vertices, points)
    assert np.allclose(cloud.centre, points.mean(axis=0), atol=1e-15)
    assert not cloud.is_mesh and cloud.faces is None
    with pytest.raises(InputError, match="is a point cloud, expected a mesh"):
        cloud.mesh()
    with pytest.raises(InputError, match="is a point cloud, expected a mesh"):
        _ = cloud.area


def test_equal_points_become_one(rng):
    points = rng.normal(size=(50, 3)) * 0.05
    assert np.array_equal(Object.from_points(np.vstack([points, points])).vertices, points)


def test_arrays_are_read_only():
    with pytest.raises(ValueError, match="read-only"):
        box().vertices[0, 0] = 1


@pytest.mark.parametrize(
    "faces",
    [
        [[0, 1, 2]],
        [[0, 1, 2], [3, 5, 4]],  # no edge in common
        np.repeat(box().faces, 2, axis=0).tolist(),  # each edge belongs to four faces
    ],
)
def test_faces_without_neighbours_stay_as_they_are(faces):
    made = Object.from_mesh(box().vertices, np.array(faces))
    # The sheets stay as they are, and the box with doubled faces is already outside out.
    assert np.array_equal(made.vertices[made.faces], box().vertices[np.array(faces)])
    assert not made.sided.any() or len(faces) == 24


@pytest.fixture
def unchecked():
    """Shape annotations are not enforced, as outside of tests."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.parametrize(
    ("vertices", "faces", "words"),
    [
        (np.eye(3), np.array([[0, 1, 2, 0]]), r"triangles .* got int64 of shape \(1, 4\)"),
        (np.eye(3), np.array([[0.0, 1.0, 2.9]]), "whole numbers .* got float64"),
        (np.eye(3), np.array([0, 1, 2]), r"shape \(3,\)"),
        (np.eye(3)[:, :2], np.array([[0, 1, 2]]), r"vertex positions .* of shape \(3, 2\)"),
        (
            np.array([["a", "b", "c"]] * 3),
            np.array([[0, 1, 2]]),
            "vertex positions of .* must be numbers",
        ),
    ],
)
def test_arrays_that_are_not_a_mesh(vertices, faces, words, unchecked):
    with pytest.raises(InputError, match=words):
        Object.from_mesh(vertices, faces)


def test_arrays_that_are_not_a_cloud(unchecked, rng):
    points = rng.normal(size=(20, 3))
    with pytest.raises(InputError, match=r"point positions .* got float64 of shape"):
        Object.from_points(points[:, :2])
    with pytest.raises(InputError, match="one normal per point"):
        Object.from_points(points, points[:5])
