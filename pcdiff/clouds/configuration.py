"""Everything that builds a generator of clouds; it travels with the weights."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from pcdiff.clouds.networks.gated import REFERENCE_WIDTHS
from pcdiff.diffusion.schedules import (
    Cosine,
    DiscreteSchedule,
    Schedule,
    schedule_from_dict,
)
from pcdiff.errors import InputError


@dataclass(frozen=True)
class Standardization:
    """The stored record between box-normalised coordinates and the network's unit variance.

    Attributes:
        mean: mean of all points of the training clouds, box-normalised.
        deviation: one standard deviation for the three axes.
    """

    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    deviation: float = 1.0

    def __post_init__(self) -> None:
        numbers = [*self.mean, self.deviation]
        if len(numbers) != 4 or not all(map(math.isfinite, numbers)) or self.deviation <= 0:
            raise InputError(
                "standardization: expected three finite numbers and a deviation above 0, "
                f"got {self.mean} and {self.deviation}"
            )

    @classmethod
    def of(cls, clouds: Float[Tensor, "shapes points 3"]) -> Standardization:
        """The record of these box-normalised clouds."""
        mean = clouds.mean(dim=(0, 1))
        deviation = (clouds - mean).square().mean().sqrt()
        x, y, z = mean.tolist()
        return cls((x, y, z), float(deviation))

    def apply(self, clouds: Tensor) -> Tensor:
        """Box-normalised to network units."""
        return (clouds - torch.tensor(self.mean).to(clouds)) / self.deviation

    def invert(self, clouds: Tensor) -> Tensor:
        """Network units to box-normalised."""
        return clouds * self.deviation + torch.tensor(self.mean).to(clouds)


@dataclass(frozen=True)
class GeneratorConfig:
    """Everything that builds a `PointCloudGenerator`; it travels with the weights.

    Attributes:
        latent: size of the shape latent z.
        widths: hidden widths of ε_θ.
        encoder_widths: widths of the PointNet.
        prior: "flow" or "gaussian" (variational), or "none" (auto-encoder).
        flow_layers: coupling layers of the flow.
        flow_hidden: hidden width of the flow.
        kl_weight: weight of KL(q(z|x) ‖ p(z)), in nats a shape, beside the mean squared error of ε.
        schedule: the diffusion's schedule, variance preserving.
        standardization: see there.
    """

    latent: int = 256
    widths: tuple[int, ...] = REFERENCE_WIDTHS
    encoder_widths: tuple[int, ...] = (128, 128, 256, 512)
    prior: Literal["flow", "gaussian", "none"] = "flow"
    flow_layers: int = 8
    flow_hidden: int = 128
    kl_weight: float = 1e-4
    schedule: Schedule = field(default_factory=Cosine)
    standardization: Standardization = field(default_factory=Standardization)

    def __post_init__(self) -> None:
        if not isinstance(self.schedule, DiscreteSchedule):
            raise InputError(
                f"schedule {self.schedule.name!r}: the network predicts v, which needs one that "
                "preserves variance"
            )
        if not 0 <= self.kl_weight < math.inf:
            raise InputError(f"kl_weight: expected a finite number from 0, got {self.kl_weight}")

    def as_dict(self) -> dict[str, Any]:
        """The description that `from_dict` reads back."""
        return {**asdict(self), "schedule": self.schedule.as_dict()}

    @classmethod
    def from_dict(cls, description: dict[str, Any]) -> GeneratorConfig:
        """The configuration that `as_dict` described."""
        given = dict(description)
        record = given.pop("standardization")
        return cls(
            widths=tuple(given.pop("widths")),
            encoder_widths=tuple(given.pop("encoder_widths")),
            schedule=schedule_from_dict(given.pop("schedule")),
            standardization=Standardization(tuple(record["mean"]), record["deviation"]),
            **given,
        )
