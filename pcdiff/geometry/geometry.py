"""The mesh or the point cloud in a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from pcdiff.errors import InputError


@dataclass(frozen=True, eq=False)
class Geometry:
    """A mesh or a point cloud from a file, in the unit of length and the axes of the file.

    Only the syntax of the file has been checked. Coordinates may be NaN, and faces may refer to
    vertices that do not exist.

    Attributes:
        vertices: Vertices of a mesh, or points of a cloud.
        faces: Triangles as indices of vertices, after polygons were split; None for a cloud.
        normals: Surface normal at each point of a cloud; None if the file has no normals.
        unit: Length of the file's unit in metres; None if the file does not state its unit.
        names: Names of the objects in the file, e.g. those of the lines `o` of an OBJ file.
        owners: For each face, the index in `names` of its object, or -1; None without names.
        viewpoint: Position of the camera that saw the cloud; None if the file does not state it.
    """

    vertices: Float[np.ndarray, "vertices 3"]
    faces: Int[np.ndarray, "faces 3"] | None = None
    normals: Float[np.ndarray, "vertices 3"] | None = None
    unit: float | None = None
    names: tuple[str, ...] = ()
    owners: Int[np.ndarray, " faces"] | None = None
    viewpoint: Float[np.ndarray, "3"] | None = None


def check_corners(name: Path | str, vertices: np.ndarray, faces: np.ndarray) -> None:
    """Check that every corner of the faces is the index of a vertex.

    Args:
        name: Name of the mesh in the error message.
        vertices: Vertices of the mesh.
        faces: Indices of vertices.

    Raises:
        InputError: If an index is negative or too large.
    """
    if len(faces) and (faces.min() < 0 or faces.max() >= len(vertices)):
        raise InputError(
            f"{name} has a face with a vertex that does not exist: vertex indices must be "
            f"at least 0 and below {len(vertices)}, got indices from {faces.min()} to {faces.max()}"
        )
