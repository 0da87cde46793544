"""The geometry in a file, as it stands there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from pcdiff.errors import InputError


@dataclass(frozen=True, eq=False)
class Geometry:
    """What a file says, unchecked but for its syntax, in the file's unit and axes.

    Args:
        vertices: The vertices of a mesh, or the points of a cloud.
        faces: Triangles; None for a cloud. Polygons are cut into fans.
        normals: A direction for each point of a cloud, if the file has them.
        unit: Metres in a unit of the file, if the file says so.
    """

    vertices: Float[np.ndarray, "vertices 3"]
    faces: Int[np.ndarray, "faces 3"] | None = None
    normals: Float[np.ndarray, "vertices 3"] | None = None
    unit: float | None = None


def check_corners(path: Path | str, vertices: np.ndarray, faces: np.ndarray) -> None:
    """Refuse faces with a vertex that is not there."""
    if len(faces) and (faces.min() < 0 or faces.max() >= len(vertices)):
        raise InputError(
            f"{path} has a face with a vertex that is not there: it has {len(vertices)} vertices"
        )
