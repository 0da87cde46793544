"""The mesh or the point cloud in a file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from pcdiff.errors import InputError


@dataclass(frozen=True, eq=False)
class Geometry:
    """A mesh or a point cloud from a file, in the unit of length and the axes of the file.

    Attributes:
        vertices: Vertices of a mesh, or points of a cloud.
        faces: Triangles as indices of vertices, after polygons were split; None for a cloud.
        normals: Surface normal at each point of a cloud; None if the file has no normals.
        unit: Length of the file's unit in metres; None if the file does not state its unit.
        remarks: Sentences for the user about what was left out and how the file was understood,
            such as "left out 1 of 801 points: not finite".
        names: Names of the objects in the file, e.g. those of the lines `o` of an OBJ file.
        owners: For each face, the index in `names` of its object, or -1; None without names.
        viewpoint: Position of the camera that saw the cloud; None if the file does not state it.
    """

    vertices: Float[np.ndarray, "vertices 3"]
    faces: Int[np.ndarray, "faces 3"] | None = None
    normals: Float[np.ndarray, "vertices 3"] | None = None
    unit: float | None = None
    remarks: tuple[str, ...] = ()
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


def left_out(lost: Bool[np.ndarray, " things"], things: str, reason: str) -> tuple[str, ...]:
    """Say how many things were left out of a geometry.

    Args:
        lost: True for each thing that was left out.
        things: Plural name of the things.
        reason: Why they were left out.

    Returns:
        One remark, or none if nothing was left out.
    """
    count = np.count_nonzero(lost)
    return (f"left out {count} of {len(lost)} {things}: {reason}",) if count else ()


def finite_part(path: Path | str, geometry: Geometry) -> Geometry:
    """Leave out points, normals and vertices with a number that is not finite, and say how many.

    - A point without a finite normal, or with a normal of length 0, is left out, too. If at least
      half of the points have no such normal, all normals are left out instead.
    - A face that uses a left-out vertex is left out.

    Args:
        path: File that contains the geometry, or the name of a geometry in memory, for error
            messages.
        geometry: The geometry as it was given.

    Raises:
        InputError: If a face has a vertex that does not exist, or if nothing remains.
    """
    if geometry.faces is None:
        return _finite_points(path, geometry)
    check_corners(path, geometry.vertices, geometry.faces)
    good = np.isfinite(geometry.vertices).all(axis=1)
    if good.all():
        return geometry
    kept = good[geometry.faces].all(axis=1)
    if len(kept) and not kept.any():
        raise InputError(f"{path} has a corner that is not finite in all {len(kept)} faces")
    remarks = (
        *geometry.remarks,
        *left_out(~kept, "faces", "a corner is not finite"),
        *left_out(~good, "vertices", "not finite"),
    )
    number = np.cumsum(good) - 1
    faces = number[geometry.faces[kept]].astype(np.int64)
    owners = None if geometry.owners is None else geometry.owners[kept]
    return replace(
        geometry, vertices=geometry.vertices[good], faces=faces, remarks=remarks, owners=owners
    )


def _finite_points(path: Path | str, geometry: Geometry) -> Geometry:
    vertices, normals, remarks = geometry.vertices, geometry.normals, geometry.remarks
    seen = np.isfinite(vertices).all(axis=1)
    if len(seen) and not seen.any():
        raise InputError(f"{path} has a coordinate that is not finite in all {len(seen)} points")
    remarks += left_out(~seen, "points", "not finite")
    vertices, normals = vertices[seen], None if normals is None else normals[seen]
    if normals is not None:
        known = np.isfinite(normals).all(axis=1) & normals.any(axis=1)
        if 2 * np.count_nonzero(known) > len(known):
            vertices, normals = vertices[known], normals[known]
            remarks += left_out(~known, "points", "the normal is missing or not finite")
        else:
            normals = None
            remarks += left_out(known | True, "normals", "most of them are missing or not finite")
    return replace(geometry, vertices=vertices, normals=normals, remarks=remarks)
