"""Everything that builds a generator of clouds; it travels with the weights."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pcdiff.clouds.components import Choice
from pcdiff.diffusion.schedules import Cosine, DiscreteSchedule, Schedule, schedule_from_dict
from pcdiff.errors import InputError


@dataclass(frozen=True)
class Standardization:
    """The stored record between box-normalised coordinates and the network's unit variance.

    Attributes:
        mean: Mean of all points of the training clouds, box-normalised.
        deviation: Standard deviation, one number for the three axes.

    Raises:
        InputError: If a number is not finite or the deviation not above 0.
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
        """The record for these box-normalised clouds."""
        mean = clouds.mean(dim=(0, 1))
        deviation = (clouds - mean).square().mean().sqrt()
        x, y, z = mean.tolist()
        return cls((x, y, z), float(deviation))

    def apply(self, clouds: Tensor) -> Tensor:
        """From box-normalised coordinates to network units."""
        return (clouds - torch.tensor(self.mean).to(clouds)) / self.deviation

    def invert(self, clouds: Tensor) -> Tensor:
        """From network units to box-normalised coordinates."""
        return clouds * self.deviation + torch.tensor(self.mean).to(clouds)


@dataclass(frozen=True)
class GeneratorConfig:
    """Everything that builds a `PointCloudGenerator`; it travels with the weights.

    Attributes:
        latent: Size of the shape latent z.
        network: The network that predicts the velocity, by name and options.
        encoder: The encoder.
        prior: The prior of z, by name alone if its options are the defaults; "none" makes an
            auto-encoder, and "flow" and "gaussian" are shipped.
        kl_weight: Weight of KL(q(z|x) ‖ p(z)), in nats per shape, beside the mean squared error
            of ε.
        schedule: Noise schedule, which must preserve variance.
        standardization: See there.

    Raises:
        InputError: If the schedule does not preserve variance, or the weight is not finite or
            below 0.
    """

    latent: int = 256
    network: Choice = field(default_factory=lambda: Choice("gated"))
    encoder: Choice = field(default_factory=lambda: Choice("pointnet"))
    prior: Choice | str = field(default_factory=lambda: Choice("flow"))
    kl_weight: float = 1e-4
    schedule: Schedule = field(default_factory=Cosine)
    standardization: Standardization = field(default_factory=Standardization)

    def __post_init__(self) -> None:
        if isinstance(self.prior, str):
            object.__setattr__(self, "prior", Choice(self.prior))
        if not isinstance(self.schedule, DiscreteSchedule):
            raise InputError(
                f"schedule {self.schedule.name!r}: the network predicts v, which needs a schedule "
                "that preserves variance"
            )
        if not 0 <= self.kl_weight < math.inf:
            raise InputError(
                f"kl_weight: expected a finite number from 0, got {self.kl_weight}",
                parameter="kl_weight",
            )

    def as_dict(self) -> dict[str, Any]:
        """The description that `from_dict` reads back."""
        assert isinstance(self.prior, Choice)
        record = self.standardization
        return {
            "latent": self.latent,
            "network": self.network.as_dict(),
            "encoder": self.encoder.as_dict(),
            "prior": self.prior.as_dict(),
            "kl_weight": self.kl_weight,
            "schedule": self.schedule.as_dict(),
            "standardization": {"mean": list(record.mean), "deviation": record.deviation},
        }

    @classmethod
    def from_dict(cls, description: dict[str, Any]) -> GeneratorConfig:
        """The configuration that `as_dict` described, or that version 0.1.0 described."""
        given = dict(description)
        record = given.pop("standardization")
        if "widths" in given:
            given = _from_0_1_0(given)
        return cls(
            network=Choice(**given.pop("network")),
            encoder=Choice(**given.pop("encoder")),
            prior=Choice(**given.pop("prior")),
            schedule=schedule_from_dict(given.pop("schedule")),
            standardization=Standardization(tuple(record["mean"]), record["deviation"]),
            **given,
        )


def _from_0_1_0(given: dict[str, Any]) -> dict[str, Any]:
    """A description of version 0.1.0, whose network, encoder and priors had no names."""
    flow = {"layers": given.pop("flow_layers"), "hidden": given.pop("flow_hidden")}
    network, encoder = ({"widths": given.pop(name)} for name in ("widths", "encoder_widths"))
    prior = given.pop("prior")
    return {
        **given,
        "network": {"name": "gated", "options": network},
        "encoder": {"name": "pointnet", "options": encoder},
        "prior": {"name": prior, "options": flow if prior == "flow" else {}},
    }


def renamed_from_0_1_0(name: str) -> str:
    """The name of a tensor today, from its name in weights of version 0.1.0.

    The network was called `noise` then, although its output is a velocity.
    """
    return name.replace("noise.", "network.", 1) if name.startswith("noise.") else name
