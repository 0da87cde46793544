"""Loading of objects from files, with units and sizes checked."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from grasp.objects.depth import read_depth_image
from grasp.objects.object import Object, Part
from pcdiff.errors import InputError
from pcdiff.geometry.limits import UNITS
from pcdiff.geometry.obj import read_obj_objects
from pcdiff.geometry.reading import READERS, read_geometry

MINIMUM_EXTENT = 0.005
"""Smallest longest side of an object in metres."""


MAXIMUM_EXTENT = 3.0
"""Largest longest side of an object in metres. Beyond these limits, the unit is probably wrong."""


TYPICAL_EXTENT = 0.15
"""Longest side in metres of an object for one hand; it ranks the units that a file may use."""


PARTS_WITHIN = 0.05
"""Largest difference between the box of a mesh and that of its convex parts, relative to the mesh's
longest side. An approximate decomposition differs by a few hundredths; parts in another unit or
frame differ by much more."""


DEPTH_IMAGES = (".npz", ".png")
"""File endings of depth images."""


def load_object(
    path: str | os.PathLike[str],
    scale: float = 1.0,
    unit: str | None = None,
    *,
    mask: str | os.PathLike[str] | Bool[np.ndarray, "height width"] | None = None,
    intrinsics: str | os.PathLike[str] | Float[np.ndarray, "3 3"] | None = None,
    viewpoint: Float[np.ndarray, "3"] | None = None,
) -> Object:
    """Read an object and convert it to metres.

    - A mesh: .obj, .stl, .ply, .off, .glb or .dae. It need not be watertight, and several
      geometries in one file become one. If there is a file `NAME.parts.obj` beside `NAME.obj`, each
      object (`o`) in it is one convex part of the mesh.
    - A point cloud: .ply without faces, .pcd, .xyz or .npy. Normals that are not in the file are
      estimated.
    - A depth image with its camera: .npz, or .png with a .json beside it, as described in
      `grasp.objects.depth.read_depth_image`. The object is a cloud in the camera frame (x to the
      right, y down, z forward), and so are the poses of grasps on it.

    Args:
        path: File to read.
        scale: Factor for the file's numbers, in addition to the unit.
        unit: Unit of the file's numbers: m, cm, mm or inch. None means the unit that the file
            states (.dae, or the .json of a depth image), or else metres.
        mask: Mask of a depth image: a PNG or .npy file that is not 0 on the object, or an array.
        intrinsics: Camera of a depth image: a JSON file with fx, fy, cx and cy, or the matrix.
        viewpoint: Position of the camera that saw all points of a cloud without normals, in the
            file's unit and frame; None if unknown.

    Raises:
        InputError: If the file is missing, damaged, too large or of another format; its geometry is
            empty, without area or not finite; its size in metres is implausible; its parts have
            another place or size; or an argument does not apply to the file.
    """
    path = Path(path)
    if unit is not None and unit not in UNITS:
        raise InputError(f"the unit must be one of {', '.join(UNITS)}, got {unit!r}")
    if not (math.isfinite(scale) and scale > 0):
        raise InputError(f"the scale must be a number above 0, got {scale}")
    if viewpoint is not None and not np.isfinite(viewpoint).all():
        raise InputError(f"the viewpoint must be finite, got {viewpoint.tolist()}")
    ending = path.suffix.lower()
    if ending in DEPTH_IMAGES:
        return _load_depth_image(path, scale, unit, mask, intrinsics)
    if ending not in READERS:
        raise InputError(
            f"{path} is not a mesh, point cloud or depth image: its name must end in "
            f"{', '.join([*READERS, *DEPTH_IMAGES])}"
        )
    if mask is not None or intrinsics is not None:
        raise InputError(f"{path} is not a depth image, so it takes no mask and no intrinsics")
    return _load_geometry(path, scale, unit, viewpoint)


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
        raise InputError(f"{path} has no depth{'' if image.mask is None else ' in its mask'}")
    loaded = Object.from_points(points, viewpoint=np.zeros(3), name=_name(path), file=str(path))
    loaded = replace(loaded, scale=image.scale)
    without_mask = ", or it needs a mask of the object" if image.mask is None else ""
    _check_extent(loaded, scale, without_mask)
    return loaded


def _load_geometry(
    path: Path, scale: float, unit: str | None, viewpoint: np.ndarray | None
) -> Object:
    geometry = read_geometry(path)
    factor = scale * (UNITS[unit] if unit else geometry.unit or 1.0)
    if geometry.faces is None:
        loaded = Object.from_points(
            geometry.vertices,
            geometry.normals,
            viewpoint=viewpoint,
            name=_name(path),
            file=str(path),
            scale=factor,
        )
    else:
        loaded = Object.from_mesh(
            geometry.vertices,
            geometry.faces,
            name=_name(path),
            parts=_parts_beside(path),
            file=str(path),
            scale=factor,
        )
    _check_extent(loaded, scale)
    _check_parts(loaded)
    return loaded


def _name(path: Path) -> str:
    return path.name[: -len(path.suffix)]


def _file(given: str | os.PathLike[str] | np.ndarray | None) -> Path | np.ndarray | None:
    return given if given is None or isinstance(given, np.ndarray) else Path(given)


def _sidecar(path: Path) -> Path:
    return path.with_suffix(".parts.obj")


def _parts_beside(path: Path) -> tuple[Part, ...] | None:
    """Read the convex parts in the file beside an OBJ file; None if there is no such file."""
    sidecar = _sidecar(path)
    if path.suffix.lower() != ".obj" or not sidecar.is_file():
        return None
    parts = tuple(read_obj_objects(sidecar))
    if not parts:
        raise InputError(f"{sidecar} has no parts, expected one object (`o`) per part")
    for number, (vertices, faces) in enumerate(parts, 1):
        if not np.isfinite(vertices).all():
            raise InputError(f"{sidecar} has a vertex that is not finite, in part {number}")
        if len(faces) < 4 or not np.ptp(vertices, axis=0).all():
            raise InputError(f"{sidecar} has a part without volume, part {number}")
    return parts


def _check_extent(loaded: Object, scale: float, otherwise: str = "") -> None:
    """Refuse a size that only a wrong unit explains, and name the units that would explain it.

    Args:
        loaded: Object in metres.
        scale: Factor that the caller gave in addition to the unit.
        otherwise: Another explanation, to end the message with.
    """
    longest = float(loaded.extent.max())
    if MINIMUM_EXTENT <= longest <= MAXIMUM_EXTENT:
        return
    sizes = {name: longest / loaded.scale * scale * metres for name, metres in UNITS.items()}
    likely = sorted(
        (name for name, size in sizes.items() if MINIMUM_EXTENT <= size <= 1),
        key=lambda name: abs(math.log(sizes[name] / TYPICAL_EXTENT)),
    )
    if likely:
        units = " or ".join(f"{name} ({sizes[name]:.2g} m)" for name in likely[:2])
        advice = f"its unit is likely {units}"
    else:
        advice = "give the unit or the scale that converts its numbers to metres"
    raise InputError(
        f"{loaded.file} would be {longest:.3g} m long, expected {MINIMUM_EXTENT:g} to "
        f"{MAXIMUM_EXTENT:g} m: {advice}{otherwise}",
        parameter="unit",
    )


def _check_parts(loaded: Object) -> None:
    """Refuse parts that do not fit the mesh, as when only one of the two files was changed."""
    if loaded.parts is None or loaded.file is None:
        return
    vertices = np.vstack([vertices for vertices, _ in loaded.parts])
    bounds = np.stack([vertices.min(axis=0), vertices.max(axis=0)])
    off, longest = float(np.abs(bounds - loaded.bounds).max()), float(loaded.extent.max())
    if not off <= PARTS_WITHIN * longest:
        raise InputError(
            f"the parts in {_sidecar(Path(loaded.file))} do not belong to {loaded.file}: their "
            f"bounds differ by {off:.3g} m for a mesh that is {longest:.3g} m long, expected at "
            f"most {PARTS_WITHIN:.0%} of that"
        )
