"""Conversions between ε, x₀, score and v, which all carry the same information.

A model predicts the *noise* ε̂ in unit coordinates (dimensionless) of the tangent space at x_t.
This is the canonical form, because ε̂ is of order one at every level and on every manifold; the
other three are computed from it. They are related by Tweedie's formula, x̂₀ = (x_t ⊕ σ² S ∇log
p)/α, and by ε̂ = −σ S^{1/2} ∇log p. On a curved manifold "x̂₀" is the point that Tweedie's formula
gives, which is exact to leading order in σ.
"""

from __future__ import annotations

from torch import Tensor

from pcdiff.diffusion.schedules import Level
from pcdiff.manifolds.base import Manifold


def denoised_from_noise(manifold: Manifold, x: Tensor, noise: Tensor, level: Level) -> Tensor:
    """Return x̂₀ = (x_t ⊖ σ S^{1/2} ε̂)/α."""
    step = -manifold.over_tangent(level.sigma) * manifold.from_unit(noise)
    return manifold.contract(1 / level.alpha, manifold.retract(x, step))


def noise_from_denoised(manifold: Manifold, x: Tensor, denoised: Tensor, level: Level) -> Tensor:
    """Return ε̂ = −S^{-1/2} local(x_t, α x̂₀)/σ."""
    step = manifold.local(x, manifold.contract(level.alpha, denoised))
    return -manifold.to_unit(step) / manifold.over_tangent(level.sigma)


def score_from_noise(manifold: Manifold, noise: Tensor, level: Level) -> Tensor:
    """Return ∇log p = −S^{-1/2} ε̂/σ, a covector in the inverse of the tangent space's units."""
    return -manifold.to_unit(noise) / manifold.over_tangent(level.sigma)


def noise_from_score(manifold: Manifold, score: Tensor, level: Level) -> Tensor:
    """ε̂ = −σ S^{1/2} ∇log p."""
    return -manifold.over_tangent(level.sigma) * manifold.from_unit(score)


def velocity_from_noise(manifold: Manifold, x: Tensor, noise: Tensor, level: Level) -> Tensor:
    """Return v = α ε − σ x₀ (Salimans & Ho 2022), only for flat space and α² + σ² = 1."""
    denoised = denoised_from_noise(manifold, x, noise, level)
    alpha, sigma = (manifold.over_tangent(value) for value in level)
    return alpha * noise - sigma * denoised


def noise_from_velocity(manifold: Manifold, x: Tensor, velocity: Tensor, level: Level) -> Tensor:
    """Return ε = α v + σ x_t, only for flat space and α² + σ² = 1."""
    alpha, sigma = (manifold.over_tangent(value) for value in level)
    return alpha * velocity + sigma * x
