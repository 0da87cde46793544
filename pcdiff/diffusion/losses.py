"""The loss of denoising score matching, for all manifolds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from pcdiff.diffusion.parametrization import noise_from_score
from pcdiff.diffusion.process import perturb
from pcdiff.diffusion.schedules import Level, Schedule
from pcdiff.errors import InputError
from pcdiff.manifolds.base import Manifold
from pcdiff.randomness import Generator, uniform

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
    tail: float = 0.0,
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

    With a `tail`, the distribution that the model of level σ learns is a mixture of blurs: some of
    the noise is drawn at a level s > σ, the target is the score of that kernel, and the error is in
    units of s. A blur q_s then counts (s/σ)² times as often as it is drawn, and the best prediction
    is the score of the mixture with these weights, because q_s ∇log q_s = ∇q_s. The model thus
    also learns places that are much farther than σ from all clean points, where −log q grows like
    the logarithm of the distance instead of its square.

    Args:
        model: Noise predictor.
        manifold: Space of the points.
        schedule: Schedule of the levels in training.
        x0: Clean points, `(batch, *point)`.
        generator: One generator, or one generator per sample.
        condition: Condition that is passed to the model unchanged.
        others: Other clean points for each sample, `(batch, others, *point)`, drawn from the
            distribution of x₀ under the condition of the sample. None to use x₀ alone.
        tail: Probability, 0 to 1, with which the noise of a sample is drawn at a later time,
            uniform up to the latest time in training, while the model is told the earlier time.

    Returns:
        The loss of each sample, `(batch,)`, and the level of each sample.

    Raises:
        InputError: If the schedule has an α other than 1, and the manifold is curved or `tail` is
            above 0; or if `tail` is not from 0 to 1.
    """
    times = schedule.random_times(len(x0), generator)
    level = told = schedule(times)
    if tail:
        level = schedule(_later(times, schedule, tail, generator))
        if bool((level.alpha != told.alpha).any()):
            raise InputError("a tail needs a schedule whose α is 1 at all times")
    x = perturb(manifold, x0, level, generator)
    level, told = level.to(x0), told.to(x0)
    clean = x0.unsqueeze(1) if others is None else torch.cat([x0.unsqueeze(1), others], 1)
    means = manifold.contract(level.alpha[:, None], clean)
    score = manifold.mixture_score(means, x, level.sigma)
    target = noise_from_score(manifold, score, level)
    predicted = model(x, told, condition).to(target)
    if tail:
        predicted = predicted * manifold.over_tangent(level.sigma / told.sigma)
    return (predicted - target).square().flatten(1).mean(1), told


def _later(
    times: Float64[Tensor, " batch"], schedule: Schedule, share: float, generator: Generator
) -> Float64[Tensor, " batch"]:
    """Replace a share of the times by later times."""
    if not 0 <= share <= 1:
        raise InputError(f"the tail must be a share from 0 to 1, got {share}")
    latest, _ = schedule.trained_times
    chosen, how_far = uniform((len(times), 2), generator, times.dtype).to(times).unbind(1)
    return torch.where(chosen < share, times + (latest - times) * how_far, times)
