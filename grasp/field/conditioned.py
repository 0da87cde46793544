"""A grasp field conditioned on one object and one gripper.

A conditioned field gives grasps, costs and probabilities of success. Poses are `T_object_grasp` in
the frame of the object's file, with translations in metres.

`ConditionedField.draw` returns all samples of the field, unsorted. `ConditionedField.sample`
returns selected samples as grasps with energies and widths, ranked by probability of success.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from grasp.costs import Constraint, Cost
from grasp.field.arrays import as_tensor, like, translated
from grasp.field.chunks import in_chunks
from grasp.field.model import Condition, FieldModel
from grasp.field.proposals import Opposites, opposites, propose
from grasp.field.reasons import Facts, Reason, explained, too_wide
from grasp.field.sampling import Guide, Sampling, default_sampling, levels_of, trajectory
from grasp.field.search import Step, search
from grasp.field.selection import Assessed, Selection, assessed, default_selection
from grasp.field.weight import Pads, Weight, pads_of, squared_load, weight_of
from grasp.formats import Grasps
from grasp.grippers.gripper import Gripper
from grasp.objects.chords import narrowest_chord
from grasp.objects.object import Object
from grasp.poses.frames import HALF_TURN
from grasp.scenes.arrays import Array
from grasp.scenes.collision import closing_width
from pcdiff.diffusion.guidance import cost_list
from pcdiff.diffusion.process import perturb
from pcdiff.diffusion.samplers import State
from pcdiff.diffusion.schedules import Level
from pcdiff.errors import InputError
from pcdiff.manifolds.gradients import value_and_gradient
from pcdiff.randomness import Generator, generator_from

if TYPE_CHECKING:
    from grasp.scenes.scene import Scene


@dataclass(frozen=True, eq=False)
class ConditionedField:
    """A grasp field conditioned on one object and one gripper, with its energy E(H, σ).

    Poses may be torch tensors or numpy arrays, and results are of the same kind.

    Attributes:
        model: Trained networks.
        condition: Surface of the object and probes of the gripper.
        obj: The object.
        gripper: The gripper.
        points: Points on the object's surface in metres, from which collisions and widths are
            computed.
        mass: Mass of the object in kilograms; None if the user stated no mass.
    """

    model: FieldModel
    condition: Condition
    obj: Object
    gripper: Gripper
    points: Float[np.ndarray, "points 3"]
    mass: float | None = None

    def __repr__(self) -> str:
        mass = "" if self.mass is None else f", {self.mass:g} kg"
        return f"ConditionedField({self.obj.name} for {self.gripper.name}{mass})"

    @property
    def centre(self) -> Float[Tensor, "3"]:
        """Centre of the object's surface in the frame of the object's file, in metres."""
        return self.condition.surface.centre[0]

    @cached_property
    def opposites(self) -> Opposites:
        """Pairs of opposite places on the surface that the gripper can span."""
        return opposites(self.condition.surface, self.gripper)

    @property
    def pads(self) -> Pads:
        """What the physics of the success network assumes about pads and density."""
        return pads_of(self.model.config.protocol)

    @cached_property
    def weight(self) -> Weight | None:
        """Weight of the object; None if both the volume and the mass are unknown."""
        found = weight_of(self.obj, self.pads.density)
        if self.mass is None:
            return found
        centre = self.centre.double().cpu().numpy() if found is None else found.centre
        return Weight(self.mass, centre)

    # Costs and probabilities

    def cost(
        self, poses: Float[Array, "*batch 4 4"], noise_level: float | None = None
    ) -> Float[Array, "*batch"]:
        """Compute each pose's energy. It is infinitely differentiable and low near good grasps.

        Args:
            poses: Poses `T_object_grasp`, a tensor or a numpy array, translations in metres.
            noise_level: Noise level σ: the energy is blurred by σℓ metres and σ radians. None
                selects the smallest noise level in training.

        Raises:
            InputError: If the poses are not floating-point numbers of shape (..., 4, 4), or the
                noise level is outside the range in training.
        """
        return like(poses, self._evaluate(self.model.energy, as_tensor(poses), noise_level))

    @torch.inference_mode(False)
    def cost_and_gradient(
        self, poses: Float[Array, "*batch 4 4"], noise_level: float | None = None
    ) -> tuple[Float[Array, "*batch"], Float[Array, "*batch 6"]]:
        """Compute the energy of each pose H and its gradient d/dv E(retract(H, v)) at v = 0.

        Gradients are per metre and per radian in the gripper's frame. Time and memory grow linearly
        with the number of poses; see `grasp.field.chunks`.

        Args:
            poses: Poses `T_object_grasp`, a tensor or a numpy array, translations in metres.
            noise_level: Noise level σ; see `cost`.

        Raises:
            InputError: If the poses are not floating-point numbers of shape (..., 4, 4), or the
                noise level is outside the range in training.
        """
        tensor = as_tensor(poses)
        value, gradient = in_chunks(
            lambda chunk: value_and_gradient(
                lambda at: self.cost(at, noise_level), self.model.space, chunk
            ),
            tensor.reshape(-1, 4, 4),
        )
        batch = tensor.shape[:-2]
        return like(poses, value.reshape(batch)), like(poses, gradient.reshape(*batch, 6))

    def success_probability(self, poses: Float[Array, "*batch 4 4"]) -> Float[Array, "*batch"]:
        """Compute the probability of success of each grasp under the object's weight, if known.

        A parallel jaw that is turned by π around its approach axis makes an identical grasp. If the
        network is not symmetric, its logits for the pose and for the turned pose are averaged.

        Args:
            poses: Poses `T_object_grasp`, a tensor or a numpy array, translations in metres.

        Raises:
            InputError: If the poses are not floating-point numbers of shape (..., 4, 4).
        """
        tensor = as_tensor(poses)
        success, turn = self.model.success, tensor.new_tensor(HALF_TURN)

        def both(chunk: Tensor) -> tuple[Tensor]:
            turns = [chunk] if success.config.symmetric else [chunk, chunk * turn]
            return (self._evaluate(success, torch.stack(turns), None).mean(0),)

        (logits,) = in_chunks(both, tensor.reshape(-1, 4, 4))
        logits = logits.reshape(tensor.shape[:-2])
        if self.weight is not None:
            load = squared_load(tensor, self.gripper, self.weight, self.pads)
            logits = success.under_load(logits, load)
        return like(poses, logits.sigmoid())

    # Samples

    def begin(
        self,
        count: int,
        levels: Level,
        generator: Generator,
        sampling: Sampling,
        guide: Guide | None = None,
    ) -> Float[Tensor, "count 4 4"]:
        """Draw the first poses, pure noise or noisy proposals, relative to the surface's centre.

        Args:
            count: Number of poses.
            levels: Noise levels of the sampler. The poses have the first noise level.
            generator: One generator for all poses, or one generator per pose.
            sampling: Settings of the sampler.
            guide: Costs that affect the choice of the proposals; None for no costs.

        Raises:
            InputError: If `count` is below 1.
        """
        if count < 1:
            raise InputError(f"the number of grasps to sample must be at least 1, got {count}")
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
        generator: Generator | None = None,
        sampling: Sampling | None = None,
        guidance: Cost | Sequence[Cost] = (),
        seed: int | None = None,
    ) -> Iterator[State]:
        """Yield the sampler's states, with poses relative to the surface's centre, in metres.

        Args:
            count: Number of poses.
            generator: One generator for all poses, or one generator per pose.
            sampling: Settings of the sampler; None selects `default_sampling` for the object.
            guidance: One cost C, or several costs with the sum C. The samples follow the density
                exp(−E/T − C), with the energy E and the temperature T. Constraints of `grasp.costs`
                are softened at high noise levels; other costs are not changed.
            seed: Seed in place of a generator.

        Raises:
            InputError: If `count` is below 1, a noise level is outside the range in training, a
                cost does not return one number per pose with a finite gradient, or not exactly one
                of `generator` and `seed` is passed.
        """
        generator = generator_from(generator, seed)
        sampling = sampling or default_sampling(self.obj.is_mesh)
        guide = self.guide(guidance)
        levels = levels_of(self.model, sampling)
        poses = self.begin(count, levels, generator, sampling, guide)
        yield from trajectory(self.model, self.condition, poses, sampling, generator, [guide])

    def draw(
        self,
        count: int,
        generator: Generator | None = None,
        sampling: Sampling | None = None,
        guidance: Cost | Sequence[Cost] = (),
        seed: int | None = None,
    ) -> Float[Tensor, "count 4 4"]:
        """Draw samples of the field, unsorted, as poses `T_object_grasp` in float64.

        float64 avoids a loss of precision if the object is far from the origin of its file. See
        `trajectory` for the arguments and the errors.
        """
        for state in self.trajectory(count, generator, sampling, guidance, seed):
            last = state.x
        return self.in_file_frame(last.double())

    def sample(
        self,
        count: int,
        generator: torch.Generator | None = None,
        sampling: Sampling | None = None,
        selection: Selection | None = None,
        guidance: Cost | Sequence[Cost] = (),
        scene: Scene | None = None,
        seed: int | None = None,
    ) -> Grasps:
        """Sample grasps and return a diverse subset of them, sorted by probability of success.

        Several samples are drawn per requested grasp, and more samples follow if too few are
        suitable. Suitable samples have a high probability of success and satisfy the constraints in
        `guidance`. Grasps with a collision of the open hand come last.

        Args:
            count: Largest number of grasps.
            generator: Source of randomness.
            sampling: Settings of the sampler; None selects `default_sampling` for the object.
            selection: Settings of the choice; None selects `default_selection` for the object.
            guidance: Costs that guide the samples; see `trajectory`.
            scene: Surroundings of the object; None for no surroundings.
            seed: Seed in place of a generator, as `grasp sample --seed`.

        Returns:
            The grasps with energies, probabilities of success and widths. `in_collision` is true
            for a grasp if the open hand collides with the object or the scene. If fewer grasps than
            requested are found, or none, `reason` explains why and names what would help.

        Raises:
            InputError: For the reasons listed under `trajectory`.
        """
        source = generator_from(generator, seed)
        for step in self.search(count, source, sampling, selection, guidance, scene):
            grasps = step.grasps
        assert grasps is not None
        return grasps

    def search(
        self,
        count: int,
        generator: Generator,
        sampling: Sampling | None = None,
        selection: Selection | None = None,
        guidance: Cost | Sequence[Cost] = (),
        scene: Scene | None = None,
    ) -> Iterator[Step]:
        """Yield the steps of `sample`, of which the last has the grasps; see there.

        A caller can show the progress of a long search, or stop it.
        """
        sampling = sampling or default_sampling(self.obj.is_mesh)
        selection = selection or default_selection(self.obj.is_mesh)
        if count < 1:
            raise InputError(f"the number of grasps to sample must be at least 1, got {count}")
        if not self.can_hold:
            yield Step(1, 1, self.refusal())
            return
        constraints = [each for each in cost_list(guidance) if isinstance(each, Constraint)]
        samples, order = yield from search(
            lambda wanted: self.trajectory(wanted, generator, sampling, guidance),
            lambda last: self.assess(self.in_file_frame(last.double()), constraints, scene),
            count,
            selection,
            self.gripper.tool_center_point,
            sampling.steps,
        )
        total = len(samples.poses) * (sampling.steps + 1)
        yield Step(total, total, self.chosen(samples, order, count, selection))

    # From samples to grasps

    @cached_property
    def can_hold(self) -> bool:
        """True if the gripper opens wide enough for a pair of opposite places of the object.

        This depends only on the mesh and the stroke (`grasp.objects.chords`). The property is true
        for every point cloud, because one side of a cloud may be missing.
        """
        return not self.obj.is_mesh or self._narrowest_chord <= self.gripper.stroke

    @cached_property
    def _narrowest_chord(self) -> float:
        return narrowest_chord(self.obj)

    @torch.no_grad()
    def assess(
        self,
        poses: Float[Tensor, "samples 4 4"],
        constraints: Sequence[Constraint] = (),
        scene: Scene | None = None,
    ) -> Assessed:
        """Compute the success probabilities of samples, and test constraints and collisions.

        Args:
            poses: Poses `T_object_grasp` of the samples, translations in metres.
            constraints: Constraints that grasps must satisfy.
            scene: Surroundings of the object; None for no surroundings.
        """
        probability = self.success_probability(poses).double().cpu().numpy()
        return assessed(poses.cpu(), probability, self.gripper, self.points, constraints, scene)

    def chosen(
        self, samples: Assessed, order: np.ndarray, count: int, selection: Selection
    ) -> Grasps:
        """Convert the chosen samples to grasps.

        Args:
            samples: All samples.
            order: Indices of the chosen samples, returned by `grasp.field.selection.select`.
            count: Number of requested grasps.
            selection: Settings that were used to choose the samples.
        """
        reason = explained(samples, order, count, selection, self._facts)
        poses = samples.poses[torch.from_numpy(order)]
        return self._grasps(poses, samples.probability[order], samples.collides[order], reason)

    def refusal(self) -> Grasps:
        """Return an empty result with the reason that the object is too wide for the gripper."""
        reason = too_wide(self._facts, self._narrowest_chord)
        return self._grasps(torch.zeros(0, 4, 4), np.zeros(0), np.zeros(0, bool), reason)

    def _grasps(
        self, poses: Tensor, probability: np.ndarray, collides: np.ndarray, reason: Reason | None
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
            reason=None if reason is None else reason.text,
            remedies=() if reason is None else reason.remedies,
            frame=self.obj.frame,
            remarks=self.obj.remarks,
            obj=self.obj,
            hand=self.gripper,
        )

    @property
    def _facts(self) -> Facts:
        density = self.pads.density if self.mass is None else None
        protocol = self.model.config.protocol
        return Facts(self.points, self.gripper, self.weight, density, protocol)

    # Frames

    def guide(self, guidance: Cost | Sequence[Cost]) -> Guide:
        """Return a `Guide` for the sampler from costs of poses in the frame of the object's file.

        Raises:
            InputError: If a cost is not callable.
        """
        return Guide(cost_list(guidance), self.in_file_frame)

    def in_file_frame(self, poses: Float[Tensor, "*batch 4 4"]) -> Float[Tensor, "*batch 4 4"]:
        """Convert poses relative to the surface's centre to poses in the file's frame."""
        return translated(poses, self.centre)

    def _evaluate(
        self, network: torch.nn.Module, poses: Tensor, noise_level: float | None
    ) -> Tensor:
        schedule = self.model.schedule
        sigma = schedule.sigma_min if noise_level is None else noise_level
        # Rounding may move a noise level slightly out of the range in training.
        if not 0.999 * schedule.sigma_min <= sigma <= 1.001 * schedule.sigma_max:
            raise InputError(
                f"the noise level must be from {schedule.sigma_min:g} to {schedule.sigma_max:g}, "
                f"got {sigma}"
            )
        surface, probes = self.condition
        about = translated(poses, -self.centre).reshape(1, -1, 4, 4).to(surface.points)
        number = network(about, about.new_full(about.shape[:2], sigma), probes, surface)
        return number.reshape(poses.shape[:-2]).to(poses)
