"""The training objective of a `PointCloudGenerator`: data, loss and validation."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pcdiff.clouds.generator import KIND, PointCloudGenerator
from pcdiff.clouds.scale import subsample
from pcdiff.errors import InputError

Mirror = Literal["none", "x", "y", "z"]


@dataclass(frozen=True)
class StepClouds:
    """The settings for the use of each cloud in a training step.

    Attributes:
        points: Number of random points taken from each cloud, a multiple of `levels_per_cloud`.
        levels_per_cloud: Number of noise levels that are drawn per cloud.
        mirror: Axis along which each cloud is reflected with probability 1/2; the axis must be
            perpendicular to the symmetry plane of the category. "none" reflects no clouds.
    """

    points: int = 512
    levels_per_cloud: int = 4
    mirror: Mirror = "none"


class CloudObjective:
    """The training objective of the cloud head; see `pcdiff.learning.objective.Objective`.

    Args:
        model: Generator to train.
        train: Box-normalised clouds to train on.
        validation: Box-normalised clouds to validate on.
        use: Use of each cloud in a training step.
        source: File of the clouds, for the description of the run.
        initialized_from: Initial weights, for the description of the run; None for a new model.

    Raises:
        InputError: If the clouds or the model do not allow the settings in `use`.
    """

    kind = KIND

    def __init__(
        self,
        model: PointCloudGenerator,
        train: Float[Tensor, "shapes points 3"],
        validation: Float[Tensor, "others available 3"],
        use: StepClouds | None = None,
        source: str = "",
        initialized_from: str | None = None,
    ) -> None:
        use = use or StepClouds()
        points, levels_per_cloud, mirror = use.points, use.levels_per_cloud, use.mirror
        if mirror not in get_args(Mirror):
            raise InputError(f"mirror must be one of {get_args(Mirror)}, got {mirror!r}")
        available = min(train.shape[1], validation.shape[1])
        if not 2 <= points <= available:
            raise InputError(
                f"the number of points per cloud must be from 2 to {available}, got {points}",
                parameter="points",
            )
        model.check_levels(levels_per_cloud, points)
        self.model = model
        self.train, self.validation = train, validation
        self.size = len(train)
        self.points, self.levels_per_cloud, self.mirror = points, levels_per_cloud, mirror
        digest = hashlib.sha256(train.numpy().tobytes() + validation.numpy().tobytes()).hexdigest()
        self.description: dict[str, Any] = {
            "model": model.config.as_dict(),
            "data": {
                "sha256": digest,
                "shapes": len(train),
                "points": points,
                "levels_per_cloud": levels_per_cloud,
                "mirror": mirror,
            },
            "origin": {"source": source, "initialized_from": initialized_from},
        }

    def loss(
        self, model: nn.Module, items: list[int], generators: list[torch.Generator]
    ) -> dict[str, Tensor]:
        """Compute the terms of the training loss; see `Objective.loss`."""
        clouds = subsample(self.train[items], self.points, generators)
        if self.mirror != "none":
            signs = [2 * int(torch.randint(2, (), generator=g)) - 1 for g in generators]
            reflection = torch.ones(len(items), 1, 3)
            reflection[:, 0, "xyz".index(self.mirror)] = torch.tensor(signs, dtype=torch.float32)
            clouds = clouds * reflection
        generator = cast(PointCloudGenerator, model)
        device = next(generator.parameters()).device
        return generator.loss(clouds.to(device), generators, self.levels_per_cloud)

    def validation_loss(self, model: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
        """Compute the terms of the validation loss; see `Objective.validation_loss`."""
        clouds = subsample(self.validation, self.points, generator)
        model_ = cast(PointCloudGenerator, model)
        device = next(model_.parameters()).device
        return model_.loss(clouds.to(device), generator, self.levels_per_cloud)
