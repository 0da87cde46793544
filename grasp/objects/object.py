"""Objects to grasp: meshes, point clouds and depth images, checked and in metres.

An object stays in the frame of its file. The transforms of a scene graph (glb, dae) are applied;
axes are never converted, so y stays up where the file has y up. An object from a depth image is in
the frame of its camera: x to the right, y down, z forward.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Int

from grasp.objects.cleaning import (
    area_vectors,
    checked_positions,
    clean_mesh,
    faces_at,
    first_of_equals,
    frozen,
    is_closed,
    on_triangles,
)
from grasp.objects.normals import (
    NEIGHBOURS,
    estimate_normals,
)
from pcdiff.errors import InputError

if TYPE_CHECKING:
    import trimesh


Part = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class Object:
    """The geometry of one object in metres, in the frame of its file: a mesh or a point cloud.

    Made by `load_object`, `Object.from_mesh` and `Object.from_points`, which check it. Its arrays
    are read-only.

    Args:
        name: The file's name without its ending.
        vertices: (vertices, 3) float64, metres; the points, for a cloud.
        faces: (faces, 3) int64, counter-clockwise seen from outside; None for a cloud.
        normals: (vertices, 3) float64, unit and outward, for a cloud; None for a mesh.
        file: Where it was read from; None if it was made.
        scale: What the file's numbers were multiplied by to become metres.
        sha256: Of the geometry after scaling (hexadecimal): equal for equal arrays, whatever file
            they came from.
        parts: Exact convex parts as (vertices, faces), if they are known.
        sided: For each face whether it is known which of its sides is outside; where not, as in a
            sheet, both may be touched. None for a cloud.
    """

    name: str
    vertices: Float[np.ndarray, "vertices 3"]
    faces: Int[np.ndarray, "faces 3"] | None
    normals: Float[np.ndarray, "vertices 3"] | None
    file: str | None
    scale: float
    sha256: str
    parts: tuple[Part, ...] | None = None
    sided: Bool[np.ndarray, " faces"] | None = None

    @classmethod
    def from_mesh(
        cls,
        vertices: Float[np.ndarray, "vertices 3"],
        faces: Int[np.ndarray, "faces 3"],
        *,
        name: str = "object",
        parts: tuple[Part, ...] | None = None,
        file: str | None = None,
        scale: float = 1.0,
    ) -> Object:
        """A mesh object from arrays.

        Equal vertices become one; faces without area and vertices without faces are removed. A
        closed surface is turned outside out as a whole; if neighbouring faces contradict one
        another, each of its pieces is. Of an open one each piece is turned to the side that sees
        more of the surroundings, and stays as it is where both see about the same.

        Args:
            vertices: In the unit that `scale` turns into metres.
            faces: Indices of vertices.
            name: Of the object.
            parts: Its exact convex parts, in the unit of the vertices.
            file: Where it was read from.
            scale: Metres in a unit of the vertices.

        Raises:
            InputError: A number is not finite, an index has no vertex, there is no area, or the
                arrays are of another shape or kind.
        """
        vertices, faces, sided = clean_mesh(vertices, faces, scale, file or name)
        scaled = None
        if parts is not None:
            scaled = tuple((frozen(v * scale), frozen(f.astype(np.int64))) for v, f in parts)
        digest = _content_hash(vertices, faces)
        return cls(name, vertices, faces, None, file, scale, digest, scaled, sided)

    @classmethod
    def from_points(
        cls,
        points: Float[np.ndarray, "points 3"],
        normals: Float[np.ndarray, "points 3"] | None = None,
        *,
        viewpoint: Float[np.ndarray, "3"] | None = None,
        name: str = "object",
        file: str | None = None,
        scale: float = 1.0,
    ) -> Object:
        """A point-cloud object from arrays; equal points become one.

        Args:
            points: In the unit that `scale` turns into metres.
            normals: Outward and of length 1; estimated by `grasp.objects.normals.estimate_normals`
                if they are not given.
            viewpoint: The position of the camera that saw all points, in their frame and unit; it
                tells the outside of estimated normals.
            name: Of the object.
            file: Where it was read from.
            scale: Metres in a unit of the points.

        Raises:
            InputError: A number is not finite, a normal has another length than 1, the points are
                fewer than `NEIGHBOURS` or on one line, or the arrays are of another shape or kind.
        """
        what = file or name
        points = checked_positions(points, scale, what, "point")
        if normals is None:
            points = points[np.sort(first_of_equals(points)[0])]
        else:
            if normals.shape != points.shape:
                raise InputError(
                    f"{what} must have one normal a point, got normals of shape {normals.shape} "
                    f"for points of shape {points.shape}"
                )
            lengths = np.linalg.norm(normals, axis=1)
            wrong = ~(np.abs(lengths - 1) < 0.01)  # NaN too
            if wrong.any():
                raise InputError(
                    f"{what} has {np.count_nonzero(wrong)} normals of {len(normals)} whose length "
                    "is not 1: leave them out and they will be estimated"
                )
            normals = normals.astype(np.float64) / lengths[:, None]
            kept = np.sort(first_of_equals(np.hstack([points, normals]))[0])
            points, normals = points[kept], normals[kept]
        if len(points) < NEIGHBOURS:
            raise InputError(
                f"{what} has {len(points)} different points, expected at least {NEIGHBOURS}"
            )
        spread = np.linalg.eigvalsh(np.cov((points - points.mean(axis=0)).T))
        if not spread[1] > 1e-12 * spread[2]:
            raise InputError(f"{what} has all its points on one line, expected a surface")
        if normals is None:
            seen_from = None if viewpoint is None else viewpoint * scale
            normals = estimate_normals(points, seen_from)
        points, normals = frozen(points), frozen(normals)
        return cls(name, points, None, normals, file, scale, _content_hash(points), None)

    @property
    def is_mesh(self) -> bool:
        """Whether it has faces; else it is a point cloud."""
        return self.faces is not None

    @property
    def points(self) -> Float[np.ndarray, "points 3"] | None:
        """The points of a cloud; None for a mesh."""
        return None if self.is_mesh else self.vertices

    @cached_property
    def bounds(self) -> Float[np.ndarray, "2 3"]:
        """Smallest and largest coordinates, metres."""
        return np.stack([self.vertices.min(axis=0), self.vertices.max(axis=0)])

    @property
    def extent(self) -> Float[np.ndarray, "3"]:
        """Side lengths of the box along the file's axes, metres."""
        return self.bounds[1] - self.bounds[0]

    @cached_property
    def centre(self) -> Float[np.ndarray, "3"]:
        """The centre of the geometry, wherever the file's origin is.

        The centre of mass of a watertight mesh at uniform density, the area-weighted mean of any
        other mesh's triangles, the mean of a cloud's points.
        """
        if self.faces is None:
            return self.vertices.mean(axis=0)
        # Relative to the box's centre, so that a far origin costs no digits.
        origin = self.bounds.mean(axis=0)
        triangles = self.vertices[self.faces] - origin
        sums = triangles.sum(axis=1)
        if is_closed(self.faces):
            volumes = np.linalg.det(triangles)
            if volumes.sum() > 1e-9 * np.prod(self.extent):
                centre = origin + volumes @ sums / (4 * volumes.sum())
                # A surface that crosses itself may have its centre of mass anywhere.
                if np.all((centre >= self.bounds[0]) & (centre <= self.bounds[1])):
                    return centre
        areas = np.linalg.norm(area_vectors(triangles), axis=1)
        return origin + areas @ sums / (3 * areas.sum())

    @cached_property
    def face_normals(self) -> Float[np.ndarray, "faces 3"]:
        """Outward and of length 1, of each face of a mesh.

        Raises:
            InputError: It is a point cloud.
        """
        vectors = area_vectors(self.vertices[self._triangles()])
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def surface(
        self, count: int, rng: np.random.Generator
    ) -> tuple[Float[np.ndarray, "count 3"], Float[np.ndarray, "count 3"]]:
        """Points on the surface with their outward unit normals.

        Of a mesh: independent and uniform by area (Osada et al., "Shape distributions", 2002,
        section 4.1). Of a cloud: a random subset of its points, each at most once unless `count`
        is larger than the cloud.

        Args:
            count: How many.
            rng: The source of randomness.
        """
        if self.normals is not None:
            chosen = rng.choice(len(self.vertices), count, replace=count > len(self.vertices))
            return self.vertices[chosen], self.normals[chosen]
        points, face = self.surface_faces(count, rng)
        return points, self.face_normals[face]

    def surface_faces(
        self, count: int, rng: np.random.Generator
    ) -> tuple[Float[np.ndarray, "count 3"], Int[np.ndarray, " count"]]:
        """The points that `surface` draws on a mesh, each with the face that it is on.

        Args:
            count: How many.
            rng: The source of randomness.

        Raises:
            InputError: It is a point cloud.
        """
        triangles = self.vertices[self._triangles()]
        cumulative = np.cumsum(np.linalg.norm(area_vectors(triangles), axis=1))
        face = faces_at(cumulative, rng.uniform(0, cumulative[-1], count))
        root, share = np.sqrt(rng.uniform(size=count)), rng.uniform(size=count)
        return on_triangles(triangles[face], root, share), face

    def mesh(self) -> trimesh.Trimesh:
        """A new trimesh of the same vertices and faces.

        Raises:
            InputError: It is a point cloud.
        """
        import trimesh

        return trimesh.Trimesh(self.vertices.copy(), self._triangles().copy(), process=False)

    def _triangles(self) -> Int[np.ndarray, "faces 3"]:
        if self.faces is None:
            raise InputError(f"{self.file or self.name} is a point cloud, expected a mesh")
        return self.faces


def _content_hash(*arrays: np.ndarray) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
