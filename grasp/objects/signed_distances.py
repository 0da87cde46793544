"""Signed distances to a mesh: how far points are from its surface, below 0 inside."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from grasp.objects.normals import directions
from grasp.objects.object import Object
from grasp.objects.rays import Target
from pcdiff.errors import InputError

NEAR = 0.01
"""Standard deviation of the points near the surface, metres: a finger's thickness."""

MARGIN = 0.05
"""By which the box of the other points is larger than the object's, on every side, metres."""

_RAYS = 16  # from each point, by which it is told whether it is inside
_EDGE = 1 / 32  # of the longest side of the box: triangles are cut until no edge is longer
_AT_ONCE = 1000  # points whose candidates fit into memory


def signed_distances(
    obj: Object, count: int, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "count 3"], Float[np.ndarray, " count"]]:
    """Points to learn signed distances from: half of them near the surface, half in the box.

    Those near it are uniform on the surface and moved by a Gaussian (as in Park et al., "DeepSDF",
    CVPR 2019); the others are uniform in the box of the object, enlarged by `MARGIN`.

    Args:
        obj: a mesh.
        count: how many.
        rng: draws the points.

    Returns:
        Points in the frame of the object's file, those near the surface first, and the signed
        distance of each; metres.

    Raises:
        InputError: it is a point cloud.
    """
    places, _ = obj.surface_faces(count // 2, rng)
    low, high = obj.bounds[0] - MARGIN, obj.bounds[1] + MARGIN
    points = np.concatenate(
        [rng.normal(places, NEAR), rng.uniform(low, high, (count - len(places), 3))]
    )
    return points, signed_distance(obj, points)


def signed_distance(
    obj: Object, points: Float[np.ndarray, "points 3"]
) -> Float[np.ndarray, " points"]:
    """The distance of each point to the nearest of the triangles, below 0 inside; metres.

    Inside is where the winding number is above ½ (Jacobson et al., "Robust inside-outside
    segmentation using generalized winding numbers", SIGGRAPH 2013): the mean, over rays in evenly
    spread directions, of how often the ray leaves the surface minus how often it enters. Of a
    watertight mesh every ray gives the same number, also where shells overlap or enclose a cavity;
    where there is a hole most rays still do. Faces whose outside is not known, as of a sheet,
    enclose nothing, so there the distance is not signed.

    Args:
        obj: a mesh.
        points: in the frame of the object's file, metres.

    Raises:
        InputError: it is a point cloud.
    """
    distance = _distance(obj, points)
    return np.where(_is_inside(obj, points), -distance, distance)


def _is_inside(obj: Object, points: np.ndarray) -> Bool[np.ndarray, " points"]:
    assert obj.faces is not None and obj.sided is not None
    target = Target(obj.vertices, obj.faces)
    winding = np.zeros(len(points))
    for direction in directions(_RAYS):
        hits = target.all(points, np.tile(direction, (len(points), 1)))
        crossings = np.sign(hits.slope) * obj.sided[hits.face]
        winding += np.bincount(hits.ray, crossings, minlength=len(points)) / _RAYS
    return winding > 0.5


def _distance(obj: Object, points: np.ndarray) -> Float[np.ndarray, " points"]:
    """Exact: the nearest of all triangles whose centre is near enough for them to be the nearest.

    `trimesh.proximity` does the same with a tree of boxes, for which it needs another package.
    """
    from scipy.spatial import cKDTree
    from trimesh.remesh import subdivide_to_size
    from trimesh.triangles import closest_point

    if obj.faces is None:
        raise InputError(f"{obj.file or obj.name} is a point cloud, expected a mesh")
    # Of small triangles few are candidates.
    cut, faces = subdivide_to_size(obj.vertices, obj.faces, _EDGE * obj.extent.max())
    triangles = cut[faces]
    centres = triangles.mean(axis=1)
    radius = np.linalg.norm(triangles - centres[:, None], axis=2).max()
    tree = cKDTree(centres)
    found = []
    for some in np.array_split(points, len(points) // _AT_ONCE + 1):
        near = tree.query_ball_point(some, tree.query(some)[0] + radius)
        counts = [len(each) for each in near]
        triangle = np.concatenate(near).astype(np.int64)
        # About the centre and in radii: `closest_point` has tolerances for lengths of about 1.
        query = (np.repeat(some, counts, axis=0) - centres[triangle]) / radius
        corners = (triangles[triangle] - centres[triangle, None]) / radius
        lengths = np.linalg.norm(query - closest_point(corners, query), axis=1) * radius
        found.append(np.minimum.reduceat(lengths, np.cumsum([0, *counts[:-1]])))
    return np.concatenate(found)
