"""The networks of the grasp field, in the form that the sampler and the training loop need.

The method follows Urain et al., "SE(3)-DiffusionFields", ICRA 2023. Successful grasps are blurred
by noise of level σ on SE(3). The energy E(H, σ | surface, gripper) is trained by denoising score
matching: its negative gradient −∇E becomes the score of the blurred grasps. A second network
predicts the probability of success of a grasp. It is trained on successful and failed grasps.

Poses are relative to the centre of each object's surface, in metres. Gradients are
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
"""The value of `kind` in the metadata of files of weights."""


class Condition(NamedTuple):
    """The objects and the grippers that the grasp field is conditioned on.

    Attributes:
        surface: Surface of each object.
        probes: Probes of one gripper per object, or of one gripper for all objects.
    """

    surface: Surface
    probes: Probes

    def to(self, *where: Any) -> Condition:
        """Move the condition to another device, or convert it to another data type."""
        return Condition(self.surface.to(*where), self.probes.to(*where))

    def split(self) -> list[Condition]:
        """Split the condition into a list of conditions, one per object."""
        if len(self.surface) == 1:
            return [self]
        probes = self.probes.split()
        if len(probes) == 1:
            probes = probes * len(self.surface)
        return [Condition(*each) for each in zip(self.surface.split(), probes, strict=True)]

    @classmethod
    def stack(cls, several: Sequence[Condition]) -> Condition:
        """Combine conditions of single objects into a condition of several objects."""
        return cls(
            Surface.stack([each.surface for each in several]),
            Probes.stack([each.probes for each in several]),
        )


class FieldModel(nn.Module):
    """The energy network and the success network of a grasp field.

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
        """Predict the noise ε̂ = σ S^{1/2} ∇E of each pose.

        S^{1/2} scales tangent vectors (see `pcdiff.manifolds.base`). The method has the signature
        of a `Model` of the diffusion core.

        Args:
            x: Poses relative to the centre of each object's surface, in metres. All objects have
                equal numbers of poses; the poses of the first object come first.
            level: Noise level of each pose.
            condition: The objects and the grippers.
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
        tail: float = 0.0,
    ) -> Tensor:
        """Compute the denoising score matching loss of the energy network, averaged over objects.

        Args:
            held: Poses of successful grasps relative to the centre of each object's surface, in
                metres.
            others: Poses of further successful grasps, like `held`; see
                `pcdiff.diffusion.losses.denoising_loss`.
            condition: The objects and the grippers.
            generator: One generator for all objects, or one generator per object.
            weights: Weight of each object in the mean, 0 or 1.
            tail: Share of the poses that are noised beyond their level; see
                `pcdiff.diffusion.losses.denoising_loss`.
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
            tail,
        )
        each = loss.unflatten(0, (-1, grasps)).mean(1)
        return (each * weights).sum() / weights.sum().clamp(min=1)

    def contrast_loss(
        self,
        tried: Float[Tensor, "objects grasps 4 4"],
        success: Float[Tensor, "objects grasps"],
        sigma: Float[Tensor, "objects grasps"],
        condition: Condition,
    ) -> Tensor:
        """Compute how badly the energy tells successful grasps from failed ones.

        The loss is the cross entropy of success with the logit −E, averaged over all grasps.
        Denoising determines the energy of an object only up to a constant. This loss fixes the
        constant, so the energies of different objects become comparable: exp(−E) becomes the odds
        of success. If the tried grasps are spread evenly, Bayes' rule makes these odds proportional
        to the density of successful grasps, so the two losses agree.

        Args:
            tried: Poses of successful and failed grasps relative to the centre of each object's
                surface, in metres.
            success: 1 for each successful grasp, 0 for each failed grasp.
            sigma: Noise level of the energy for each grasp.
            condition: The objects and the grippers.
        """
        energy = self.energy(tried, sigma, condition.probes, condition.surface)
        return nn.functional.binary_cross_entropy_with_logits(-energy, success)

    def success_loss(
        self,
        tried: Float[Tensor, "objects grasps 4 4"],
        success: Float[Tensor, "objects grasps"],
        squared_load: Float[Tensor, "objects grasps"],
        condition: Condition,
    ) -> Tensor:
        """Compute the cross-entropy loss of the success network, averaged over all grasps.

        Args:
            tried: Poses of successful and failed grasps relative to the centre of each object's
                surface, in metres.
            success: 1 for each successful grasp, 0 for each failed grasp.
            squared_load: Squared load ρ² of each grasp (see `grasp.field.weight`), for the object's
                weight in the physics simulation.
            condition: The objects and the grippers.
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
        """Compute the mean error of the signed distances that the paper's network predicts.

        The error is in multiples of `PaperConfig.unit`.

        Args:
            points: Points relative to the centre of each object's surface, in metres.
            distances: True signed distance from each point to the object in metres, negative
                inside.
            condition: The objects and the grippers.

        Raises:
            InputError: If the energy network does not have the architecture "paper".
        """
        if not isinstance(self.energy, PaperNetwork):
            raise InputError(
                "the architecture of a network that learns signed distances must be "
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
        """Before training, use example grasps to set the scales of the networks' inputs.

        Args:
            held: Poses of example grasps relative to the centre of each object's surface, in
                metres.
            condition: The objects and the grippers.
            generator: Generator of the noise that is added to the grasps.
        """
        flat = held.flatten(0, 1)
        times = self.schedule.random_times(len(flat), generator)
        level = self.schedule(times).to(flat)
        poses = perturb(self.space, flat, level, generator).view_as(held)
        sigma = level.sigma.view(held.shape[:2])
        for network in (self.energy, self.success):
            if isinstance(network, PoseNetwork):
                network.standardize(poses, sigma, condition.probes, condition.surface)
