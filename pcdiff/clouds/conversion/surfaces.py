"""Read meshes from files, and draw points on their surfaces."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pcdiff.errors import InputError, reading
from pcdiff.geometry.geometry import Geometry, check_corners
from pcdiff.geometry.limits import check_file
from pcdiff.geometry.reading import READERS, read_geometry

if TYPE_CHECKING:
    import trimesh


def read_mesh(path: Path) -> tuple[trimesh.Trimesh, tuple[str, ...]]:
    """Read a triangle mesh; polygons are cut into triangles, and materials are ignored.

    `pcdiff.geometry.reading` reads the formats in its table `READERS`; trimesh reads all other
    formats.

    Args:
        path: Mesh file; the ending of the name states the format.

    Returns:
        The mesh in the file's unit and axes, with all vertices of the file; and remarks for the
        user about what was left out.

    Raises:
        InputError: If the file is missing, damaged or too large, or its mesh has no faces, no area,
            or a coordinate that is not finite.
    """
    if path.suffix.lower() in READERS:
        geometry = read_geometry(path)
        return mesh_of(path, geometry), geometry.remarks
    return _checked(path, _read_with_trimesh(path)), ()


def mesh_of(path: Path, geometry: Geometry) -> trimesh.Trimesh:
    """Return the mesh that a file contains.

    Args:
        path: File of the mesh, for error messages.
        geometry: Content of the file.

    Raises:
        InputError: If the file contains a cloud, or the mesh has no faces, no area, or a coordinate
            that is not finite.
    """
    import trimesh

    if geometry.faces is None:
        raise InputError(f"{path} is a point cloud, expected a mesh")
    return _checked(path, trimesh.Trimesh(geometry.vertices, geometry.faces, process=False))


def _checked(path: Path, mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    if not len(mesh.faces):
        raise InputError(f"{path} is a mesh without faces")
    check_corners(path, mesh.vertices, mesh.faces)
    if not np.isfinite(mesh.vertices).all():
        raise InputError(f"{path} has a vertex coordinate that is not finite")
    if not 0 < mesh.area < np.inf:
        raise InputError(f"{path} is a mesh without area")
    return mesh


def sample_surface(
    mesh: trimesh.Trimesh, points: int, generator: np.random.Generator
) -> NDArray[np.float32]:
    """Draw points on a mesh's surface, independent and uniform by area.

    A triangle is drawn with a probability proportional to its area, and the point is uniform on the
    triangle (Osada et al., "Shape distributions", 2002, section 4.1). A surface that is twice in
    the file, as in many ShapeNet files, counts twice.

    Args:
        mesh: Mesh with an area above 0.
        points: Number of points to draw.
        generator: Source of randomness.

    Returns:
        Points of shape (points, 3), in the mesh's unit and axes.
    """
    import trimesh

    drawn, _ = trimesh.sample.sample_surface(mesh, points, seed=generator)
    return np.asarray(drawn, np.float32)


def _read_with_trimesh(path: Path) -> trimesh.Trimesh:
    import trimesh

    check_file(path)
    with reading(path, "a mesh"):
        mesh = trimesh.load(path, force="mesh", process=False, skip_materials=True)
    if not isinstance(mesh, trimesh.Trimesh):
        raise InputError(f"{path} is a mesh without faces")
    return mesh
