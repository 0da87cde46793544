"""A field conditioned on one object and one gripper: sampled from, and asked for costs.

Frames and units: poses are `T_object_grasp` in the frame of the object's file, metres.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from grasp.field import Condition, GraspField, value_and_gradient
from pcdiff.diffusion.parametrization import noise_from_score
from pcdiff.diffusion.samplers import DDIM, Sampler, State, sample
from pcdiff.diffusion.schedules import Level, karras_levels
from pcdiff.errors import InputError
from pcdiff.randomness import Generator

Cost = Callable[[Tensor], Tensor]
"""Of poses (grasps, 4, 4) in the frame of the object's file: (grasps,), differentiable."""

DEFAULT_STEPS = 20

AT_ONCE = 128
"""Poses that go through the network together: what it computes of them fits a processor's cache."""


@dataclass(frozen=True, eq=False)
class ConditionedField:
    """E(H, σ) of one object and gripper.

    Attributes:
        field: the networks.
        condition: the object's surface and the gripper's probes.
    """

    field: GraspField
    condition: Condition

    @property
    def centre(self) -> Float[Tensor, "3"]:
        """Of the object's surface, in the frame of its file, metres."""
        return self.condition.surface.centre[0]

    def cost(
        self, poses: Float[Tensor, "*batch 4 4"], noise_level: float | None = None
    ) -> Float[Tensor, "*batch"]:
        """The energy: low where grasps are, smooth, differentiable any number of times.

        Args:
            poses: `T_object_grasp`.
            noise_level: σ, by which the energy is blurred: σℓ metres and σ radians; the least that
                the field was trained at unless given.

        Raises:
            InputError: the field was not trained at that level.
        """
        schedule = self.field.schedule
        sigma = schedule.sigma_min if noise_level is None else noise_level
        if not schedule.sigma_min <= sigma <= schedule.sigma_max:
            raise InputError(
                f"the noise level must be {schedule.sigma_min:g} to {schedule.sigma_max:g}, "
                f"got {sigma}"
            )
        about = self._about_centre(poses)
        surface, probes = self.condition
        energy = self.field.energy(about, about.new_full(about.shape[:2], sigma), probes, surface)
        return energy.reshape(poses.shape[:-2])

    def success_probability(self, poses: Float[Tensor, "*batch 4 4"]) -> Float[Tensor, "*batch"]:
        """How probable it is that a grasp holds.

        Args:
            poses: `T_object_grasp`.
        """
        return self._logit(poses).sigmoid()

    def hold(self, poses: Float[Tensor, "*batch 4 4"]) -> Float[Tensor, "*batch"]:
        """−log of the probability that a grasp holds: a cost for guidance.

        Args:
            poses: `T_object_grasp`.
        """
        return torch.nn.functional.softplus(-self._logit(poses))

    @torch.no_grad()
    def trajectory(
        self,
        count: int,
        generator: Generator,
        steps: int = DEFAULT_STEPS,
        sampler: Sampler | None = None,
        guidance: Cost | None = None,
    ) -> Iterator[State]:
        """The sampler's states on the way from random poses to grasps, about the object's centre.

        Args:
            count: how many poses.
            generator: one generator, or one a pose.
            steps: of the sampler.
            sampler: how to step; `DDIM(0.5)` unless given.
            guidance: a cost that is added to the energy.
        """
        field = self.field
        if count < 1:
            raise InputError(f"grasps to sample: expected at least 1, got {count}")
        largest, smallest = field.schedule.trained_ratios()
        levels = karras_levels(field.schedule, steps, largest, smallest)
        x = field.space.random(
            (count, 4, 4), largest, generator, centre=torch.zeros_like(self.centre)
        )

        def predict(x: Tensor, level: Level, _: Condition) -> Tensor:
            parts = zip(*(each.split(AT_ONCE) for each in (x, *level)), strict=True)
            return torch.cat(
                [self._noise(part, Level(alpha, sigma), guidance) for part, alpha, sigma in parts]
            )

        yield from sample(
            sampler or DDIM(0.5), predict, field.space, x, levels, self.condition, generator
        )

    def sample(
        self,
        count: int,
        generator: Generator,
        steps: int = DEFAULT_STEPS,
        sampler: Sampler | None = None,
        guidance: Cost | None = None,
    ) -> Float[Tensor, "count 4 4"]:
        """Poses of grasps, `T_object_grasp`, in no order; arguments as for `trajectory`."""
        for state in self.trajectory(count, generator, steps, sampler, guidance):
            last = state.x
        return self._in_file_frame(last)

    def _noise(self, x: Tensor, level: Level, guidance: Cost | None) -> Tensor:
        noise = self.field.predict_noise(x, level, self.condition)
        if guidance is None:
            return noise
        _, gradient = value_and_gradient(
            lambda at: guidance(self._in_file_frame(at)), self.field.space, x
        )
        return noise + noise_from_score(self.field.space, -gradient, level)

    def _logit(self, poses: Tensor) -> Tensor:
        surface, probes = self.condition
        logit: Tensor = self.field.success(self._about_centre(poses), probes, surface)
        return logit.reshape(poses.shape[:-2])

    def _about_centre(self, poses: Tensor) -> Tensor:
        """One object's poses, about its centre: (1, grasps, 4, 4)."""
        return _moved(poses, -self.centre).reshape(1, -1, 4, 4)

    def _in_file_frame(self, poses: Tensor) -> Tensor:
        return _moved(poses, self.centre)


def _moved(poses: Tensor, by: Tensor) -> Tensor:
    shift = torch.zeros_like(poses)
    shift[..., :3, 3] = by.to(poses)
    return poses + shift
