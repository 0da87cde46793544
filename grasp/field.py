"""Head 2: a field of energy over gripper poses, whose negative gradient is the score of grasps.

After Urain et al., "SE(3)-DiffusionFields", ICRA 2023: grasps that hold are blurred by noise of
level σ on SE(3), and E(H, σ | surface, gripper) is trained by denoising score matching so that
−∇E is the score of the blurred grasps. A second network gives the probability that a grasp holds;
it is trained on grasps of both outcomes.

Frames and units: poses are `T_object_grasp`, metres; gradients are d/dv E(retract(H, v)) at v = 0,
per metre and per radian in the gripper's frame.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from grasp.gripper import Gripper, load_gripper
from grasp.networks.energy import EnergyNetwork, NetworkConfig, SuccessNetwork
from grasp.networks.probes import Probes, probes
from grasp.networks.surface import Surface
from grasp.objects import Object
from pcdiff import checkpoint
from pcdiff.diffusion.losses import denoising_loss
from pcdiff.diffusion.parametrization import noise_from_score
from pcdiff.diffusion.schedules import GeometricVarianceExploding, Level
from pcdiff.errors import InputError
from pcdiff.manifolds.base import Manifold
from pcdiff.manifolds.se3 import SE3
from pcdiff.randomness import Generator, initial_weights

if TYPE_CHECKING:
    from grasp.conditioned import ConditionedField

KIND = "grasp-field"


class Condition(NamedTuple):
    """What the field is conditioned on.

    Attributes:
        surface: of each object.
        probes: of the gripper of each object, or of one for all.
    """

    surface: Surface
    probes: Probes


@dataclass(frozen=True)
class FieldConfig:
    """Everything that builds a `GraspField`; it travels with the weights.

    Attributes:
        energy: sizes of the energy network.
        success: sizes of the network of success.
        length: ℓ, metres per radian: noise of level σ turns by σ radians and moves by σℓ metres.
        sigma_min: the least noise level; grasps are trained, and sampled, to that precision.
        sigma_max: the largest. At 1.2 the wrapped normal, by which rotations are noised, is near
            to uniform; far above, it is not (see `pcdiff.manifolds.so3`).
    """

    energy: NetworkConfig = field(default_factory=NetworkConfig)
    success: NetworkConfig = field(default_factory=lambda: NetworkConfig(width=256))
    length: float = 0.1
    sigma_min: float = 0.02
    sigma_max: float = 1.2

    def as_dict(self) -> dict[str, Any]:
        """The description that `from_dict` reads back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, description: dict[str, Any]) -> FieldConfig:
        """The configuration that `as_dict` described."""
        given = dict(description)
        energy, success = (NetworkConfig(**given.pop(name)) for name in ("energy", "success"))
        return cls(energy, success, **given)


class GraspField(nn.Module):
    """The networks of the grasp head, as the diffusion core and the training loop see them.

    Args:
        config: what to build.
    """

    def __init__(self, config: FieldConfig) -> None:
        super().__init__()
        self.config = config
        self.energy = EnergyNetwork(config.energy, config.length)
        self.success = SuccessNetwork(config.success)

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
    def load(cls, path: str | os.PathLike[str]) -> GraspField:
        """A trained field from a file, in evaluation mode and on the CPU.

        Args:
            path: of the weights.

        Raises:
            InputError: there are no such weights or they are of something else.
        """
        configuration, tensors = checkpoint.load(path, KIND)
        try:
            model = cls(FieldConfig.from_dict(configuration["model"]))
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise InputError(
                f"weights {path}: no field can be built from their configuration ({error!r})"
            ) from error
        checkpoint.load_state(model, tensors, Path(path))
        return model.eval().requires_grad_(False)

    def condition(
        self, obj: Object, gripper: Gripper | str = "panda", seed: int = 0
    ) -> ConditionedField:
        """The field of one object and gripper.

        Args:
            obj: a mesh or a cloud; see `grasp.objects.load_object`.
            gripper: a description or the name of a shipped one.
            seed: of the points that are drawn on the object's surface.

        Raises:
            InputError: there is no such gripper, or the object has too few points.
        """
        from grasp.conditioned import ConditionedField
        from grasp.surfaces import surface_of

        hand = load_gripper(gripper) if isinstance(gripper, str) else gripper
        surface = surface_of(obj, np.random.default_rng([seed, int(obj.sha256, 16)]))
        first = next(self.parameters())
        return ConditionedField(
            self, Condition(surface.to(first), Probes(*(each.to(first) for each in probes(hand))))
        )

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
            lambda moved: self.energy(moved, sigma, condition.probes, condition.surface),
            self.space,
            poses,
            keep_graph=self.training,
        )
        return noise_from_score(self.space, -gradient.flatten(0, 1), level)

    def loss(
        self,
        held: Float[Tensor, "objects positives 4 4"],
        tried: Float[Tensor, "objects candidates 4 4"],
        success: Float[Tensor, "objects candidates"],
        condition: Condition,
        generator: Generator,
    ) -> dict[str, Tensor]:
        """What training minimises, and its parts, as means over the batch.

        The two networks share no weights, so that the sum trains each by its own loss.

        Args:
            held: grasps that hold, about the centre of each surface.
            tried: grasps of both outcomes, likewise.
            success: 1 for each of these that holds, else 0.
            condition: of the objects.
            generator: one generator, or one an object.
        """
        if not isinstance(generator, torch.Generator):
            generator = [each for each in generator for _ in range(held.shape[1])]
        denoising, _ = denoising_loss(
            self.predict_noise, self.space, self.schedule, held.flatten(0, 1), generator, condition
        )
        logits = self.success(tried, condition.probes, condition.surface)
        entropy = nn.functional.binary_cross_entropy_with_logits(logits, success)
        return {"loss": denoising.mean() + entropy, "denoising": denoising.mean(), "bce": entropy}


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
    with torch.enable_grad():
        step = poses.new_zeros(*poses.shape[:-2], 6, requires_grad=True)
        value = energy(space.retract(poses, step))
        (gradient,) = torch.autograd.grad(value.sum(), step, create_graph=keep_graph)
    return (value, gradient) if keep_graph else (value.detach(), gradient)
