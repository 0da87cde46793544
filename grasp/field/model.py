"""The networks of the grasp field, behind the interfaces of diffusion core and training loop.

After Urain et al., "SE(3)-DiffusionFields", ICRA 2023: grasps that hold are blurred by noise of
level σ on SE(3), and the energy E(H, σ | surface, gripper) is trained by denoising score matching
so that its negative gradient −∇E is the score of the blurred grasps. A second network gives the
probability that a grasp holds; it is trained on grasps that held and grasps that failed.

Frames and units: poses are about the centre of each object's surface, in metres. Gradients are
d/dv E(retract(H, v)) at v = 0, per metre and per radian in the gripper's frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from grasp.field.configuration import PAPER, FieldConfig
from grasp.field.networks.energy import EnergyNetwork, PoseNetwork, SuccessNetwork
from grasp.field.networks.paper import PaperNetwork, distance_loss
from grasp.field.networks.probes import Probes
from grasp.field.networks.surface import Surface
from pcdiff.diffusion.losses import denoising_loss
from pcdiff.diffusion.parametrization import noise_from_score
from pcdiff.diffusion.process import perturb
from pcdiff.diffusion.schedules import GeometricVarianceExploding, Level
from pcdiff.errors import InputError
from pcdiff.manifolds.gradients import value_and_gradient
from pcdiff.manifolds.se3 import SE3
from pcdiff.randomness import Generator, repeat

KIND = "grasp-field"
"""The value of `kind` with which files of weights are marked."""


class Condition(NamedTuple):
    """The objects and grippers that the field is conditioned on, one or several of each.

    Attributes:
        surface: Surface of each object.
        probes: Probes of each object's gripper, or of one gripper for all objects.
    """

    surface: Surface
    probes: Probes

    def to(self, *where: Any) -> Condition:
        """Move the condition to another device, or convert it to another data type."""
        return Condition(self.surface.to(*where), self.probes.to(*where))

    def split(self) -> list[Condition]:
        """Split the condition into one per object."""
        if len(self.surface) == 1:
            return [self]
        probes = self.probes.split()
        if len(probes) == 1:
            probes = probes * len(self.surface)
        return [Condition(*each) for each in zip(self.surface.split(), probes, strict=True)]

    @classmethod
    def stack(cls, several: Sequence[Condition]) -> Condition:
        """Combine conditions of one object each into a condition of several objects."""
        return cls(
            Surface.stack([each.surface for each in several]),
            Probes.stack([each.probes for each in several]),
        )


class FieldModel(nn.Module):
    """The energy and the success network of a grasp field.

    Args:
        config: Configuration of the networks to build.
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
        """The manifold of the poses."""
        return SE3(self.config.length)

    @property
    def schedule(self) -> GeometricVarianceExploding:
        """The noise schedule."""
        return GeometricVarianceExploding(self.config.sigma_min, self.config.sigma_max)

    def predict_noise(
        self, x: Float[Tensor, "batch 4 4"], level: Level, condition: Condition
    ) -> Float[Tensor, "batch 6"]:
        """Predict the noise ε̂ = σ S^{1/2} ∇E, as a `Model` of the diffusion core must.

        Args:
            x: Poses about the centre of each object's surface. There are equally many for each
                object, and the poses of the first object come first.
            level: Noise level of each pose.
            condition: Condition of the objects.
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
        """Compute the denoising score matching loss of the energy network, averaged over objects.

        Args:
            held: Poses of grasps that held, about the centre of each object's surface.
            others: Further grasps that held; see `pcdiff.diffusion.losses.denoising_loss`.
            condition: Condition of the objects.
            generator: One generator, or one per object.
            weights: Weight of each object in the mean, 0 or 1.
        """
        grasps = held.shape[1]
        loss, _ = denoising_loss(
            self.predict_noise,
            self.space,
            self.schedule,
            held.flatten(0, 1),
            repeat(generator, grasps),
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
        """Compute the cross-entropy loss of the success network, averaged over all grasps.

        Args:
            tried: Grasps that held and grasps that failed, about the centre of each object's
                surface.
            success: 1 for each grasp that held, 0 for each that failed.
            squared_load: ρ² of each grasp under the weight it was tried with (see
                `grasp.field.weight`).
            condition: Condition of the objects.
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
        """Compute the second loss of the paper's network: the error of its distances, in its unit.

        Args:
            points: Points about the centre of each object's surface, in metres.
            distances: Signed distance from each point to the object in metres, negative inside.
            condition: Condition of the objects.

        Raises:
            InputError: If the energy network is not the paper's.
        """
        if not isinstance(self.energy, PaperNetwork):
            raise InputError(
                "only the paper's network learns signed distances, expected the architecture "
                f"{PAPER!r}, got {self.config.architecture!r}"
            )
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
            held: Grasps about the centre of each object's surface.
            condition: Condition of the objects.
            generator: Generator of the noise.
        """
        flat = held.flatten(0, 1)
        times = self.schedule.random_times(len(flat), generator)
        level = self.schedule(times).to(flat)
        poses = perturb(self.space, flat, level, generator).view_as(held)
        sigma = level.sigma.view(held.shape[:2])
        for network in (self.energy, self.success):
            if isinstance(network, PoseNetwork):
                network.standardize(poses, sigma, condition.probes, condition.surface)
