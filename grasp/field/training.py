"""Prepare the training of a grasp field: turn folders of labelled grasps into an `Objective`.

This is what `grasp train` does before the training loop begins; a notebook can call it:

    run = prepare_run(["data/household"], TrainingData(networks=("success",)))
    objective = run.objective(run.read("runs/mine/objects"))
    for progress in train(objective, TrainingConfig(steps=4000, bfloat16=False), "runs/mine"):
        ...
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from grasp.field.configuration import DEFAULT, PAPER, FieldConfig
from grasp.field.items import (
    DISTANCES,
    FEWEST,
    Item,
    count_objects,
    grippers_in,
    read_items,
    split,
)
from grasp.field.objective import NETWORKS, SUCCESS, FieldObjective
from grasp.field.prepared import Recipe
from grasp.field.trained import GraspField
from grasp.grippers.gripper import Gripper
from pcdiff.errors import InputError


@dataclass(frozen=True)
class TrainingData:
    """Settings of a training: the data and the initial weights.

    Attributes:
        grippers: Names of grippers, or .toml files. If empty, all grippers that have labels.
        networks: Networks to train: "energy", "success" or both.
        architecture: Architecture of a new energy network; the default one if None.
        initialize_from: Weights to start from, a name or a file; None starts from random weights.
        validate_one_in: Hold out one object in this many for validation.
        grasps: Number of grasps per object and gripper in a step.
        seed: Seed of everything random.
    """

    grippers: tuple[str, ...] = ()
    networks: tuple[str, ...] = NETWORKS
    architecture: str | None = None
    initialize_from: str | None = None
    validate_one_in: int = 12
    grasps: int = 16
    seed: int = 0


@dataclass(frozen=True, eq=False)
class TrainingRun:
    """Folders of labels with the field that is going to be trained on them.

    Attributes:
        folders: Folders of labels, as `datasets.labels` writes them.
        grippers: Grippers whose labels are read, for each folder.
        model: Grasp field to train.
        data: Settings of the training.
    """

    folders: tuple[Path, ...]
    grippers: tuple[tuple[Gripper, ...], ...]
    model: GraspField
    data: TrainingData

    @property
    def is_fresh(self) -> bool:
        """Whether the field starts from random weights."""
        return self.data.initialize_from is None

    def count_objects(self) -> int:
        """Number of objects with labels."""
        return sum(
            count_objects(folder, hands)
            for folder, hands in zip(self.folders, self.grippers, strict=True)
        )

    def read(
        self,
        kept: str | os.PathLike[str],
        pool: ProcessPoolExecutor | None = None,
        advance: Callable[[], None] = lambda: None,
    ) -> list[Item]:
        """Read the labelled grasps, with surfaces of their objects.

        Args:
            kept: Folder in which the surfaces are kept, because making them takes a second per
                object.
            pool: Processes that make the surfaces; None makes them in this process.
            advance: Function that is called after each object.

        Raises:
            InputError: If a condition listed for `grasp.field.items.read_items` is met.
        """
        unsigned = self.model.config.architecture != PAPER
        recipe = Recipe(self.data.seed, distances=0 if unsigned else DISTANCES)
        return [
            item
            for folder, hands in zip(self.folders, self.grippers, strict=True)
            for item in read_items(folder, hands, Path(kept), recipe, pool, advance)
        ]

    def objective(self, items: Sequence[Item]) -> FieldObjective:
        """Make the objective, which the training loop takes.

        Args:
            items: Labelled grasps, as `read` returns them.

        Raises:
            InputError: If no object is left to train or to validate on, or none has enough grasps
                that hold.
        """
        data = self.data
        training, validation = split(items, data.validate_one_in)
        if not training or not validation:
            raise InputError(
                f"validating on one object in {data.validate_one_in} leaves {len(training)} "
                f"labelled objects to train on and {len(validation)} to validate on, expected some "
                "of each",
                parameter="validate_one_in",
            )
        # Success alone needs such grasps too if the scales of the inputs are not fitted yet.
        needed = self.is_fresh or data.networks != (SUCCESS,)
        if needed and not any(item.has_grasps for item in training):
            raise InputError(
                f"none of the training objects has {FEWEST} or more grasps that hold, expected at "
                "least one such object"
            )
        trained_on = {hand.name: hand.sha256 for hands in self.grippers for hand in hands}
        self.model.config = dataclasses.replace(
            self.model.config, grippers=self.model.config.grippers | trained_on
        )
        objective = FieldObjective(
            self.model,
            training,
            validation,
            data.grasps,
            data.networks,
            origin={
                "source": [folder.name for folder in self.folders],
                "initialized_from": data.initialize_from,
            },
        )
        if self.is_fresh:
            objective.standardize(data.seed)
        return objective


def prepare_run(folders: Sequence[str | os.PathLike[str]], data: TrainingData) -> TrainingRun:
    """Find the labels in folders, and make or load the field to train.

    Args:
        folders: Folders of labels, as `datasets.labels` writes them.
        data: Settings of the training.

    Raises:
        InputError: If a folder has no labels of the grippers, or an architecture is given together
            with initial weights, which already have one.
    """
    paths = tuple(Path(folder) for folder in folders)
    hands = tuple(tuple(grippers_in(path, data.grippers)) for path in paths)
    if data.initialize_from is None:
        config = FieldConfig(data.architecture or DEFAULT)
        model = GraspField.initialized(config, data.seed)
    else:
        if data.architecture is not None:
            raise InputError("the weights to start from decide the architecture: give one of both")
        model = GraspField.from_pretrained(data.initialize_from).train().requires_grad_(True)
    return TrainingRun(paths, hands, model, data)
