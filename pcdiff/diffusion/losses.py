"""The loss of denoising score matching, for all manifolds."""

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
    """Compute ‖ε̂(x_t, t) − ε‖², averaged over the coordinates, at one random time per sample.

    The target ε is −σ S^{1/2} ∇log q(x_t | x₀), with the exact kernel score and the metric S of the
    manifold (see `Manifold`). On flat space, the target is the drawn noise, and the loss
    agrees with Algorithm 1 of Ho et al. 2020. In general, the loss is the denoising score
    matching of Vincent 2011 with the weight σ² of Song & Ermon 2019.

    With `others`, the target is computed from the score of an equally weighted mixture of kernels,
    one kernel at x₀ and one kernel at each point in `others`. The target is then averaged over all
    clean points from which x_t may come. The gradient of the loss keeps its mean and has less
    variance (Xu, Tong & Jaakkola 2023, "Stable target field").

    Args:
        model: Noise predictor.
        manifold: Space of the points.
        schedule: Schedule of the levels in training.
        x0: Clean points, `(batch, *point)`.
        generator: One generator, or one generator per sample.
        condition: Condition that is passed to the model unchanged.
        others: Other clean points for each sample, `(batch, others, *point)`, drawn from the
            distribution of x₀ under the condition of the sample. None to use x₀ alone.

    Returns:
        The loss of each sample, `(batch,)`, and the level of each sample.

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
