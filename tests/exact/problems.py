"""Models with known samples, and the samplers that are tested on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from pcdiff.diffusion.samplers import (
    DDIM,
    Ancestral,
    AnnealedLangevin,
    Multistep,
    Sampler,
    State,
    sample,
)
from pcdiff.diffusion.schedules import GeometricVarianceExploding, Level, Linear
from pcdiff.manifolds import SE3, SO3, Euclidean, Manifold, se3

PRESERVING, EXPLODING = Linear(200, 5e-4, 0.1), GeometricVarianceExploding(0.01, 50.0)
LINE = Euclidean(1)
STOCHASTIC = [
    Ancestral("posterior"),
    Ancestral("beta"),
    DDIM(0.5),
    DDIM(1.0),
    AnnealedLangevin(6, 0.8),
    AnnealedLangevin(2, 0.6, DDIM()),
]
DETERMINISTIC = [DDIM(), Multistep()]


def seeded(seed: int = 5) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def last_state(sampler: Sampler, model: Any, manifold: Manifold, *args: Any) -> State:
    *_, state = sample(sampler, model, manifold, *args)
    return state


@dataclass(frozen=True)
class Mixture:
    """The density Σₖ wₖ exp(−|S^{-1/2} Log(α mₖ, x)|²/2v), v = α²·deviation² + σ², on any space.

    On ℝⁿ it is the law of x_t for a mixture of Gaussians. On a curved space it belongs to no data,
    but its score is exact, because the gradient of half a squared distance is the negative
    logarithm. It defines an ODE without symmetries.
    """

    manifold: Manifold
    means: Tensor
    weights: Tensor
    deviation: float

    def noise(self, x: Tensor, level: Level, condition: Any = None) -> Tensor:
        variance = (level.alpha**2 * self.deviation**2 + level.sigma**2)[:, None]
        means = self.manifold.contract(level.alpha[:, None], self.means[None])
        x = x[:, None].expand(-1, len(self.weights), *x.shape[1:])
        offset = -self.manifold.to_unit(self.manifold.local(x, means.expand(x.shape)))
        logits = self.weights.log() - offset.square().flatten(2).sum(-1) / (2 * variance)
        blend = torch.einsum("bk,bk...->b...", logits.softmax(-1), offset)
        return self.manifold.over_tangent(level.sigma / variance[:, 0]) * blend


def line_mixture() -> tuple[Mixture, Tensor]:
    means = torch.tensor([[-1.0], [0.8]], dtype=torch.float64)
    weights = torch.tensor([0.3, 0.7], dtype=torch.float64)
    return Mixture(LINE, means, weights, 0.4), torch.linspace(-2, 2, 6, dtype=torch.float64)[
        :, None
    ]


def rotation_mixture() -> tuple[Mixture, Tensor]:
    vectors = [[0.3, -0.2, 0.5], [1.0, 0.4, -0.6]]
    means = torch.from_numpy(Rotation.from_rotvec(vectors).as_matrix())
    starts = [[0.9, 0.3, 0.4], [-0.5, 1.1, 0.2], [0.2, -0.9, -1.0]]
    x = torch.from_numpy(Rotation.from_rotvec(starts).as_matrix())
    return Mixture(SO3(), means, torch.tensor([0.6, 0.4], dtype=torch.float64), 0.4), x


def pose_mixture() -> tuple[Mixture, Tensor]:
    rotations, x = rotation_mixture()
    translations = torch.tensor([[0.1, 0.0, 0.3], [-0.1, 0.2, 0.2]], dtype=torch.float64)
    means = se3.pose(rotations.means, translations)
    starts = torch.tensor([[0.4, 0.1, 0.0], [0.0, -0.1, 0.5], [-0.2, 0.3, 0.1]])
    mixture = Mixture(SE3(0.25), means, rotations.weights, rotations.deviation)
    return mixture, se3.pose(x, starts.double())
