"""Sampling of poses from a grasp field: the settings, the noise levels, and the sampling loop.

The loop treats a single object as a batch of one object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from grasp.costs import Cost
from grasp.field.chunks import in_chunks
from grasp.field.model import Condition, FieldModel
from pcdiff.diffusion.guidance import Guided, Tempered, blurred_costs, summed_cost
from pcdiff.diffusion.samplers import AnnealedLangevin, Multistep, Sampler, State, sample
from pcdiff.diffusion.schedules import Level, karras_levels
from pcdiff.errors import InputError
from pcdiff.manifolds.se3 import SE3
from pcdiff.randomness import Generator


@dataclass(frozen=True)
class Sampling:
    """Settings of the sampler, which converts noise to poses of grasps.

    Attributes:
        steps: Number of steps.
        sampler: Method of the steps from one noise level to the next.
        begin: Noise level σ at which sampling begins with blurred proposals (see
            `grasp.field.proposals`). None selects pure noise at the largest noise level in
            training.
        temperature: Temperature T, by which the energy is divided at every noise level. With 1, the
            samples follow the field; lower values favour poses with low energy. A trained field
            spreads wider than the training grasps, which are often close to a collision. A value
            below 1 compensates for this spread.
        finest: Last noise level σ, from which the poses are denoised in one final step.

    Raises:
        InputError: If the temperature is not from 0.01 to 100.
    """

    steps: int = 2
    sampler: Sampler = field(default_factory=Multistep)
    begin: float | None = 0.1
    temperature: float = 0.6
    finest: float = 0.05

    def __post_init__(self) -> None:
        if not 0.01 <= self.temperature <= 100:
            raise InputError(f"temperature must be 0.01 to 100, got {self.temperature}")

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as a dictionary for JSON."""
        return {**asdict(self), "sampler": repr(self.sampler)}


CLOUD_SAMPLING = Sampling(begin=None, steps=12, temperature=0.4)
"""Default settings for a point cloud. Sampling begins with pure noise, because proposals need both
sides of an object and a cloud may show only one side."""

REFERENCE = Sampling(
    begin=None,
    steps=48,
    temperature=0.8,
    sampler=AnnealedLangevin(moves=3, step_ratio=0.5, predictor=Multistep()),
)
"""Settings of the reference sampler: annealed Langevin sampling from pure noise.

The samples depend only on the field, not on proposals."""


def default_sampling(is_mesh: bool) -> Sampling:
    """Return the default settings: `Sampling()` for a mesh, `CLOUD_SAMPLING` for a cloud."""
    return Sampling() if is_mesh else CLOUD_SAMPLING


@dataclass(frozen=True, eq=False)
class Guide:
    """Costs that guide the samples of one object.

    Attributes:
        costs: Costs of poses in the frame of the object's file.
        to_file_frame: Function that converts poses relative to the centre of the object's surface
            to poses in the frame of the object's file.
    """

    costs: Sequence[Cost] = ()
    to_file_frame: Callable[[Tensor], Tensor] = lambda poses: poses

    def cost_at(self, sigma: float, space: SE3) -> Cost:
        """Return the sum of the costs, softened for a noise level.

        The returned cost takes poses relative to the centre of the object's surface.

        Args:
            sigma: Noise level σ.
            space: Space of the poses, of which only the length ℓ is used.
        """
        total = summed_cost(blurred_costs(self.costs, sigma, space.length), space)
        return lambda poses: total(self.to_file_frame(poses))


def levels_of(model: FieldModel, sampling: Sampling) -> Level:
    """Return the noise levels of a sampler, from the first to the last.

    Args:
        model: Trained networks.
        sampling: Settings of the sampler.

    Raises:
        InputError: If a noise level is outside the range in training, the last noise level is not
            below the first, or the number of steps is below 2.
    """
    schedule = model.schedule
    begin = schedule.sigma_max if sampling.begin is None else sampling.begin
    if not schedule.sigma_min <= sampling.finest < begin <= schedule.sigma_max:
        raise InputError(
            f"sampling must begin at a noise level of at most {schedule.sigma_max:g} and end at a "
            f"smaller noise level of at least {schedule.sigma_min:g}, got {begin:g} and "
            f"{sampling.finest:g}"
        )
    return karras_levels(schedule, sampling.steps, begin, sampling.finest)


@torch.inference_mode(False)
@torch.no_grad()
def trajectory(
    model: FieldModel,
    condition: Condition,
    poses: Float[Tensor, "poses 4 4"],
    sampling: Sampling,
    generator: Generator,
    guides: Sequence[Guide] = (),
) -> Iterator[State]:
    """Yield the states of the sampler, from noisy poses to grasps.

    The poses are relative to the centre of each object's surface, in metres.

    Args:
        model: Trained networks.
        condition: The objects and the grippers.
        poses: Poses at the first noise level. All objects have equal numbers of poses; the poses of
            the first object come first.
        sampling: Settings of the sampler.
        generator: One generator for all poses, or one generator per pose.
        guides: One `Guide` per object. Its costs are added to E/T, the energy divided by the
            temperature. An empty sequence adds no costs.

    Raises:
        InputError: For the reasons listed under `levels_of`, or if a cost does not return one
            number per pose with a finite gradient.
    """
    objects = condition.split()
    guides = list(guides) or [Guide()] * len(objects)
    # An accelerator computes all objects at once. The poses of one object keep a CPU busy.
    together = poses.device.type != "cpu" and not any(each.costs for each in guides)
    tempered = Tempered(model.predict_noise, sampling.temperature)

    def of_one(
        condition: Condition, guide: Guide, x: Tensor, alpha: Tensor, sigma: Tensor
    ) -> Tensor:
        guided = Guided(tempered, model.space, guide.costs, guide.to_file_frame)

        def of_chunk(*chunk: Tensor) -> tuple[Tensor]:
            return (guided(chunk[0], Level(*chunk[1:]), condition),)

        return in_chunks(of_chunk, x, alpha, sigma)[0]

    def predict(x: Tensor, level: Level, condition: Condition) -> Tensor:
        if together:
            return tempered(x, level, condition)
        shares = (each.chunk(len(objects)) for each in (x, *level))
        return torch.cat([of_one(*each) for each in zip(objects, guides, *shares, strict=True)])

    levels = levels_of(model, sampling)
    yield from sample(sampling.sampler, predict, model.space, poses, levels, condition, generator)
