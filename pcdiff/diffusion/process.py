"""The forward process on any manifold, and its posterior, which exists only on flat space."""

from __future__ import annotations

import torch
from torch import Tensor

from pcdiff.diffusion.schedules import Level
from pcdiff.errors import InputError
from pcdiff.manifolds.base import Manifold
from pcdiff.randomness import Generator


def perturb(manifold: Manifold, x0: Tensor, level: Level, generator: Generator) -> Tensor:
    """Draw x_t from q(x_t | x₀): x_t = α_t x₀ ⊕ σ_t S^{1/2} ε with ε standard normal.

    Args:
        manifold: Space of the points.
        x0: Clean points, `(batch…, *point)`.
        level: α and σ, `(batch…)`.
        generator: One generator, or one per sample.

    Raises:
        InputError: If the manifold is curved and an α on the CPU differs from 1.
    """
    manifold.check_signal(level.alpha)
    level = level.to(x0)
    noise = manifold.over_tangent(level.sigma) * manifold.tangent_noise(x0, generator)
    return manifold.retract(manifold.contract(level.alpha, x0), noise)


def transition(level: Level, earlier: Level) -> tuple[Tensor, Tensor]:
    """Return α_{t|s} = α_t/α_s and σ²_{t|s} = σ_t² − α²_{t|s} σ_s² of q(x_t | x_s), for s < t.

    Args:
        level: Level at t.
        earlier: Level at s < t.
    """
    alpha = level.alpha / earlier.alpha
    return alpha, level.sigma**2 - alpha**2 * earlier.sigma**2


def posterior_deviation(level: Level, earlier: Level) -> Tensor:
    """Return σ_q of q(x_s | x_t, x₀), with σ_q² = σ²_{t|s} σ_s² / σ_t²."""
    _, variance = transition(level, earlier)
    return torch.sqrt(variance.clamp(min=0)) * earlier.sigma / level.sigma


def posterior(
    manifold: Manifold, x: Tensor, x0: Tensor, level: Level, earlier: Level
) -> tuple[Tensor, Tensor]:
    """Return the mean and the standard deviation of q(x_s | x_t, x₀) for any s < t.

    μ_q = (α_{t|s} σ_s² x_t + α_s σ²_{t|s} x₀)/σ_t²: equations 6 and 7 of Ho et al. 2020 for
    adjacent steps, and equations 31 and 32 of Kingma et al. 2021, appendix A.2, in this form.

    Args:
        manifold: Space of the points, which must be flat.
        x: x_t, `(batch…, *point)`.
        x0: Clean points, or the model's estimate of them, `(batch…, *point)`.
        level: Level at t, without axes.
        earlier: Level at s < t, without axes.

    Returns:
        The mean, `(batch…, *point)`, and the standard deviation, without axes.

    Raises:
        InputError: If the manifold is curved, because no such posterior exists there.
    """
    if not manifold.is_flat:
        raise InputError(
            f"the posterior q(x_s | x_t, x0) exists only on flat space, got {manifold}: "
            "use a deterministic or Langevin sampler"
        )
    alpha, variance = transition(level, earlier)
    mean = (alpha * earlier.sigma**2 * x + earlier.alpha * variance * x0) / level.sigma**2
    return mean, posterior_deviation(level, earlier)
