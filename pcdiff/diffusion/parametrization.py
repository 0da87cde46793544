"""Conversions between four equivalent predictions: noise ε, clean point x₀, score and velocity v.

A model predicts the *noise* ε̂, in dimensionless unit coordinates of the tangent space at x_t,
because ε̂ is of order one at every level and on every manifold. The other predictions are computed
from ε̂, with Tweedie's formula x̂₀ = (x_t ⊕ σ² S ∇log p)/α and with ε̂ = −σ S^{1/2} ∇log p. Here ⊕ is
`retract` and S is the metric of the manifold. On a curved manifold, Tweedie's formula defines x̂₀
and is exact to leading order in σ.
"""

from __future__ import annotations

from torch import Tensor

from pcdiff.diffusion.schedules import Level
from pcdiff.manifolds.base import Manifold


def denoised_from_noise(manifold: Manifold, x: Tensor, noise: Tensor, level: Level) -> Tensor:
    """Return the estimate x̂₀ = (x_t ⊕ (−σ S^{1/2} ε̂))/α of the clean points."""
    step = -manifold.over_tangent(level.sigma) * manifold.from_unit(noise)
    return manifold.contract(1 / level.alpha, manifold.retract(x, step))


def noise_from_denoised(manifold: Manifold, x: Tensor, denoised: Tensor, level: Level) -> Tensor:
    """Return the noise ε̂ = −S^{-1/2} local(x_t, α x̂₀)/σ, in unit coordinates."""
    step = manifold.local(x, manifold.contract(level.alpha, denoised))
    return -manifold.to_unit(step) / manifold.over_tangent(level.sigma)


def score_from_noise(manifold: Manifold, noise: Tensor, level: Level) -> Tensor:
    """Return the score ∇log p = −S^{-1/2} ε̂/σ, a covector (on SE(3) per metre and per radian)."""
    return -manifold.to_unit(noise) / manifold.over_tangent(level.sigma)


def noise_from_score(manifold: Manifold, score: Tensor, level: Level) -> Tensor:
    """Return the noise ε̂ = −σ S^{1/2} ∇log p, in unit coordinates."""
    return -manifold.over_tangent(level.sigma) * manifold.from_unit(score)


def velocity_from_noise(manifold: Manifold, x: Tensor, noise: Tensor, level: Level) -> Tensor:
    """Return the velocity v = α ε − σ x₀ (Salimans & Ho 2022), on flat space with α² + σ² = 1."""
    denoised = denoised_from_noise(manifold, x, noise, level)
    alpha, sigma = (manifold.over_tangent(value) for value in level)
    return alpha * noise - sigma * denoised


def noise_from_velocity(manifold: Manifold, x: Tensor, velocity: Tensor, level: Level) -> Tensor:
    """Return the noise ε = α v + σ x_t, on flat space with α² + σ² = 1."""
    alpha, sigma = (manifold.over_tangent(value) for value in level)
    return alpha * velocity + sigma * x
