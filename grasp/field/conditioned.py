"""A field conditioned on one object and one gripper: sampled from, and asked for costs.

Frames and units: poses are `T_object_grasp` in the frame of the object's file, metres.

What `ConditionedField.draw` gives are samples of the field, as they come. What `sample` gives are
grasps: of some more samples those that are likeliest to hold, ranked, with what is known of each.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from grasp.costs import Constraint, Cost
from grasp.field.chunks import in_parts
from grasp.field.model import Condition, GraspField, value_and_gradient
from grasp.field.proposals import Opposites, opposites, propose
from grasp.field.sampling import Sampling, sampling_of
from grasp.field.selection import Judged, judge, refusal, select
from grasp.field.weight import Weight, squared_load, weight_of
from grasp.formats import Grasps
from grasp.grippers.gripper import Gripper
from grasp.objects.object import Object
from grasp.poses.frames import HALF_TURN
from pcdiff.diffusion.parametrization import noise_from_score
from pcdiff.diffusion.process import perturb
from pcdiff.diffusion.samplers import State, sample
from pcdiff.diffusion.schedules import Level, karras_levels
from pcdiff.errors import InputError
from pcdiff.manifolds.se3 import SE3
from pcdiff.randomness import Generator

if TYPE_CHECKING:
    from grasp.scenes.scene import Scene


_SURPLUS = 1.2  # of further samples, over what should do


@dataclass(frozen=True, eq=False)
class ConditionedField:
    """E(H, σ) of one object and gripper.

    Attributes:
        field: the networks.
        condition: the object's surface and the gripper's probes.
        obj: the object.
        gripper: the gripper.
        points: of the object's surface, metres, by which collisions and widths are told.
        mass: of the object, kg; None if it is not given.
    """

    field: GraspField
    condition: Condition
    obj: Object
    gripper: Gripper
    points: Float[np.ndarray, "points 3"]
    mass: float | None = None

    @property
    def centre(self) -> Float[Tensor, "3"]:
        """Of the object's surface, in the frame of its file, metres."""
        return self.condition.surface.centre[0]

    @cached_property
    def opposites(self) -> Opposites:
        """The opposite places of the surface that the gripper spans."""
        return opposites(self.condition.surface, self.gripper)

    @cached_property
    def weight(self) -> Weight | None:
        """Of the object, if its volume is known or its mass is given; see `grasp.field.weight`."""
        found = weight_of(self.obj)
        if self.mass is None:
            return found
        centre = self.centre.double().cpu().numpy() if found is None else found.centre
        return Weight(self.mass, centre)

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
        return self._ask(self.field.energy, poses, noise_level)

    @torch.inference_mode(False)
    def cost_and_gradient(
        self, poses: Float[Tensor, "*batch 4 4"], noise_level: float | None = None
    ) -> tuple[Float[Tensor, "*batch"], Float[Tensor, "*batch 6"]]:
        """The energies and d/dv E(retract(H, v)) at v = 0, per metre and radian, in the body frame.

        Time and memory grow with the number of poses and no more; see `grasp.field.chunks`.

        Args:
            poses: `T_object_grasp`.
            noise_level: as for `cost`.
        """
        value, gradient = in_parts(
            lambda part: value_and_gradient(
                lambda at: self.cost(at, noise_level), self.field.space, part
            ),
            poses.reshape(-1, 4, 4),
        )
        batch = poses.shape[:-2]
        return value.reshape(batch), gradient.reshape(*batch, 6)

    def success_probability(self, poses: Float[Tensor, "*batch 4 4"]) -> Float[Tensor, "*batch"]:
        """How probable it is that a grasp holds, under the load of the object's weight if known.

        A parallel jaw turned by π about its approach is the same grasp, so the logit is the mean of
        what the network says of both.

        Args:
            poses: `T_object_grasp`.
        """
        success, turn = self.field.success, poses.new_tensor(HALF_TURN)

        def both(part: Tensor) -> tuple[Tensor]:
            return (self._ask(success, torch.stack([part, part * turn]), None).mean(0),)

        (logits,) = in_parts(both, poses.reshape(-1, 4, 4))
        logits = logits.reshape(poses.shape[:-2])
        if self.weight is not None:
            load = squared_load(poses, self.gripper, self.weight)
            logits = success.under_load(logits, load)
        return logits.sigmoid()

    @torch.inference_mode(False)
    @torch.no_grad()
    def trajectory(
        self,
        count: int,
        generator: Generator,
        how: Sampling | None = None,
        guidance: Cost | Sequence[Cost] = (),
    ) -> Iterator[State]:
        """The sampler's states on the way from random poses to grasps, about the object's centre.

        Args:
            count: how many poses.
            generator: one generator, or one a pose.
            how: that of `sampling_of` unless given.
            guidance: a cost C, or several, that are added to the energy over the temperature, so
                that samples are of exp(−E/T − C); one of `grasp.costs` is softened while the poses
                are noisy, any other is taken as it is.

        Raises:
            InputError: there is no pose to sample, the finest noise level was not trained, or a
                cost does not give a number for each pose, or none with a finite gradient.
        """
        how, costs = how or sampling_of(self.obj), _each(guidance)
        levels = levels_of(self.field, how)
        x = self.begin(count, levels, generator, how, costs)

        def predict(x: Tensor, level: Level, _: Condition) -> Tensor:
            (noise,) = in_parts(
                lambda part, *rest: (self._noise(part, Level(*rest), how, costs),), x, *level
            )
            return noise

        space = self.field.space
        yield from sample(how.sampler, predict, space, x, levels, self.condition, generator)

    def begin(
        self,
        count: int,
        levels: Level,
        generator: Generator,
        how: Sampling,
        costs: Sequence[Cost] = (),
    ) -> Float[Tensor, "count 4 4"]:
        """Where sampling begins: noise, or noisy proposals, about the object's centre.

        Args:
            count: how many poses.
            levels: of the sampler; these are at the first.
            generator: one generator, or one a pose.
            how: to sample.
            costs: by which proposals are chosen.

        Raises:
            InputError: there is no pose to sample.
        """
        if count < 1:
            raise InputError(f"grasps to sample: expected at least 1, got {count}")
        space, first = self.field.space, Level(*(each[0] for each in levels))
        sigma = float(first.sigma)
        if how.begin is None:
            middle = torch.zeros_like(self.centre)
            return space.random((count, 4, 4), sigma, generator, centre=middle)
        cost = self._about_centre(_summed(costs, sigma, space)) if costs else None
        guesses = propose(self.opposites, self.gripper, count, generator, cost)
        return perturb(space, guesses, first.over_batch(guesses, space.point_ndim), generator)

    def draw(
        self,
        count: int,
        generator: Generator,
        how: Sampling | None = None,
        guidance: Cost | Sequence[Cost] = (),
    ) -> Float[Tensor, "count 4 4"]:
        """Samples of the field, `T_object_grasp`, in no order; arguments as for `trajectory`.

        In float64, so that no digit is lost where the object is far from the origin of its file.
        """
        for state in self.trajectory(count, generator, how, guidance):
            last = state.x
        return self._in_file_frame(last.double())

    def sample(
        self,
        count: int,
        generator: torch.Generator,
        how: Sampling | None = None,
        guidance: Cost | Sequence[Cost] = (),
        scene: Scene | None = None,
    ) -> Grasps:
        """Grasps, the likeliest to hold first; those whose open hand is in collision last.

        Of `oversampling` times as many samples, or more if need be, those are given that are likely
        to hold, and meet what guided them of `grasp.costs`: some that are far from each other, of
        those that `likely` and `choice` of `Sampling` say.

        Args:
            count: how many grasps at most.
            generator: of what is random.
            how: that of `sampling_of` unless given.
            guidance: as for `trajectory`.
            scene: what stands around the object.

        Returns:
            The grasps with energies, probabilities of success, widths, and whether the open hand
            is in collision with the object or the scene. If there are fewer than asked for, down
            to none, `reason` says why.

        Raises:
            InputError: as for `trajectory`.
        """
        how = how or sampling_of(self.obj)
        if count < 1:
            raise InputError(f"grasps to sample: expected at least 1, got {count}")
        if self.obj.is_mesh and not self.opposites.exist:  # of a cloud they may not have been seen
            return refusal(self)
        constraints = [each for each in _each(guidance) if isinstance(each, Constraint)]
        at_once = wanted = math.ceil(count * how.oversampling)
        most = how.attempts * at_once
        judged: Judged | None = None
        while True:
            more = judge(self, self.draw(wanted, generator, how, guidance), constraints, scene)
            judged = more if judged is None else judged.and_also(more)
            grasps = select(self, judged, count, how)
            drawn = len(judged.poses)
            free = len(grasps) - int(np.asarray(grasps.in_collision).sum())
            if free == count or drawn == most:
                return grasps
            # As many as give what is missing if they are as good, and some more.
            wanted = math.ceil(_SURPLUS * (count - free) * drawn / max(free, 1))
            wanted = min(wanted, at_once, most - drawn)

    def _noise(self, x: Tensor, level: Level, how: Sampling, costs: list[Cost]) -> Tensor:
        noise = self.field.predict_noise(x, level, self.condition) / how.temperature
        if not costs:
            return noise
        return noise + self._slope(
            _summed(costs, float(level.sigma[0]), self.field.space), x, level
        )

    def _slope(self, cost: Cost, x: Tensor, level: Level) -> Tensor:
        """What a cost adds to the noise that the field predicts."""
        space = self.field.space
        _, gradient = value_and_gradient(self._about_centre(cost), space, x)
        if not gradient.isfinite().all():
            raise InputError("a cost that guides has a gradient that is not finite")
        return noise_from_score(space, -gradient, level)

    def _ask(self, network: torch.nn.Module, poses: Tensor, noise_level: float | None) -> Tensor:
        if poses.shape[-2:] != (4, 4) or not poses.is_floating_point():
            raise InputError(
                "poses must be a floating-point tensor of shape (..., 4, 4), got "
                f"{tuple(poses.shape)} of {poses.dtype}"
            )
        schedule = self.field.schedule
        sigma = schedule.sigma_min if noise_level is None else noise_level
        # Beyond the ends by what rounding makes of them.
        if not 0.999 * schedule.sigma_min <= sigma <= 1.001 * schedule.sigma_max:
            raise InputError(
                f"the noise level must be {schedule.sigma_min:g} to {schedule.sigma_max:g}, "
                f"got {sigma}"
            )
        surface, probes = self.condition
        # Moved to the centre in the type of the poses: of float64 no digit is lost far away.
        about = _moved(poses, -self.centre).reshape(1, -1, 4, 4).to(surface.points)
        number = network(about, about.new_full(about.shape[:2], sigma), probes, surface)
        return number.reshape(poses.shape[:-2]).to(poses)

    def _about_centre(self, cost: Cost) -> Cost:
        """A cost of poses about the centre, from one of poses in the frame of the object's file."""
        return lambda poses: cost(self._in_file_frame(poses))

    def _in_file_frame(self, poses: Tensor) -> Tensor:
        return _moved(poses, self.centre)


def levels_of(field: GraspField, how: Sampling) -> Level:
    """The noise levels that a sampler goes through.

    Args:
        field: what was trained.
        how: to sample.

    Raises:
        InputError: it was not trained at these levels.
    """
    schedule = field.schedule
    begin = schedule.sigma_max if how.begin is None else how.begin
    if not schedule.sigma_min <= how.finest < begin <= schedule.sigma_max:
        raise InputError(
            f"sampling must begin at a noise level of at most {schedule.sigma_max:g} and end at a "
            f"finer one of at least {schedule.sigma_min:g}, got {begin:g} and {how.finest:g}"
        )
    return karras_levels(schedule, how.steps, begin, how.finest)


def _each(guidance: Cost | Sequence[Cost]) -> list[Cost]:
    costs = list(guidance) if isinstance(guidance, Sequence) else [guidance]
    for cost in costs:
        if not callable(cost):
            raise InputError(f"guidance must be a cost, or a list of costs, got {cost!r}")
    return costs


def _summed(costs: Sequence[Cost], sigma: float, space: SE3) -> Cost:
    """The sum of costs as they are at a noise level."""
    at_level = [
        each.blurred(sigma, space.length) if isinstance(each, Constraint) else each
        for each in costs
    ]

    def total(poses: Tensor) -> Tensor:
        found = 0 * poses[..., 0, 0]  # so that there is a gradient, also of what is constant
        for each in at_level:
            cost = each(poses)
            if cost.shape != found.shape or cost.isnan().any():
                raise InputError(
                    "a cost that guides must give a number for each pose, shape "
                    f"{tuple(found.shape)}, got shape {tuple(cost.shape)}"
                    + (" with NaN" if cost.isnan().any() else "")
                )
            found = found + cost
        return found

    return total


def _moved(poses: Tensor, by: Tensor) -> Tensor:
    shift = torch.zeros_like(poses)
    shift[..., :3, 3] = by.to(poses)
    return poses + shift
