"""Denoising score matching, one loss for all manifolds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
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
    others: Tensor | None = None,
) -> tuple[Float[Tensor, " batch"], Level]:
    """‖ε̂(x_t, t) − ε‖², the mean over coordinates, at one random time a sample.

    The target is −σ S^{1/2} ∇log q(x_t | x₀) with the manifold's exact kernel score. On flat space
    that is the noise that was drawn, and this is Algorithm 1 of Ho et al. 2020; in general it is
    the denoising score matching of Vincent 2011 with the weight σ² of Song & Ermon 2019.

    With `others` it is the score of the even mixture of the kernels about x₀ and about them, which
    is the mean of the target over the points that x_t may have come from: the gradient has the same
    mean as without, and less variance (Xu, Tong & Jaakkola 2023, "Stable target field").

    Args:
        model: the noise predictor.
        manifold: where the points live.
        schedule: the levels to train at.
        x0: clean points, `(batch, *point)`.
        generator: one generator, or one a sample.
        condition: handed to the model as it is.
        others: further clean points under the condition of each sample, `(batch, others, *point)`,
            drawn as x₀ was.

    Returns:
        The loss of each sample and the levels it was taken at.
    """
    level = Level(*(v.to(x0) for v in schedule(schedule.random_times(len(x0), generator))))
    x = perturb(manifold, x0, level, generator)
    clean = x0.unsqueeze(1) if others is None else torch.cat([x0.unsqueeze(1), others], 1)
    means = manifold.contract(level.alpha[:, None], clean)
    score = manifold.mixture_score(means, x, level.sigma)
    target = noise_from_score(manifold, score, level)
    error = model(x, level, condition).to(target) - target
    return error.square().flatten(1).mean(1), level
