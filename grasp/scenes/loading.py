"""Read scenes from YAML files.

    table: {position: [0, 0, 0.4]}              # everything below z = 0 of its frame
    boxes:
      - {size: [0.6, 0.3, 0.02], position: [0.5, 0, 0.7], quaternion_xyzw: [0, 0, 0, 1]}
    meshes:
      - {file: bowl.obj, unit: cm, pose: [[1, 0, 0, 0.5], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]}
    clouds:
      - {file: scan.ply, unit: mm, scale: 1.0}
    object: {position: [0.3, 0.1, 0.4]}         # frame of the object to grasp

Every key is optional. The pose of an entry maps the entry's frame to the world. It is stated either
as `pose`, the rows of a 4 × 4 matrix, or as `position` in metres and `quaternion_xyzw`. The default
position is zero, and the default rotation is the identity. The centre of a box is the origin of its
frame, and `size` contains its side lengths in metres. A table has no edges and no underside; use a
box for a table with edges. The path of a file is relative to the YAML file. `unit` and `scale` have
the meaning of the arguments of `grasp.objects.loading.load_object`, which also reads the meshes. A
cloud is a file of points or a depth image. The mask of a depth image is ignored.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float

from grasp import documents
from grasp.objects.cleaning import MAXIMUM_COORDINATE, frozen
from grasp.objects.depth import DepthImage, read_depth_image
from grasp.objects.loading import DEPTH_IMAGES, load_object
from grasp.objects.pieces import EVERYTHING
from grasp.scenes.scene import PlacedBox, PlacedCloud, PlacedMesh, Scene
from pcdiff.errors import InputError
from pcdiff.geometry.limits import UNITS
from pcdiff.geometry.reading import READERS, read_geometry

LARGEST_CLOUD = 10.0
"""Largest accepted extent of a cloud in metres. A larger cloud is probably in another unit."""

ROUNDED_WITHIN = 1e-3
"""Tolerance for rotations in a file. The norm of a quaternion and each singular value of a rotation
matrix may differ from 1 by at most this value."""

LONGEST_NAME = 1000
"""Largest accepted number of characters in the name of a file."""

SUFFIXES = (".yaml", ".yml")
"""Endings of scene files."""

_POSE = {"pose", "position", "quaternion_xyzw"}
_MEASURE = {"unit", "scale"}

Placed = TypeVar("Placed")
Read = Callable[[dict[str, Any], Path], Placed]


def load_scene(path: str | os.PathLike[str]) -> Scene:
    """Read a scene from a YAML file.

    Args:
        path: YAML file in the format of `grasp.scenes.loading`.

    Raises:
        InputError: If the file, or a file that it names, is missing or damaged; a key is unknown or
            missing; a value has the wrong type or shape; or a pose is not rigid.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"a scene file must end in {' or '.join(SUFFIXES)}, got {path}")
    try:
        if not path.is_file():
            raise InputError("it is not a file" if path.exists() else "it does not exist")
        return _scene(documents.read_document(path), path.parent)
    except InputError as error:
        raise InputError(f"cannot read the scene {path}: {error}") from error
    except OSError as error:
        raise InputError(f"cannot read the scene {path}: {error.strerror or error}") from error


def _scene(document: dict[str, Any], folder: Path) -> Scene:
    _check_keys(document, set(), {"table", "boxes", "meshes", "clouds", "object"})

    def one(key: str) -> np.ndarray | None:
        if key not in document:
            return None
        return _entry(key, document[key], _pose, folder, set(), set())

    def each(key: str, read: Read[Placed], needed: set[str], other: set[str]) -> tuple[Placed, ...]:
        values = documents.sequence(key, document.get(key, []))
        return tuple(
            _entry(f"{key}[{index}]", value, read, folder, needed, other)
            for index, value in enumerate(values)
        )

    at = one("object")
    return Scene(
        T_world_table=one("table"),
        boxes=each("boxes", _box, {"size"}, set()),
        meshes=each("meshes", _mesh, {"file"}, _MEASURE),
        clouds=each("clouds", _cloud, {"file"}, _MEASURE),
        T_world_object=frozen(np.eye(4)) if at is None else at,
    )


def _entry(
    what: str, value: object, read: Read[Placed], folder: Path, needed: set[str], other: set[str]
) -> Placed:
    """Read one entry of the scene. Error messages start with the name of the entry."""
    entries = documents.mapping(what, value)
    try:
        _check_keys(entries, needed, other | _POSE)
        return read(entries, folder)
    except InputError as error:
        raise InputError(f"{what}: {error}") from error


def _check_keys(entries: dict[str, Any], needed: set[str], other: set[str]) -> None:
    missing = sorted(needed - entries.keys())
    if missing:
        raise InputError(f"the key {', '.join(missing)} is missing")
    unknown = [documents.kind_of(key) for key in entries if key not in needed | other]
    if unknown:
        known = ", ".join(sorted(needed | other))
        raise InputError(f"the key {unknown[0]} is unknown, expected only {known}")


def _box(entries: dict[str, Any], folder: Path) -> PlacedBox:
    size = documents.vector("size", entries["size"])
    if not ((size > 0) & (size <= MAXIMUM_COORDINATE)).all():
        raise InputError(
            f"size must be above 0 and at most {MAXIMUM_COORDINATE:g} m, got {size.tolist()}"
        )
    return PlacedBox(frozen(size), _pose(entries, folder))


def _mesh(entries: dict[str, Any], folder: Path) -> PlacedMesh:
    file, scale, unit = _file(entries, folder)
    return PlacedMesh(load_object(file, scale, unit, which=EVERYTHING), _pose(entries, folder))


def _cloud(entries: dict[str, Any], folder: Path) -> PlacedCloud:
    file, scale, unit = _file(entries, folder)
    remarks: tuple[str, ...] = ()
    if file.suffix.lower() in DEPTH_IMAGES:
        image = read_depth_image(file, scale=scale, unit=unit, masked=False)
        # The mask marks the object to grasp. A scene uses all points, so the mask is ignored.
        points = DepthImage(image.depth, image.intrinsics).points()
        remarks = tuple(f"{file}: {remark}" for remark in image.remarks)
    else:
        # `load_object` would spend seconds on surface normals, which a scene does not need.
        geometry = read_geometry(file)
        remarks = geometry.remarks
        if geometry.faces is not None:
            raise InputError(f"{file} is a mesh, expected a point cloud: list it under meshes")
        with np.errstate(over="ignore"):  # infinite coordinates are refused below
            points = geometry.vertices * (scale * (UNITS[unit] if unit else geometry.unit or 1.0))
    if not len(points) or not np.isfinite(points).all():
        raise InputError(f"{file} must contain at least one point, and all points must be finite")
    longest = float(np.ptp(points, axis=0).max())
    if not longest <= LARGEST_CLOUD:
        raise InputError(
            f"{file} would be {longest:.3g} m long, expected at most {LARGEST_CLOUD:g} m: state "
            "the unit of its numbers, or the scale that converts the numbers to metres"
        )
    return PlacedCloud(frozen(points), _pose(entries, folder), remarks)


def _file(entries: dict[str, Any], folder: Path) -> tuple[Path, float, str | None]:
    """Return the path, the scale and the unit of the file in an entry."""
    scale = documents.number("scale", entries.get("scale", 1.0))
    if not scale > 0:
        raise InputError(f"scale must be above 0, got {scale}")
    unit = documents.text("unit", entries["unit"]) if "unit" in entries else None
    if unit is not None and unit not in UNITS:
        raise InputError(f"unit must be one of {', '.join(UNITS)}, got {unit!r}")
    name = documents.text("file", entries["file"])
    if len(name) > LONGEST_NAME:
        raise InputError(f"file must have at most {LONGEST_NAME} characters, got {len(name)}")
    # A scene that somebody else wrote must not make this program look into any file it likes.
    if Path(name).suffix.lower() not in {*READERS, *DEPTH_IMAGES}:
        endings = ", ".join([*READERS, *DEPTH_IMAGES])
        raise InputError(f"the name of a file must end in {endings}, got {documents.kind_of(name)}")
    return folder / name, scale, unit


def _pose(entries: dict[str, Any], folder: Path) -> Float[np.ndarray, "4 4"]:
    """Return the pose of an entry, which maps the entry's frame to the world."""
    if "pose" in entries:
        if entries.keys() & {"position", "quaternion_xyzw"}:
            raise InputError(
                "expected either pose, or position and quaternion_xyzw, got both forms"
            )
        pose = documents.matrix("pose", entries["pose"])
        # The nearest rotation replaces the matrix, so that rounding errors do not add up.
        u, stretch, vt = np.linalg.svd(pose[:3, :3])
        rotation = u @ vt
        if (
            not np.abs(stretch - 1).max() <= ROUNDED_WITHIN  # NaN also fails
            or np.linalg.det(rotation) < 0
            or not np.array_equal(pose[3], [0, 0, 0, 1])
        ):
            raise InputError(
                "pose must be a rigid transform with orthonormal columns, no reflection and the "
                f"last row 0 0 0 1, got {entries['pose']}"
            )
        pose[:3, :3] = rotation
    else:
        pose = np.eye(4)
        if "position" in entries:
            pose[:3, 3] = documents.vector("position", entries["position"])
        if "quaternion_xyzw" in entries:
            name = "quaternion_xyzw"
            pose[:3, :3] = documents.rotation_of(
                name, documents.vector(name, entries[name], 4), ROUNDED_WITHIN
            )
    if not (np.abs(pose[:3, 3]) <= MAXIMUM_COORDINATE).all():
        raise InputError(
            f"the position must have coordinates from -{MAXIMUM_COORDINATE:g} to "
            f"{MAXIMUM_COORDINATE:g} m, got {pose[:3, 3].tolist()}"
        )
    return frozen(pose)
