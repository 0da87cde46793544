"""How poses are sampled from a field: the noise levels, the sampler, and the one loop.

The loop serves one object and several alike: sampling one object is sampling a batch of one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from grasp.costs import Constraint, Cost
from grasp.field.chunks import in_chunks
from grasp.field.model import Condition, FieldModel, value_and_gradient
from pcdiff.diffusion.losses import Model
from pcdiff.diffusion.parametrization import noise_from_score
from pcdiff.diffusion.samplers import AnnealedLangevin, Multistep, Sampler, State, sample
from pcdiff.diffusion.schedules import Level, karras_levels
from pcdiff.errors import InputError
from pcdiff.manifolds.se3 import SE3
from pcdiff.randomness import Generator


@dataclass(frozen=True)
class Sampling:
    """How the sampler goes from noise to poses.

    Attributes:
        steps: Number of steps.
        sampler: How to step from one noise level to the next.
        begin: Noise level σ to begin at, from blurred proposals (see `grasp.field.proposals`); None
            begins with pure noise at the largest level that the field was trained at.
        temperature: T, by which the energy is divided at every noise level. 1 samples the field;
            lower values favour its dense regions. A trained field is wider than the grasps it was
            trained on, which lie at the edge of collision; a value below 1 makes up for that.
        finest: Last noise level σ, from which poses are denoised in one step.

    Raises:
        InputError: If the temperature is out of its range.
    """

    steps: int = 3
    sampler: Sampler = field(default_factory=Multistep)
    begin: float | None = 0.15
    temperature: float = 0.8
    finest: float = 0.05

    def __post_init__(self) -> None:
        if not 0.01 <= self.temperature <= 100:
            raise InputError(f"temperature must be 0.01 to 100, got {self.temperature}")

    def as_dict(self) -> dict[str, Any]:
        """The record as JSON can hold it."""
        return {**asdict(self), "sampler": repr(self.sampler)}


CLOUD_SAMPLING = Sampling(begin=None, steps=12, temperature=0.4)
"""The default for a point cloud: proposals cannot know how thick an object is from one side."""

Guide = Callable[[float], Cost]
"""A cost of poses about an object's centre, as it is at a noise level σ."""

REFERENCE = Sampling(
    begin=None,
    steps=48,
    sampler=AnnealedLangevin(moves=3, step_ratio=0.5, predictor=Multistep()),
)
"""Annealed Langevin from pure noise, in which the field alone decides."""


def levels_of(model: FieldModel, sampling: Sampling) -> Level:
    """The noise levels that a sampler goes through.

    Args:
        model: Trained networks.
        sampling: How to sample.

    Raises:
        InputError: If the field was not trained at these levels.
    """
    schedule = model.schedule
    begin = schedule.sigma_max if sampling.begin is None else sampling.begin
    if not schedule.sigma_min <= sampling.finest < begin <= schedule.sigma_max:
        raise InputError(
            f"sampling must begin at a noise level of at most {schedule.sigma_max:g} and end at a "
            f"smaller one of at least {schedule.sigma_min:g}, got {begin:g} and {sampling.finest:g}"
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
    guides: Sequence[Guide | None] = (),
) -> Iterator[State]:
    """The sampler's states, from noisy poses to grasps, all about the centres of the objects.

    Args:
        model: Trained networks.
        condition: One object and gripper, or several.
        poses: Poses at the first noise level, about each object's centre; equally many for each
            object, those of the first object first.
        sampling: How to sample.
        generator: One generator, or one per pose.
        guides: For each object the cost that is added to the energy over the temperature, or None;
            nothing is added if empty.

    Raises:
        InputError: If the field was not trained at the noise levels, or a cost does not give one
            number per pose with a finite gradient.
    """
    objects = condition.split()
    guides = list(guides) or [None] * len(objects)
    # A CPU is busy with one object's poses in chunks that fit its cache; an accelerator wants all.
    together = poses.device.type != "cpu" and not any(guides)

    def of_one(
        condition: Condition, guide: Guide | None, x: Tensor, alpha: Tensor, sigma: Tensor
    ) -> Tensor:
        noise = guided(model, sampling.temperature, guide)

        def of_chunk(*chunk: Tensor) -> tuple[Tensor]:
            return (noise(chunk[0], Level(*chunk[1:]), condition),)

        return in_chunks(of_chunk, x, alpha, sigma)[0]

    def predict(x: Tensor, level: Level, condition: Condition) -> Tensor:
        if together:
            return guided(model, sampling.temperature)(x, level, condition)
        shares = (each.chunk(len(objects)) for each in (x, *level))
        return torch.cat([of_one(*each) for each in zip(objects, guides, *shares, strict=True)])

    levels = levels_of(model, sampling)
    yield from sample(sampling.sampler, predict, model.space, poses, levels, condition, generator)


def guided(model: FieldModel, temperature: float, guide: Guide | None = None) -> Model:
    """The noise predictor of exp(−E/T − C).

    Args:
        model: Trained networks, which give the energy E.
        temperature: T.
        guide: The cost C, if any.

    Raises:
        InputError: From the predictor, if the cost does not give one number per pose with a finite
            gradient.
    """

    def noise(x: Tensor, level: Level, condition: Condition) -> Tensor:
        predicted = model.predict_noise(x, level, condition) / temperature
        if guide is None:
            return predicted
        _, gradient = value_and_gradient(guide(float(level.sigma[0])), model.space, x)
        if not gradient.isfinite().all():
            raise InputError("a guidance cost has a non-finite gradient")
        return predicted + noise_from_score(model.space, -gradient, level)

    return noise


def summed(costs: Sequence[Cost], sigma: float, space: SE3) -> Cost:
    """The sum of costs at a noise level.

    Args:
        costs: Costs of poses; a constraint of `grasp.costs` is softened by the noise.
        sigma: Noise level σ.
        space: Space of the poses, which gives the length ℓ.

    Raises:
        InputError: From the sum, if a cost does not give one number per pose.
    """
    at_level = [
        each.blurred(sigma, space.length) if isinstance(each, Constraint) else each
        for each in costs
    ]

    def total(poses: Tensor) -> Tensor:
        found = 0 * poses[..., 0, 0]  # so that a constant cost has a gradient, too
        for each in at_level:
            cost = each(poses)
            if cost.shape != found.shape or cost.isnan().any():
                raise InputError(
                    "a guidance cost must return one number per pose, shape "
                    f"{tuple(found.shape)}, got shape {tuple(cost.shape)}"
                    + (" with NaN" if cost.isnan().any() else "")
                )
            found = found + cost
        return found

    return total
