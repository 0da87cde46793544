"""Rays against a mesh: Embree says in single precision which triangle, its plane exactly where."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

# Of the mesh's diagonal: how far behind a crossing the next one is looked for. Single precision
# tells a ray from the triangle it starts on at a few ten-millionths.
_STEP = 1e-5


@dataclass(frozen=True, eq=False)
class Hits:
    """Where rays cross triangles, in no order.

    Attributes:
        ray: which ray.
        face: which triangle it crosses.
        distance: from the ray's origin, in lengths of its direction.
        normal: of the triangle, of length 1, on the side from which its corners go
            counter-clockwise.
        slope: the normal times the direction: below 0 where the ray comes from that side.
    """

    ray: Int[np.ndarray, " hits"]
    face: Int[np.ndarray, " hits"]
    distance: Float[np.ndarray, " hits"]
    normal: Float[np.ndarray, "hits 3"]
    slope: Float[np.ndarray, " hits"]


class Target:
    """A mesh that rays are cast at.

    Args:
        vertices: In any unit.
        faces: Indices of vertices; each triangle has an area.
    """

    def __init__(
        self, vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]
    ) -> None:
        from embreex.mesh_construction import TriangleMesh
        from embreex.rtcore_scene import EmbreeScene

        low, high = vertices.min(axis=0), vertices.max(axis=0)
        # Relative to the middle, so that a far origin costs no digits.
        self._middle = (low + high) / 2
        self._step = _STEP * float(np.linalg.norm(high - low))
        self._vertices, self._faces = vertices - self._middle, faces
        self._scene = EmbreeScene(robust=True)  # no ray slips through between two triangles
        TriangleMesh(
            scene=self._scene,
            vertices=self._vertices.astype(np.float32),
            indices=faces.astype(np.int32),
        )

    def is_hit(
        self, origins: Float[np.ndarray, "rays 3"], directions: Float[np.ndarray, "rays 3"]
    ) -> Bool[np.ndarray, " rays"]:
        """Whether each ray meets the mesh."""
        met: np.ndarray = self._cast(origins - self._middle, directions)["primID"] >= 0
        return met

    def first(
        self, origins: Float[np.ndarray, "rays 3"], directions: Float[np.ndarray, "rays 3"]
    ) -> Hits:
        """The first crossing of each ray that meets the mesh.

        Args:
            origins: Of the rays.
            directions: Of any length but 0.
        """
        origins = origins - self._middle
        face = self._cast(origins, directions)["primID"]
        (ray,) = np.nonzero(face >= 0)
        return self._hits(ray, face[ray].astype(np.int64), origins, directions)

    def all(
        self, origins: Float[np.ndarray, "rays 3"], directions: Float[np.ndarray, "rays 3"]
    ) -> Hits:
        """Every crossing of each ray; of some that are nearer than 1e-5 of the diagonal, one.

        Args:
            origins: Of the rays.
            directions: Of any length but 0.
        """
        origins = origins - self._middle
        lengths = np.linalg.norm(directions, axis=1)
        travelled, active = np.zeros(len(origins)), np.arange(len(origins))
        rays, faces = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        while len(active):
            starts = origins[active] + travelled[active, None] * directions[active]
            found = self._cast(starts, directions[active])
            met = found["primID"] >= 0
            active, beyond = active[met], found["tfar"][met].astype(np.float64)
            rays.append(active)
            faces.append(found["primID"][met].astype(np.int64))
            travelled[active] += beyond + self._step / lengths[active]
        # Single precision may meet a triangle a second time just behind itself.
        once = np.unique(np.stack([np.concatenate(rays), np.concatenate(faces)]), axis=1)
        return self._hits(once[0], once[1], origins, directions)

    def _cast(self, origins: np.ndarray, directions: np.ndarray) -> dict[str, np.ndarray]:
        found: dict[str, np.ndarray] = self._scene.run(
            np.ascontiguousarray(origins, np.float32),
            np.ascontiguousarray(directions, np.float32),
            output=True,
        )
        return found

    def _hits(
        self, ray: np.ndarray, face: np.ndarray, origins: np.ndarray, directions: np.ndarray
    ) -> Hits:
        corners, along = self._vertices[self._faces[face]], directions[ray]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        slope = np.einsum("ni,ni->n", normals, along)
        from_origin = corners - origins[ray][:, None]
        ahead = np.einsum("ni,ni->n", normals, from_origin[:, 0])
        # A triangle that is met edge-on has no one distance; it lies between those of its corners.
        square = np.einsum("ni,ni->n", along, along)
        places = np.einsum("nki,ni->nk", from_origin, along) / square[:, None]
        nearest, farthest = places.min(axis=1), places.max(axis=1)
        exact = np.divide(ahead, slope, out=nearest.copy(), where=slope != 0)
        return Hits(ray, face, np.clip(exact, nearest, farthest), normals, slope)
