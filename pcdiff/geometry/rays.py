"""Ray casting on triangles, with Embree or, if Embree is missing, with a tree of boxes in NumPy.

Embree has no package for some platforms, such as Linux on aarch64. Both ray casters find the same
first triangle of a ray, apart from rounding errors: Embree computes in single precision and the
tree in double precision. The tree is ten to a hundred times slower.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

_LEAF = 4  # number of triangles in each smallest box
_RAYS_AT_ONCE = 4096  # limits the use of memory


class Crossings(NamedTuple):
    """The first crossing of each ray with a triangle.

    Attributes:
        face: Index of the triangle; −1 for a ray that meets no triangle.
        distance: Distance from the ray's origin, divided by the length of the ray's direction
            vector; meaningless for a ray that meets no triangle.
        normal: Vector perpendicular to the triangle, of any length, on either side; meaningless for
            a ray that meets no triangle.
    """

    face: Int[np.ndarray, " rays"]
    distance: Float[np.ndarray, " rays"]
    normal: Float[np.ndarray, "rays 3"]


def ray_caster(
    vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]
) -> EmbreeCaster | BoxTree:
    """Make the fastest ray caster that is available on this machine.

    Args:
        vertices: Vertices, which should be near the origin: Embree rounds them to single
            precision.
        faces: Triangles as indices of vertices: at least one triangle, and all with nonzero area.
    """
    try:
        return EmbreeCaster(vertices, faces)
    except ImportError:
        return BoxTree(vertices, faces)


class EmbreeCaster:
    """A ray caster that uses Embree, in single precision.

    `ray_caster` describes the arguments.

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
            directions: Directions of the rays, of any nonzero length.
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
        """Test whether each ray meets a triangle within the distance `reach`.

        Args:
            origins: Origins of the rays, in the unit and frame of the triangles.
            directions: Directions of the rays, of any nonzero length.
            reach: Largest distance, divided by the length of the ray's direction vector; may be
                infinite.
        """
        found: np.ndarray = self._scene.run(
            np.ascontiguousarray(origins, np.float32),
            np.ascontiguousarray(directions, np.float32),
            dists=min(reach, 1e30),
            query="OCCLUDED",
        )
        return found >= 0


class BoxTree:
    """A ray caster that uses a balanced binary tree of boxes around triangles.

    `ray_caster` describes the arguments. Each box is split at the median of its triangles, along
    the axis with the largest spread of their centres. All rays descend the tree together, one level
    of the tree at a time, so that every step is one operation on arrays.
    """

    def __init__(
        self, vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]
    ) -> None:
        self._triangles = vertices.astype(np.float64)[faces]
        low, high = self._triangles.min(axis=1), self._triangles.max(axis=1)
        # The boxes are enlarged by more than the rounding errors.
        slack = 1e-12 * float(np.abs(self._triangles).max())
        depth = 0
        while _LEAF << depth < len(faces):
            depth += 1
        # Triangles are repeated to fill the leaves. A ray may then meet a triangle twice.
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
        """Find the first triangle that each ray meets; see `EmbreeCaster.first`."""
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
        """Test whether each ray meets a triangle within `reach`; see `EmbreeCaster.is_blocked`."""
        face, distance = self._within(origins, directions, reach)
        return (face >= 0) & (distance <= reach)

    def _within(
        self, origins: np.ndarray, directions: np.ndarray, reach: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the triangle and the distance of each ray's first crossing within `reach`.

        A crossing beyond `reach` may be returned or missing.
        """
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
        # Zeros in a direction become tiny numbers, so that no quotient is 0 / 0.
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
        met = distance >= 0  # False for NaN
        ray, triangle, distance = ray[met], triangle[met], distance[met]
        # Sort by ray and then by distance, so that each ray's nearest crossing comes first.
        order = np.lexsort((triangle, distance, ray))
        nearest = order[np.unique(ray[order], return_index=True)[1]]
        face, first = np.full(len(origins), -1), np.full(len(origins), np.inf)
        face[ray[nearest]], first[ray[nearest]] = triangle[nearest], distance[nearest]
        return face, first


def _distances(triangles: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Return the distance from the origin along ray i to triangle i; NaN without a crossing.

    The barycentric weights are the volumes that the direction spans with each side (Woop, Benthin
    and Wald, "Watertight ray/triangle intersection", JCGT 2013). Two triangles with a common side
    compute exactly opposite volumes for this side, so no ray slips through between the triangles.
    A ray in the plane of a triangle does not cross the triangle.
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
