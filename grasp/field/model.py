"""Head 2: a field of energy over gripper poses, whose negative gradient is the score of grasps.

After Urain et al., "SE(3)-DiffusionFields", ICRA 2023: grasps that hold are blurred by noise of
level σ on SE(3), and E(H, σ | surface, gripper) is trained by denoising score matching so that
−∇E is the score of the blurred grasps. A second network gives the probability that a grasp holds;
it is trained on grasps of both outcomes.

Frames and units: poses are `T_object_grasp`, metres; gradients are d/dv E(retract(H, v)) at v = 0,
per metre and per radian in the gripper's frame.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from grasp.field.configuration import PAPER, FieldConfig
from grasp.field.networks.energy import EnergyNetwork, PoseNetwork, SuccessNetwork
from grasp.field.networks.paper import PaperNetwork, distance_loss
from grasp.field.networks.probes import Probes, probes
from grasp.field.networks.surface import Surface
from grasp.grippers.gripper import Gripper, load_gripper
from grasp.objects.object import Object
from grasp.scenes.collision import DENSITY
from pcdiff.diffusion.losses import denoising_loss
from pcdiff.diffusion.parametrization import noise_from_score
from pcdiff.diffusion.process import perturb
from pcdiff.diffusion.schedules import GeometricVarianceExploding, Level
from pcdiff.errors import InputError
from pcdiff.learning import checkpoint
from pcdiff.manifolds.base import Manifold
from pcdiff.manifolds.se3 import SE3
from pcdiff.randomness import Generator, initial_weights

if TYPE_CHECKING:
    from grasp.field.conditioned import ConditionedField


KIND = "grasp-field"


POINTS, MOST_POINTS = 4096, 200_000
"""The fewest and the most points of an object's surface by which collisions and widths are told: as
many as `grasp.scenes.collision.DENSITY` asks for, and of a cloud all up to the most."""


WEIGHTS = Path(__file__).parent / "weights"
"""The weights that the package carries."""


def pretrained_names() -> list[str]:
    """The names of the weights that the package carries."""
    return checkpoint.names_in(WEIGHTS)


class Condition(NamedTuple):
    """What the field is conditioned on.

    Attributes:
        surface: of each object.
        probes: of the gripper of each object, or of one for all.
    """

    surface: Surface
    probes: Probes


class GraspField(nn.Module):
    """The networks of the grasp head, as the diffusion core and the training loop see them.

    Args:
        config: what to build.
    """

    def __init__(self, config: FieldConfig) -> None:
        super().__init__()
        self.config = config
        self.energy: EnergyNetwork | PaperNetwork
        if config.architecture == PAPER:
            self.energy = PaperNetwork(config.paper, config.length)
        else:
            self.energy = EnergyNetwork(config.energy, config.length)
        self.success = SuccessNetwork(config.success, config.length)

    @property
    def space(self) -> SE3:
        """Where the poses live."""
        return SE3(self.config.length)

    @property
    def schedule(self) -> GeometricVarianceExploding:
        """The noise levels."""
        return GeometricVarianceExploding(self.config.sigma_min, self.config.sigma_max)

    @classmethod
    def initialized(cls, config: FieldConfig, seed: int) -> GraspField:
        """An untrained field whose weights are a function of `seed`."""
        with initial_weights(seed):
            return cls(config)

    @classmethod
    def from_pretrained(cls, weights: str | os.PathLike[str] = "panda") -> GraspField:
        """A trained field, in evaluation mode and on the CPU.

        Args:
            weights: the name of weights in the package (see `pretrained_names`) or a file.

        Raises:
            InputError: there are no such weights or they are of something else.
        """
        return checkpoint.load_model(
            weights, KIND, WEIGHTS, lambda description: cls(FieldConfig.from_dict(description))
        )

    @torch.inference_mode(False)  # what is made inside of it would allow no gradient later
    def condition(
        self,
        obj: Object,
        gripper: Gripper | str = "panda",
        seed: int = 0,
        mass: float | None = None,
    ) -> ConditionedField:
        """The field of one object and gripper.

        Args:
            obj: a mesh or a cloud; see `grasp.objects.loading.load_object`.
            gripper: a description or the name of a shipped one.
            seed: of the points that are drawn on the object's surface.
            mass: of the object, kg; None for what is inside a closed mesh at 150 kg/m³, and for
                nothing of a cloud. A mass alone is taken to lie about the centre of the surface.

        Raises:
            InputError: there is no such gripper, the field was trained on another one of that
                name, the object has too few points, or the mass is not above 0.
        """
        from grasp.field.conditioned import ConditionedField
        from grasp.field.surfaces import surface_of

        if mass is not None and not 0 < mass < math.inf:
            raise InputError(f"the mass of an object must be above 0 kg and finite, got {mass}")
        hand = load_gripper(gripper) if isinstance(gripper, str) else gripper
        if self.config.grippers.get(hand.name, hand.sha256) != hand.sha256:
            raise InputError(
                f"the field was trained on another description of the gripper {hand.name} than "
                "this one: give yours another name, or train with it"
            )
        rng = np.random.default_rng(seed)  # whatever the object, so that moving it changes nothing
        surface = surface_of(obj, rng)
        count = len(obj.vertices)
        if obj.is_mesh:
            count = max(POINTS, round(DENSITY * float(obj.mesh().area)))
        points = obj.surface(min(count, MOST_POINTS), rng)[0]
        first = next(self.parameters())
        condition = Condition(surface.to(first), Probes(*(e.to(first) for e in probes(hand))))
        return ConditionedField(self, condition, obj, hand, points, mass)

    def predict_noise(
        self, x: Float[Tensor, "batch 4 4"], level: Level, condition: Condition
    ) -> Float[Tensor, "batch 6"]:
        """ε̂ = σ S^{1/2} ∇E: the `Model` of the diffusion core.

        Args:
            x: poses about the centre of each surface, as many in a row for each object.
            level: of each.
            condition: of the objects.
        """
        poses = x.unflatten(0, (len(condition.surface), -1))
        sigma = level.sigma.view(poses.shape[:2])
        _, gradient = value_and_gradient(
            lambda moved: self.energy(
                moved, sigma, condition.probes, condition.surface, curved=not self.training
            ),
            self.space,
            poses,
            keep_graph=self.training,
        )
        return noise_from_score(self.space, -gradient.flatten(0, 1), level)

    def denoising_loss(
        self,
        held: Float[Tensor, "objects grasps 4 4"],
        others: Float[Tensor, "objects others 4 4"],
        condition: Condition,
        generator: Generator,
        weights: Float[Tensor, " objects"],
    ) -> Tensor:
        """What trains the energy: denoising score matching, the mean over objects.

        Args:
            held: grasps that hold, about the centre of each surface.
            others: more of them; see `pcdiff.diffusion.losses.denoising_loss`.
            condition: of the objects.
            generator: one generator, or one an object.
            weights: of the objects in the mean, 0 or 1.
        """
        grasps = held.shape[1]
        loss, _ = denoising_loss(
            self.predict_noise,
            self.space,
            self.schedule,
            held.flatten(0, 1),
            _each(generator, grasps),
            condition,
            others.repeat_interleave(grasps, 0),
        )
        each = loss.unflatten(0, (-1, grasps)).mean(1)
        return (each * weights).sum() / weights.sum().clamp(min=1)

    def success_loss(
        self,
        tried: Float[Tensor, "objects grasps 4 4"],
        success: Float[Tensor, "objects grasps"],
        squared_load: Float[Tensor, "objects grasps"],
        condition: Condition,
    ) -> Tensor:
        """What trains the probability of success: cross entropy, the mean over the batch.

        Args:
            tried: grasps of both outcomes, about the centre of each surface.
            success: 1 for each that holds, else 0.
            squared_load: ρ² of the weight with which each was tried (see `grasp.field.weight`).
            condition: of the objects.
        """
        sigma = torch.full_like(success, self.schedule.sigma_min)
        logits = self.success(tried, sigma, condition.probes, condition.surface)
        logits = self.success.under_load(logits, squared_load)
        return nn.functional.binary_cross_entropy_with_logits(logits, success)

    def distance_loss(
        self,
        points: Float[Tensor, "objects points 3"],
        distances: Float[Tensor, "objects points"],
        condition: Condition,
    ) -> Tensor:
        """What the paper's network learns beside the energy: signed distances, over its unit.

        Args:
            points: about the centre of each surface, metres.
            distances: signed, metres.
            condition: of the objects.

        Raises:
            InputError: the network is not that of the paper.
        """
        if not isinstance(self.energy, PaperNetwork):
            raise InputError("only the paper's network learns distances")
        predicted = self.energy.signed_distance(points, condition.surface)
        return distance_loss(predicted, distances) / self.config.paper.unit

    @torch.no_grad()
    def standardize(
        self,
        held: Float[Tensor, "objects grasps 4 4"],
        condition: Condition,
        generator: Generator,
    ) -> None:
        """Fit the scales of the networks' inputs to examples, before training.

        Args:
            held: grasps, about the centre of each surface.
            condition: of the objects.
            generator: of the noise.
        """
        flat = held.flatten(0, 1)
        level = Level(
            *(
                each.to(flat)
                for each in self.schedule(self.schedule.random_times(len(flat), generator))
            )
        )
        poses = perturb(self.space, flat, level, generator).view_as(held)
        sigma = level.sigma.view(held.shape[:2])
        for network in (self.energy, self.success):
            if isinstance(network, PoseNetwork):
                network.standardize(poses, sigma, condition.probes, condition.surface)


def _each(generator: Generator, grasps: int) -> Generator:
    """One generator for each grasp, from one for each object."""
    if isinstance(generator, torch.Generator):
        return generator
    return [each for each in generator for _ in range(grasps)]


def value_and_gradient(
    energy: Callable[[Tensor], Tensor],
    space: Manifold,
    poses: Float[Tensor, "*batch 4 4"],
    keep_graph: bool = False,
) -> tuple[Float[Tensor, "*batch"], Float[Tensor, "*batch 6"]]:
    """An energy and d/dv E(retract(H, v)) at v = 0, in the body frame.

    Args:
        energy: of each pose, independent of the others.
        space: gives the retraction.
        poses: H.
        keep_graph: so that value and gradient can be differentiated.
    """
    with torch.inference_mode(False), torch.enable_grad():
        if poses.is_inference():
            poses = poses.clone()
        step = poses.new_zeros(*poses.shape[:-2], 6, requires_grad=True)
        value = energy(space.retract(poses, step))
        (gradient,) = torch.autograd.grad(value.sum(), step, create_graph=keep_graph)
    return (value, gradient) if keep_graph else (value.detach(), gradient)
