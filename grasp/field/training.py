"""Preparation of the training of a grasp field from folders of labelled grasps.

The command `grasp train` prepares an `Objective` before the training loop begins. A notebook can
prepare and train with these lines:

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

from grasp.field.architecture import field_config
from grasp.field.configuration import PAPER
from grasp.field.items import (
    DISTANCES,
    FEWEST,
    Item,
    count_objects,
    grippers_in,
    read_items,
    split,
)
from grasp.field.objective import NETWORKS, SUCCESS, EnergyLoss, FieldObjective
from grasp.field.prepared import Recipe
from grasp.field.trained import GraspField
from grasp.grippers.gripper import Gripper
from pcdiff.errors import InputError

TAIL = 0.25
"""Default share of the grasps that are noised beyond the level that the energy network is told."""

CONTRAST = 0.3
"""Default weight of the loss by which the energy tells successful grasps from failed ones."""


@dataclass(frozen=True)
class TrainingData:
    """Settings of the data and the initial weights of a training run.

    Attributes:
        grippers: Names of grippers, or paths of .toml files; empty selects all grippers with
            labels.
        networks: Names of the networks to train: "energy", "success" or both.
        architecture: Architecture of a new energy network; None selects "default".
        width: Width of the hidden layers of a new field's networks; see
            `grasp.field.architecture.field_config`. None selects the default widths.
        config: File of settings of a new field; see `grasp.field.architecture`. None selects the
            default settings.
        initialize_from: Initial weights, as a name or the path of a file; None selects random
            weights.
        validate_one_in: Inverse of the share of validation objects: 12 assigns approximately one
            object in 12 to validation.
        grasps: Number of grasps per object and gripper in a training step.
        tail: Share of the grasps that are noised beyond their level in the training of the energy;
            see `FieldObjective`. None selects `TAIL` for the default architecture and 0 for the
            network of SE(3)-DiffusionFields.
        contrast: Weight of the loss by which the energy tells successful grasps from failed ones;
            see `FieldModel.contrast_loss`. None selects `CONTRAST` for the default architecture and
            0 for the network of SE(3)-DiffusionFields.
        seed: Seed of all random draws.
    """

    grippers: tuple[str, ...] = ()
    networks: tuple[str, ...] = NETWORKS
    architecture: str | None = None
    width: int | None = None
    config: str | os.PathLike[str] | None = None
    initialize_from: str | None = None
    validate_one_in: int = 12
    grasps: int = 16
    tail: float | None = None
    contrast: float | None = None
    seed: int = 0


@dataclass(frozen=True, eq=False)
class TrainingRun:
    """A grasp field to train, with the folders of labels for its training.

    Attributes:
        folders: Folders of labels from `grasp label`.
        grippers: Grippers for which labels are read, for each folder.
        model: Grasp field to train.
        data: Settings of the data and the initial weights.
    """

    folders: tuple[Path, ...]
    grippers: tuple[tuple[Gripper, ...], ...]
    model: GraspField
    data: TrainingData

    @property
    def is_fresh(self) -> bool:
        """True if the training begins with random weights."""
        return self.data.initialize_from is None

    def _own(self, given: float | None, default: float) -> float:
        """Return a given setting, or the default of the architecture."""
        if given is not None:
            return given
        return 0.0 if self.model.config.architecture == PAPER else default

    def count_objects(self) -> int:
        """Count the objects with labels in all folders."""
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
        """Read the labelled grasps, and read or compute the surfaces of their objects.

        Args:
            kept: Folder in which computed surfaces are stored for later calls. The surfaces of an
                object take one second to compute.
            pool: Processes that compute the surfaces; None selects the calling process.
            advance: Function that is called after each object.

        Raises:
            InputError: For the reasons listed under `grasp.field.items.read_items`.
        """
        unsigned = self.model.config.architecture != PAPER
        recipe = Recipe(self.data.seed, distances=0 if unsigned else DISTANCES)
        return [
            item
            for folder, hands in zip(self.folders, self.grippers, strict=True)
            for item in read_items(folder, hands, Path(kept), recipe, pool, advance)
        ]

    def objective(self, items: Sequence[Item]) -> FieldObjective:
        """Return the objective for the training loop.

        Args:
            items: Labelled grasps, returned by `read`.

        Raises:
            InputError: If there is no training object or no validation object, no training object
                has enough successful grasps, or the success network has labels of several
                protocols.
        """
        data = self.data
        training, validation = split(items, data.validate_one_in)
        if not training or not validation:
            raise InputError(
                "training and validation need at least one labelled object each, got "
                f"{len(training)} for training and {len(validation)} for validation; approximately "
                f"one object in {data.validate_one_in} is assigned to validation",
                parameter="validate_one_in",
            )
        # Successful grasps are also needed for fresh weights, to set the scales of the inputs.
        needed = self.is_fresh or data.networks != (SUCCESS,)
        if needed and not any(item.has_grasps for item in training):
            raise InputError(
                f"at least one training object must have {FEWEST} or more successful grasps, got "
                f"none among {len(training)} training objects"
            )
        trained_on = {hand.name: hand.sha256 for hands in self.grippers for hand in hands}
        self.model.config = dataclasses.replace(
            self.model.config, grippers=self.model.config.grippers | trained_on
        )
        if SUCCESS in data.networks:
            protocols = sorted({name for item in items for name in item.protocols})
            if len(protocols) > 1:
                raise InputError(
                    "the labels of the success network must have a single physics protocol, got "
                    + " and ".join(protocols)
                )
            self.model.config = dataclasses.replace(self.model.config, protocol=protocols[0])
        objective = FieldObjective(
            self.model,
            training,
            validation,
            data.grasps,
            data.networks,
            EnergyLoss(self._own(self.data.tail, TAIL), self._own(self.data.contrast, CONTRAST)),
            origin={
                "source": [folder.name for folder in self.folders],
                # Weights travel: they must not name a folder of the machine that made them.
                "initialized_from": data.initialize_from and Path(data.initialize_from).name,
            },
        )
        if self.is_fresh:
            objective.standardize(data.seed)
        return objective


def prepare_run(folders: Sequence[str | os.PathLike[str]], data: TrainingData) -> TrainingRun:
    """Find the labels in folders, and build or load the grasp field to train.

    Args:
        folders: Folders of labels from `grasp label`.
        data: Settings of the data and the initial weights.

    Raises:
        InputError: For the reasons listed under `grasp.field.items.grippers_in` and
            `field_config` and `GraspField.from_pretrained`, or if `data` has both initial weights
            and an architecture, a width or settings, which the initial weights determine.
    """
    paths = tuple(Path(folder) for folder in folders)
    hands = tuple(tuple(grippers_in(path, data.grippers)) for path in paths)
    if data.initialize_from is None:
        config = field_config(data.architecture, data.width, data.config)
        model = GraspField.initialized(config, data.seed)
    else:
        for name in ("architecture", "width", "config"):
            if (value := getattr(data, name)) is not None:
                raise InputError(
                    f"{name} must not be combined with initial weights, which determine it, "
                    f"got {value!r} and {data.initialize_from!r}",
                    parameter=name,
                )
        model = GraspField.from_pretrained(data.initialize_from).train().requires_grad_(True)
    return TrainingRun(paths, hands, model, data)
