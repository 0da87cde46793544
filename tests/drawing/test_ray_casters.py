"""The caster in NumPy against Embree: what a picture needs where Embree has no wheel."""

from __future__ import annotations

import numpy as np
import pytest
from trimesh.creation import torus

from pcdiff.drawing import rendering
from pcdiff.drawing.camera import frame
from pcdiff.drawing.parts import Mesh, Spheres
from pcdiff.drawing.rendering import render
from pcdiff.geometry.rays import BoxTree, EmbreeCaster, ray_caster

RING = torus(1.0, 0.3, major_sections=12, minor_sections=8)
VERTICES, FACES = np.asarray(RING.vertices), np.asarray(RING.faces)


@pytest.fixture
def rays():
    """Rays from outside and inside of the ring, of any length, that meet it or miss it."""
    rng = np.random.default_rng(0)
    return rng.uniform(-1.5, 1.5, (600, 3)), rng.normal(size=(600, 3)) * rng.uniform(0.1, 9)


def test_both_casters_find_the_same_triangles_and_normals(rays):
    ours, theirs = (caster(VERTICES, FACES).first(*rays) for caster in (BoxTree, EmbreeCaster))
    np.testing.assert_array_equal(ours.face, theirs.face)
    met = ours.face >= 0
    assert 100 < met.sum() < 500
    np.testing.assert_allclose(ours.distance[met], theirs.distance[met], rtol=1e-4, atol=1e-6)
    sides = np.sum(ours.normal[met] * theirs.normal[met], axis=1)
    lengths = np.linalg.norm(ours.normal[met], axis=1) * np.linalg.norm(theirs.normal[met], axis=1)
    np.testing.assert_allclose(np.abs(sides / lengths), 1, rtol=1e-6)


@pytest.mark.parametrize("caster", [BoxTree, EmbreeCaster])
@pytest.mark.parametrize("reach", [0.05, 0.4, np.inf])
def test_a_ray_is_blocked_if_its_first_crossing_is_within_reach(rays, caster, reach):
    cast = caster(VERTICES, FACES)
    found = cast.first(*rays)
    within = (found.face >= 0) & (found.distance <= reach)
    assert 0 < within.sum() < len(within)
    np.testing.assert_array_equal(cast.is_blocked(*rays, reach), within)


def test_a_picture_hardly_depends_on_the_caster(monkeypatch):
    """Single precision moves few rays to another side of an edge."""
    balls = Spheres(np.random.default_rng(1).normal(size=(6, 3)), 0.2)
    parts = [balls, Mesh(VERTICES, FACES, (0.9, 0.5, 0.3))]

    def picture():
        return render(parts, frame(parts), width=40, height=30, samples=1).astype(int)

    fast = picture()
    monkeypatch.setattr(rendering, "ray_caster", BoxTree)
    assert np.mean(np.abs(picture() - fast) > 2) < 0.005


def test_without_embree_there_is_still_a_caster(monkeypatch):
    def no_wheel(*_):
        raise ImportError

    monkeypatch.setattr(EmbreeCaster, "__init__", no_wheel)
    assert isinstance(ray_caster(VERTICES, FACES), BoxTree)
