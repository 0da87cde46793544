"""Sample poses from a field: the noise levels, the sampler, and the sampling loop.

The loop serves one object and several alike: sampling one object is sampling a batch of one.
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
    """Settings of the sampler, which turns noise into poses.

    Attributes:
        steps: Number of steps.
        sampler: Method for stepping from one noise level to the next.
        begin: Noise level σ at which sampling begins with blurred proposals (see
            `grasp.field.proposals`). None begins with pure noise at the largest level that the
            field was trained at.
        temperature: Temperature T, by which the energy is divided at every noise level. 1 samples
            the field; lower values favour its dense regions. Grasps to train on lie at the edge of
            collision, and a trained field spreads wider than they do; a value below 1 makes up for
            that.
        finest: Last noise level σ, from which poses are denoised in one final step.

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
        """The settings as a dictionary for JSON."""
        return {**asdict(self), "sampler": repr(self.sampler)}


CLOUD_SAMPLING = Sampling(begin=None, steps=12, temperature=0.4)
"""The default for a point cloud: seen from one side, proposals cannot know how thick it is."""

REFERENCE = Sampling(
    begin=None,
    steps=48,
    sampler=AnnealedLangevin(moves=3, step_ratio=0.5, predictor=Multistep()),
)
"""Annealed Langevin sampling from pure noise, in which the field alone decides."""


def default_sampling(is_mesh: bool) -> Sampling:
    """Return the default sampling: `Sampling()` for a mesh, `CLOUD_SAMPLING` for a cloud."""
    return Sampling() if is_mesh else CLOUD_SAMPLING


@dataclass(frozen=True, eq=False)
class Guide:
    """Costs that guide the samples of one object.

    Attributes:
        costs: Costs of poses in the frame of the object's file.
        to_file_frame: Function from poses about the object's centre to poses in the file's frame.
    """

    costs: Sequence[Cost] = ()
    to_file_frame: Callable[[Tensor], Tensor] = lambda poses: poses

    def cost_at(self, sigma: float, space: SE3) -> Cost:
        """Return the summed cost of poses about the centre, softened for a noise level.

        Args:
            sigma: Noise level σ.
            space: Space of the poses, which gives the length ℓ.
        """
        total = summed_cost(blurred_costs(self.costs, sigma, space.length), space)
        return lambda poses: total(self.to_file_frame(poses))


def levels_of(model: FieldModel, sampling: Sampling) -> Level:
    """Return the noise levels that a sampler goes through.

    Args:
        model: Trained networks.
        sampling: Settings of the sampler.

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
    guides: Sequence[Guide] = (),
) -> Iterator[State]:
    """Yield the sampler's states, from noisy poses to grasps, about the centres of the objects.

    Args:
        model: Trained networks.
        condition: One object and gripper, or several.
        poses: Poses at the first noise level, about each object's centre. There are equally many
            for each object, and the poses of the first object come first.
        sampling: Settings of the sampler.
        generator: One generator, or one per pose.
        guides: For each object the costs that are added to E/T; empty for no costs.

    Raises:
        InputError: If the field was not trained at the noise levels, or a cost does not give one
            number per pose with a finite gradient.
    """
    objects = condition.split()
    guides = list(guides) or [Guide()] * len(objects)
    # A CPU is already busy with one object's poses; an accelerator computes all objects at once.
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
