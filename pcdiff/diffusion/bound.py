"""The variational upper bound on −log p(x₀) and its terms, on flat space."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pcdiff.diffusion.losses import Model
from pcdiff.diffusion.parametrization import denoised_from_noise
from pcdiff.diffusion.process import perturb, posterior
from pcdiff.diffusion.schedules import Level
from pcdiff.errors import InputError
from pcdiff.manifolds.base import Manifold
from pcdiff.randomness import Generator


@dataclass(frozen=True)
class Bound:
    """An upper bound on −log p(x₀) of each sample, and the terms of this bound, in nats.

    x₀ is continuous, so p is a probability density. The values of p and of the bound depend on the
    units of the coordinates, and the bound can be negative. KL is the Kullback–Leibler divergence.

    Attributes:
        dimensions: Number of coordinates of one sample.
        prior_matching: KL(q(x_T | x₀) ‖ p(x_T)), in nats.
        denoising_matching: KL(q(x_s | x_t, x₀) ‖ p(x_s | x_t)) of each step, in nats, with the
            noisiest step first.
        reconstruction: −log p(x₀ | x₁), in nats.
        latent: KL(q(z | x₀) ‖ p(z)) of the latent z, in nats; 0 for a model without a latent.
    """

    dimensions: int
    prior_matching: Float[Tensor, " batch"]
    denoising_matching: Float[Tensor, "steps batch"]
    reconstruction: Float[Tensor, " batch"]
    latent: Float[Tensor, " batch"]

    @property
    def total(self) -> Float[Tensor, " batch"]:
        """The bound in nats: the sum of all terms."""
        denoising = self.denoising_matching.sum(dim=0)
        return self.prior_matching + denoising + self.reconstruction + self.latent

    @property
    def bits_per_dimension(self) -> Float[Tensor, " batch"]:
        """The bound in bits, divided by the number of coordinates."""
        return self.total / (self.dimensions * math.log(2))


def variational_bound(
    model: Model,
    manifold: Manifold,
    x0: Tensor,
    levels: Level,
    generator: Generator,
    condition: Any = None,
    latent: Float[Tensor, " batch"] | None = None,
    prior_deviation: float = 1.0,
) -> Bound:
    """Estimate the variational bound of a chain of noise levels, with one random x_t per step.

    The bound is equation 5 of Ho et al. 2020. The chain is p(x_T) = N(0, prior_deviation² I) and
    p(x_s | x_t) = q(x_s | x_t, x̂₀(x_t)). The decoder of the last step is
    p(x₀ | x₁) = N(x̂₀(x₁), (σ₁/α₁)² I). All terms are computed in closed form, in float64.

    Args:
        model: Noise predictor.
        manifold: Space of the points, which must be flat.
        x0: Clean points, `(batch, *point)`.
        levels: Levels of the chain, on the CPU, from the noisiest level to the clean level
            (α, σ) = (1, 0).
        generator: One generator, or one generator per sample.
        condition: Condition that is passed to the model unchanged.
        latent: KL divergence of the latent of each sample, in nats, `(batch,)`; None means 0.
        prior_deviation: Standard deviation of p(x_T); 1 for a variance-preserving schedule.

    Raises:
        InputError: If the manifold is curved, or if the chain does not end at the clean level.
    """
    if not manifold.is_flat:
        raise InputError(f"the variational bound exists only on flat space, got {manifold}")
    first, *_, clean = chain = list(levels.each())
    if clean.sigma != 0:
        raise InputError(
            "the chain must end at the clean level, sigma = 0, "
            f"got sigma = {float(clean.sigma):.3g}"
        )
    terms = list(_steps(model, manifold, x0, chain, generator, condition))
    signal, noise = first.alpha / prior_deviation, first.sigma / prior_deviation
    prior_matching = 0.5 * _sum(signal**2 * x0.double() ** 2 + noise**2 - 1 - 2 * torch.log(noise))
    zeros = torch.zeros_like(prior_matching)
    return Bound(
        dimensions=x0[0].numel(),
        prior_matching=prior_matching,
        denoising_matching=torch.stack(terms[:-1]) if len(terms) > 1 else zeros[None][:0],
        reconstruction=terms[-1],
        latent=zeros if latent is None else latent.double(),
    )


def _steps(
    model: Model,
    manifold: Manifold,
    x0: Tensor,
    chain: list[Level],
    generator: Generator,
    condition: Any,
) -> Iterator[Tensor]:
    """Yield the KL divergence of each step and, for the last step, the term of the decoder."""
    for level, earlier in pairwise(chain):
        over_batch = level.over_batch(x0, manifold.point_ndim)
        x = perturb(manifold, x0, over_batch, generator)
        noise = model(x, over_batch, condition).double()
        denoised = denoised_from_noise(manifold, x.double(), noise, level)
        if earlier.sigma > 0:
            ours, deviation = posterior(manifold, x.double(), denoised, level, earlier)
            true, _ = posterior(manifold, x.double(), x0.double(), level, earlier)
            yield 0.5 * _sum(((true - ours) / deviation) ** 2)
        else:
            deviation = level.sigma / level.alpha
            error = (x0.double() - denoised) / deviation
            yield 0.5 * _sum(error**2 + 2 * torch.log(deviation) + math.log(2 * math.pi))


def _sum(terms: Tensor) -> Tensor:
    return terms.flatten(1).sum(dim=1)
