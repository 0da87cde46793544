"""The default networks: what the gripper's probes see of the surface, then a small perceptron.

From probes the surface is seen through kernel sums: how much of it is near, the signed distance to
it, and its normal in the gripper's frame; from some at a fine width, from some at a coarse one (see
`NetworkConfig.looks`). Kernels widen with the noise level: what is blurred in the data need not be
seen sharply. The whole object is seen as a sum over its
landmarks, and by its centre and covariance, in the gripper's frame. This is all that the perceptron
sees, so its output is invariant to moving object and gripper together, by construction, and smooth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from grasp.field.networks.kernel_sums import look
from grasp.field.networks.probes import ALL, DIMENSIONS, FEW_COARSE, FEW_FINE, FINE, Probes
from grasp.field.networks.surface import DESCRIBED, Surface
from pcdiff.errors import InputError

_WIDENING = 0.35  # of a kernel, over the spread σℓ of noisy grasps
_COARSE = 4.0  # widths of the coarse level over those of the fine one
_FREQUENCIES = (0.5, 1.0, 2.0, 4.0)  # of log σ
_EMBEDDED = 64  # numbers that stand for σ
_PER_PROBE = 5
_FINEST = 0.007  # a typical kernel without noise, metres
_OF_OBJECT = 9  # its centre and covariance
_REACH = 0.1  # metres: how far things are from a hand, by which lengths are divided
_UNITS = (_REACH, _REACH, _REACH, 1.0, 1.0, 1.0)  # of a landmark's place and of its normal
_LEAST_DEVIATION = 0.01  # of what is seen, by which it is divided


@dataclass(frozen=True)
class NetworkConfig:
    """Sizes of a `PoseNetwork`.

    Attributes:
        width: of the hidden layers.
        layers: hidden ones.
        summary: features of the sum over landmarks.
        few_probes: whether it looks from `FEW_FINE` and `FEW_COARSE` alone.
    """

    width: int = 384
    layers: int = 3
    summary: int = 64
    few_probes: bool = False

    @property
    def looks(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The probes that see the fine level of a surface, and those that see the coarse one."""
        if self.few_probes:
            return FEW_FINE, FEW_COARSE
        return tuple(range(FINE)), tuple(range(ALL))


def features(
    poses: Float[Tensor, "objects grasps 4 4"],
    spread: Float[Tensor, "objects grasps"],
    probes: Probes,
    surface: Surface,
    curved: bool = True,
    config: NetworkConfig | None = None,
) -> Float[Tensor, "objects grasps features"]:
    """What the probes see.

    Args:
        poses: of the gripper, about the centre of each surface.
        spread: σℓ, how far grasps are moved by noise, metres.
        probes: of the gripper of each object, or of one for all.
        surface: of each object.
        curved: whether to be exact when differentiated by the poses twice; see `kernel_sums`.
        config: says which probes look; all unless given.
    """
    objects, grasps = poses.shape[:2]
    rotation, translation = poses[..., :3, :3], poses[..., :3, 3]
    fine, coarse = (config or NetworkConfig()).looks
    seen = []
    for chosen, factor, points, values in (
        (fine, 1.0, surface.points, surface.values),
        (coarse, _COARSE, surface.coarse_points, surface.coarse_values),
    ):
        # One product for all grasps of an object: many small ones take several times as long.
        places = rotation.flatten(1, 2) @ probes.places[:, chosen].mT
        places = places.unflatten(1, (grasps, 3)).mT + translation[..., None, :]
        own = probes.widths[:, None, chosen]
        width = torch.sqrt(own**2 + (_WIDENING * spread[..., None]) ** 2)
        amount, normal, distance = look(
            places.flatten(1, 2),
            factor * width.flatten(1)[..., None],
            points,
            values,
            curved,
        )
        seen += [
            amount.view(objects, grasps, len(chosen)),
            distance.view(objects, grasps, len(chosen)),
            (normal.view(objects, grasps, len(chosen), 3) @ rotation).flatten(2),
        ]
    upper = torch.triu_indices(3, 3, device=poses.device)
    centre = -(rotation.mT @ translation[..., None])[..., 0]
    covariance = rotation.mT @ surface.covariance[:, None] @ rotation
    return torch.cat(
        [*seen, centre / _REACH, covariance[..., upper[0], upper[1]] / _REACH**2], dim=-1
    )


class Summary(nn.Module):
    """The whole object seen from the gripper: Σᵢ aᵢ φ(A pᵢ + B nᵢ + C dᵢ + D(σ)) over landmarks.

    A sum over a set (Zaheer et al. 2017, "Deep Sets") of each landmark's place and normal in the
    gripper's frame and its description.

    Args:
        size: how many features.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.place = nn.Linear(6, size)
        self.described = nn.Linear(DESCRIBED, size, bias=False)
        self.noise = nn.Linear(_EMBEDDED, size, bias=False)

    def forward(
        self,
        poses: Float[Tensor, "objects grasps 4 4"],
        noise: Float[Tensor, "objects grasps embedded"],
        surface: Surface,
    ) -> Float[Tensor, "objects grasps size"]:
        """The sum that each pose sees."""
        grasps = poses.shape[1]
        rotation, translation = poses[..., :3, :3], poses[..., :3, 3]
        area, normal, described = surface.landmark_values.split([1, 3, DESCRIBED], dim=-1)
        # The layer's weights are turned, not the landmarks, so that one product serves all grasps.
        of_place, of_normal = (
            each @ rotation.mT
            for each in (self.place.weight / self.place.weight.new_tensor(_UNITS)).split(3, dim=1)
        )
        offset = self.place.bias + self.noise(noise) - (of_place @ translation[..., None])[..., 0]
        weights = torch.cat([of_place, of_normal, offset[..., None]], dim=-1).flatten(1, 2)
        ones = torch.ones_like(area)
        landmarks = torch.cat([surface.landmarks, normal, ones], dim=-1).mT
        hidden = (weights @ landmarks).unflatten(1, (grasps, self.place.out_features))
        hidden = hidden + self.described(described).mT[:, None]
        total: Tensor = (nn.functional.silu(hidden) @ area[:, None])[..., 0]
        return total


class Perceptron(nn.Module):
    """What is seen, the gripper's dimensions and the noise level to one number.

    Args:
        config: sizes.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        fine, coarse = config.looks
        seen = _PER_PROBE * (len(fine) + len(coarse)) + _OF_OBJECT
        self.register_buffer("mean", torch.zeros(seen))
        self.register_buffer("deviation", torch.ones(seen))
        self.noise = nn.Sequential(nn.Linear(2 * len(_FREQUENCIES), _EMBEDDED), nn.SiLU())
        self.modulation = nn.Linear(_EMBEDDED, 2 * config.width)
        self.summary = Summary(config.summary)
        self.first = nn.Linear(seen + config.summary + DIMENSIONS, config.width)
        self.hidden = nn.ModuleList(
            nn.Linear(config.width, config.width) for _ in range(config.layers - 1)
        )
        self.last = nn.Linear(config.width, 1)

    def standardize(self, seen: Float[Tensor, "*batch features"]) -> None:
        """Let what the probes see count relative to its mean and deviation in these examples."""
        flat = seen.flatten(0, -2)
        self.mean.copy_(flat.mean(0))
        self.deviation.copy_(flat.std(0) + _LEAST_DEVIATION)

    def forward(
        self,
        seen: Float[Tensor, "objects grasps features"],
        poses: Float[Tensor, "objects grasps 4 4"],
        noise_level: Float[Tensor, "objects grasps"],
        probes: Probes,
        surface: Surface,
    ) -> Float[Tensor, "objects grasps"]:
        """The number of each grasp.

        Args:
            seen: what `features` says.
            poses: as there.
            noise_level: σ.
            probes: as there.
            surface: as there.
        """
        phase = torch.log(noise_level)[..., None] * noise_level.new_tensor(_FREQUENCIES)
        noise = self.noise(torch.cat([phase.sin(), phase.cos()], dim=-1))
        given = torch.cat(
            [
                (seen - self.mean) / self.deviation,
                self.summary(poses, noise, surface),
                probes.dimensions[:, None].expand(*seen.shape[:2], -1),
            ],
            dim=-1,
        )
        scale, shift = self.modulation(noise).chunk(2, dim=-1)
        hidden = nn.functional.silu(self.first(given) * (1 + scale) + shift)
        for layer in self.hidden:
            hidden = hidden + nn.functional.silu(layer(hidden))
        number: Tensor = self.last(hidden)[..., 0]
        return number


class PoseNetwork(nn.Module):
    """One number of each pose, given a surface, a gripper and a noise level.

    Args:
        config: sizes.
        length: ℓ of SE(3), metres per radian.
    """

    def __init__(self, config: NetworkConfig, length: float) -> None:
        super().__init__()
        self.config, self.length = config, length
        self.perceptron = Perceptron(config)

    def forward(
        self,
        poses: Float[Tensor, "objects grasps 4 4"],
        noise_level: Float[Tensor, "objects grasps"],
        probes: Probes,
        surface: Surface,
        curved: bool = True,
    ) -> Float[Tensor, "objects grasps"]:
        """The number of each pose.

        Args:
            poses: of the gripper, about the centre of each surface, metres.
            noise_level: σ.
            probes: of the gripper of each object, or of one for all.
            surface: of each object.
            curved: whether to be exact when differentiated by the poses twice; see `kernel_sums`.
        """
        spread = noise_level * self.length
        seen = features(poses, spread, probes, surface, curved, self.config)
        number: Tensor = self.perceptron(seen, poses, noise_level, probes, surface)
        return number

    def standardize(
        self,
        poses: Float[Tensor, "objects grasps 4 4"],
        noise_level: Float[Tensor, "objects grasps"],
        probes: Probes,
        surface: Surface,
    ) -> None:
        """Fit the scale of the inputs to examples, before training; arguments as for `forward`."""
        spread = noise_level * self.length
        seen = features(poses, spread, probes, surface, config=self.config)
        self.perceptron.standardize(seen)


class EnergyNetwork(PoseNetwork):
    """E(H, σ | surface, gripper), up to a constant of each surface and σ."""

    def forward(
        self,
        poses: Float[Tensor, "objects grasps 4 4"],
        noise_level: Float[Tensor, "objects grasps"],
        probes: Probes,
        surface: Surface,
        curved: bool = True,
    ) -> Float[Tensor, "objects grasps"]:
        """The energy of each pose; arguments as for `PoseNetwork`."""
        number = super().forward(poses, noise_level, probes, surface, curved)
        # Where kernels are wider than the noise, features change little over its spread, over which
        # the energy should still change by about one.
        blur = _WIDENING * noise_level * self.length
        return number * torch.sqrt(_FINEST**2 + blur**2) / blur


class SuccessNetwork(PoseNetwork):
    """The logit of the probability that a grasp holds, at the least noise level.

    That of an object of little weight: what is heavy is told by `load_exponent`, c. Under a load ρ
    (see `grasp.field.weight`) the odds are smaller by (1 + ρ²)^(c/2).

    Args:
        config: sizes.
        length: ℓ of SE(3), metres per radian.
    """

    load_exponent: Tensor

    def __init__(self, config: NetworkConfig, length: float) -> None:
        super().__init__(config, length)
        self.register_buffer("load_exponent", torch.zeros(()))

    def under_load(
        self, logits: Float[Tensor, "*batch"], squared_load: Float[Tensor, "*batch"]
    ) -> Float[Tensor, "*batch"]:
        """The logits l under a load: l − c/2·log(1 + ρ²).

        Args:
            logits: that this network gives.
            squared_load: ρ² of each grasp; 0 where the weight is not known.
        """
        return logits - self.load_exponent / 2 * squared_load.log1p()

    @torch.no_grad()
    def rescale(self, scale: float, shift: float) -> None:
        """Replace every logit l by `scale`·l + `shift`, which Platt scaling fits.

        Args:
            scale: positive, so that grasps stay in their order.
            shift: added.

        Raises:
            InputError: the scale is not positive, or one of the two is not finite.
        """
        if not (0 < scale < math.inf and math.isfinite(shift)):
            raise InputError(
                f"logits are scaled by a positive number and shifted, got {scale} and {shift}"
            )
        last = self.perceptron.last
        last.weight.mul_(scale)
        last.bias.mul_(scale).add_(shift)
