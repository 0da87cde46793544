"""Meshes and point clouds that a caller holds in memory, as arrays or as objects of other packages.

The classes of trimesh and open3d are recognised by their names, so neither package is imported.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypedDict

import numpy as np

from pcdiff.errors import InputError
from pcdiff.geometry.geometry import Geometry, finite_part
from pcdiff.geometry.limits import (
    MAXIMUM_FACES,
    MAXIMUM_POINTS,
    MAXIMUM_VERTICES,
    UNITS,
    check_count,
)

KINDS = (
    "a path, an array of points, a trimesh mesh, scene or cloud, or an open3d triangle mesh or "
    "point cloud"
)
"""What can be given as an object, in words."""

_UNITS = {"meters": "m", "centimeters": "cm", "millimeters": "mm", "inches": "inch", "in": "inch"}


class Columns(TypedDict, total=False):
    """Keyword arguments that describe the columns of an array."""

    normals: bool


def given_geometry(given: Any, normals: bool = False) -> Geometry:
    """Return a mesh or a cloud that a caller holds in memory.

    What is not finite is left out, and the remarks say so, as for a file.

    Args:
        given: An array of points, (n, 3), or of points and normals, (n, 6); a torch tensor on the
            CPU; a `trimesh.Trimesh`, `trimesh.Scene` or `trimesh.PointCloud`; or an open3d
            `TriangleMesh` or `PointCloud`, legacy or tensor-based.
        normals: True states that the last three columns of an (n, 6) array are unit normals.

    Raises:
        InputError: If the type is unknown; an array has another shape or type; an array has six
            columns although `normals` is False, or three although it is True; there are more points
            or faces than the limits in `pcdiff.geometry.limits`; or nothing is finite.
    """
    kind = _kind(given)
    if kind is None:
        table = _table(given, normals)
        return _checked(Geometry(table[:, :3], None, table[:, 3:] if normals else None))
    if normals:
        raise InputError(f"normals=True applies to an array of points and normals, got {kind[1]}")
    package, name = kind
    return _checked(_of_trimesh(given, name) if package == "trimesh" else _of_open3d(given, name))


def _kind(given: Any) -> tuple[str, str] | None:
    """Return the package and name of the class of a mesh or cloud, also of a subclass of it."""
    known = {
        "trimesh": ("Trimesh", "Scene", "PointCloud"),
        "open3d": ("TriangleMesh", "PointCloud"),
    }
    for each in type(given).__mro__:
        package = each.__module__.partition(".")[0]
        if each.__name__ in known.get(package, ()):
            return package, each.__name__
    return None


def _of_trimesh(given: Any, name: str) -> Geometry:
    if name == "Scene":
        given = given.to_mesh()  # applies the transforms of the scene graph
    unit = given.units
    if unit is not None and _UNITS.get(unit, unit) not in UNITS:
        raise InputError(
            f"the unit of a trimesh {name} must be one of {', '.join([*UNITS, *_UNITS])}, "
            f"got {unit!r}"
        )
    metres = None if unit is None else UNITS[_UNITS.get(unit, unit)]
    faces = None if name == "PointCloud" else np.asarray(given.faces, np.int64)
    return Geometry(np.asarray(given.vertices, np.float64), faces, unit=metres)


def _of_open3d(given: Any, name: str) -> Geometry:
    if hasattr(given, "to_legacy"):  # a class of open3d.t.geometry
        given = given.to_legacy()
    if name == "TriangleMesh":
        faces = np.asarray(given.triangles, np.int64)
        return Geometry(np.asarray(given.vertices, np.float64), faces)
    normals = np.asarray(given.normals, np.float64) if given.has_normals() else None
    return Geometry(np.asarray(given.points, np.float64), None, normals)


def _table(given: Any, normals: bool) -> np.ndarray:
    """Return an array of points, or of points and normals, in double precision."""
    if not (isinstance(given, np.ndarray) or hasattr(given, "__array__")):
        raise InputError(f"an object must be {KINDS}, got {type(given).__name__}")
    try:
        table = np.asarray(given)
    except (TypeError, RuntimeError) as error:  # a tensor on a GPU, or one with gradients
        raise InputError(f"a tensor must convert to a numpy array: {error}") from error
    if table.ndim != 2 or table.shape[1] not in (3, 6) or table.dtype.kind not in "fiu":
        raise InputError(
            "an array of points must contain numbers of shape (n, 3), or (n, 6) with normals, "
            f"got {table.dtype} of shape {table.shape}"
        )
    if table.shape[1] == 6 and not normals:
        raise InputError(
            "an array of shape (n, 6) needs the statement normals=True, which says that its last "
            "three columns are unit normals: otherwise pass its first three columns"
        )
    if table.shape[1] == 3 and normals:
        raise InputError(
            "an array with normals must have shape (n, 6), with the normals in the last three "
            f"columns, got shape {table.shape}"
        )
    return table.astype(np.float64)


def _checked(geometry: Geometry) -> Geometry:
    """Return the finite part of a geometry if it is within the limits for files."""
    if geometry.faces is None:
        check_count("the cloud", len(geometry.vertices), MAXIMUM_POINTS, "points")
    else:
        check_count("the mesh", len(geometry.vertices), MAXIMUM_VERTICES, "vertices")
        check_count("the mesh", len(geometry.faces), MAXIMUM_FACES, "faces")
    finite = finite_part("the object", geometry)
    return replace(finite, remarks=tuple(f"the object: {note}" for note in finite.remarks))
