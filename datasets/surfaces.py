"""Meshes from files and points on their surfaces."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pcdiff.errors import InputError

if TYPE_CHECKING:
    import trimesh

# What trimesh's readers raise for damaged files, for an extension that they do not know, and, the
# last, for text in an encoding that they would need another package to guess; their authors promise
# no narrower set. Not the list of `pcdiff.clouds.files`, which fixes the format and adds what
# NumPy's readers raise.
_DAMAGED = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    NameError,
    NotImplementedError,
    ImportError,
)


def read_mesh(path: Path) -> trimesh.Trimesh:
    """Read a triangle mesh; polygons are cut into triangles, materials are ignored.

    OFF files may have their counts on the first line and even without a space, `OFF490 518 0`, as
    some of ModelNet's do.

    Args:
        path: a mesh file; the extension says the format.

    Returns:
        The mesh as it is in the file: its unit and axes, nothing merged or removed.

    Raises:
        InputError: the file is missing or damaged, or its mesh has no faces, no area, or a
            coordinate that is not finite.
    """
    import trimesh

    if not path.is_file():
        raise InputError(f"{path} does not exist or is not a file")
    try:
        mesh = trimesh.load(path, force="mesh", process=False, skip_materials=True)
    except _DAMAGED as error:
        raise InputError(f"{path} cannot be read as a mesh ({type(error).__name__})") from error
    if not isinstance(mesh, trimesh.Trimesh) or not len(mesh.faces):
        raise InputError(f"{path} is a mesh without faces")
    if path.suffix.lower() == ".off" and len(mesh.faces) < _promised_faces(path):
        raise InputError(f"{path} is truncated: it has fewer faces than its header says")
    if mesh.faces.min() < 0 or mesh.faces.max() >= len(mesh.vertices):
        raise InputError(f"{path} has a face with a vertex that is not there")
    if not np.isfinite(mesh.vertices).all():
        raise InputError(f"{path} has a vertex that is not finite")
    if not 0 < mesh.area < np.inf:
        raise InputError(f"{path} is a mesh without area")
    return mesh


def sample_surface(
    mesh: trimesh.Trimesh, points: int, generator: np.random.Generator
) -> NDArray[np.float32]:
    """Points drawn independently and uniformly by area on a mesh's surface.

    A triangle is drawn in proportion to its area, then a point uniformly on it (Osada et al.,
    "Shape distributions", 2002, section 4.1). A surface that the file holds twice, as many of
    ShapeNet's do, counts twice.

    Args:
        mesh: a mesh with an area above 0.
        points: how many.
        generator: the source of randomness.

    Returns:
        (points, 3), in the mesh's unit and axes.
    """
    import trimesh

    drawn, _ = trimesh.sample.sample_surface(mesh, points, seed=generator)
    return np.asarray(drawn, np.float32)


def _promised_faces(path: Path) -> int:
    """The number of faces in an OFF file's header, 0 where comments hide it."""
    with path.open("rb") as file:
        header = re.match(rb"\s*C?OFF\s*\d+\s+(\d+)", file.read(1024))
    return int(header[1]) if header else 0
