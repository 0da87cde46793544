"""Polygons: triangles that cover exactly their area, against the shoelace formula and even-odd."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pcdiff.errors import InputError
from pcdiff.geometry import polygons
from pcdiff.geometry.polygons import triangulate
from pcdiff.geometry.reading import read_geometry
from tests.geometry.contents import CORNERS, SIDES, TRIANGLES, obj, off, ply

ANGLES = np.linspace(0, 2 * np.pi, 24, endpoint=False)
RING = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)
TURNS = np.linspace(0, 5 * np.pi, 60)[:, None]
ARM = np.hstack([np.cos(TURNS), np.sin(TURNS)])

SHAPES = {
    "square": [(0, 0), (1, 0), (1, 1), (0, 1)],
    "arrow": [(0, 0), (2, 1), (0, 2), (0.5, 1)],
    "U": [(0, 0), (12, 0), (12, 12), (10, 12), (10, 2), (2, 2), (2, 12), (0, 12)],
    "L with straight corners": [(0, 0), (1, 0), (2, 0), (2, 1), (1, 1), (1, 2), (0, 2), (0, 1)],
    "star": np.where(np.arange(24) % 2, 1, 0.3)[:, None] * RING,
    "comb": [(0, 0), (9, 0)] + [(9 - i, 3 if i % 2 else 1) for i in range(10)],
    "spiral": np.vstack([(1 + TURNS) * ARM, ((1.5 + TURNS) * ARM)[::-1]])[::-1],
    "square with a hole": [
        (0, 0), (4, 0), (4, 4), (0, 4), (0, 0), (1, 1), (1, 3), (3, 3), (3, 1), (1, 1),
    ],
    "needle": [(0, 0), (2, 0), (5, 0), (2, 0), (2, 2), (1, 1), (0, 2)],
    "repeated corners": [(0, 0), (0, 0), (3, 0), (3, 3), (3, 3), (2, 1), (0, 3)],
}  # fmt: skip


def tilted(shape) -> np.ndarray:
    """The corners in a plane that is parallel to no axis, at some distance from the origin."""
    turn = np.linalg.qr(np.array([[1.0, 2, 3], [-1, 1, 0.5], [2, 0.3, 1]]))[0]
    corners = np.asarray(shape, float)
    return np.pad(corners, ((0, 0), (0, 1))) @ turn.T * np.linalg.det(turn) + [3, 1, 2]


def split(corners):
    return triangulate(Path("a"), corners, np.array([len(corners)]), np.arange(len(corners)))


def area_vectors(corners, faces) -> np.ndarray:
    a, b, c = (corners[faces[:, i]] for i in range(3))
    return np.cross(b - a, c - a) / 2


def shoelace(corners) -> np.ndarray:
    return np.cross(corners, np.roll(corners, -1, axis=0)).sum(axis=0) / 2


def is_inside(points, shape) -> np.ndarray:
    """By the even-odd rule."""
    x, y = points.T
    inside = np.zeros(len(points), bool)
    for (ax, ay), (bx, by) in zip(shape, np.roll(shape, -1, axis=0), strict=True):
        if ay != by:
            inside ^= ((ay > y) != (by > y)) & (x < ax + (bx - ax) * (y - ay) / (by - ay))
    return inside


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_triangles_cover_the_polygon_once(shape, reverse):
    flat = np.asarray(SHAPES[shape], float)[:: -1 if reverse else 1]
    found = split(corners := tilted(flat))
    assert found.remarks == ()
    parts, whole = area_vectors(corners, found.faces), shoelace(corners)
    assert np.linalg.norm(parts, axis=1).sum() == pytest.approx(np.linalg.norm(whole), rel=1e-12)
    assert (parts @ whole >= -1e-12).all()
    rng = np.random.default_rng(0)
    points = rng.uniform(flat.min(axis=0), flat.max(axis=0), (300, 2))
    covers = np.zeros(300)
    for face in found.faces:
        covers += is_inside(points, flat[face])
    assert np.array_equal(covers, is_inside(points, flat))


def test_random_polygons_around_a_point():
    rng = np.random.default_rng(1)
    sizes = rng.integers(4, 20, 20)
    corners = []
    for size in sizes:
        angles = (np.arange(size) + rng.uniform(0, 0.9, size)) / size * 2 * np.pi
        corners.append(
            tilted(rng.uniform(0.1, 1, (size, 1)) * np.stack([np.cos(angles), np.sin(angles)], 1))
        )
    every = np.vstack(corners)
    found = triangulate(Path("a"), every, sizes, np.arange(len(every)))
    areas = np.linalg.norm(area_vectors(every, found.faces), axis=1)
    expected = [np.linalg.norm(shoelace(each)) for each in corners]
    assert np.allclose(np.bincount(found.polygon, areas), expected, rtol=1e-12)
    assert np.array_equal(np.bincount(found.polygon), sizes - 2)


def test_straight_corners_become_corners_of_triangles_with_area():
    """Else the neighbour across that side would meet no triangle with the same sides."""
    corners = tilted(SHAPES["L with straight corners"])
    found = split(corners)
    assert set(found.faces.reshape(-1)) == set(range(8))
    assert (np.linalg.norm(area_vectors(corners, found.faces), axis=1) > 0.1).all()


def test_convex_polygons_are_fans_from_their_first_corner():
    found = triangulate(Path("a"), CORNERS, np.full(6, 4), np.array(SIDES).reshape(-1))
    assert np.array_equal(found.faces, TRIANGLES)
    assert found.polygon.tolist() == np.repeat(np.arange(6), 2).tolist()


@pytest.mark.parametrize("shape", ["pentagram", "bow tie"])
def test_a_polygon_that_crosses_itself_is_doubtful(shape):
    turns = np.arange(5) * 4 * np.pi / 5
    shapes = {
        "pentagram": np.stack([np.cos(turns), np.sin(turns)], axis=1),
        "bow tie": np.array([(0.0, 0), (2, 2), (2, 0), (0, 3)]),
    }
    (remark,) = split(tilted(shapes[shape])).remarks
    assert remark.startswith("1 of 1 faces cross themselves")


def test_a_concave_polygon_has_a_largest_number_of_corners(monkeypatch):
    monkeypatch.setattr(polygons, "MAXIMUM_CORNERS", 23)
    with pytest.raises(InputError, match="24 corners in a concave face, expected at most 23"):
        split(tilted(SHAPES["star"]))


BRACKET = np.array(SHAPES["U"]) / 100
"""Corners of a bracket in metres: an area of 0.0064 m², and 0.68 m around it."""


@pytest.mark.parametrize("writer", [obj, off, ply])
def test_concave_faces_of_files(writer, tmp_path):
    below = np.pad(BRACKET, ((0, 0), (0, 1)))
    vertices = np.vstack([below, below + np.array([0, 0, 0.005])])
    sides = [(i, (i + 1) % 8, (i + 1) % 8 + 8, i + 8) for i in range(8)]
    faces = [[*range(7, -1, -1)], [*range(8, 16)], *sides]
    path = tmp_path / f"a.{writer.__name__}"
    path.write_bytes(writer(vertices, faces))
    geometry = read_geometry(path)
    triangles = geometry.vertices[geometry.faces]
    area = np.linalg.norm(
        np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]), axis=1
    )
    ends, round_about = 2 * 0.0064, 0.68 * 0.005
    assert area.sum() / 2 == pytest.approx(ends + round_about, rel=1e-12)
    assert np.linalg.det(triangles).sum() / 6 == pytest.approx(0.0064 * 0.005, rel=1e-12)
