"""Read one object of ACRONYM and check that its grasps belong to its mesh."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from datasets.acronym.files import mesh_file, parse_name
from grasp.formats import Grasps, acronym, read_grasps
from grasp.grippers.gripper import load_gripper
from grasp.objects.loading import load_object
from grasp.objects.object import Object
from pcdiff.errors import InputError
from pcdiff.hdf5 import check_dataset, find, open_hdf5

GRIPPER = "panda"
"""Name of the gripper for all grasps in ACRONYM."""

PROTOCOL = "ACRONYM, FleX"
"""Text in place of a protocol version for ACRONYM's labels, which are not from `grasp.physics`."""

KEPT = (
    "object/volume",
    "object/density",
    "object/inertia",
    "gripper/configuration",
    "grasps/qualities/flex/object_motion_during_closing_linear",
    "grasps/qualities/flex/object_motion_during_closing_angular",
    "grasps/qualities/flex/object_motion_during_shaking_linear",
    "grasps/qualities/flex/object_motion_during_shaking_angular",
)
"""HDF5 datasets of an ACRONYM file that have no field in `Grasps` and are copied unchanged."""

AT_THE_MESH = 0.9
"""Smallest share of grasps at the surface of the mesh; in ACRONYM's examples, the share is 1."""


@dataclass(frozen=True, eq=False)
class LabelledObject:
    """One object of ACRONYM with its labelled grasps, ready to be written.

    Attributes:
        name: Name of the object and of its files.
        obj: Mesh in metres.
        grasps: ACRONYM's grasps, in the frame of the mesh. Their `object_file` is the mesh file in
            the set.
        kept: Further arrays of the ACRONYM file, by their names in `KEPT`.
    """

    name: str
    obj: Object
    grasps: Grasps
    kept: dict[str, np.ndarray]


def read_labelled(path: Path, meshes: Path) -> LabelledObject:
    """Read an ACRONYM file and its mesh, and check that the grasps belong to the mesh.

    Args:
        path: File `Category_hash_scale.h5`.
        meshes: Folder of the meshes, in one of `datasets.acronym.files.LAYOUTS`.

    Raises:
        InputError: If a file is missing, damaged or incomplete, or the grasps do not belong to the
            mesh. The message names the ACRONYM file or the mesh file.
    """
    found = read_grasps(path)
    try:
        _check(path, found)
        mesh = mesh_file(meshes, found.object_file or "")
    except InputError as error:
        raise InputError(f"{path} cannot be used: {error}") from error
    obj = load_object(mesh, found.object_scale)
    assert obj.faces is not None  # .obj and .stl files never load as point clouds
    _check_place(path, found, obj)
    grasps = replace(
        found,
        gripper=GRIPPER,
        object_file=f"meshes/{path.stem}.obj",
        object_scale=1.0,
        object_sha256=obj.sha256,
        sampler={
            "name": "ACRONYM",
            "file": path.name,
            "mesh": mesh.relative_to(meshes).as_posix(),
            "scale": found.object_scale,
        },
        protocol=PROTOCOL,
        tool_center_point=load_gripper(GRIPPER).tool_center_point,
    )
    return LabelledObject(path.stem, obj, grasps, _kept(path, len(found)))


def _check(path: Path, grasps: Grasps) -> None:
    """Raise an error if the file lacks a part that every ACRONYM file has."""
    name = parse_name(path)
    if name is None:
        raise InputError("the file name does not have the form Category_hash_scale.h5")
    needed = {
        "object/file": grasps.object_file,
        "object/mass": grasps.mass,
        "object/friction": grasps.friction,
        acronym.OBJECT_IN_GRIPPER: grasps.success,
    }
    for dataset, value in needed.items():
        if value is None:
            raise InputError(f"the file has no HDF5 dataset {dataset}")
    if grasps.gripper not in (None, GRIPPER):
        raise InputError(f"the grasps are for the gripper {grasps.gripper!r}, expected {GRIPPER!r}")
    # The file rounds its scale to ten decimals. A missing scale reads as 1.
    if not math.isclose(name.factor, grasps.object_scale, rel_tol=1e-3):
        raise InputError(
            f"object/scale must be {name.scale}, as in the file name, got {grasps.object_scale:g}"
        )


def _check_place(path: Path, grasps: Grasps, obj: Object) -> None:
    """Raise an error if too few grasps are at the surface of the mesh.

    ACRONYM's grasps are antipodal, whether they succeed or fail. So a piece of the surface lies
    between the fingers of each grasp. Its distance from the tool centre point is at most half of
    the gripper's stroke. A mesh in another unit, with other axes or moved to the origin fails the
    check.
    """
    from scipy.spatial import cKDTree

    gripper = load_gripper(GRIPPER)
    points, _ = obj.surface(5000, np.random.default_rng(0))
    tips = gripper.tool_points(grasps.poses)
    share = float((cKDTree(points).query(tips)[0] <= gripper.stroke / 2).mean())
    if share < AT_THE_MESH:
        raise InputError(
            f"{obj.file} is not the mesh of the grasps in {path.name}: at least "
            f"{100 * AT_THE_MESH:.0f} % of the grasps must be at the surface of the mesh, got "
            f"{100 * share:.0f} %"
        )


def _kept(path: Path, grasps: int) -> dict[str, np.ndarray]:
    """Read the HDF5 datasets listed in `KEPT` from a file with `grasps` grasps."""
    kept = {}
    with open_hdf5(path) as file:
        for name in KEPT:
            dataset = find(file, name)
            if dataset is None:
                continue
            if (
                not hasattr(dataset, "dtype")
                or dataset.dtype.kind not in "fiu"
                or dataset.shape not in ((), (1,), (3, 3), (grasps,))
            ):
                raise InputError(
                    f"{path} has an HDF5 dataset {name} that is not numeric or has the wrong shape"
                )
            try:
                check_dataset(dataset)
            except InputError as error:
                raise InputError(f"{path} cannot be read: {error}") from error
            kept[name] = dataset[()]
    return kept
