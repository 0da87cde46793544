"""The training data of a grasp field: labelled grasps and the surfaces of their objects.

This module reads the folders of labels that `grasp label` writes. Each folder has one file per
gripper and object, `grasps/GRIPPER/NAME.h5`, with the path of the object's mesh relative to the
folder, and the gripper's description, `grasps/GRIPPER/gripper.toml`. A folder may also contain
labelled samples of earlier fields, `samples/WEIGHTS/GRIPPER/NAME.h5`, and rough scans of the
objects that `datasets.scans` writes, `scans/NAME.obj`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from grasp.field.networks.probes import Probes, probes
from grasp.field.networks.surface import Surface
from grasp.field.prepared import MeshFile, ObjectSurfaces, Recipe, prepare
from grasp.field.weight import Weight, pads_of, squared_load
from grasp.formats import Grasps, read_grasps
from grasp.grippers.gripper import Gripper, load_gripper
from pcdiff.errors import InputError
from pcdiff.geometry.limits import check_file

DISTANCES = 2000
"""Number of places per object whose signed distances the "paper" network learns."""

FEWEST = 5
"""Smallest number of successful grasps of an object that is used to train the energy."""

CANDIDATES, SAMPLES, SCANS = "grasps", "samples", "scans"
"""Names of the folders with labelled candidates, labelled samples of a field, and rough scans."""

DESCRIPTION = "gripper.toml"
"""Name of the file beside the labels that describes their gripper."""


@dataclass(frozen=True, eq=False)
class Tried:
    """Successful and failed grasps, which were tried in a physics simulation.

    Attributes:
        poses: Poses `T_object_grasp`, translations in metres.
        success: True for each successful grasp.
        squared_load: Squared load ρ² of each grasp (see `grasp.field.weight`), for the object's
            weight in the simulation; 0 if the labels do not state the weight.
    """

    poses: Float[Tensor, "grasps 4 4"]
    success: Bool[Tensor, " grasps"]
    squared_load: Float[Tensor, " grasps"]


@dataclass(frozen=True, eq=False)
class Item:
    """Labelled grasps of one object with one gripper.

    Attributes:
        name: Name of the object.
        sha256: Digest of the object's geometry.
        surfaces: Surfaces of the object. Each training step draws one surface.
        distances: Places (x, y, z) in the frame of the object's file and, in the fourth column,
            their signed distances to the object, in metres.
        probes: Probes of the gripper.
        candidates: Labelled grasps that were generated without a field.
        samples: Labelled grasps that were sampled from a field; None for no such grasps.
        protocols: Versions of the physics protocols of all these labels, sorted.
    """

    name: str
    sha256: str
    surfaces: tuple[Surface, ...]
    distances: Float[Tensor, "places 4"]
    probes: Probes
    candidates: Tried
    samples: Tried | None
    protocols: tuple[str, ...] = ()

    @property
    def held(self) -> Float[Tensor, "held 4 4"]:
        """Poses of the successful candidates."""
        return self.candidates.poses[self.candidates.success]

    @property
    def has_grasps(self) -> bool:
        """True if at least `FEWEST` candidates succeeded, so that the energy can be trained."""
        return len(self.held) >= FEWEST


def split(items: Sequence[Item], one_in: int) -> tuple[list[Item], list[Item]]:
    """Split items into training items and validation items, by object.

    The split depends only on the geometry of the objects. So an object is on the same side of the
    split for all grippers and in all runs.

    Args:
        items: Items to split.
        one_in: Inverse of the share of validation objects: 12 assigns approximately one
            object in 12 to validation.
    """
    parts: tuple[list[Item], list[Item]] = ([], [])
    for item in items:
        parts[int(item.sha256, 16) % one_in == 0].append(item)
    return parts


def grippers_in(folder: Path, given: Sequence[str]) -> list[Gripper]:
    """Return the grippers with labels in a folder, or the requested grippers.

    Args:
        folder: Folder of labels.
        given: Names or description files of the requested grippers; empty requests all grippers
            with labels.

    Raises:
        InputError: If the folder has no labels, or a requested gripper is unknown, has no labels or
            is listed more than once.
    """
    found = sorted(path.name for path in (folder / CANDIDATES).glob("*") if path.is_dir())
    hands = [load_gripper(_described(folder, name)) for name in (given or found)]
    for hand in hands:
        if hand.name not in found:
            raise InputError(
                f"{folder} has no labelled grasps for {hand.name}: expected a folder "
                f"{CANDIDATES}/{hand.name}"
            )
        if [each.name for each in hands].count(hand.name) > 1:
            raise InputError(
                f"each gripper must be listed only once, got the gripper {hand.name} more than once"
            )
    if not hands:
        raise InputError(f"{folder} has no labelled grasps: expected a folder {CANDIDATES}")
    return hands


def _described(folder: Path, name: str) -> str:
    """Return the file beside the labels that describes a gripper, or the name if there is none."""
    path = folder / CANDIDATES / name / DESCRIPTION
    return str(path) if path.is_file() else name


def count_objects(folder: Path, grippers: Sequence[Gripper]) -> int:
    """Count the objects with labels for at least one of several grippers.

    Args:
        folder: Folder of labels.
        grippers: Grippers to consider.
    """
    return len({path.name for hand in grippers for path in _files(folder, hand)})


def read_items(
    folder: Path,
    grippers: Sequence[Gripper],
    cache: Path,
    recipe: Recipe,
    pool: ProcessPoolExecutor | None = None,
    advance: Callable[[], None] = lambda: None,
) -> list[Item]:
    """Read the labelled grasps in a folder, and read or compute the surfaces of their objects.

    Args:
        folder: Folder of labels.
        grippers: Grippers for which labels are read.
        cache: Folder in which computed surfaces are stored for later calls. The surfaces of an
            object take one second to compute.
        recipe: Settings of the surfaces.
        pool: Processes that compute the surfaces; None selects the calling process.
        advance: Function that is called after each object.

    Raises:
        InputError: If a file cannot be read, has no labels, or was labelled with another
            description of the gripper.
    """
    labels = [
        (hand, path, _labels(path, hand)) for hand in grippers for path in _files(folder, hand)
    ]
    labels = [each for each in labels if len(each[2])]
    meshes = {
        str(grasps.object_sha256): MeshFile(
            folder / str(grasps.object_file),
            grasps.object_scale,
            str(grasps.object_sha256),
            _scan(folder, str(grasps.object_file)),
        )
        for _, _, grasps in labels
    }
    # Preparing takes minutes, so a mesh that is missing is found before.
    for mesh in meshes.values():
        check_file(mesh.file)
    made: dict[str, ObjectSurfaces] = {}
    for sha256, surfaces in zip(
        meshes, prepare(list(meshes.values()), cache, recipe, pool), strict=True
    ):
        made[sha256] = surfaces
        advance()
    items = []
    for hand, path, grasps in labels:
        sha256 = str(grasps.object_sha256)
        own = sorted(folder.glob(f"{SAMPLES}/*/{hand.name}/{path.name}"))
        sampled = [_labels(each, hand) for each in own]
        items.append(
            Item(
                path.stem,
                sha256,
                made[sha256].surfaces,
                made[sha256].distances,
                probes(hand),
                _tried([grasps], hand),
                _tried(sampled, hand) if own else None,
                tuple(sorted({each.protocol or "unknown" for each in (grasps, *sampled)})),
            )
        )
    return items


def _scan(folder: Path, mesh: str) -> Path | None:
    path = folder / SCANS / Path(mesh).name
    return path if path.is_file() else None


def _files(folder: Path, hand: Gripper) -> list[Path]:
    return sorted((folder / CANDIDATES / hand.name).glob("*.h5"))


def _labels(path: Path, hand: Gripper) -> Grasps:
    grasps = read_grasps(path)
    made_with = (grasps.sampler or {}).get("gripper_sha256", hand.sha256)  # not all files state it
    if made_with != hand.sha256:
        raise InputError(
            f"{path} was labelled with another description of the gripper {hand.name}: the digest "
            f"must be {hand.sha256[:12]}, got {str(made_with)[:12]}"
        )
    if grasps.success is None or grasps.object_file is None or grasps.object_sha256 is None:
        raise InputError(
            f"{path} must contain success labels, the file name of the object and the digest of "
            "the object, but at least one of the three is missing"
        )
    return grasps


def _tried(several: Sequence[Grasps], hand: Gripper) -> Tried:
    poses = np.concatenate([each.poses for each in several])
    success = np.concatenate([each.success for each in several if each.success is not None])
    loads = torch.cat([_squared_load(each, hand) for each in several])
    return Tried(torch.from_numpy(poses).float(), torch.from_numpy(success), loads)


def _squared_load(grasps: Grasps, hand: Gripper) -> Float[Tensor, " grasps"]:
    if grasps.mass is None or grasps.center_of_mass is None:
        return torch.zeros(len(grasps))
    weight = Weight(grasps.mass, grasps.center_of_mass)
    pads = pads_of(grasps.protocol or "unknown")
    return squared_load(torch.from_numpy(grasps.poses), hand, weight, pads).float()
