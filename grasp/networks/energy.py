"""The default networks: what the gripper's probes see of the surface, then a small perceptron.

From each probe the surface is seen through kernel sums at two widths: how much of it is near, the
signed distance to it (Σ w n·(x − p) / Σ w, the implicit moving least squares of Kolluri 2008, up
to a constant that lets it vanish where nothing is near), and its normal in the gripper's frame.
Kernels widen with the noise level: what is blurred in the data need not be seen sharply. With the
surface's centre and covariance in the gripper's frame, this is all that the perceptron sees, so its
output is invariant to moving object and gripper together, by construction, and smooth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from grasp.networks.kernel_sums import kernel_sums
from grasp.networks.probes import ALL, DIMENSIONS, FINE, Probes
from grasp.networks.surface import Surface

_WIDENING = 0.35  # of a kernel, over the spread σℓ of noisy grasps
_COARSE = 4.0  # widths of the coarse level over those of the fine one
_FLOOR = 0.05  # of the amount of surface that counts as near; a plane through the probe is 1
_FREQUENCIES = (0.5, 1.0, 2.0, 4.0)  # of log σ
_PER_PROBE = 5
_FINEST = 0.007  # a typical kernel without noise, metres


@dataclass(frozen=True)
class NetworkConfig:
    """Sizes of an `EnergyNetwork` or a `SuccessNetwork`.

    Attributes:
        width: of the hidden layers.
        layers: hidden ones.
    """

    width: int = 384
    layers: int = 3


def features(
    poses: Float[Tensor, "objects grasps 4 4"],
    spread: Float[Tensor, "objects grasps"],
    probes: Probes,
    surface: Surface,
) -> Float[Tensor, "objects grasps features"]:
    """What the probes see.

    Args:
        poses: of the gripper, about the centre of each surface.
        spread: σℓ, how far grasps are moved by noise, metres.
        probes: of the gripper of each object, or of one for all.
        surface: of each object.
    """
    objects, grasps = poses.shape[:2]
    rotation, translation = poses[..., :3, :3], poses[..., :3, 3]
    places = probes.places[:, None] @ rotation.mT + translation[..., None, :]
    blur = _WIDENING * spread[..., None]
    width = torch.sqrt(probes.widths[:, None] ** 2 + blur**2)
    seen = []
    for count, factor, points, values in (
        (FINE, 1.0, surface.points, surface.values),
        (ALL, _COARSE, surface.coarse_points, surface.coarse_values),
    ):
        flat = places[..., :count, :].flatten(1, 2)
        h = factor * width[..., :count].flatten(1)[..., None]
        sums = kernel_sums(flat, h**-2, points, values) / (2 * math.pi * h**2)
        amount, normal, offset = sums.split([1, 3, 1], dim=-1)
        near = amount + _FLOOR
        distance = ((flat * normal).sum(-1, keepdim=True) - offset) / (near * h)
        turned = (normal / near).view(objects, grasps, -1, 3) @ rotation
        seen += [
            torch.log1p(amount).view(objects, grasps, -1),
            distance.view(objects, grasps, -1),
            turned.flatten(2),
        ]
    upper = torch.triu_indices(3, 3, device=poses.device)
    centre = -(rotation.mT @ translation[..., None])[..., 0]
    covariance = rotation.mT @ surface.covariance[:, None] @ rotation
    return torch.cat([*seen, centre / 0.1, covariance[..., upper[0], upper[1]] / 0.01], dim=-1)


class Perceptron(nn.Module):
    """Features, the gripper's dimensions and the noise level to one number.

    Args:
        config: sizes.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        inputs = _PER_PROBE * (FINE + ALL) + 9 + DIMENSIONS
        self.noise = nn.Sequential(
            nn.Linear(2 * len(_FREQUENCIES), 64), nn.SiLU(), nn.Linear(64, 2 * config.width)
        )
        self.first = nn.Linear(inputs, config.width)
        self.hidden = nn.ModuleList(
            nn.Linear(config.width, config.width) for _ in range(config.layers - 1)
        )
        self.last = nn.Linear(config.width, 1)

    def forward(
        self,
        seen: Float[Tensor, "objects grasps features"],
        dimensions: Float[Tensor, "#objects dimensions"],
        noise_level: Float[Tensor, "objects grasps"],
    ) -> Float[Tensor, "objects grasps"]:
        """The number of each grasp."""
        phase = torch.log(noise_level)[..., None] * noise_level.new_tensor(_FREQUENCIES)
        scale, shift = self.noise(torch.cat([phase.sin(), phase.cos()], -1)).chunk(2, -1)
        given = torch.cat([seen, dimensions[:, None].expand(*seen.shape[:2], -1)], -1)
        hidden = nn.functional.silu(self.first(given) * (1 + scale) + shift)
        for layer in self.hidden:
            hidden = hidden + nn.functional.silu(layer(hidden))
        number: Tensor = self.last(hidden)[..., 0]
        return number


class EnergyNetwork(nn.Module):
    """E(H, σ | surface, gripper), up to a constant of each surface and σ.

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
    ) -> Float[Tensor, "objects grasps"]:
        """The energy of each grasp.

        Args:
            poses: of the gripper, about the centre of each surface, metres.
            noise_level: σ.
            probes: of the gripper of each object, or of one for all.
            surface: of each object.
        """
        spread = noise_level * self.length
        number = self.perceptron(
            features(poses, spread, probes, surface), probes.dimensions, noise_level
        )
        # Where kernels are wider than the noise, features change little over its spread, over which
        # the energy should still change by about one.
        blur = _WIDENING * spread
        return number * torch.sqrt(_FINEST**2 + blur**2) / blur


class SuccessNetwork(nn.Module):
    """The logit of the probability that a grasp holds in physics.

    Args:
        config: sizes.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.perceptron = Perceptron(config)

    def forward(
        self,
        poses: Float[Tensor, "objects grasps 4 4"],
        probes: Probes,
        surface: Surface,
    ) -> Float[Tensor, "objects grasps"]:
        """The logit of each grasp; arguments as for `EnergyNetwork`."""
        still = poses.new_zeros(poses.shape[:2])
        # There is no noise here; the logarithm of its level is 0.
        return self.perceptron(
            features(poses, still, probes, surface), probes.dimensions, torch.ones_like(still)
        )
