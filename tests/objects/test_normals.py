"""Normals of clouds, against the normals of the surfaces that the points are on."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from grasp.objects.normals import estimate_normals, orient_outward, propagate_signs


def on_sphere(count: int, rng: np.random.Generator) -> np.ndarray:
    points = rng.normal(size=(count, 3))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def on_torus(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Points on a ring of radius 1 and thickness 0.7, which has a hole, and their normals."""
    u, v = rng.uniform(0, 2 * np.pi, (2, count))
    normals = np.stack([np.cos(u) * np.cos(v), np.sin(u) * np.cos(v), np.sin(v)], axis=1)
    return np.stack([np.cos(u), np.sin(u), 0 * u], axis=1) + 0.35 * normals, normals


def cosines(normals: np.ndarray, expected: np.ndarray) -> np.ndarray:
    return np.einsum("ni,ni->n", normals, expected)


def test_sphere(rng):
    points = on_sphere(4000, rng)
    for centre, radius in (([0, 0, 0], 1.0), ([5, -3, 2], 0.05)):
        normals = estimate_normals(radius * points + centre)
        assert np.allclose(np.linalg.norm(normals, axis=1), 1)
        assert np.degrees(np.arccos(cosines(normals, points).min())) < 6
        assert np.degrees(np.arccos(cosines(normals, points)).mean()) < 1.5


def test_torus_is_outward_even_in_its_hole(rng):
    points, expected = on_torus(4000, rng)
    found = cosines(estimate_normals(points), expected)
    assert found.min() > 0.9


def test_plane_is_exact(rng):
    points = np.hstack([rng.uniform(size=(300, 2)), np.zeros((300, 1))])
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    assert np.allclose(np.abs(estimate_normals(points @ turn.T) @ turn[:, 2]), 1, atol=1e-12)


def test_cube_is_outward_on_all_sides(rng):
    sides = rng.uniform(-1, 1, (6, 600, 2))
    points, expected = [], []
    for index, side in enumerate(sides):
        axis, sign = index % 3, 1 if index < 3 else -1
        points.append(np.insert(side, axis, sign, axis=1))
        expected.append(np.tile(sign * np.eye(3)[axis], (600, 1)))
    points, expected = np.concatenate(points), np.concatenate(expected)
    found = cosines(estimate_normals(points), expected)
    inner = np.sort(np.abs(points), axis=1)[:, 1] < 0.65
    assert found.min() > 0 and found[inner].min() > 1 - 1e-9


def test_both_walls_of_a_bowl_are_outward(rng):
    # Half a shell: its walls are 0.1 apart, and its points about 0.05.
    points = on_sphere(12_000, rng)
    points = points[points[:, 2] < 0]
    inner = np.arange(len(points)) % 2 == 1
    shell = np.where(inner[:, None], 0.9, 1.0) * points
    found = cosines(estimate_normals(shell), np.where(inner[:, None], -points, points))
    assert (found > 0).mean() > 0.98


def test_sheet_agrees_with_itself(rng):
    flat = np.hstack([rng.uniform(-1, 1, (800, 2)), np.zeros((800, 1))])
    normals = estimate_normals(flat)
    assert np.allclose(normals, normals[0], atol=1e-9)


@pytest.mark.parametrize("axis", range(3))
def test_flat_sheet_may_lie_in_any_plane_of_the_axes(axis, rng):
    # Some of the views see it exactly edge-on.
    flat = np.insert(rng.uniform(-1, 1, (400, 2)), axis, 0.25, axis=1)
    normals = estimate_normals(flat)
    assert np.allclose(np.abs(normals), np.eye(3)[axis], atol=1e-9)
    assert np.allclose(normals, normals[0], atol=1e-9)


def test_many_points_are_thinned_before_they_are_viewed(rng):
    points = on_sphere(45_000, rng)
    assert cosines(estimate_normals(points), points).min() > 0.9


def test_two_bodies_are_each_outward(rng):
    ball = on_sphere(1500, rng)
    points = np.concatenate([ball, 0.5 * ball + [4, 0, 0]])
    assert cosines(estimate_normals(points), np.concatenate([ball, ball])).min() > 0.9


def test_normals_face_the_camera(rng):
    points = on_sphere(3000, rng)
    seen = points[points[:, 2] > 0.4]
    inside, outside = np.zeros(3), np.array([0.0, 0.0, 9.0])
    assert cosines(estimate_normals(seen, outside), seen).min() > 0.9
    assert cosines(estimate_normals(seen, inside), seen).max() < -0.9


def test_signs_before_turning_do_not_matter(rng):
    points, expected = on_torus(2000, rng)
    nearest = cKDTree(points).query(points, 12)[1]
    flips = rng.choice([-1.0, 1.0], (len(points), 1))
    assert np.array_equal(orient_outward(points, expected * flips, nearest), expected)


def test_signs_are_propagated_over_every_edge_of_a_consistent_graph(rng):
    count = 300
    truth = rng.choice([-1, 1], count)
    piece = np.arange(count) % 3
    # Each piece is a path through its nodes in random order, plus some more edges.
    heads, tails = [], []
    for number in range(3):
        nodes = rng.permutation(np.flatnonzero(piece == number))
        heads += [nodes[:-1], rng.choice(nodes, 40)]
        tails += [nodes[1:], rng.choice(nodes, 40)]
    heads, tails = np.concatenate(heads), np.concatenate(tails)
    signs, pieces = propagate_signs(
        count, heads, tails, truth[heads] * truth[tails], rng.uniform(size=len(heads))
    )
    assert len(set(zip(pieces, piece, strict=True))) == 3
    for number in range(3):
        assert abs((signs * truth)[piece == number].sum()) == 100


def test_signs_follow_the_cheapest_tree():
    heads, tails = np.array([0, 1, 2]), np.array([1, 2, 0])
    # The edges of the triangle contradict one another, so the most expensive one gives way.
    signs, _ = propagate_signs(3, heads, tails, np.array([1, 1, -1]), np.array([0.0, 0.5, 0.9]))
    assert abs(signs.sum()) == 3
    signs, _ = propagate_signs(3, heads, tails, np.array([1, 1, -1]), np.array([0.9, 0.5, 0.0]))
    assert signs[1] == signs[2] == -signs[0]
