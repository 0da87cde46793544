"""Functions that load objects from files or from memory and check their units and sizes."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from jaxtyping import Bool, Float

from grasp.objects.depth import read_depth_image
from grasp.objects.given import Columns, given_geometry
from grasp.objects.object import Object, Part
from pcdiff.errors import InputError
from pcdiff.geometry.geometry import Geometry
from pcdiff.geometry.kinds import kind_of
from pcdiff.geometry.limits import UNITS
from pcdiff.geometry.obj import read_obj_objects
from pcdiff.geometry.reading import READERS, read_geometry

MINIMUM_EXTENT = 0.005
"""Smallest accepted length of an object's longest side, in metres."""


MAXIMUM_EXTENT = 3.0
"""Largest accepted length of an object's longest side, in metres.

If the length is below `MINIMUM_EXTENT` or above `MAXIMUM_EXTENT`, the unit is probably wrong."""


TYPICAL_EXTENT = 0.15
"""Typical length in metres of the longest side of an object that one hand can grasp.

An error message lists first the units that bring the longest side closest to this length."""


PARTS_WITHIN = 0.05
"""Largest accepted difference between the bounding box of a mesh and the bounding box of its convex
parts, relative to the mesh's longest side.

The parts of an approximate decomposition differ by a few hundredths; parts in another unit or frame
differ by much more."""


DEPTH_IMAGES = (".npz", ".png")
"""File-name endings of depth images."""


def load_object(
    source: str | os.PathLike[str] | Any,
    scale: float = 1.0,
    unit: str | None = None,
    *,
    mask: str | os.PathLike[str] | Bool[np.ndarray, "height width"] | None = None,
    intrinsics: str | os.PathLike[str] | Float[np.ndarray, "3 3"] | None = None,
    viewpoint: Float[np.ndarray, "3"] | None = None,
    **columns: Unpack[Columns],
) -> Object:
    """Read an object from a file, or take it from memory, and convert it to metres.

    - A mesh: .obj, .stl, .ply, .off, .glb or .dae. A mesh need not be watertight. Several meshes in
      one file are joined to one mesh. If there is a file `NAME.parts.obj` beside `NAME.obj`, each
      object (`o`) in `NAME.parts.obj` is one convex part of the mesh.
    - A point cloud: .ply without faces, .pcd, .npy, or text with one point per line (.xyz, .txt,
      .pts, .csv or .asc). Normals that are not in the file are estimated.
    - A depth image with its camera: .npz, or .png with a .json beside it, as described in
      `grasp.objects.depth.read_depth_image`. The object is then a point cloud in the camera frame
      (x to the right, y down, z forward), and poses of its grasps are in the camera frame too.
    - In memory: an array or a tensor of points, (n, 3), or of points and unit normals, (n, 6); a
      mesh, scene or cloud of trimesh; or a triangle mesh or point cloud of open3d. It is checked
      like a file, and is called "object".

    Args:
        source: File to read, or the geometry in memory.
        scale: Factor that multiplies the numbers in the file, in addition to the conversion from
            their unit.
        unit: Unit of the numbers in the file: m, cm, mm or inch. None means the unit that a .dae
            file, the .json file of a .png depth image, or a trimesh mesh states; otherwise metres.
        mask: Mask of a depth image: a .png or .npy file, or an array. The mask has a value
            other than 0 in each pixel that shows the object.
        intrinsics: Camera of a depth image: a JSON file with fx, fy, cx and cy, or the intrinsic
            matrix in pixels.
        viewpoint: Position of the camera that saw all points of a cloud without normals, in the
            file's unit and frame; None if unknown.
        **columns: `normals=True` states that the last three columns of an (n, 6) array are
            normals. An array with six columns is refused without this statement.

    Raises:
        InputError: If the file is missing, damaged, too large or of another format; its geometry is
            empty, without area or not finite; its size in metres is implausible; the convex parts
            do not match the mesh in place or size; or an argument does not apply to the file. The
            same holds for geometry in memory.
    """
    if unit is not None and unit not in UNITS:
        raise InputError(f"the unit must be one of {', '.join(UNITS)}, got {unit!r}")
    if not (math.isfinite(scale) and scale > 0):
        raise InputError(f"the scale must be a number above 0, got {scale}")
    if viewpoint is not None and not np.isfinite(viewpoint).all():
        raise InputError(f"the viewpoint must be finite, got {viewpoint.tolist()}")
    if not isinstance(source, str | os.PathLike):
        if mask is not None or intrinsics is not None:
            raise InputError(
                f"a {type(source).__name__} is not a depth image, so it takes no mask and no "
                "intrinsics"
            )
        return _from_geometry(None, given_geometry(source, **columns), scale, unit, viewpoint)
    path = Path(source)
    if columns:
        raise InputError(f"normals=True applies to arrays, but {path} is a file")
    ending = path.suffix.lower()
    if ending in DEPTH_IMAGES:
        return _load_depth_image(path, scale, unit, mask, intrinsics)
    if ending not in READERS:
        kind = kind_of(path) if path.is_file() else None
        if kind is not None and not set(kind[1]) & {*READERS, *DEPTH_IMAGES}:
            raise InputError(
                f"{path} is {kind[0]}, expected a mesh, a point cloud or a depth image"
            )
        raise InputError(
            f"{path} is not a mesh, point cloud or depth image: its name must end in "
            f"{', '.join([*READERS, *DEPTH_IMAGES])}"
        )
    if mask is not None or intrinsics is not None:
        raise InputError(f"{path} is not a depth image, so it takes no mask and no intrinsics")
    return _from_geometry(path, read_geometry(path), scale, unit, viewpoint)


def _load_depth_image(
    path: Path,
    scale: float,
    unit: str | None,
    mask: str | os.PathLike[str] | np.ndarray | None,
    intrinsics: str | os.PathLike[str] | np.ndarray | None,
) -> Object:
    image = read_depth_image(
        path, scale=scale, unit=unit, intrinsics=_file(intrinsics), mask=_file(mask)
    )
    points = image.points()
    if not len(points):
        raise InputError(
            f"{path} has no pixel with a depth above 0"
            f"{'' if image.mask is None else ' inside the mask'}"
        )
    loaded = Object.from_points(points, viewpoint=np.zeros(3), name=_name(path), file=str(path))
    loaded = replace(loaded, scale=image.scale)
    without_mask = ", or the image needs a mask of the object" if image.mask is None else ""
    _check_extent(loaded, scale, without_mask)
    return loaded


def _from_geometry(
    path: Path | None,
    geometry: Geometry,
    scale: float,
    unit: str | None,
    viewpoint: np.ndarray | None,
) -> Object:
    """Make an object from geometry; `path` is the file that it was read from, if any."""
    name, file = ("object", None) if path is None else (_name(path), str(path))
    factor = scale * (UNITS[unit] if unit else geometry.unit or 1.0)
    if geometry.faces is None:
        loaded = Object.from_points(
            geometry.vertices,
            geometry.normals,
            viewpoint=viewpoint,
            name=name,
            file=file,
            scale=factor,
        )
    else:
        loaded = Object.from_mesh(
            geometry.vertices,
            geometry.faces,
            name=name,
            parts=None if path is None else _parts_beside(path),
            file=file,
            scale=factor,
        )
    _check_extent(loaded, scale)
    _check_parts(loaded)
    return replace(loaded, remarks=(*geometry.remarks, *loaded.remarks))


def _name(path: Path) -> str:
    return path.name[: -len(path.suffix)]


def _file(given: str | os.PathLike[str] | np.ndarray | None) -> Path | np.ndarray | None:
    return given if given is None or isinstance(given, np.ndarray) else Path(given)


def _sidecar(path: Path) -> Path:
    return path.with_suffix(".parts.obj")


def _parts_beside(path: Path) -> tuple[Part, ...] | None:
    """Read the convex parts from `NAME.parts.obj` beside `NAME.obj`.

    Return None if there is no such file.
    """
    sidecar = _sidecar(path)
    if path.suffix.lower() != ".obj" or not sidecar.is_file():
        return None
    parts = tuple(read_obj_objects(sidecar))
    if not parts:
        raise InputError(f"{sidecar} has no parts, expected one object (`o`) per part")
    for number, (vertices, faces) in enumerate(parts, 1):
        if not np.isfinite(vertices).all():
            raise InputError(f"part {number} in {sidecar} has a vertex that is not finite")
        if len(faces) < 4 or not np.ptp(vertices, axis=0).all():
            raise InputError(f"part {number} in {sidecar} has no volume, expected a convex solid")
    return parts


def _check_extent(loaded: Object, scale: float, otherwise: str = "") -> None:
    """Raise `InputError` if the size is implausible, and suggest units that would explain the size.

    Args:
        loaded: Object in metres.
        scale: Factor from the caller, in addition to the conversion from the unit.
        otherwise: Another explanation, which ends the message.
    """
    longest = float(loaded.extent.max())
    if MINIMUM_EXTENT <= longest <= MAXIMUM_EXTENT:
        return
    sizes = {name: longest / loaded.scale * scale * metres for name, metres in UNITS.items()}
    likely = sorted(
        (name for name, size in sizes.items() if MINIMUM_EXTENT <= size <= 1),
        key=lambda name: _unlikeliness(name, sizes[name], Path(loaded.file or "")),
    )
    units = [f"{name} ({sizes[name]:.2g} m)" for name in likely]
    if units:
        listed = " or ".join([", ".join(units[:-1]), units[-1]] if units[1:] else units)
        advice = f"its unit is probably {listed}; otherwise supply the scale"
    else:
        advice = "supply the unit or the scale that converts the numbers in the file to metres"
    if longest > MAXIMUM_EXTENT:
        advice += ", or crop the file if it holds more than the object"
    raise InputError(
        f"{loaded.file or loaded.name} would be {longest:.3g} m long, expected "
        f"{MINIMUM_EXTENT:g} to {MAXIMUM_EXTENT:g} m: {advice}{otherwise}",
        parameter="unit_or_scale",
    )


def _unlikeliness(unit: str, size: float, path: Path) -> tuple[bool, float]:
    """Sort key of the units of an object that would be `size` metres long.

    STL files are nearly always in millimetres, whatever the size.
    """
    first = path.suffix.lower() == ".stl" and unit == "mm"
    return not first, abs(math.log(size / TYPICAL_EXTENT))


def _check_parts(loaded: Object) -> None:
    """Raise `InputError` if the convex parts do not match the mesh.

    A mismatch occurs, for example, if only one of the two files was changed.
    """
    if loaded.parts is None or loaded.file is None:
        return
    vertices = np.vstack([vertices for vertices, _ in loaded.parts])
    bounds = np.stack([vertices.min(axis=0), vertices.max(axis=0)])
    off, longest = float(np.abs(bounds - loaded.bounds).max()), float(loaded.extent.max())
    if not off <= PARTS_WITHIN * longest:
        raise InputError(
            f"the parts in {_sidecar(Path(loaded.file))} do not match the mesh {loaded.file}: the "
            f"bounding boxes differ by {off:.3g} m, expected at most {PARTS_WITHIN:.0%} of the "
            f"mesh's length of {longest:.3g} m"
        )
