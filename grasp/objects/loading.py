"""Functions that load objects from files or from memory and check their units and sizes."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from jaxtyping import Float, Shaped

from grasp.objects.assemblies import object_faces
from grasp.objects.cameras import checked_pose, read_camera_pose
from grasp.objects.cleaning import MAXIMUM_COORDINATE
from grasp.objects.depth import DepthImage, read_depth_image
from grasp.objects.given import Columns, given_geometry
from grasp.objects.object import BASE_FRAME, CAMERA_FRAME, Object, Part
from grasp.objects.pieces import EVERYTHING, Which, object_points
from grasp.objects.silhouettes import background_in_mask, regions_of
from pcdiff.errors import InputError
from pcdiff.geometry.arrays import read_npy
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


DEPTH_IMAGES = (".npz", ".png", ".tif", ".tiff")
"""File-name endings of depth images. A .npy file contains points or a depth image."""


MOST_COLUMNS = 10
"""Largest number of columns in a .npy file of points; an array with more is a depth image."""


def load_object(
    source: str | os.PathLike[str] | Any,
    scale: float = 1.0,
    unit: str | None = None,
    *,
    mask: str | os.PathLike[str] | Shaped[np.ndarray, "height width"] | None = None,
    intrinsics: str | os.PathLike[str] | Float[np.ndarray, "3 3"] | None = None,
    viewpoint: Float[np.ndarray, "3"] | None = None,
    camera_pose: str | os.PathLike[str] | Float[np.ndarray, "4 4"] | None = None,
    which: Which | None = None,
    **columns: Unpack[Columns],
) -> Object:
    """Read an object from a file, or take it from memory, and convert it to metres.

    - A mesh: .obj, .stl, .ply, .off, .glb or .dae. A mesh need not be watertight. Several meshes in
      one file are joined to one mesh. If there is a file `NAME.parts.obj` beside `NAME.obj`, each
      object (`o`) in `NAME.parts.obj` is one convex part of the mesh.
    - A point cloud: .ply without faces, .pcd, .npy, or text with one point per line (.xyz, .txt,
      .pts, .csv or .asc). Normals that are not in the file are estimated.
    - A depth image with its camera: .npz, or .png, .tif, .tiff or .npy with a .json or .yaml file
      beside it, as described in `grasp.objects.depth.read_depth_image`. The object is then a point
      cloud in the camera frame (x to the right, y down, z forward), and poses of its grasps are in
      the camera frame too.
    - In memory: an array or a tensor of points, (n, 3), or of points and unit normals, (n, 6); a
      mesh, scene or cloud of trimesh; or a triangle mesh or point cloud of open3d. It is checked
      like a file, and is called "object".

    What is not the object is left out: stray points, the rim of the background in a mask that is
    too wide, and small pieces far from the object. `Object.remarks` says what was left out. See
    `grasp.objects.pieces` and `grasp.objects.assemblies`; `which=EVERYTHING` leaves out nothing.

    Args:
        source: File to read, or the geometry in memory.
        scale: Factor that multiplies the numbers in the file, in addition to the conversion from
            their unit.
        unit: Unit of the numbers in the file: m, cm, mm or inch. None means the unit that a .dae
            file, the camera file of a depth image, or a trimesh mesh states; otherwise metres.
        mask: Mask of a depth image: a .png, .tif, .tiff or .npy file, or an array. The mask has a
            value other than 0 in each pixel that shows the object.
        intrinsics: Camera of a depth image: a file that `grasp.objects.cameras` reads, or the
            intrinsic matrix in pixels.
        viewpoint: Position of the camera that saw all points of a cloud without normals, in the
            file's unit and frame; None if unknown.
        camera_pose: Pose `T_base_camera` of the camera in the base frame of a robot, in metres: a
            file or an array. A scan in the camera frame is moved to the base frame, and poses of
            its grasps are in the base frame too. The viewpoint is then the camera, unless stated.
        which: Which object is meant, if the file has several; see `grasp.objects.pieces.Which`.
        **columns: `normals=True` states that the last three columns of an (n, 6) array are
            normals. An array with six columns is refused without this statement.

    Raises:
        InputError: If the file is missing, damaged, too large or of another format; its geometry is
            empty, without area or not finite; its size in metres is implausible; the convex parts
            do not match the mesh in place or size; an argument does not apply to the file; or the
            file shows several objects and the caller states none. The same holds for geometry in
            memory.
    """
    if unknown := sorted(columns.keys() - Columns.__annotations__.keys()):
        raise TypeError(f"load_object got an unexpected keyword argument {unknown[0]!r}")
    which = which or Which()
    if unit is not None and unit not in UNITS:
        raise InputError(f"the unit must be one of {', '.join(UNITS)}, got {unit!r}")
    if not (math.isfinite(scale) and scale > 0):
        raise InputError(f"the scale must be a number above 0, got {scale}")
    if viewpoint is not None and not (np.shape(viewpoint) == (3,) and np.isfinite(viewpoint).all()):
        raise InputError(f"the viewpoint must be three finite numbers, got {viewpoint}")
    camera = _Camera(viewpoint, _camera_pose(camera_pose))
    if not isinstance(source, str | os.PathLike):
        if mask is not None or intrinsics is not None:
            raise InputError(
                f"a {type(source).__name__} is not a depth image, so it takes no mask and no "
                "intrinsics"
            )
        geometry = given_geometry(source, **columns)
        return _from_geometry(None, geometry, scale, unit, camera, which)
    path = Path(source)
    if columns.get("normals"):
        raise InputError(f"normals=True applies to arrays, but {path} is a file")
    ending = path.suffix.lower()
    if ending in DEPTH_IMAGES or (ending == ".npy" and _is_depth_image(path)):
        image = read_depth_image(
            path,
            scale=scale,
            unit=unit,
            intrinsics=_file(intrinsics),
            mask=_file(mask),
            mask_id=which.mask_id,
        )
        return _from_depth_image(path, image, scale, camera, which)
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
    if mask is not None or intrinsics is not None or which.mask_id is not None:
        raise InputError(f"{path} is not a depth image, so it takes no mask and no intrinsics")
    return _from_geometry(path, read_geometry(path), scale, unit, camera, which)


def _from_depth_image(
    path: Path, image: DepthImage, scale: float, camera: _Camera, which: Which
) -> Object:
    regions, rim = None, 0
    if image.mask is not None and which.piece != 0:
        behind = background_in_mask(image.depth, image.mask, float(image.intrinsics[0, 0]))
        rim = int(np.count_nonzero(behind))
        mask = image.mask & ~behind
        image = replace(image, mask=mask)
        regions = regions_of(mask)[image.seen()]
    points = image.points()
    if not len(points):
        raise InputError(
            f"{path} has no pixel with a depth above 0"
            f"{'' if image.mask is None else ' inside the mask'}"
        )
    remarks = [*image.remarks]
    if rim:
        remarks.append(f"left out {rim} pixels of the background at the edge of the mask")
    kept, more = object_points(points, which, str(path), regions)
    loaded = _placed(path, points[kept], None, replace(camera, position=np.zeros(3)))
    if camera.T_base_camera is None:
        loaded = replace(loaded, frame=CAMERA_FRAME)
    loaded = replace(loaded, scale=image.scale, remarks=_about(str(path), [*remarks, *more]))
    without_mask = ", or the image needs a mask of the object" if image.mask is None else ""
    _check_extent(loaded, scale, without_mask)
    return loaded


def _from_geometry(
    path: Path | None,
    geometry: Geometry,
    scale: float,
    unit: str | None,
    camera: _Camera,
    which: Which,
) -> Object:
    """Make an object from geometry; `path` is the file that it was read from, if any."""
    factor = scale * (UNITS[unit] if unit else geometry.unit or 1.0)
    what = "the object" if path is None else str(path)
    if geometry.faces is None:
        loaded = _from_cloud(path, geometry, factor, camera, which)
    else:
        for given, name in ((camera.position, "viewpoint"), (camera.T_base_camera, "camera pose")):
            if given is not None:
                raise InputError(f"{what} is a mesh, so it takes no {name}")
        if which.without_table:
            raise InputError(f"{what} is a mesh, so no table can be removed from it")
        parts = None if path is None else _parts_beside(path)
        # Parts come from somebody who knows what the object is.
        whole = parts is not None and not which.names and which.piece is None
        kept, remarks = object_faces(geometry, EVERYTHING if whole else which, factor, what)
        loaded = Object.from_mesh(
            geometry.vertices,
            geometry.faces[kept],
            name="object" if path is None else _name(path),
            parts=parts,
            file=None if path is None else str(path),
            scale=factor,
        )
        loaded = replace(loaded, remarks=(*_about(what, remarks), *loaded.remarks))
    _check_extent(loaded, scale)
    _check_parts(loaded)
    return replace(loaded, remarks=(*geometry.remarks, *loaded.remarks))


def _from_cloud(
    path: Path | None, geometry: Geometry, factor: float, camera: _Camera, which: Which
) -> Object:
    what = "the object" if path is None else str(path)
    if which.names:
        raise InputError(f"{what} is a point cloud, so it has no named objects", parameter="names")
    position = geometry.viewpoint if camera.position is None else camera.position
    if position is None and camera.T_base_camera is not None:
        position = np.zeros(3)
    if position is not None:
        position = np.asarray(position, np.float64) * factor
    with np.errstate(over="ignore"):  # infinite coordinates are refused below
        points = geometry.vertices * factor
    remarks: list[str] = []
    kept = np.ones(len(points), bool)
    if np.abs(points).max(initial=0) <= MAXIMUM_COORDINATE:  # false for NaN, too
        kept, remarks = object_points(points, which, what)
    normals = None if geometry.normals is None else geometry.normals[kept]
    loaded = _placed(path, points[kept], normals, replace(camera, position=position))
    return replace(loaded, scale=factor, remarks=(*_about(what, remarks), *loaded.remarks))


def _placed(
    path: Path | None, points: np.ndarray, normals: np.ndarray | None, camera: _Camera
) -> Object:
    """Return a cloud in metres, moved from the camera frame to the base frame if this is known."""
    name, file = ("object", None) if path is None else (_name(path), str(path))
    loaded = Object.from_points(points, normals, viewpoint=camera.position, name=name, file=file)
    if camera.T_base_camera is None:
        return loaded
    assert loaded.normals is not None
    rotation, translation = camera.T_base_camera[:3, :3], camera.T_base_camera[:3, 3]
    moved = Object.from_points(
        loaded.vertices @ rotation.T + translation,
        loaded.normals @ rotation.T,
        name=name,
        file=file,
    )
    return replace(moved, frame=BASE_FRAME)


@dataclass(frozen=True, eq=False)
class _Camera:
    """What the caller states about the camera that saw a cloud.

    Attributes:
        position: Position in the frame of the cloud; None if unknown.
        T_base_camera: Pose in the base frame of the robot; None if unknown.
    """

    position: np.ndarray | None
    T_base_camera: np.ndarray | None


def _camera_pose(
    given: str | os.PathLike[str] | np.ndarray | None,
) -> Float[np.ndarray, "4 4"] | None:
    if given is None:
        return None
    if isinstance(given, np.ndarray):
        return checked_pose(given, "the camera pose")
    return read_camera_pose(Path(given))


def _is_depth_image(path: Path) -> bool:
    """Return True if a .npy file has too many columns for a table of points."""
    shape = read_npy(path).shape
    return len(shape) == 2 and shape[1] > MOST_COLUMNS


def _about(what: str, remarks: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"{what}: {remark}" for remark in remarks)


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
