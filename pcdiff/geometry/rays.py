"""Ray casting at triangles: by Embree if it can be imported, else by a tree of boxes in NumPy.

Embree has no wheel for some platforms, such as Linux on aarch64. Both casters find the same first
triangle of a ray, except where rounding decides: Embree computes in single precision and the tree
in double precision. The tree is slower by a factor of ten to a hundred.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

_LEAF = 4  # triangles in the smallest box
_RAYS_AT_ONCE = 4096  # limits memory


class Crossings(NamedTuple):
    """The first crossing of each ray.

    Attributes:
        face: Index of the triangle; −1 for a ray that meets no triangle.
        distance: Distance from the ray's origin in lengths of its direction; meaningless for a ray
            that meets no triangle.
        normal: Normal of the triangle, of any length and on either side; meaningless for a ray
            that meets no triangle.
    """

    face: Int[np.ndarray, " rays"]
    distance: Float[np.ndarray, " rays"]
    normal: Float[np.ndarray, "rays 3"]


def ray_caster(
    vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]
) -> EmbreeCaster | BoxTree:
    """Make the fastest ray caster that is available on this machine.

    Args:
        vertices: Vertices near the origin, because Embree rounds them to single precision.
        faces: Triangles as indices of vertices, at least one, each with an area.
    """
    try:
        return EmbreeCaster(vertices, faces)
    except ImportError:
        return BoxTree(vertices, faces)


class EmbreeCaster:
    """A ray caster that uses Embree, in single precision; the arguments are those of `ray_caster`.

    Raises:
        ImportError: If the package embreex cannot be imported.
    """

    def __init__(
        self, vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]
    ) -> None:
        from embreex.mesh_construction import TriangleMesh
        from embreex.rtcore_scene import EmbreeScene

        self._scene = EmbreeScene(robust=True)  # no ray slips through between two triangles
        TriangleMesh(
            scene=self._scene,
            vertices=vertices.astype(np.float32),
            indices=faces.astype(np.int32),
        )

    def first(
        self, origins: Float[np.ndarray, "rays 3"], directions: Float[np.ndarray, "rays 3"]
    ) -> Crossings:
        """Find the first triangle that each ray meets.

        Args:
            origins: Origins of the rays, in the unit and frame of the triangles.
            directions: Directions of the rays, of any length but 0.
        """
        found = self._scene.run(
            np.ascontiguousarray(origins, np.float32),
            np.ascontiguousarray(directions, np.float32),
            output=True,
        )
        return Crossings(
            found["primID"].astype(np.int64),
            found["tfar"].astype(np.float64),
            found["Ng"].astype(np.float64),
        )

    def is_blocked(
        self,
        origins: Float[np.ndarray, "rays 3"],
        directions: Float[np.ndarray, "rays 3"],
        reach: float,
    ) -> Bool[np.ndarray, " rays"]:
        """Test for each ray whether it meets any triangle within a reach.

        Args:
            origins: Origins of the rays, in the unit and frame of the triangles.
            directions: Directions of the rays, of any length but 0.
            reach: Largest distance in lengths of a direction; may be infinite.
        """
        found: np.ndarray = self._scene.run(
            np.ascontiguousarray(origins, np.float32),
            np.ascontiguousarray(directions, np.float32),
            dists=min(reach, 1e30),
            query="OCCLUDED",
        )
        return found >= 0


class BoxTree:
    """A balanced binary tree of boxes around triangles; the arguments are those of `ray_caster`.

    Each box is halved at the median of its triangles along its longest side. All rays walk down the
    tree together, one level at a time, so that every step is one operation on arrays.
    """

    def __init__(
        self, vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]
    ) -> None:
        self._triangles = vertices.astype(np.float64)[faces]
        low, high = self._triangles.min(axis=1), self._triangles.max(axis=1)
        # Boxes are enlarged by more than rounding errors.
        slack = 1e-12 * float(np.abs(self._triangles).max())
        depth = 0
        while _LEAF << depth < len(faces):
            depth += 1
        # Triangles are repeated to fill the leaves; finding one twice does no harm.
        boxes = np.resize(np.arange(len(faces)), (1, _LEAF << depth))
        self._levels = [(low[boxes].min(axis=1) - slack, high[boxes].max(axis=1) + slack)]
        for _ in range(depth):
            centres = (low + high)[boxes]
            axis = np.ptp(centres, axis=1).argmax(axis=1)
            places = np.take_along_axis(centres, axis[:, None, None], axis=2)[:, :, 0]
            boxes = np.take_along_axis(boxes, places.argsort(axis=1), axis=1)
            boxes = boxes.reshape(2 * len(boxes), -1)
            self._levels.append((low[boxes].min(axis=1) - slack, high[boxes].max(axis=1) + slack))
        self._leaves = boxes

    def first(
        self, origins: Float[np.ndarray, "rays 3"], directions: Float[np.ndarray, "rays 3"]
    ) -> Crossings:
        """Find the first triangle that each ray meets; arguments as for `EmbreeCaster.first`."""
        face, distance = self._within(origins, directions, np.inf)
        corners = self._triangles[face]
        normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        return Crossings(face, distance, normal)

    def is_blocked(
        self,
        origins: Float[np.ndarray, "rays 3"],
        directions: Float[np.ndarray, "rays 3"],
        reach: float,
    ) -> Bool[np.ndarray, " rays"]:
        """Test for each ray whether it meets a triangle in reach; see `EmbreeCaster.is_blocked`."""
        face, distance = self._within(origins, directions, reach)
        return (face >= 0) & (distance <= reach)

    def _within(
        self, origins: np.ndarray, directions: np.ndarray, reach: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find triangle and distance of each ray's first crossing, at least of those in reach."""
        face = np.full(len(origins), -1)
        distance = np.full(len(origins), np.inf)
        for start in range(0, len(origins), _RAYS_AT_ONCE):
            some = slice(start, start + _RAYS_AT_ONCE)
            face[some], distance[some] = self._first(
                origins[some].astype(float), directions[some].astype(float), reach
            )
        return face, distance

    def _first(
        self, origins: np.ndarray, directions: np.ndarray, reach: float
    ) -> tuple[np.ndarray, np.ndarray]:
        # A direction of 0 along an axis becomes tiny, so that no quotient is 0 / 0.
        inverse = 1 / np.where(np.abs(directions) < 1e-290, 1e-290, directions)
        ray, node = np.arange(len(origins)), np.zeros(len(origins), np.int64)
        for level, (low, high) in enumerate(self._levels):
            if level:
                ray, node = np.repeat(ray, 2), np.stack([2 * node, 2 * node + 1], axis=1).ravel()
            with np.errstate(over="ignore"):
                one = (low[node] - origins[ray]) * inverse[ray]
                other = (high[node] - origins[ray]) * inverse[ray]
            enters = np.minimum(one, other).max(axis=1)
            leaves = np.maximum(one, other).min(axis=1)
            met = (leaves >= 0) & (enters <= np.minimum(leaves, reach))
            ray, node = ray[met], node[met]
        triangle = self._leaves[node].ravel()
        ray = np.repeat(ray, _LEAF)
        distance = _distances(self._triangles[triangle] - origins[ray, None], directions[ray])
        met = distance >= 0  # not for NaN
        ray, triangle, distance = ray[met], triangle[met], distance[met]
        # The nearest crossing of each ray comes first among those of the ray.
        order = np.lexsort((triangle, distance, ray))
        nearest = order[np.unique(ray[order], return_index=True)[1]]
        face, first = np.full(len(origins), -1), np.full(len(origins), np.inf)
        face[ray[nearest]], first[ray[nearest]] = triangle[nearest], distance[nearest]
        return face, first


def _distances(triangles: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Compute the distance from 0 along each ray to its own triangle; NaN if they do not cross.

    The barycentric weights are the volumes that the direction spans with each side (Woop, Benthin
    and Wald, "Watertight ray/triangle intersection", JCGT 2013). Two triangles compute exactly
    opposite volumes for a side in common, so no ray slips through between them. A ray that lies in
    the plane of a triangle does not cross it.
    """
    a, b, c = triangles.swapaxes(0, 1)
    weights = np.stack(
        [_dot(directions, np.cross(first, last)) for first, last in ((c, b), (a, c), (b, a))]
    )
    inside = (weights >= 0).all(axis=0) | (weights <= 0).all(axis=0)
    total = weights.sum(axis=0)
    along = np.stack([_dot(corner, directions) for corner in (a, b, c)])
    scale = np.where(inside & (total != 0), total * _dot(directions, directions), np.nan)
    return (weights * along).sum(axis=0) / scale


def _dot(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return left[:, 0] * right[:, 0] + left[:, 1] * right[:, 1] + left[:, 2] * right[:, 2]
