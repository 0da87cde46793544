"""Slow and obvious geometry in double precision, as a reference for the makers."""

from __future__ import annotations

import numpy as np


def hits(vertices, faces, origin, direction):
    """The sorted distances, in multiples of `direction`, at which a ray meets triangles."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    across = np.cross(direction, c - a)
    determinant = np.sum((b - a) * across, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        u = np.sum((origin - a) * across, axis=1) / determinant
        other = np.cross(origin - a, b - a)
        v = other @ np.asarray(direction, dtype=np.float64) / determinant
        distance = np.sum((c - a) * other, axis=1) / determinant
        met = (u >= 0) & (v >= 0) & (u + v <= 1) & (distance > 0)
    return np.sort(distance[met])


def winding(vertices, faces, points):
    """The winding numbers of a surface around points: the sum of its solid angles over 4π.

    Van Oosterom & Strackee, "The solid angle of a plane triangle", 1983, equation 8.
    """
    a, b, c = (vertices[faces[:, k]][None] - points[:, None] for k in range(3))
    la, lb, lc = (np.linalg.norm(x, axis=2) for x in (a, b, c))
    top = np.sum(a * np.cross(b, c), axis=2)
    bottom = (
        la * lb * lc
        + np.sum(a * b, axis=2) * lc
        + np.sum(b * c, axis=2) * la
        + np.sum(c * a, axis=2) * lb
    )
    return np.sum(2 * np.arctan2(top, bottom), axis=1) / (4 * np.pi)


def planes(piece):
    """The outward unit normals of a polyhedron's triangles, and their distances from the origin."""
    a, b, c = (piece.vertices[piece.faces[:, k]] for k in range(3))
    normals = np.cross(b - a, c - a)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return normals, np.sum(normals * a, axis=1)


def inside_any(parts, points):
    """Whether each point is in at least one of some convex polyhedra."""
    inside = np.zeros(len(points), dtype=bool)
    for part in parts:
        normals, distances = planes(part)
        inside |= (points @ normals.T <= distances).all(axis=1)
    return inside


def is_closed(faces):
    """Whether each edge belongs to two faces that run along it in opposite directions."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    forward = {(int(a), int(b)) for a, b in edges}
    return len(forward) == len(edges) and all((b, a) in forward for a, b in forward)


def bodies(vertices, faces):
    """The number of connected surfaces, with equal vertices counted as one."""
    _, same = np.unique(vertices, axis=0, return_inverse=True)
    parent = list(range(int(same.max()) + 1))

    def root(x):
        while parent[x] != x:
            parent[x] = parent[parent[x]]
            x = parent[x]
        return x

    for a, b, c in same.reshape(-1)[faces].tolist():
        parent[root(a)] = root(b)
        parent[root(b)] = root(c)
    return len({root(x) for x in range(len(parent))})
