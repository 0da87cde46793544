"""The forward process on all manifolds, and its posterior on flat space."""

from __future__ import annotations

import torch
from torch import Tensor

from pcdiff.diffusion.schedules import Level
from pcdiff.errors import InputError
from pcdiff.manifolds.base import Manifold
from pcdiff.randomness import Generator


def perturb(manifold: Manifold, x0: Tensor, level: Level, generator: Generator) -> Tensor:
    """Draw noisy points x_t = α_t x₀ ⊕ σ_t S^{1/2} ε from q(x_t | x₀), with ε ~ N(0, I).

    Here ⊕ is `retract` and S is the metric of the manifold.

    Args:
        manifold: Space of the points.
        x0: Clean points, `(batch…, *point)`.
        level: Level of each point, `(batch…)`.
        generator: One generator, or one generator per sample.

    Raises:
        InputError: If the manifold is curved and a value of α differs from 1.
            Checked only if α is on the CPU.
    """
    manifold.check_signal(level.alpha)
    level = level.to(x0)
    noise = manifold.over_tangent(level.sigma) * manifold.tangent_noise(x0, generator)
    return manifold.retract(manifold.contract(level.alpha, x0), noise)


def transition(level: Level, earlier: Level) -> tuple[Tensor, Tensor]:
    """Return α_{t|s} = α_t/α_s and the variance σ²_{t|s} = σ_t² − α²_{t|s} σ_s² of q(x_t | x_s).

    Args:
        level: Level at time t.
        earlier: Level at time s < t.
    """
    alpha = level.alpha / earlier.alpha
    return alpha, level.sigma**2 - alpha**2 * earlier.sigma**2


def posterior_deviation(level: Level, earlier: Level) -> Tensor:
    """Return the standard deviation σ_q of q(x_s | x_t, x₀): σ_q² = σ²_{t|s} σ_s² / σ_t²."""
    _, variance = transition(level, earlier)
    return torch.sqrt(variance.clamp(min=0)) * earlier.sigma / level.sigma


def posterior(
    manifold: Manifold, x: Tensor, x0: Tensor, level: Level, earlier: Level
) -> tuple[Tensor, Tensor]:
    """Return the mean and the standard deviation of q(x_s | x_t, x₀) for any s < t.

    The mean is μ_q = (α_{t|s} σ_s² x_t + α_s σ²_{t|s} x₀)/σ_t² (Kingma et al. 2021, appendix A.2,
    equations 31 and 32). For adjacent steps, the formula agrees with equations 6 and 7 of Ho et al.
    2020. `transition` defines α_{t|s} and σ²_{t|s}.

    Args:
        manifold: Space of the points, which must be flat.
        x: Noisy points x_t, `(batch…, *point)`.
        x0: Clean points x₀, or the model's estimate of the clean points, `(batch…, *point)`.
        level: Level at time t, without axes.
        earlier: Level at time s < t, without axes.

    Returns:
        The mean, `(batch…, *point)`, and the standard deviation, a tensor without axes.

    Raises:
        InputError: If the manifold is curved, because the posterior exists only on flat space.
    """
    if not manifold.is_flat:
        raise InputError(
            f"the posterior q(x_s | x_t, x0) exists only on flat space, got {manifold}: "
            "use a deterministic or Langevin sampler"
        )
    alpha, variance = transition(level, earlier)
    mean = (alpha * earlier.sigma**2 * x + earlier.alpha * variance * x0) / level.sigma**2
    return mean, posterior_deviation(level, earlier)
