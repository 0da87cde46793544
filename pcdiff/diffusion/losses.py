"""Denoising score matching, one loss for all manifolds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jaxtyping import Float
from torch import Tensor

from pcdiff.diffusion.parametrization import noise_from_score
from pcdiff.diffusion.process import perturb
from pcdiff.diffusion.schedules import Level, Schedule
from pcdiff.manifolds.base import Manifold
from pcdiff.randomness import Generator

Model = Callable[[Tensor, Level, Any], Tensor]
"""`model(x, level, condition)` predicts the noise ε̂ in unit coordinates, `(batch…, *tangent)`."""


def denoising_loss(
    model: Model,
    manifold: Manifold,
    schedule: Schedule,
    x0: Tensor,
    generator: Generator,
    condition: Any = None,
) -> tuple[Float[Tensor, " batch"], Level]:
    """‖ε̂(x_t, t) − ε‖², the mean over coordinates, at one random time a sample.

    The target is −σ S^{1/2} ∇log q(x_t | x₀) with the manifold's exact kernel score. On flat space
    that is the noise that was drawn, and this is Algorithm 1 of Ho et al. 2020; in general it is
    the denoising score matching of Vincent 2011 with the weight σ² of Song & Ermon 2019.

    Args:
        model: the noise predictor.
        manifold: where the points live.
        schedule: the levels to train at.
        x0: clean points, `(batch, *point)`.
        generator: one generator, or one a sample.
        condition: handed to the model as it is.

    Returns:
        The loss of each sample and the levels it was taken at.
    """
    level = Level(*(v.to(x0) for v in schedule(schedule.random_times(len(x0), generator))))
    x = perturb(manifold, x0, level, generator)
    score = manifold.kernel_score(manifold.contract(level.alpha, x0), x, level.sigma)
    target = noise_from_score(manifold, score, level)
    error = model(x, level, condition).to(target) - target
    return error.square().flatten(1).mean(1), level
