"""The places where rays cross a mesh.

A ray caster finds the triangle that a ray meets, perhaps in single precision; the distance then
comes from the plane of the triangle in double precision.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from pcdiff.geometry.rays import ray_caster

# How far behind a crossing the search for the next one starts, relative to the mesh's diagonal.
# Single precision places a ray to within a few ten-millionths.
_STEP = 1e-5


@dataclass(frozen=True, eq=False)
class Hits:
    """Crossings of rays with triangles, in no particular order.

    Attributes:
        ray: Index of the ray.
        face: Index of the triangle.
        distance: Distance from the ray's origin, in lengths of its direction.
        normal: Unit normal of the triangle, which points to the side from which its corners run
            counter-clockwise.
        slope: Dot product of the normal and the direction: negative if the ray comes from the side
            of the normal.
    """

    ray: Int[np.ndarray, " hits"]
    face: Int[np.ndarray, " hits"]
    distance: Float[np.ndarray, " hits"]
    normal: Float[np.ndarray, "hits 3"]
    slope: Float[np.ndarray, " hits"]


class Target:
    """A mesh that rays are cast at.

    Args:
        vertices: Vertices of the mesh, in any unit.
        faces: Triangles as indices of vertices, each with an area.
    """

    def __init__(
        self, vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]
    ) -> None:
        low, high = vertices.min(axis=0), vertices.max(axis=0)
        # Coordinates are relative to the middle, so that a far origin costs no precision.
        self._middle = (low + high) / 2
        self._step = _STEP * float(np.linalg.norm(high - low))
        self._vertices, self._faces = vertices - self._middle, faces
        self._caster = ray_caster(self._vertices, faces)

    def is_hit(
        self, origins: Float[np.ndarray, "rays 3"], directions: Float[np.ndarray, "rays 3"]
    ) -> Bool[np.ndarray, " rays"]:
        """Test whether each ray meets the mesh; the arguments are those of `first`."""
        return self._caster.first(origins - self._middle, directions).face >= 0

    def first(
        self, origins: Float[np.ndarray, "rays 3"], directions: Float[np.ndarray, "rays 3"]
    ) -> Hits:
        """Find the first crossing of each ray that meets the mesh.

        Args:
            origins: Origins of the rays, in the unit and frame of the vertices.
            directions: Directions of the rays, of any length but 0.
        """
        origins = origins - self._middle
        face = self._caster.first(origins, directions).face
        (ray,) = np.nonzero(face >= 0)
        return self._hits(ray, face[ray], origins, directions)

    def all(
        self, origins: Float[np.ndarray, "rays 3"], directions: Float[np.ndarray, "rays 3"]
    ) -> Hits:
        """Find every crossing of each ray; the arguments are those of `first`.

        Crossings of one ray that are closer together than 1e-5 of the diagonal count as one.
        """
        origins = origins - self._middle
        lengths = np.linalg.norm(directions, axis=1)
        travelled, active = np.zeros(len(origins)), np.arange(len(origins))
        rays, faces = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        while len(active):
            starts = origins[active] + travelled[active, None] * directions[active]
            face, distance, _ = self._caster.first(starts, directions[active])
            met = face >= 0
            active = active[met]
            rays.append(active)
            faces.append(face[met])
            travelled[active] += distance[met] + self._step / lengths[active]
        # In single precision a ray may meet a triangle a second time just behind the first.
        once = np.unique(np.stack([np.concatenate(rays), np.concatenate(faces)]), axis=1)
        return self._hits(once[0], once[1], origins, directions)

    def _hits(
        self, ray: np.ndarray, face: np.ndarray, origins: np.ndarray, directions: np.ndarray
    ) -> Hits:
        corners, along = self._vertices[self._faces[face]], directions[ray]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        slope = np.einsum("ni,ni->n", normals, along)
        from_origin = corners - origins[ray][:, None]
        ahead = np.einsum("ni,ni->n", normals, from_origin[:, 0])
        # A triangle that is met edge-on has no single distance; it lies between its corners'.
        square = np.einsum("ni,ni->n", along, along)
        places = np.einsum("nki,ni->nk", from_origin, along) / square[:, None]
        nearest, farthest = places.min(axis=1), places.max(axis=1)
        exact = np.divide(ahead, slope, out=nearest.copy(), where=slope != 0)
        return Hits(ray, face, np.clip(exact, nearest, farthest), normals, slope)
