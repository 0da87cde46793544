"""Ray casters: the tree of boxes against Embree, and against what follows from the geometry."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import trimesh

from pcdiff.geometry.rays import BoxTree, EmbreeCaster, ray_caster

SHAPES = {
    "ball": trimesh.creation.icosphere(4, 0.1),
    "tube": trimesh.creation.annulus(0.03, 0.034, 0.1, sections=64),
    "box": trimesh.creation.box((0.3, 0.2, 0.1)),
    "long triangles": trimesh.creation.cylinder(0.001, 0.5, sections=50),
}
TRIANGLE = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])


def arrays(mesh: trimesh.Trimesh) -> tuple[np.ndarray, np.ndarray]:
    return np.array(mesh.vertices), np.array(mesh.faces)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_tree_finds_what_embree_finds(shape):
    pytest.importorskip("embreex")
    vertices, faces = arrays(SHAPES[shape])
    rng = np.random.default_rng(0)
    extent = np.ptp(vertices, axis=0)
    origins = rng.uniform(-1, 1, (9000, 3)) * extent
    # Half of the rays aim at the mesh; directions have any length.
    targets = vertices[faces].mean(axis=1)[rng.integers(len(faces), size=4500)]
    targets += rng.normal(size=targets.shape) * extent * 0.02
    directions = np.vstack([targets - origins[:4500], rng.normal(size=(4500, 3))])
    embree = EmbreeCaster(vertices, faces).first(origins, directions)
    tree = BoxTree(vertices, faces).first(origins, directions)
    assert 0.1 < (embree.face >= 0).mean() < 0.9
    # In single precision a ray near an edge may meet the neighbour.
    same = embree.face == tree.face
    assert same.mean() > 0.999
    met = same & (embree.face >= 0)
    assert np.allclose(tree.distance[met], embree.distance[met], rtol=1e-4, atol=1e-5)


def test_the_tree_finds_the_nearest_of_all_triangles():
    vertices, faces = arrays(SHAPES["tube"])
    rng = np.random.default_rng(1)
    origins, directions = rng.uniform(-0.1, 0.1, (300, 3)), rng.normal(size=(300, 3))
    found = BoxTree(vertices, faces).first(origins, directions)
    # Each ray with each triangle: solve a + s (b − a) + t (c − a) = o + z d.
    corners = vertices[faces]
    for ray, (origin, direction) in enumerate(zip(origins, directions, strict=True)):
        sides = [corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]]
        system = np.stack([*sides, np.broadcast_to(-direction, sides[0].shape)], axis=2)
        s, t, z = np.linalg.solve(system, (origin - corners[:, 0])[:, :, None])[..., 0].T
        z = np.where((s >= 0) & (t >= 0) & (s + t <= 1) & (z >= 0), z, np.inf)
        assert found.face[ray] == (z.argmin() if np.isfinite(z.min()) else -1)
        if np.isfinite(z.min()):
            assert found.distance[ray] == pytest.approx(z.min(), rel=1e-9)


def test_no_ray_slips_through_between_two_triangles():
    """Rays along the axes at the vertices and edges of a grid, where every comparison is a tie."""
    line = np.linspace(-1, 1, 9)
    x, y = np.meshgrid(line, line, indexing="ij")
    vertices = np.stack([x.ravel(), y.ravel(), 0 * x.ravel()], axis=1)
    corner = (9 * np.arange(8)[:, None] + np.arange(8)).ravel()
    faces = np.vstack(
        [
            np.stack([corner, corner + 9, corner + 1], axis=1),
            np.stack([corner + 1, corner + 9, corner + 10], axis=1),
        ]
    )
    places = np.linspace(-1, 1, 33)
    origins = np.stack([*map(np.ravel, np.meshgrid(places, places)), np.full(33**2, 5.0)], axis=1)
    found = BoxTree(vertices, faces).first(origins, np.tile([0.0, 0, -2], (33**2, 1)))
    assert (found.face >= 0).all()
    assert np.array_equal(found.distance, np.full(33**2, 2.5))


def test_only_crossings_ahead_of_the_origin_count():
    tree = BoxTree(TRIANGLE, np.array([[0, 1, 2]]))
    origins = np.array([[0.2, 0.2, 1], [0.2, 0.2, 1], [0.2, 0.2, -1], [0.9, 0.9, 1]])
    directions = np.array([[0.0, 0, -0.5], [0, 0, 1], [0, 0, 0.5], [0, 0, -1]])
    found = tree.first(origins, directions)
    assert found.face.tolist() == [0, -1, 0, -1]
    assert found.distance[[0, 2]].tolist() == [2, 2]


def test_a_ray_in_the_plane_of_a_triangle_does_not_cross_it():
    tree = BoxTree(TRIANGLE, np.array([[0, 1, 2]]))
    found = tree.first(np.array([[-1.0, 0.2, 0]]), np.array([[1.0, 0, 0]]))
    assert found.face.tolist() == [-1]


def test_no_rays():
    found = BoxTree(TRIANGLE, np.array([[0, 1, 2]])).first(np.empty((0, 3)), np.empty((0, 3)))
    assert len(found.face) == len(found.distance) == 0


def test_the_tree_takes_over_where_embree_cannot_be_imported(monkeypatch):
    vertices, faces = arrays(SHAPES["box"])
    for module in ("embreex.mesh_construction", "embreex.rtcore_scene"):
        monkeypatch.setitem(sys.modules, module, None)
    assert isinstance(ray_caster(vertices, faces), BoxTree)
