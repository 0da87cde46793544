"""The manifolds over which every law is tested: to test a new one, add one case to `CASES`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from pcdiff.manifolds import SE3, SO3, Euclidean, Manifold, Power, Product, so3
from pcdiff.randomness import Generator

CENTRE = torch.tensor([0.5, -0.3, 1.0])

Density = Callable[[Tensor, Tensor, float], Tensor]
"""log p(x | mean, σ) of one point up to a constant of σ, written down without the library."""


@dataclass(frozen=True, eq=False)
class Case:
    """A manifold and what the laws need to know about it.

    Attributes:
        name: Name in the test's id.
        manifold: The manifold.
        point: Shape of one point.
        metric: Diagonal of the metric S, in the order of a flattened tangent vector.
        log_density: log p(x | mean, σ) of its noise.
        centre: What `random` takes as its centre.
        seen_from_end: Unit noise of level σ, drawn at a point, in the frame of the point that it
            leads to.
    """

    name: str
    manifold: Manifold
    point: tuple[int, ...]
    metric: list[float]
    log_density: Density
    centre: Any = None
    seen_from_end: Callable[[Tensor, Tensor], Tensor] = lambda noise, sigma: noise

    def __str__(self) -> str:
        return self.name

    def draw(
        self, batch: tuple[int, ...], generator: Generator, dtype: torch.dtype = torch.float64
    ) -> Tensor:
        """Points far from the origin."""
        return self.manifold.random((*batch, *self.point), 1.0, generator, self.centre, dtype)

    def near(self, x: Tensor, distance: float, generator: torch.Generator) -> Tensor:
        """Points around those of `x`."""
        return self.manifold.retract(x, distance * self.manifold.tangent_noise(x, generator))

    def slopes(self, function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """Central differences along `retract` at one point, per coordinate of the tangent space."""
        step, zero = 1e-5, self.manifold.zero_tangent(x)
        basis = step * torch.eye(zero.numel(), dtype=torch.float64).unflatten(-1, zero.shape)
        ahead, behind = (
            torch.stack([function(self.manifold.retract(x, sign * v)) for v in basis])
            for sign in (1, -1)
        )
        return ((ahead - behind) / (2 * step)).view(zero.shape)


def flat(mean: Tensor, x: Tensor, sigma: float) -> Tensor:
    """−‖x − mean‖²/2σ²."""
    return -((x - mean) ** 2).sum() / (2 * sigma**2)


def wrapped_normal(mean: Tensor, x: Tensor, sigma: float) -> Tensor:
    """The sum over the preimages θ + 2πk of a rotation, term by term, in float64.

    A rotation vector of length r has the density (2πσ²)^{−3/2} exp(−r²/2σ²) with respect to
    Lebesgue measure. Haar measure is (1 − cos θ)/(4π² r²) times Lebesgue measure, because Exp maps
    the sphere of radius r, of area 4πr², to the rotations by the angle θ, which have the density
    (1 − cos θ)/π (Chirikjian & Kyatkin 2001, "Engineering Applications of Noncommutative Harmonic
    Analysis").
    """
    cosine = ((mean * x).sum() - 1) / 2
    angle = math.acos(min(max(float(cosine), -1.0), 1.0))
    total = 0.0
    for turn in range(-40, 41):
        radius = angle + 2 * math.pi * turn
        normal = (2 * math.pi * sigma**2) ** -1.5 * math.exp(-(radius**2) / (2 * sigma**2))
        total += normal * 4 * math.pi**2 * radius**2 / (1 - math.cos(angle))
    return torch.tensor(math.log(total), dtype=torch.float64)


def poses(length: float) -> Density:
    """Independent rotation and translation, the latter with the standard deviation σℓ."""

    def log_density(mean: Tensor, x: Tensor, sigma: float) -> Tensor:
        rotation = wrapped_normal(mean[:3, :3], x[:3, :3], sigma)
        return rotation + flat(mean[:3, 3], x[:3, 3], sigma * length)

    return log_density


def pose_and_width(mean: Tensor, x: Tensor, sigma: float) -> Tensor:
    """The first 16 entries are a pose and the last is a number."""
    (pose, width), (mean_pose, mean_width) = (
        (each[:16].view(4, 4), each[16:]) for each in (x, mean)
    )
    return poses(0.1)(mean_pose, pose, sigma) + flat(mean_width, width, sigma)


def turned(noise: Tensor, sigma: Tensor) -> Tensor:
    """Noise (ρ, ω) of poses, seen from ends that are turned by σω: (Exp(−σω) ρ, ω)."""
    turn = so3.exp(sigma.view(-1, *[1] * (noise.ndim - 1)) * noise[..., 3:])
    return torch.cat([(turn.mT @ noise[..., :3, None])[..., 0], noise[..., 3:]], dim=-1)


def pose_turned(noise: Tensor, sigma: Tensor) -> Tensor:
    """The first six entries are the noise of a pose."""
    return torch.cat([turned(noise[:, :6], sigma), noise[:, 6:]], dim=-1)


def three_poses(mean: Tensor, x: Tensor, sigma: float) -> Tensor:
    """Independent copies."""
    each = [poses(0.2)(*pair, sigma) for pair in zip(mean, x, strict=True)]
    return torch.stack(each).sum()


CASES = [
    Case("clouds", Euclidean(2), (4, 3), [1.0] * 12, flat),
    Case("vectors", Euclidean(1), (3,), [1.0] * 3, flat),
    Case("rotations", SO3(), (3, 3), [1.0] * 3, wrapped_normal),
    Case("poses", SE3(0.1), (4, 4), [0.01] * 3 + [1.0] * 3, poses(0.1), CENTRE, turned),
    Case("poses-1m", SE3(1.0), (4, 4), [1.0] * 6, poses(1.0), CENTRE, turned),
    Case(
        "pose-and-width",
        Product((SE3(0.1), Euclidean(1)), ((4, 4), (1,))),
        (17,),
        [0.01] * 3 + [1.0] * 4,
        pose_and_width,
        (CENTRE, None),
        pose_turned,
    ),
    Case(
        "cloud-and-vector",
        Product((Euclidean(2), Euclidean(1)), ((2, 3), (2,))),
        (8,),
        [1.0] * 8,
        flat,
    ),
    Case(
        "trajectory",
        Power(SE3(0.2)),
        (3, 4, 4),
        ([0.04] * 3 + [1.0] * 3) * 3,
        three_poses,
        CENTRE,
        turned,
    ),
]

over_manifolds = pytest.mark.parametrize("case", CASES, ids=str)
