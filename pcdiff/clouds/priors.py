"""Priors: probability distributions p(z) of the shape latent z."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pcdiff.bounds import check_whole
from pcdiff.errors import InputError
from pcdiff.randomness import Generator, normal

MOST_LAYERS = 1024
"""Largest accepted number of layers of a flow."""


class LatentPrior(nn.Module, ABC):
    """A probability distribution of the shape latent, from which latents can be drawn.

    A prior needs only the method `sample`. A prior that is not an `InvertiblePrior` has no
    density. With such a prior, training pulls q(z | x) towards N(0, I), the variational bound
    raises an error, and interpolation follows a straight line in z.
    """

    @abstractmethod
    def sample(
        self,
        count: int,
        generator: Generator,
        temperature: float = 1.0,
        device: torch.device | str = "cpu",
    ) -> Float[Tensor, "count *latent"]:
        """Draw latents z.

        Args:
            count: Number of latents.
            generator: One random generator, or one random generator per latent.
            temperature: Spread of the latents. Values below 1 give more typical shapes and less
                variety.
            device: Device of the latents, which must be the device of the prior's parameters.
        """


class InvertiblePrior(LatentPrior):
    """A prior z = f(w) with a density p(z), for an invertible f and a standard Gaussian w.

    Args:
        latent: Size of z.
    """

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.latent = latent

    @abstractmethod
    def to_base(
        self, z: Float[Tensor, "batch latent"]
    ) -> tuple[Float[Tensor, "batch latent"], Float[Tensor, " batch"]]:
        """Return w = f⁻¹(z) and log|det ∂w/∂z|."""

    @abstractmethod
    def from_base(self, w: Float[Tensor, "batch latent"]) -> Float[Tensor, "batch latent"]:
        """Return z = f(w)."""

    def log_prob(self, z: Float[Tensor, "batch latent"]) -> Float[Tensor, " batch"]:
        """Return log p(z) in nats, by the change-of-variables formula."""
        w, log_determinant = self.to_base(z)
        return log_determinant - 0.5 * (w.square() + math.log(2 * math.pi)).sum(dim=1)

    def sample(
        self,
        count: int,
        generator: Generator,
        temperature: float = 1.0,
        device: torch.device | str = "cpu",
    ) -> Float[Tensor, "count latent"]:
        """Draw latents z = f(temperature · w); see `LatentPrior.sample` for the arguments."""
        return self.from_base(temperature * normal((count, self.latent), generator, device=device))


class GaussianPrior(InvertiblePrior):
    """The prior p(z) = N(0, I) of a plain variational auto-encoder."""

    def to_base(
        self, z: Float[Tensor, "batch latent"]
    ) -> tuple[Float[Tensor, "batch latent"], Float[Tensor, " batch"]]:
        """Return z unchanged, and a log determinant of 0."""
        return z, z.new_zeros(len(z))

    def from_base(self, w: Float[Tensor, "batch latent"]) -> Float[Tensor, "batch latent"]:
        """Return w unchanged, because the map is the identity."""
        return w


class FlowPrior(InvertiblePrior):
    """A normalizing flow of affine coupling layers (RealNVP, Dinh et al. 2017), as in Luo & Hu.

    Each layer scales and shifts one half of the coordinates as a function of the other half, and
    the two halves alternate from layer to layer. An untrained flow is the identity.

    Args:
        latent: Size of z, an even number.
        layers: Number of coupling layers.
        hidden: Width of the two hidden layers of each coupling network.
    """

    def __init__(self, latent: int, layers: int = 8, hidden: int = 128) -> None:
        super().__init__(latent)
        if latent % 2:
            raise InputError(f"the latent size of a flow prior must be even, got {latent}")
        check_whole("layers", layers, 1, MOST_LAYERS)
        self.couplings = nn.ModuleList(_coupling_network(latent, hidden) for _ in range(layers))

    def to_base(
        self, z: Float[Tensor, "batch latent"]
    ) -> tuple[Float[Tensor, "batch latent"], Float[Tensor, " batch"]]:
        """Apply all layers to z, and return w and log|det ∂w/∂z|."""
        kept, moved = z.chunk(2, dim=1)
        log_determinant = z.new_zeros(len(z))
        for network in self.couplings:
            log_scale, shift = _scale_and_shift(network, kept)
            kept, moved = moved * log_scale.exp() + shift, kept
            log_determinant = log_determinant + log_scale.sum(dim=1)
        return torch.cat([kept, moved], dim=1), log_determinant

    def from_base(self, w: Float[Tensor, "batch latent"]) -> Float[Tensor, "batch latent"]:
        """Apply the inverse layers to w in reverse order, and return z."""
        kept, moved = w.chunk(2, dim=1)
        for network in reversed(self.couplings):
            log_scale, shift = _scale_and_shift(network, moved)
            kept, moved = moved, (kept - shift) * (-log_scale).exp()
        return torch.cat([kept, moved], dim=1)


def _coupling_network(latent: int, hidden: int) -> nn.Sequential:
    last = nn.Linear(hidden, latent)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(
        nn.Linear(latent // 2, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), last
    )


def _scale_and_shift(network: nn.Module, half: Tensor) -> tuple[Tensor, Tensor]:
    log_scale, shift = network(half).float().chunk(2, dim=1)
    return torch.tanh(log_scale), shift  # tanh bounds the scale of a layer
