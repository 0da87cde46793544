"""What stands around an object: a table, boxes, meshes and clouds, read from one YAML file.

    table: {position: [0, 0, 0.4]}              # all that is below z = 0 of its frame
    boxes:
      - {size: [0.6, 0.3, 0.02], position: [0.5, 0, 0.7], quaternion_xyzw: [0, 0, 0, 1]}
    meshes:
      - {file: bowl.obj, unit: cm, pose: [[1, 0, 0, 0.5], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]}
    clouds:
      - {file: scan.ply, unit: mm, scale: 1.0}
    object: {position: [0.3, 0.1, 0.4]}         # where the object to grasp is

Every key may be left out. A pose is that of the thing's frame in the world: either `pose`, the rows
of its matrix, or `position` (metres) and `quaternion_xyzw`; a position that is left out is zero, a
quaternion no turn. A box has its centre at the origin of its frame and the lengths of its sides as
`size`. A table has neither edges nor an underside: one that has is a box. Files are relative to the
YAML file; their `unit` and `scale` are what `grasp.objects.loading.load_object` takes. A mesh is
one that `load_object` reads; a cloud is a file of points, or a depth image, whose mask is ignored.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Bool, Float

from grasp import documents
from grasp.grippers.gripper import Gripper
from grasp.objects.cleaning import MAXIMUM_COORDINATE
from grasp.objects.depth import DepthImage, read_depth_image
from grasp.objects.loading import DEPTH_IMAGES, load_object
from grasp.objects.object import Object
from grasp.poses.rigid import check_poses
from grasp.scenes import collision
from grasp.scenes.collision import DENSITY
from pcdiff.errors import InputError
from pcdiff.geometry.limits import MAXIMUM_POINTS, UNITS
from pcdiff.geometry.reading import read_geometry

LARGEST_CLOUD = 10.0
"""Metres. A cloud whose longest side is longer is taken for one in another unit."""

ROUNDED_WITHIN = 1e-3
"""How far the norm of a quaternion, or a stretch of a matrix, may be from 1 in a file."""

SUFFIXES = (".yaml", ".yml")

_POSE = {"pose", "position", "quaternion_xyzw"}
_MEASURE = {"unit", "scale"}

Placed = TypeVar("Placed")
Read = Callable[[dict[str, Any], Path], Placed]


@dataclass(frozen=True, eq=False)
class PlacedBox:
    """A box.

    Args:
        size: (3,), the lengths of its sides, metres.
        T_world_box: Its centre is the origin of this frame, its sides are along the axes.
    """

    size: Float[np.ndarray, "3"]
    T_world_box: Float[np.ndarray, "4 4"]

    def __post_init__(self) -> None:
        if not (np.isfinite(self.size).all() and (self.size > 0).all()):
            raise InputError(f"the size of a box must be above 0, got {self.size.tolist()}")
        check_poses("box", self.T_world_box[None])


@dataclass(frozen=True, eq=False)
class PlacedMesh:
    """A mesh.

    Args:
        object: What `load_object` makes of its file.
        T_world_mesh: The frame of the file.
    """

    object: Object
    T_world_mesh: Float[np.ndarray, "4 4"]

    def __post_init__(self) -> None:
        if not self.object.is_mesh:
            raise InputError(f"{self.object.file or self.object.name} is a cloud, expected a mesh")
        check_poses("mesh", self.T_world_mesh[None])


@dataclass(frozen=True, eq=False)
class PlacedCloud:
    """What a camera saw, or another set of points on surfaces.

    Args:
        points: In the frame of the file, metres.
        T_world_cloud: That frame.
    """

    points: Float[np.ndarray, "points 3"]
    T_world_cloud: Float[np.ndarray, "4 4"]

    def __post_init__(self) -> None:
        if not np.isfinite(self.points).all():
            raise InputError("a cloud must be of finite points")
        check_poses("cloud", self.T_world_cloud[None])


@dataclass(frozen=True, eq=False)
class Scene:
    """The surroundings of an object to grasp, which is not one of them. Metres.

    Args:
        T_world_table: The table is all that is below z = 0 of this frame; None for no table.
        boxes: Boxes.
        meshes: Meshes.
        clouds: Clouds.
        T_world_object: Where the frame of the file of the object to grasp is.

    Raises:
        InputError: A pose is not rigid.
    """

    T_world_table: Float[np.ndarray, "4 4"] | None = None
    boxes: tuple[PlacedBox, ...] = ()
    meshes: tuple[PlacedMesh, ...] = ()
    clouds: tuple[PlacedCloud, ...] = ()
    T_world_object: Float[np.ndarray, "4 4"] = field(default_factory=lambda: _frozen(np.eye(4)))

    def __post_init__(self) -> None:
        check_poses("object", self.T_world_object[None])
        if self.T_world_table is not None:
            check_poses("table", self.T_world_table[None])

    def in_collision(
        self,
        poses: Float[np.ndarray, "n 4 4"],
        gripper: Gripper,
        width: float | None = None,
        *,
        density: float = DENSITY,
        seed: int = 0,
    ) -> Bool[np.ndarray, " n"]:
        """Whether the hand is in collision with its surroundings; the object is none of them.

        The table and the boxes are held against it exactly, meshes and clouds by their points, as
        `grasp.scenes.collision` says.

        Args:
            poses: `T_object_grasp`.
            gripper: The hand.
            width: Of the opening, metres; None for the widest.
            density: Points a square metre that stand for a mesh.
            seed: Of these points.

        Raises:
            InputError: A pose is not rigid or another argument is out of its range.
        """
        check_poses("grasp", poses)
        T_world_grasp = self.T_world_object @ poses
        points = self.surface_points(density, seed)
        found = collision.in_collision(T_world_grasp, gripper, points, width)
        if self.T_world_table is not None:
            found |= collision.meets_half_space(T_world_grasp, gripper, self.T_world_table, width)
        for box in self.boxes:
            found |= collision.meets_box(T_world_grasp, gripper, box.T_world_box, box.size, width)
        return found

    def surface_points(
        self, density: float = DENSITY, seed: int = 0
    ) -> Float[np.ndarray, "points 3"]:
        """Random points on the meshes and all points of the clouds, in the world, metres.

        Args:
            density: Points a square metre of the meshes.
            seed: Of the points, which are the same for the same mesh wherever it is placed.

        Raises:
            InputError: The density is not above 0, or makes too many points.
        """
        if not 0 < density < math.inf:
            raise InputError(f"the density of points must be above 0 a square metre, got {density}")
        found = [np.empty((0, 3))]
        for placed in self.meshes:
            count = max(1, round(placed.object.mesh().area * density))
            if count > MAXIMUM_POINTS:
                raise InputError(
                    f"{placed.object.file or placed.object.name} would have {count} points at "
                    f"{density:g} a square metre, expected at most {MAXIMUM_POINTS}"
                )
            rng = np.random.default_rng([seed, int(placed.object.sha256, 16)])
            found.append(_in_world(placed.T_world_mesh, placed.object.surface(count, rng)[0]))
        found += [_in_world(cloud.T_world_cloud, cloud.points) for cloud in self.clouds]
        return np.concatenate(found)


def load_scene(path: str | os.PathLike[str]) -> Scene:
    """Read a scene.

    Args:
        path: A YAML file of the form that this module describes.

    Raises:
        InputError: The file, or one that it names, is missing or damaged; a key is unknown or
            lacking, or its value is of another kind or shape; a pose is not rigid.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path} is no scene file: it must end in {' or '.join(SUFFIXES)}")
    try:
        if not path.is_file():
            raise InputError("it is not a file" if path.exists() else "it does not exist")
        return _scene(documents.read_document(path), path.parent)
    except InputError as error:
        raise InputError(f"the scene {path} cannot be read: {error}") from error
    except OSError as error:
        raise InputError(f"the scene {path} cannot be read: {error.strerror or error}") from error


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
        T_world_object=_frozen(np.eye(4)) if at is None else at,
    )


def _entry(
    what: str, value: object, read: Read[Placed], folder: Path, needed: set[str], other: set[str]
) -> Placed:
    """One thing of the scene, whose name comes first in every complaint about it."""
    entries = documents.mapping(what, value)
    try:
        _check_keys(entries, needed, other | _POSE)
        return read(entries, folder)
    except InputError as error:
        raise InputError(f"{what}: {error}") from error


def _check_keys(entries: dict[str, Any], needed: set[str], other: set[str]) -> None:
    missing = sorted(needed - entries.keys())
    if missing:
        raise InputError(f"there is no {' and no '.join(missing)}")
    unknown = [documents.kind_of(key) for key in entries if key not in needed | other]
    if unknown:
        known = ", ".join(sorted(needed | other))
        raise InputError(f"there is the unknown key {unknown[0]}, expected some of {known}")


def _box(entries: dict[str, Any], folder: Path) -> PlacedBox:
    size = documents.vector("size", entries["size"])
    if not ((size > 0) & (size <= MAXIMUM_COORDINATE)).all():
        raise InputError(
            f"size must be above 0 and at most {MAXIMUM_COORDINATE:g} m, got {size.tolist()}"
        )
    return PlacedBox(_frozen(size), _pose(entries, folder))


def _mesh(entries: dict[str, Any], folder: Path) -> PlacedMesh:
    file, scale, unit = _file(entries, folder)
    return PlacedMesh(load_object(file, scale, unit), _pose(entries, folder))


def _cloud(entries: dict[str, Any], folder: Path) -> PlacedCloud:
    file, scale, unit = _file(entries, folder)
    if file.suffix.lower() in DEPTH_IMAGES:
        image = read_depth_image(file, scale=scale, unit=unit)
        # A mask tells what the object is; its surroundings are the other pixels.
        points = DepthImage(image.depth, image.intrinsics).points()
    else:
        # Not by `load_object`, which would estimate normals: seconds for what is not needed here.
        geometry = read_geometry(file)
        if geometry.faces is not None:
            raise InputError(f"{file} is a mesh, expected a cloud: list it under meshes")
        with np.errstate(over="ignore"):  # what overflows is refused below
            points = geometry.vertices * (scale * (UNITS[unit] if unit else geometry.unit or 1.0))
    if not len(points) or not np.isfinite(points).all():
        raise InputError(f"{file} must hold at least one point, and none that is not finite")
    longest = float(np.ptp(points, axis=0).max())
    if not longest <= LARGEST_CLOUD:
        raise InputError(
            f"{file} would be {longest:.3g} m long, expected at most {LARGEST_CLOUD:g} m: give the "
            "unit or the scale that turns its numbers into metres"
        )
    return PlacedCloud(_frozen(points), _pose(entries, folder))


def _file(entries: dict[str, Any], folder: Path) -> tuple[Path, float, str | None]:
    """The file of an entry, its scale and its unit."""
    scale = documents.number("scale", entries.get("scale", 1.0))
    if not scale > 0:
        raise InputError(f"scale must be above 0, got {scale}")
    unit = documents.text("unit", entries["unit"]) if "unit" in entries else None
    if unit is not None and unit not in UNITS:
        raise InputError(f"unit must be one of {', '.join(UNITS)}, got {unit!r}")
    return folder / documents.text("file", entries["file"]), scale, unit


def _pose(entries: dict[str, Any], folder: Path) -> Float[np.ndarray, "4 4"]:
    """The pose of an entry; the folder does not matter."""
    if "pose" in entries:
        if entries.keys() & {"position", "quaternion_xyzw"}:
            raise InputError("there is a pose and also a position or a quaternion_xyzw")
        pose = documents.matrix("pose", entries["pose"])
        # The nearest rotation: rounded digits must not add up where poses are composed.
        u, stretch, vt = np.linalg.svd(pose[:3, :3])
        rotation = u @ vt
        if (
            not np.abs(stretch - 1).max() <= ROUNDED_WITHIN  # nor is NaN, of huge numbers
            or np.linalg.det(rotation) < 0
            or not np.array_equal(pose[3], [0, 0, 0, 1])
        ):
            raise InputError(
                "pose must be a rigid transform, with orthonormal columns, no reflection and the "
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
            f"it must be within {MAXIMUM_COORDINATE:g} m of the origin, got {pose[:3, 3].tolist()}"
        )
    return _frozen(pose)


def _in_world(T_world_it: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ T_world_it[:3, :3].T + T_world_it[:3, 3]


def _frozen(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array.setflags(write=False)
    return array
