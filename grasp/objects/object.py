"""Objects to grasp: checked meshes and point clouds in metres.

An object stays in the frame of its file. The transforms of a scene graph (glb, dae) are applied.
Axes are never converted, so y stays up if the file has y up. An object from a depth image is in the
frame of its camera: x to the right, y down, z forward.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Int

from grasp.objects.cleaning import clean_mesh, clean_points, frozen
from grasp.objects.triangles import area_vectors, faces_at, on_triangles, surface_centre
from pcdiff.errors import InputError
from pcdiff.geometry.geometry import left_out

if TYPE_CHECKING:
    import trimesh


FILE_FRAME = "object mesh file"
CAMERA_FRAME = "camera"
BASE_FRAME = "robot base"
FRAMES = (FILE_FRAME, CAMERA_FRAME, BASE_FRAME)
"""Frames of objects: of the file; of the camera of a depth image, with x to the right, y down and z
forward; and of the base of the robot, if the pose of the camera in this frame is known."""

Part = tuple[np.ndarray, np.ndarray]
"""A convex part: vertices of shape (vertices, 3) and triangles, as indices, of shape (faces, 3)."""


@dataclass(frozen=True, eq=False)
class Object:
    """A mesh or a point cloud in metres, in the frame of its file.

    `load_object`, `Object.from_mesh` and `Object.from_points` check the geometry and create
    instances. The arrays are read-only.

    Attributes:
        name: Name of the file without its ending.
        vertices: Vertices of a mesh, or points of a cloud, float64 in metres.
        faces: Triangles as int64 indices of vertices, counter-clockwise seen from outside; None for
            a cloud.
        normals: Outward unit normals of the points of a cloud, float64; None for a mesh.
        file: Path of the file; None for an object that was created from arrays.
        scale: Factor that converted the numbers in the file to metres.
        sha256: Hexadecimal hash of the geometry in metres. Equal arrays have equal hashes, even if
            they come from different files.
        parts: Exact convex parts in metres; None if the parts are unknown.
        sided: True for each face with a known outside. A gripper may touch both sides of any other
            face, for example of a surface without thickness. None for a cloud.
        remarks: Sentences for the user about what was left out and how the file was understood.
        frame: Frame of the geometry and of its grasps: `FILE_FRAME`, `CAMERA_FRAME` or
            `BASE_FRAME`.
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
    remarks: tuple[str, ...] = ()
    frame: str = FILE_FRAME

    def __repr__(self) -> str:
        size = " x ".join(f"{side:.3g}" for side in self.extent)
        kind = f"cloud of {len(self.vertices)} points"
        if self.faces is not None:
            kind = f"mesh of {len(self.faces)} faces"
        remarks = "".join(f"; {remark}" for remark in self.remarks)
        return f"Object({self.name}, {kind}, {size} m{remarks})"

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
        """Create a mesh object from arrays.

        Equal vertices are merged. Faces without area, which the remarks count, and vertices without
        faces are removed. A closed, consistently wound surface is turned as a whole so that its
        faces point outward. In a closed surface with inconsistent winding, each connected piece is
        turned on its own. Each piece of an open surface is turned so that its front has a free view
        in more directions than its back; if the views hardly differ, most faces of the piece keep
        their orientation.

        Args:
            vertices: Vertices in the unit that `scale` converts to metres.
            faces: Triangles as indices of vertices.
            name: Name of the object.
            parts: Exact convex parts in the unit of the vertices; None if the parts are unknown.
            file: Path of the file that the mesh comes from; None if there is none.
            scale: Length of one unit of the vertices in metres.

        Raises:
            InputError: If a number is not finite, a face refers to a missing vertex, the mesh has
                no area, or an array has the wrong shape or type.
        """
        given = len(faces)
        vertices, faces, sided = clean_mesh(vertices, faces, scale, file or name)
        flat = left_out(np.arange(given) >= len(faces), "faces", "no area")
        scaled = None
        if parts is not None:
            scaled = tuple((frozen(v * scale), frozen(f.astype(np.int64))) for v, f in parts)
        digest = _content_hash(vertices, faces)
        remarks = tuple(f"{file or name}: {remark}" for remark in flat)
        return cls(name, vertices, faces, None, file, scale, digest, scaled, sided, remarks)

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
        """Create a point-cloud object from arrays; equal points are merged.

        Args:
            points: Points in the unit that `scale` converts to metres.
            normals: Outward unit normals; None to estimate the normals with
                `grasp.objects.normals.estimate_normals`.
            viewpoint: Position of the camera that saw all points, in the unit and frame of the
                points; None if unknown. Estimated normals point towards the camera.
            name: Name of the object.
            file: Path of the file that the cloud comes from; None if there is none.
            scale: Length of one unit of the points in metres.

        Raises:
            InputError: If a number is not finite, a normal does not have length 1, there are fewer
                than `grasp.objects.normals.NEIGHBOURS` different points, all points are on one
                line, or an array has the wrong shape or type.
        """
        points, normals = clean_points(points, normals, viewpoint, scale, file or name)
        return cls(name, points, None, normals, file, scale, _content_hash(points))

    @property
    def is_mesh(self) -> bool:
        """True if the object is a mesh, False if the object is a point cloud."""
        return self.faces is not None

    @cached_property
    def bounds(self) -> Float[np.ndarray, "2 3"]:
        """The smallest and the largest coordinates in metres, as two rows."""
        return np.stack([self.vertices.min(axis=0), self.vertices.max(axis=0)])

    @property
    def extent(self) -> Float[np.ndarray, "3"]:
        """The side lengths in metres of the bounding box along the file's axes."""
        return self.bounds[1] - self.bounds[0]

    @cached_property
    def centre(self) -> Float[np.ndarray, "3"]:
        """The centre of the geometry in metres, in the frame of the file.

        The centre of a watertight mesh is the centre of mass at uniform density. The centre of any
        other mesh is the area-weighted mean of its triangles. The centre of a cloud is the mean of
        its points.
        """
        if self.faces is None:
            return self.vertices.mean(axis=0)
        return surface_centre(self.vertices, self.faces)

    @cached_property
    def area(self) -> float:
        """The area of the surface of a mesh in square metres.

        Raises:
            InputError: If the object is a point cloud.
        """
        vectors = area_vectors(self.vertices[self._triangles()])
        return float(np.linalg.norm(vectors, axis=1).sum())

    @cached_property
    def face_normals(self) -> Float[np.ndarray, "faces 3"]:
        """Outward unit normals of the faces of a mesh.

        Raises:
            InputError: If the object is a point cloud.
        """
        vectors = area_vectors(self.vertices[self._triangles()])
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def surface(
        self, count: int, rng: np.random.Generator
    ) -> tuple[Float[np.ndarray, "count 3"], Float[np.ndarray, "count 3"]]:
        """Draw points on the surface, in metres, together with their outward unit normals.

        Points on a mesh are independent and uniform by area (Osada et al., "Shape distributions",
        2002, section 4.1). Points of a cloud are a random subset; no point is drawn twice unless
        `count` is larger than the number of points in the cloud.

        Args:
            count: Number of points.
            rng: Source of randomness.
        """
        if self.normals is not None:
            chosen = rng.choice(len(self.vertices), count, replace=count > len(self.vertices))
            return self.vertices[chosen], self.normals[chosen]
        points, face = self.surface_faces(count, rng)
        return points, self.face_normals[face]

    def surface_faces(
        self, count: int, rng: np.random.Generator
    ) -> tuple[Float[np.ndarray, "count 3"], Int[np.ndarray, " count"]]:
        """Draw points on the surface of a mesh, in metres, with the indices of their faces.

        The method draws the same points as `surface`.

        Args:
            count: Number of points.
            rng: Source of randomness.

        Raises:
            InputError: If the object is a point cloud.
        """
        triangles = self.vertices[self._triangles()]
        cumulative = np.cumsum(np.linalg.norm(area_vectors(triangles), axis=1))
        face = faces_at(cumulative, rng.uniform(0, cumulative[-1], count))
        root, share = np.sqrt(rng.uniform(size=count)), rng.uniform(size=count)
        return on_triangles(triangles[face], root, share), face

    def mesh(self) -> trimesh.Trimesh:
        """Return a `trimesh.Trimesh` with copies of the vertices and faces.

        Raises:
            InputError: If the object is a point cloud.
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
