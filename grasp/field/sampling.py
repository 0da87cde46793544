"""How grasps are sampled."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from grasp.objects.object import Object
from pcdiff.diffusion.samplers import AnnealedLangevin, Multistep, Sampler
from pcdiff.errors import InputError

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Sampling:
    """How to sample grasps.

    Attributes:
        steps: of the sampler.
        sampler: how to step from one noise level to the next.
        begin: the noise level to begin at, from blurred proposals (see `grasp.field.proposals`);
            None to begin with pure noise at the greatest level that the field was trained at.
        temperature: T, that the energy is divided by at every noise level: 1 leaves the field as it
            is, less draws samples to where it is densest. A trained field is wider than the grasps
            that it was trained on, which lie at the edge of collision, and less than 1 makes up
            for that.
        finest: the last noise level, from which poses are denoised in one step.
        oversampling: samples drawn for each grasp that is asked for.
        attempts: the most samples that are drawn, over `oversampling`: more are drawn while there
            are fewer grasps than asked for that are free of collision.
        least_probability: of success; less likely samples are not given as grasps.
        likely: a probability of success. Of the samples that are as likely as that those are given
            that are far from each other, and not the likeliest, which are much alike.
        choice: samples that grasps are chosen from so, for each that is asked for: if fewer are
            likely, the next ones count too. 1, and `likely` of 1, give the likeliest.
        apart: metres between tool centre points, and radians; of grasps that are as near as that to
            each other only the best is given (see `grasp.poses.subsets.thin`).

    Raises:
        InputError: a number is out of its range.
    """

    steps: int = 3
    sampler: Sampler = field(default_factory=Multistep)
    begin: float | None = 0.15
    temperature: float = 0.8
    finest: float = 0.05
    oversampling: float = 6.0
    attempts: int = 3
    least_probability: float = 0.4
    likely: float = 0.6
    choice: float = 1.75
    apart: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        for name, least in (("temperature", 0.01), ("oversampling", 1.0), ("choice", 1.0)):
            value = getattr(self, name)
            if not least <= value <= 100:
                raise InputError(f"{name} must be {least:g} to 100, got {value}")
        if not 1 <= self.attempts <= 100:
            raise InputError(f"attempts must be 1 to 100, got {self.attempts}")
        for name in ("least_probability", "likely"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise InputError(f"{name} must be a probability of success, 0 to 1, got {value}")

    def as_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {**asdict(self), "sampler": repr(self.sampler)}


OF_A_CLOUD = Sampling(
    begin=None, steps=12, temperature=0.4, oversampling=3.0, likely=1.0, choice=1.0
)
"""For a cloud, one side of which may not have been seen: proposals do not know how thick it is, and
what is unlike the likeliest is less likely than it seems."""


REFERENCE = Sampling(
    begin=None,
    steps=48,
    sampler=AnnealedLangevin(moves=3, step_ratio=0.5, predictor=Multistep()),
)
"""Annealed Langevin from pure noise, which nothing but the field decides."""


def sampling_of(obj: Object) -> Sampling:
    """How to sample unless it is said: `Sampling()` of a mesh, `OF_A_CLOUD` of a cloud.

    Args:
        obj: a mesh or a cloud.
    """
    return Sampling() if obj.is_mesh else OF_A_CLOUD
