"""Crossings of rays with meshes, against a slow intersection of each ray and triangle."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import trimesh

from grasp.objects.rays import Target


@pytest.fixture(autouse=True, params=["embree", "tree of boxes"])
def caster(request, monkeypatch):
    """The caster that `Target` uses: both must give the same crossings."""
    if request.param == "embree":
        pytest.importorskip("embreex")
    else:
        monkeypatch.setitem(sys.modules, "embreex.mesh_construction", None)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_crossings_of_a_ball_lie_on_its_facets():
    ball = trimesh.creation.icosphere(4, 0.1)
    far = np.array([1000.0, -2000.0, 500.0])  # must not cost precision
    directions = rng(1).normal(size=(300, 3))
    origins = rng(2).uniform(-0.15, 0.15, (300, 3))
    hits = Target(np.array(ball.vertices) + far, np.array(ball.faces)).all(
        origins + far, directions
    )
    # Each ray with each triangle (Möller and Trumbore).
    expected = set()
    for number, (origin, direction) in enumerate(zip(origins, directions, strict=True)):
        a, b, c = np.array(ball.triangles).swapaxes(0, 1)
        across = np.cross(direction, c - a)
        det = np.einsum("ni,ni->n", b - a, across)
        u = np.einsum("ni,ni->n", origin - a, across) / det
        other = np.cross(origin - a, b - a)
        v = other @ direction / det
        t = np.einsum("ni,ni->n", c - a, other) / det
        inside = (u >= 0) & (v >= 0) & (u + v <= 1) & (t > 0)
        expected |= {(number, face) for face in np.flatnonzero(inside)}
        mine = hits.ray == number
        assert np.allclose(np.sort(hits.distance[mine]), np.sort(t[inside]), rtol=1e-9, atol=1e-9)
    assert set(zip(hits.ray.tolist(), hits.face.tolist(), strict=True)) == expected
    normals = np.asarray(ball.face_normals)[hits.face]
    assert np.allclose(hits.normal, normals, atol=1e-9)
    assert np.allclose(hits.slope, np.einsum("ni,ni->n", normals, directions[hits.ray]), atol=1e-8)


def test_first_is_the_nearest_of_all():
    tube = trimesh.creation.annulus(0.03, 0.034, 0.1, sections=64)
    target = Target(np.array(tube.vertices), np.array(tube.faces))
    origins, directions = rng(3).uniform(-0.1, 0.1, (500, 3)), rng(4).normal(size=(500, 3))
    first, all_of_them = target.first(origins, directions), target.all(origins, directions)
    assert np.array_equal(first.ray, np.unique(all_of_them.ray))
    for ray, distance in zip(first.ray, first.distance, strict=True):
        assert np.isclose(distance, all_of_them.distance[all_of_them.ray == ray].min(), atol=1e-12)
    assert np.array_equal(np.flatnonzero(target.is_hit(origins, directions)), first.ray)
    assert 4 in np.bincount(all_of_them.ray)  # through both walls


def test_ray_along_a_triangle_stops_between_its_corners():
    triangle = np.array([[1.0, -1, 0], [3.0, -1, 0], [2.0, 2, 0]])
    hits = Target(triangle, np.array([[0, 1, 2]])).first(
        np.zeros((1, 3)), np.array([[0.5, 0.0, 0.0]])
    )
    assert ((hits.distance >= 2) & (hits.distance <= 6)).all()


def test_nothing_is_met():
    box = trimesh.creation.box((1, 1, 1))
    hits = Target(np.array(box.vertices), np.array(box.faces)).all(
        np.array([[0.0, 0, 3]]), np.array([[0.0, 0, 1]])
    )
    assert len(hits.ray) == len(hits.distance) == 0
