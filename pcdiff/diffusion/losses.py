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
    """Compute ‖ε̂(x_t, t) − ε‖², averaged over coordinates, at one random time per sample.

    The target is −σ S^{1/2} ∇log q(x_t | x₀) with the exact kernel score of the manifold and its
    scaling S (see `Manifold`). On flat space it equals the noise that was drawn, and this is
    Algorithm 1 of Ho et al. 2020. In general it is the denoising score matching of Vincent 2011
    with the weight σ² of Song & Ermon 2019.

    With `others`, the target is the score of an equally weighted mixture of the kernels about x₀
    and about each of them. That is the mean target over all points from which x_t may have come,
    so the gradient keeps its mean and has less variance (Xu, Tong & Jaakkola 2023, "Stable target
    field").

    Args:
        model: Noise predictor.
        manifold: Space of the points.
        schedule: Schedule whose levels are trained.
        x0: Clean points, `(batch, *point)`.
        generator: One generator, or one per sample.
        condition: Condition that is passed to the model unchanged.
        others: More clean points with the same condition as each sample, drawn from the same law
            as x₀, `(batch, others, *point)`.

    Returns:
        The loss of each sample, `(batch,)`, and the level at which it was computed.

    Raises:
        InputError: If the manifold is curved and the schedule has an α other than 1.
    """
    level = schedule(schedule.random_times(len(x0), generator))
    x = perturb(manifold, x0, level, generator)
    level = level.to(x0)
    clean = x0.unsqueeze(1) if others is None else torch.cat([x0.unsqueeze(1), others], 1)
    means = manifold.contract(level.alpha[:, None], clean)
    score = manifold.mixture_score(means, x, level.sigma)
    target = noise_from_score(manifold, score, level)
    error = model(x, level, condition).to(target) - target
    return error.square().flatten(1).mean(1), level
