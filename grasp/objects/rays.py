"""Crossings of rays with a mesh.

A ray caster, which may compute in single precision, finds the triangle that a ray meets. The
distance is then computed from the plane of the triangle in double precision.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from pcdiff.geometry.rays import BoxTree, ray_caster

# Distance from a crossing to the start of the search for the next crossing, relative to the
# bounding box's diagonal. The error of single precision is a few ten-millionths of the diagonal.
_STEP = 1e-5


@dataclass(frozen=True, eq=False)
class Hits:
    """Crossings of rays with triangles, in no particular order.

    Attributes:
        ray: Index of the ray at each crossing.
        face: Index of the triangle at each crossing.
        distance: Distance from the ray's origin to the crossing, as a multiple of the length of the
            ray's direction vector.
        normal: Unit normal of the triangle. The corners of the triangle run counter-clockwise seen
            from the side to which the normal points.
        slope: Dot product of the normal and the ray's direction; negative if the ray comes from the
            side to which the normal points.
    """

    ray: Int[np.ndarray, " hits"]
    face: Int[np.ndarray, " hits"]
    distance: Float[np.ndarray, " hits"]
    normal: Float[np.ndarray, "hits 3"]
    slope: Float[np.ndarray, " hits"]


class Target:
    """A mesh at which rays are cast.

    Args:
        vertices: Vertices of the mesh, in any unit.
        faces: Triangles as indices of vertices; every area must be above 0.
        exact: True to find triangles in double precision, which is slower but gives the same
            triangles on every machine; False to use the fastest ray caster of the machine.
    """

    def __init__(
        self,
        vertices: Float[np.ndarray, "vertices 3"],
        faces: Int[np.ndarray, "faces 3"],
        exact: bool = False,
    ) -> None:
        low, high = vertices.min(axis=0), vertices.max(axis=0)
        # Coordinates are relative to the middle, so that a distant origin costs no precision.
        self._middle = (low + high) / 2
        self._step = _STEP * float(np.linalg.norm(high - low))
        self._vertices, self._faces = vertices - self._middle, faces
        self._caster = (BoxTree if exact else ray_caster)(self._vertices, faces)

    def is_hit(
        self, origins: Float[np.ndarray, "rays 3"], directions: Float[np.ndarray, "rays 3"]
    ) -> Bool[np.ndarray, " rays"]:
        """Test whether each ray meets the mesh.

        Args:
            origins: Origins of the rays, in the unit and frame of the vertices.
            directions: Directions of the rays, of any length but 0.
        """
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
        """Find every crossing of each ray with the mesh.

        Several crossings of the same ray count as a single crossing if the distance between the
        crossings is less than 1e-5 times the diagonal of the mesh's bounding box.

        Args:
            origins: Origins of the rays, in the unit and frame of the vertices.
            directions: Directions of the rays, of any length but 0.
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
        # In single precision, a ray may meet a triangle again just behind the first crossing.
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
        # The distance to a triangle that is met edge-on is not unique; it lies between the
        # distances to the corners.
        square = np.einsum("ni,ni->n", along, along)
        places = np.einsum("nki,ni->nk", from_origin, along) / square[:, None]
        nearest, farthest = places.min(axis=1), places.max(axis=1)
        exact = np.divide(ahead, slope, out=nearest.copy(), where=slope != 0)
        return Hits(ray, face, np.clip(exact, nearest, farthest), normals, slope)
