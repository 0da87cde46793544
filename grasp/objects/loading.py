"""From a file to an object in metres."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float

from grasp.objects.depth import read_depth_image
from grasp.objects.object import Object, Part
from pcdiff.errors import InputError
from pcdiff.geometry.limits import UNITS
from pcdiff.geometry.obj import read_obj_objects
from pcdiff.geometry.reading import READERS, read_geometry

if TYPE_CHECKING:
    pass


MINIMUM_EXTENT = 0.005


MAXIMUM_EXTENT = 3.0
"""Metres. An object whose longest side is outside is taken for one in another unit."""


TYPICAL_EXTENT = 0.15
"""Metres: the longest side of an object for one hand; it ranks the units that a file may be in."""


PARTS_WITHIN = 0.05
"""Of a mesh's longest side: how far its box and that of its convex parts may differ. An approximate
decomposition is a few hundredths off, one in another unit or frame is far off."""


DEPTH_IMAGES = (".npz", ".png")
"""The endings of depth images."""


def load_object(
    path: str | os.PathLike[str],
    scale: float = 1.0,
    unit: str | None = None,
    *,
    mask: str | os.PathLike[str] | Bool[np.ndarray, "height width"] | None = None,
    intrinsics: str | os.PathLike[str] | Float[np.ndarray, "3 3"] | None = None,
    viewpoint: Float[np.ndarray, "3"] | None = None,
) -> Object:
    """Read an object and turn it into metres.

    - A mesh: .obj, .stl, .ply, .off, .glb or .dae. It need not be watertight. Several geometries in
      one file become one. The convex parts of `NAME.obj` are read from `NAME.parts.obj` (one `o` a
      part) where that is beside it.
    - A point cloud: .ply without faces, .pcd, .xyz or .npy. Normals are estimated where the file
      has none.
    - A depth image with its camera: .npz, or .png with a .json beside it, as
      `grasp.objects.depth.read_depth_image` describes them. The object is a cloud in the camera
      frame (x to the right, y down, z forward), and so are poses of grasps on it.

    Args:
        path: The file.
        scale: Multiplies the file's numbers, beside the unit.
        unit: Of the file's numbers: m, cm, mm or inch; unless given, what the file says (.dae, the
            .json of a depth image), else metres.
        mask: Of a depth image: a PNG or npy file that is not 0 at the object, or the mask itself.
        intrinsics: Of a depth image: a JSON file with fx, fy, cx and cy, or the matrix.
        viewpoint: Of a point cloud without normals that was seen from one place: the position of
            the camera in the file's frame and unit.

    Raises:
        InputError: The file is missing, damaged, too large or of another format; its geometry is
            empty, without area or not finite; its size is absurd in metres; its parts are
            elsewhere or of another size; or an argument does not go with it.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if unit is not None and unit not in UNITS:
        raise InputError(f"the unit must be one of {', '.join(UNITS)}, got {unit!r}")
    if not (math.isfinite(scale) and scale > 0):
        raise InputError(f"the scale must be a number above 0, got {scale}")
    if ending not in READERS and ending not in DEPTH_IMAGES:
        raise InputError(
            f"{path} must end in {', '.join([*READERS, *DEPTH_IMAGES])}, as meshes, point clouds "
            "and depth images do"
        )
    if ending not in DEPTH_IMAGES and (mask is not None or intrinsics is not None):
        raise InputError(f"{path} is no depth image, so it takes no mask and no intrinsics")
    if viewpoint is not None and not np.isfinite(viewpoint).all():
        raise InputError(f"the viewpoint must be finite, got {viewpoint.tolist()}")
    name = path.name[: -len(path.suffix)]
    if ending in DEPTH_IMAGES:
        image = read_depth_image(
            path, scale=scale, unit=unit, intrinsics=_file(intrinsics), mask=_file(mask)
        )
        points = image.points()
        if not len(points):
            raise InputError(f"{path} has no depth{'' if image.mask is None else ' in its mask'}")
        loaded = Object.from_points(points, viewpoint=np.zeros(3), name=name, file=str(path))
        loaded = replace(loaded, scale=image.scale)
        _check_extent(loaded, scale, "" if image.mask is not None else ", or a mask of the object")
        return loaded
    geometry = read_geometry(path)
    factor = scale * (UNITS[unit] if unit else geometry.unit or 1.0)
    if geometry.faces is None:
        loaded = Object.from_points(
            geometry.vertices,
            geometry.normals,
            viewpoint=viewpoint,
            name=name,
            file=str(path),
            scale=factor,
        )
    else:
        loaded = Object.from_mesh(
            geometry.vertices,
            geometry.faces,
            name=name,
            parts=_parts_beside(path),
            file=str(path),
            scale=factor,
        )
    _check_extent(loaded, scale)
    _check_parts(loaded)
    return loaded


def _file(given: str | os.PathLike[str] | np.ndarray | None) -> Path | np.ndarray | None:
    return given if given is None or isinstance(given, np.ndarray) else Path(given)


def _sidecar(path: Path) -> Path:
    return path.with_suffix(".parts.obj")


def _parts_beside(path: Path) -> tuple[Part, ...] | None:
    """The convex parts in the sidecar of an OBJ file, if it has one."""
    sidecar = _sidecar(path)
    if path.suffix.lower() != ".obj" or not sidecar.is_file():
        return None
    parts = tuple(read_obj_objects(sidecar))
    if not parts:
        raise InputError(f"{sidecar} holds no part, expected one `o` a part")
    for number, (vertices, faces) in enumerate(parts, 1):
        if not np.isfinite(vertices).all():
            raise InputError(f"{sidecar} has a vertex that is not finite, in part {number}")
        if len(faces) < 4 or not np.ptp(vertices, axis=0).all():
            raise InputError(f"{sidecar} has a part without volume, number {number}")
    return parts


def _check_extent(loaded: Object, scale: float, otherwise: str = "") -> None:
    """Refuse a size that only a wrong unit explains, and name the units that would explain it."""
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
        advice = f"its unit is likely {units}; give it, as --unit {likely[0]}"
    else:
        advice = "give the unit or the scale that turns its numbers into metres"
    raise InputError(
        f"{loaded.file} would be {longest:.3g} m long, expected {MINIMUM_EXTENT:g} to "
        f"{MAXIMUM_EXTENT:g} m: {advice}{otherwise}"
    )


def _check_parts(loaded: Object) -> None:
    """Refuse parts that cannot be those of the mesh, as when only one of both files was changed."""
    if loaded.parts is None or loaded.file is None:
        return
    vertices = np.vstack([vertices for vertices, _ in loaded.parts])
    bounds = np.stack([vertices.min(axis=0), vertices.max(axis=0)])
    off, longest = float(np.abs(bounds - loaded.bounds).max()), float(loaded.extent.max())
    if not off <= PARTS_WITHIN * longest:
        raise InputError(
            f"the parts in {_sidecar(Path(loaded.file))} are not those of {loaded.file}: their "
            f"bounds differ by {off:.3g} m for a mesh {longest:.3g} m long, expected at most "
            f"{PARTS_WITHIN:.0%} of that"
        )
