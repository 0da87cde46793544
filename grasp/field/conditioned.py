"""A field conditioned on one object and one gripper: grasps, costs and probabilities of success.

Frames and units: poses are `T_object_grasp` in the frame of the object's file, in metres.

`ConditionedField.draw` returns samples of the field as they come. `ConditionedField.sample` returns
grasps: the samples that are likely to hold, ranked, each with its energy, probability of success
and width.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from grasp.costs import Constraint, Cost
from grasp.field.chunks import in_chunks
from grasp.field.model import Condition, FieldModel
from grasp.field.proposals import Opposites, opposites, propose
from grasp.field.sampling import (
    Guide,
    Sampling,
    default_sampling,
    levels_of,
    trajectory,
)
from grasp.field.selection import (
    Assessed,
    Selection,
    default_selection,
    select,
    shortfall,
)
from grasp.field.weight import DENSITY, Weight, squared_load, weight_of
from grasp.formats import Grasps
from grasp.grippers.gripper import Gripper
from grasp.objects.normals import directions
from grasp.objects.object import Object
from grasp.poses.frames import HALF_TURN
from grasp.scenes.collision import closing_width, in_collision
from pcdiff.diffusion.guidance import cost_list
from pcdiff.diffusion.process import perturb
from pcdiff.diffusion.samplers import State
from pcdiff.diffusion.schedules import Level
from pcdiff.errors import InputError
from pcdiff.manifolds.gradients import value_and_gradient
from pcdiff.randomness import Generator

if TYPE_CHECKING:
    from grasp.scenes.scene import Scene

_SURPLUS = 1.2  # further samples drawn, over the number expected to suffice
_DIRECTIONS = 400  # directions along which the narrowest extent is searched


@dataclass(frozen=True, eq=False)
class ConditionedField:
    """A grasp field conditioned on one object and one gripper, with its energy E(H, σ).

    Attributes:
        model: Trained networks.
        condition: Surface of the object and probes of the gripper.
        obj: The object.
        gripper: The gripper.
        points: Points on the object's surface in metres, from which collisions and widths are
            computed.
        mass: Mass of the object in kilograms; None if it is not given.
    """

    model: FieldModel
    condition: Condition
    obj: Object
    gripper: Gripper
    points: Float[np.ndarray, "points 3"]
    mass: float | None = None

    @property
    def centre(self) -> Float[Tensor, "3"]:
        """Centre of the object's surface in the frame of its file, in metres."""
        return self.condition.surface.centre[0]

    @cached_property
    def opposites(self) -> Opposites:
        """Pairs of opposite places on the surface that the gripper can span."""
        return opposites(self.condition.surface, self.gripper)

    @cached_property
    def weight(self) -> Weight | None:
        """Weight of the object; None if its volume is unknown and its mass was not given."""
        found = weight_of(self.obj)
        if self.mass is None:
            return found
        centre = self.centre.double().cpu().numpy() if found is None else found.centre
        return Weight(self.mass, centre)

    # Costs and probabilities

    def cost(
        self, poses: Float[Tensor, "*batch 4 4"], noise_level: float | None = None
    ) -> Float[Tensor, "*batch"]:
        """Compute the energy, which is low near grasps, smooth, and infinitely differentiable.

        Args:
            poses: Poses `T_object_grasp`.
            noise_level: Noise level σ: the energy is blurred by σℓ metres and σ radians. If None,
                the smallest level that the field was trained at.

        Raises:
            InputError: If the poses are not a floating-point tensor of shape (..., 4, 4), or the
                field was not trained at that level.
        """
        return self._evaluate(self.model.energy, poses, noise_level)

    @torch.inference_mode(False)
    def cost_and_gradient(
        self, poses: Float[Tensor, "*batch 4 4"], noise_level: float | None = None
    ) -> tuple[Float[Tensor, "*batch"], Float[Tensor, "*batch 6"]]:
        """Compute the energies and their gradients d/dv E(retract(H, v)) at v = 0.

        Gradients are per metre and per radian in the gripper's frame. Time and memory grow linearly
        with the number of poses; see `grasp.field.chunks`.

        Args:
            poses: Poses `T_object_grasp`.
            noise_level: As for `cost`.

        Raises:
            InputError: If the poses are not a floating-point tensor of shape (..., 4, 4), or the
                field was not trained at that level.
        """
        _check_poses(poses)
        value, gradient = in_chunks(
            lambda chunk: value_and_gradient(
                lambda at: self.cost(at, noise_level), self.model.space, chunk
            ),
            poses.reshape(-1, 4, 4),
        )
        batch = poses.shape[:-2]
        return value.reshape(batch), gradient.reshape(*batch, 6)

    def success_probability(self, poses: Float[Tensor, "*batch 4 4"]) -> Float[Tensor, "*batch"]:
        """Compute the probability that each grasp holds, under the object's weight if it is known.

        A parallel jaw turned by π about its approach is the same grasp, so the logit is the mean of
        the network's logits for both poses.

        Args:
            poses: Poses `T_object_grasp`.

        Raises:
            InputError: If the poses are not a floating-point tensor of shape (..., 4, 4).
        """
        _check_poses(poses)
        success, turn = self.model.success, poses.new_tensor(HALF_TURN)

        def both(chunk: Tensor) -> tuple[Tensor]:
            return (self._evaluate(success, torch.stack([chunk, chunk * turn]), None).mean(0),)

        (logits,) = in_chunks(both, poses.reshape(-1, 4, 4))
        logits = logits.reshape(poses.shape[:-2])
        if self.weight is not None:
            load = squared_load(poses, self.gripper, self.weight)
            logits = success.under_load(logits, load)
        return logits.sigmoid()

    # Samples

    def begin(
        self,
        count: int,
        levels: Level,
        generator: Generator,
        sampling: Sampling,
        guide: Guide | None = None,
    ) -> Float[Tensor, "count 4 4"]:
        """Draw the first poses of sampling: noise or noisy proposals, about the object's centre.

        Args:
            count: Number of poses.
            levels: Noise levels of the sampler; the poses have the first of them.
            generator: One generator, or one per pose.
            sampling: Settings of the sampler.
            guide: Costs that affect which proposals are chosen; None for no costs.

        Raises:
            InputError: If `count` is below 1.
        """
        if count < 1:
            raise InputError(f"grasps to sample: expected at least 1, got {count}")
        space, first = self.model.space, Level(*(each[0] for each in levels))
        sigma = float(first.sigma)
        if sampling.begin is None:
            middle = torch.zeros_like(self.centre)
            return space.random((count, 4, 4), sigma, generator, centre=middle)
        cost = guide.cost_at(sigma, space) if guide is not None and guide.costs else None
        guesses = propose(self.opposites, self.gripper, count, generator, cost)
        return perturb(space, guesses, first.over_batch(guesses, space.point_ndim), generator)

    def trajectory(
        self,
        count: int,
        generator: Generator,
        sampling: Sampling | None = None,
        guidance: Cost | Sequence[Cost] = (),
    ) -> Iterator[State]:
        """Yield the sampler's states, from random poses to grasps, about the object's centre.

        Args:
            count: Number of poses.
            generator: One generator, or one per pose.
            sampling: Settings of the sampler; `default_sampling` of the object if None.
            guidance: One cost C or several, added to the energy over the temperature, so that
                samples follow exp(−E/T − C). A constraint of `grasp.costs` is softened while the
                poses are noisy; any other cost is used as it is.

        Raises:
            InputError: If `count` is below 1, the field was not trained at the noise levels, or a
                cost does not give one number per pose with a finite gradient.
        """
        sampling = sampling or default_sampling(self.obj)
        guide = self.guide(guidance)
        levels = levels_of(self.model, sampling)
        poses = self.begin(count, levels, generator, sampling, guide)
        yield from trajectory(self.model, self.condition, poses, sampling, generator, [guide])

    def draw(
        self,
        count: int,
        generator: Generator,
        sampling: Sampling | None = None,
        guidance: Cost | Sequence[Cost] = (),
    ) -> Float[Tensor, "count 4 4"]:
        """Draw samples of the field, `T_object_grasp` in float64, in no particular order.

        With float64 there is no loss of precision if the object is far from the origin of its file.
        Arguments and errors are those of `trajectory`.
        """
        for state in self.trajectory(count, generator, sampling, guidance):
            last = state.x
        return self.in_file_frame(last.double())

    def sample(
        self,
        count: int,
        generator: torch.Generator,
        sampling: Sampling | None = None,
        selection: Selection | None = None,
        guidance: Cost | Sequence[Cost] = (),
        scene: Scene | None = None,
    ) -> Grasps:
        """Sample grasps, the likeliest to hold first; those whose open hand collides come last.

        Several samples are drawn per requested grasp, and more if too few of them are good. Among
        those that are likely to hold and satisfy the constraints in `guidance`, a diverse subset is
        returned.

        Args:
            count: Largest number of grasps.
            generator: Source of randomness.
            sampling: Settings of the sampler; `default_sampling` of the object if None.
            selection: Settings for choosing grasps; `default_selection` of the object if None.
            guidance: As for `trajectory`.
            scene: Surroundings of the object.

        Returns:
            The grasps with energies, probabilities of success, widths, and whether the open hand
            collides with the object or the scene. If there are fewer than requested, down to none,
            `reason` says why.

        Raises:
            InputError: If a condition listed for `trajectory` is met.
        """
        sampling = sampling or default_sampling(self.obj)
        selection = selection or default_selection(self.obj)
        if count < 1:
            raise InputError(f"grasps to sample: expected at least 1, got {count}")
        if not self.can_hold:
            return self.refusal()
        constraints = [each for each in cost_list(guidance) if isinstance(each, Constraint)]
        at_once = wanted = math.ceil(count * selection.oversampling)
        most = selection.attempts * at_once
        samples: Assessed | None = None
        while True:
            more = self.assess(self.draw(wanted, generator, sampling, guidance), constraints, scene)
            samples = more if samples is None else samples.joined(more)
            order = select(samples, count, selection, self.gripper.tool_center_point)
            drawn, free = len(samples.poses), int((~samples.collides[order]).sum())
            if free == count or drawn == most:
                return self.chosen(samples, order, count, selection)
            # Draw as many as should give the missing grasps at the same rate, and some more.
            wanted = math.ceil(_SURPLUS * (count - free) * drawn / max(free, 1))
            wanted = min(wanted, at_once, most - drawn)

    # From samples to grasps

    @property
    def can_hold(self) -> bool:
        """Whether the gripper spans any two opposite places; always true for a point cloud.

        The opposite side of a cloud may be missing because no camera saw it.
        """
        return not self.obj.is_mesh or self.opposites.exist

    @torch.no_grad()
    def assess(
        self,
        poses: Float[Tensor, "samples 4 4"],
        constraints: Sequence[Constraint] = (),
        scene: Scene | None = None,
    ) -> Assessed:
        """Compute the properties of samples: probability of success, constraints and collisions.

        Args:
            poses: Poses `T_object_grasp`, translations in metres.
            constraints: Constraints that grasps must satisfy.
            scene: Surroundings of the object.
        """
        probability = self.success_probability(poses).double().cpu().numpy()
        poses = poses.cpu()
        arrays = poses.double().numpy()
        clear: Bool[np.ndarray, " samples"] = np.zeros(len(arrays), bool)
        return Assessed(
            poses,
            probability,
            np.all([~clear, *(each.holds(poses).numpy() for each in constraints)], axis=0),
            in_collision(arrays, self.gripper, self.points),
            clear if scene is None else scene.in_collision(arrays, self.gripper),
        )

    def chosen(
        self, samples: Assessed, order: np.ndarray, count: int, selection: Selection
    ) -> Grasps:
        """Make grasps of the chosen samples.

        Args:
            samples: All samples.
            order: Indices of the chosen samples, as `grasp.field.selection.select` returns them.
            count: Number of grasps that were requested.
            selection: Settings with which the samples were chosen.
        """
        collides = samples.collides[order]
        reason = None
        if len(order) < count:
            facts = f"{self._describe_weight()}{self._describe_size()}"
            reason = shortfall(samples, len(order), selection, facts)
        if len(order) and samples.hits_scene[order].all():
            all_hit = "all of these are in collision with the scene"
            reason = all_hit if reason is None else f"{all_hit}; {reason}"
        poses = samples.poses[torch.from_numpy(order)]
        return self._grasps(poses, samples.probability[order], collides, reason)

    def refusal(self) -> Grasps:
        """Return an empty result whose reason is that the gripper spans no part of the object."""
        reason = (
            "no two places on the surface face away from each other within the stroke: "
            f"{self._describe_size()}"
        )
        return self._grasps(torch.zeros(0, 4, 4), np.zeros(0), np.zeros(0, bool), reason)

    def _grasps(
        self, poses: Tensor, probability: np.ndarray, collides: np.ndarray, reason: str | None
    ) -> Grasps:
        energy = np.zeros(0)
        if len(poses):
            with torch.no_grad():
                energy = self.cost(poses).double().numpy()
        arrays = poses.double().numpy()
        return Grasps(
            poses=arrays,
            gripper=self.gripper.name,
            object_file=self.obj.file,
            object_scale=self.obj.scale,
            object_sha256=self.obj.sha256,
            energy=energy,
            success_probability=probability,
            width=closing_width(arrays, self.gripper, self.points),
            in_collision=collides,
            tool_center_point=self.gripper.tool_center_point,
            reason=reason,
        )

    def _describe_weight(self) -> str:
        if self.weight is None:
            return ""
        at = f" at {DENSITY:g} kg/m³" if self.mass is None else ""
        return f"the object weighs {self.weight.mass:.2g} kg{at}; "

    def _describe_size(self) -> str:
        # The axes are included because CAD models are often narrowest along one of them.
        along = np.concatenate([np.eye(3), directions(_DIRECTIONS)])
        extents = np.ptp(self.points @ along.T, axis=0)
        return (
            f"the object is {1000 * extents.min():.0f} mm wide at its narrowest, and "
            f"{self.gripper.name} opens {1000 * self.gripper.stroke:.0f} mm"
        )

    # Frames

    def guide(self, guidance: Cost | Sequence[Cost]) -> Guide:
        """Wrap costs in the frame of the object's file in the form that the sampler takes.

        Raises:
            InputError: If a cost is not callable.
        """
        return Guide(cost_list(guidance), self.in_file_frame)

    def in_file_frame(self, poses: Float[Tensor, "*batch 4 4"]) -> Float[Tensor, "*batch 4 4"]:
        """Convert poses about the object's centre to the frame of the object's file."""
        return _translated(poses, self.centre)

    def _evaluate(
        self, network: torch.nn.Module, poses: Tensor, noise_level: float | None
    ) -> Tensor:
        _check_poses(poses)
        schedule = self.model.schedule
        sigma = schedule.sigma_min if noise_level is None else noise_level
        # Rounding may carry a level slightly beyond either end.
        if not 0.999 * schedule.sigma_min <= sigma <= 1.001 * schedule.sigma_max:
            raise InputError(
                f"the noise level must be {schedule.sigma_min:g} to {schedule.sigma_max:g}, "
                f"got {sigma}"
            )
        surface, probes = self.condition
        # Moved to the centre in the type of the poses: float64 loses no digit far from the origin.
        about = _translated(poses, -self.centre).reshape(1, -1, 4, 4).to(surface.points)
        number = network(about, about.new_full(about.shape[:2], sigma), probes, surface)
        return number.reshape(poses.shape[:-2]).to(poses)


def _check_poses(poses: Tensor) -> None:
    if poses.shape[-2:] != (4, 4) or not poses.is_floating_point():
        raise InputError(
            "poses must be a floating-point tensor of shape (..., 4, 4), got "
            f"{tuple(poses.shape)} of {poses.dtype}"
        )


def _translated(poses: Tensor, by: Tensor) -> Tensor:
    shift = torch.zeros_like(poses)
    shift[..., :3, 3] = by.to(poses)
    return poses + shift
