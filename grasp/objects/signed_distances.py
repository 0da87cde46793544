"""Signed distances from points to the surface of a mesh, negative inside."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

from grasp.objects.normals import directions
from grasp.objects.object import Object
from grasp.objects.rays import Target
from pcdiff.errors import InputError

NEAR = 0.01
"""Standard deviation, in metres, of the noise that moves drawn points off the surface.

The value is approximately the thickness of a finger."""

MARGIN = 0.05
"""Distance in metres by which the object's bounding box is enlarged on every side.

Points that are not near the surface are drawn in the enlarged box."""

_RAYS = 16  # number of rays that decide whether a point is inside
_EDGE = 1 / 32  # longest edge of a cut triangle, relative to the object's longest side
_AT_ONCE = 1000  # number of points whose candidate triangles are in memory at a time


def signed_distances(
    obj: Object, count: int, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "count 3"], Float[np.ndarray, " count"]]:
    """Draw points and compute their signed distances to a mesh, as training data.

    One half of the points is drawn uniformly on the surface and then moved by Gaussian noise with
    standard deviation `NEAR` (as in Park et al., "DeepSDF", CVPR 2019). The other half is drawn
    uniformly in the object's bounding box, enlarged by `MARGIN` on every side.

    Args:
        obj: Mesh to measure.
        count: Number of points.
        rng: Source of randomness.

    Returns:
        The points in the frame of the object's file, beginning with the points near the surface,
        and their signed distances. Points and distances are in metres.

    Raises:
        InputError: If the object is a point cloud.
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
    """Compute the distance in metres from each point to the nearest triangle, negative inside.

    A point is inside if its winding number is above ½ (Jacobson et al., "Robust inside-outside
    segmentation using generalized winding numbers", SIGGRAPH 2013). Each ray from the point counts
    how often it leaves the solid minus how often it enters the solid. The winding number is the
    mean of these counts over rays in evenly spread directions. For a watertight mesh, all rays give
    the same count, even where shells overlap or enclose a cavity; near a hole, most rays still
    agree. A face with an unknown outside, for example of a surface without thickness, encloses
    nothing and adds nothing to the count.

    Args:
        obj: Mesh to measure.
        points: Points in the frame of the object's file, in metres.

    Raises:
        InputError: If the object is a point cloud.
    """
    if obj.faces is None:
        raise InputError(f"{obj.file or obj.name} is a point cloud, expected a mesh")
    distance = distance_to_triangles(obj.vertices, obj.faces, points)
    return np.where(is_inside(obj, points), -distance, distance)


def is_inside(obj: Object, points: Float[np.ndarray, "points 3"]) -> Bool[np.ndarray, " points"]:
    """Test whether each point is inside a mesh; see `signed_distance` for the definition.

    Args:
        obj: Mesh to measure.
        points: Points in the frame of the object's file, in metres.
    """
    assert obj.faces is not None and obj.sided is not None
    target = Target(obj.vertices, obj.faces)
    winding = np.zeros(len(points))
    for direction in directions(_RAYS):
        hits = target.all(points, np.tile(direction, (len(points), 1)))
        crossings = np.sign(hits.slope) * obj.sided[hits.face]
        winding += np.bincount(hits.ray, crossings, minlength=len(points)) / _RAYS
    return winding > 0.5


def distance_to_triangles(
    vertices: Float[np.ndarray, "vertices 3"],
    faces: Int[np.ndarray, "faces 3"],
    points: Float[np.ndarray, "points 3"],
) -> Float[np.ndarray, " points"]:
    """Compute the exact distance from each point to the nearest triangle.

    A k-d tree of triangle centres finds all triangles that can be the nearest. `trimesh.proximity`
    would use a tree of boxes, but that tree needs another package.

    Args:
        vertices: Vertices in metres.
        faces: Triangles as indices of vertices.
        points: Points in metres, in the frame of the vertices.
    """
    from scipy.spatial import cKDTree
    from trimesh.remesh import subdivide_to_size
    from trimesh.triangles import closest_point

    if not len(points):
        return np.empty(0)
    # Smaller triangles leave fewer candidates per point.
    cut, cut_faces = subdivide_to_size(vertices, faces, _EDGE * np.ptp(vertices, axis=0).max())
    triangles = cut[cut_faces]
    centres = triangles.mean(axis=1)
    radius = np.linalg.norm(triangles - centres[:, None], axis=2).max()
    tree = cKDTree(centres)
    found = []
    for some in np.array_split(points, len(points) // _AT_ONCE + 1):
        near = tree.query_ball_point(some, tree.query(some)[0] + radius)
        counts = [len(each) for each in near]
        triangle = np.concatenate(near).astype(np.int64)
        # Scaled to a radius of 1, because the tolerances of `closest_point` assume such lengths.
        query = (np.repeat(some, counts, axis=0) - centres[triangle]) / radius
        corners = (triangles[triangle] - centres[triangle, None]) / radius
        lengths = np.linalg.norm(query - closest_point(corners, query), axis=1) * radius
        found.append(np.minimum.reduceat(lengths, np.cumsum([0, *counts[:-1]])))
    return np.concatenate(found)
