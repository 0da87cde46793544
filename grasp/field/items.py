"""What the field is trained on: labelled grasps, and their objects as the networks see them.

A folder of labels is what `datasets.labels` writes: `grasps/GRIPPER/NAME.h5`, one file an object,
which names its mesh relative to the folder; and, if there are any, labelled samples of earlier
fields, `samples/WEIGHTS/GRIPPER/NAME.h5`.
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
from grasp.field.prepared import Prepared, Recipe, Source, prepare
from grasp.field.weight import Weight, squared_load
from grasp.formats import Grasps, read_grasps
from grasp.grippers.gripper import Gripper, load_gripper
from pcdiff.errors import InputError

DISTANCES = 2000
"""Places of each object from which the paper's network learns signed distances."""

FEWEST = 5
"""Grasps that hold, below which an object teaches nothing about where they are."""

CANDIDATES, SAMPLES = "grasps", "samples"
"""Folders of labelled candidates, and of labelled samples of a field."""


@dataclass(frozen=True, eq=False)
class Tried:
    """Grasps of both outcomes.

    Attributes:
        poses: `T_object_grasp`, metres.
        success: whether each holds.
        squared_load: ρ² of the weight that each was tried with (see `grasp.field.weight`); 0 where
            the labels do not tell.
    """

    poses: Float[Tensor, "grasps 4 4"]
    success: Bool[Tensor, " grasps"]
    squared_load: Float[Tensor, " grasps"]


@dataclass(frozen=True, eq=False)
class Item:
    """Labelled grasps of one object with one gripper.

    Attributes:
        name: of the object.
        sha256: of its geometry.
        surfaces: to choose from.
        distances: places in the frame of the object's file with their signed distances, metres.
        probes: of the gripper.
        candidates: grasps that were tried whatever a field thinks of them.
        samples: grasps that a field gave; None if there are none.
    """

    name: str
    sha256: str
    surfaces: tuple[Surface, ...]
    distances: Float[Tensor, "places 4"]
    probes: Probes
    candidates: Tried
    samples: Tried | None

    @property
    def held(self) -> Float[Tensor, "held 4 4"]:
        """The candidates that hold."""
        return self.candidates.poses[self.candidates.success]

    @property
    def has_grasps(self) -> bool:
        """Whether enough candidates hold to teach where grasps are, and not only where not."""
        return len(self.held) >= FEWEST


def split(items: Sequence[Item], one_in: int) -> tuple[list[Item], list[Item]]:
    """Items to train on and items to validate on, by object: one object in so many.

    An object's place depends on its geometry alone, so it is the same for every gripper and run.
    """
    parts: tuple[list[Item], list[Item]] = ([], [])
    for item in items:
        parts[int(item.sha256, 16) % one_in == 0].append(item)
    return parts


def grippers_in(folder: Path, given: Sequence[str]) -> list[Gripper]:
    """The grippers that a folder has labels of.

    Args:
        folder: of labels.
        given: names, or files that describe them; all that have labels if there are none.

    Raises:
        InputError: there are no labels, or a gripper is not known or given more than once.
    """
    found = sorted(path.name for path in (folder / CANDIDATES).glob("*") if path.is_dir())
    hands = [load_gripper(name) for name in (given or found)]
    for hand in hands:
        if hand.name not in found:
            raise InputError(
                f"{folder} has no labelled grasps for {hand.name}: no {CANDIDATES}/{hand.name}"
            )
        if [each.name for each in hands].count(hand.name) > 1:
            raise InputError(f"the gripper {hand.name} is given more than once")
    if not hands:
        raise InputError(f"{folder} has no labelled grasps: no folder {CANDIDATES}")
    return hands


def count_objects(folder: Path, grippers: Sequence[Gripper]) -> int:
    """How many objects have labels.

    Args:
        folder: of labels.
        grippers: whose labels count.
    """
    return len({path.name for hand in grippers for path in _files(folder, hand)})


def read_items(
    folder: Path,
    grippers: Sequence[Gripper],
    kept: Path,
    recipe: Recipe,
    pool: ProcessPoolExecutor | None = None,
    advance: Callable[[], None] = lambda: None,
) -> list[Item]:
    """The labelled grasps of a folder, with surfaces of their objects.

    Args:
        folder: of labels.
        grippers: whose labels to read.
        kept: a folder for what is made of the objects, as it takes a second for each.
        recipe: what to make of them.
        pool: processes that make it.
        advance: called after each object.

    Raises:
        InputError: a file cannot be read, is not of labels, or is of another gripper's.
    """
    labels = [
        (hand, path, _labels(path, hand)) for hand in grippers for path in _files(folder, hand)
    ]
    labels = [each for each in labels if len(each[2])]
    sources = {
        source.sha256: source
        for _, _, grasps in labels
        for source in [
            Source(folder / str(grasps.object_file), grasps.object_scale, str(grasps.object_sha256))
        ]
    }
    made: dict[str, Prepared] = {}
    for sha256, prepared in zip(
        sources, prepare(list(sources.values()), kept, recipe, pool), strict=True
    ):
        made[sha256] = prepared
        advance()
    items = []
    for hand, path, grasps in labels:
        sha256 = str(grasps.object_sha256)
        own = sorted(folder.glob(f"{SAMPLES}/*/{hand.name}/{path.name}"))
        items.append(
            Item(
                path.stem,
                sha256,
                made[sha256].surfaces,
                made[sha256].distances,
                probes(hand),
                _tried([grasps], hand),
                _tried([_labels(each, hand) for each in own], hand) if own else None,
            )
        )
    return items


def _files(folder: Path, hand: Gripper) -> list[Path]:
    return sorted((folder / CANDIDATES / hand.name).glob("*.h5"))


def _labels(path: Path, hand: Gripper) -> Grasps:
    grasps = read_grasps(path)
    made_with = (grasps.sampler or {}).get("gripper_sha256", hand.sha256)  # not all files tell
    if made_with != hand.sha256:
        raise InputError(
            f"{path} was labelled with another description of the gripper {hand.name} than this one"
        )
    if grasps.success is None or grasps.object_file is None or grasps.object_sha256 is None:
        raise InputError(f"{path} has no labels or does not name its object")
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
    return squared_load(torch.from_numpy(grasps.poses), hand, weight).float()
