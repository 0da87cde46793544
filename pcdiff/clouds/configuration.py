"""The configuration of a cloud generator, as stored in a file of weights."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pcdiff.bounds import check_whole, shown
from pcdiff.clouds.components import Choice
from pcdiff.diffusion.schedules import Cosine, DiscreteSchedule, Schedule, schedule_from_dict
from pcdiff.errors import InputError
from pcdiff.learning.settings import LARGEST_SIZE

MOST_OPTIONS = 1000
"""Largest accepted number of values in the options of a component."""


@dataclass(frozen=True)
class Standardization:
    """The conversion from box-normalised coordinates to network units, which have unit variance.

    Attributes:
        mean: Mean of all points of the box-normalised training clouds.
        deviation: Standard deviation of these points, one number for all three axes.

    Raises:
        InputError: If a number is not finite, or the deviation is not above 0.
    """

    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    deviation: float = 1.0

    def __post_init__(self) -> None:
        numbers = [*self.mean, self.deviation]
        if len(numbers) != 4 or not all(map(math.isfinite, numbers)) or self.deviation <= 0:
            raise InputError(
                "the standardization must have a mean of three finite numbers and a finite "
                f"deviation above 0, got {self.mean} and {self.deviation}"
            )

    @classmethod
    def of(cls, clouds: Float[Tensor, "shapes points 3"]) -> Standardization:
        """Return the standardization of clouds: the mean and the deviation of their points."""
        mean = clouds.mean(dim=(0, 1))
        deviation = (clouds - mean).square().mean().sqrt()
        x, y, z = mean.tolist()
        return cls((x, y, z), float(deviation))

    def apply(self, clouds: Tensor) -> Tensor:
        """Convert box-normalised coordinates to network units."""
        return (clouds - torch.tensor(self.mean).to(clouds)) / self.deviation

    def invert(self, clouds: Tensor) -> Tensor:
        """Convert network units to box-normalised coordinates."""
        return clouds * self.deviation + torch.tensor(self.mean).to(clouds)


@dataclass(frozen=True)
class GeneratorConfig:
    """The configuration of a `PointCloudGenerator`, as stored in a file of weights.

    Attributes:
        latent: Size of the shape latent z.
        network: Name and options of the network that predicts the velocity.
        encoder: Name and options of the encoder.
        prior: Name and options of the prior of z; a name alone selects the default options. "none"
            selects an auto-encoder. The package has the priors "flow" and "gaussian".
        kl_weight: Weight of the Kullback-Leibler divergence KL(q(z|x) ‖ p(z)) in the loss. The
            divergence is in nats per shape. The mean squared error of the noise ε has the weight 1.
        schedule: Noise schedule, which must preserve variance.
        standardization: Shift and scale from box-normalised coordinates to network units.

    Raises:
        InputError: If the schedule does not preserve variance, or `kl_weight` is negative or not
            finite.
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
                "the schedule must preserve variance, because the network predicts a velocity, "
                f"got {self.schedule.name!r}"
            )
        check_whole("latent", self.latent, 1, LARGEST_SIZE)
        for choice in (self.network, self.encoder, self.prior):
            assert isinstance(choice, Choice)
            _check_options(f"the options of the component {choice.name!r}", choice.options)
        if not 0 <= self.kl_weight <= sys.float_info.max:
            raise InputError(
                f"kl_weight must be a finite number of at least 0, got {self.kl_weight}",
                parameter="kl_weight",
            )

    def as_dict(self) -> dict[str, Any]:
        """The configuration as a dictionary, which `from_dict` reads back."""
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
        """Build a configuration from a dictionary of `as_dict` in this version or in 0.1.0."""
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


def _check_options(what: str, options: object) -> None:
    """Raise `InputError` if the options of a component are too many, or a size is absurd."""
    left, count = [options], 0
    while left:
        each = left.pop()
        count += 1
        if count > MOST_OPTIONS:
            raise InputError(f"{what} must have at most {MOST_OPTIONS} values, got more")
        if isinstance(each, dict):
            left += each.values()
        elif isinstance(each, list | tuple):
            left += each
        elif isinstance(each, int) and abs(each) > LARGEST_SIZE:
            raise InputError(f"{what} must be numbers of at most {LARGEST_SIZE}, got {shown(each)}")


def _from_0_1_0(given: dict[str, Any]) -> dict[str, Any]:
    """Convert a dictionary of version 0.1.0, in which networks and encoders had no names."""
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
    """Return the current name of a tensor, given its name in weights of version 0.1.0.

    Version 0.1.0 called the network `noise`, although the output of the network is a velocity.
    """
    return name.replace("noise.", "network.", 1) if name.startswith("noise.") else name
