"""The network of the cloud's diffusion: every point on its own, gated by shape and noise level."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from pcdiff.embeddings import sinusoidal_embedding

REFERENCE_WIDTHS = (128, 256, 512, 256, 128)
"""Widths of the network of Luo & Hu (CVPR 2021), supplementary material."""


class GatedLinear(nn.Module):
    """y = sigmoid(G c) ∘ (W x + b) + B c: a linear layer on points, gated by a context.

    The "ConcatSquash" layer of FFJORD (Grathwohl et al. 2019), as in Luo & Hu 2021. Gate and shift
    are computed once a cloud, not once a point.

    Args:
        inputs: features of a point.
        outputs: features of a point, after.
        context: size of the context.
    """

    def __init__(self, inputs: int, outputs: int, context: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.gate = nn.Linear(context, outputs)
        self.shift = nn.Linear(context, outputs, bias=False)

    def forward(
        self, points: Float[Tensor, "batch points inputs"], context: Float[Tensor, "batch context"]
    ) -> Float[Tensor, "batch points outputs"]:
        """The layer applied to each point of each cloud."""
        y = self.linear(points)
        gate = torch.sigmoid(self.gate(context))[:, None].to(y.dtype)
        return torch.addcmul(self.shift(context)[:, None].to(y.dtype), y, gate)


class GatedPointNetwork(nn.Module):
    """`GatedLinear` layers over each point on its own, after Luo & Hu (CVPR 2021).

    Equivariant to the order of the points. Two things differ from theirs: the noise level enters
    as sines of its log signal-to-noise ratio, not as β, sin β and cos β, and latent and level are
    mixed by one hidden layer before they gate. What the vectors mean (ε, v) is the caller's.

    Args:
        latent: size of the shape latent.
        widths: widths of the hidden layers.
        level_features: size of the embedding of the noise level.
        context: size of the context; the latent enters it through one hidden layer.
    """

    def __init__(
        self,
        latent: int,
        widths: Sequence[int] = REFERENCE_WIDTHS,
        level_features: int = 64,
        context: int = 256,
    ) -> None:
        super().__init__()
        self.level_features = level_features
        self.context = nn.Sequential(nn.Linear(latent + level_features, context), nn.SiLU())
        sizes = pairwise([3, *widths, 3])
        self.layers = nn.ModuleList(GatedLinear(i, o, context) for i, o in sizes)

    def forward(
        self,
        points: Float[Tensor, "batch points 3"],
        log_snr: Float[Tensor, " batch"],
        latent: Float[Tensor, "batch latent"],
    ) -> Float[Tensor, "batch points 3"]:
        """A vector for each point.

        Args:
            points: noisy points, scaled to unit variance.
            log_snr: log(α²/σ²), the noise level.
            latent: the shape.
        """
        level = sinusoidal_embedding(log_snr, self.level_features, 1.0, 100.0)
        context = self.context(torch.cat([latent, level], dim=1))
        features = points
        for layer in self.layers[:-1]:
            features = functional.leaky_relu(layer(features, context), 0.01)
        return self.layers[-1](features, context).float()
