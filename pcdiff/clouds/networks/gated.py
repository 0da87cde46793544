"""The reference network of the cloud head: points on their own, gated by shape and noise level."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from pcdiff.embeddings import sinusoidal_embedding

REFERENCE_WIDTHS = (128, 256, 512, 256, 128)
"""Widths of the network of Luo & Hu (CVPR 2021), supplementary material."""


class GatedLinear(nn.Module):
    """y = sigmoid(G c) ∘ (W x + b) + B c: a linear layer on points, gated by a context.

    This is the "ConcatSquash" layer of FFJORD (Grathwohl et al. 2019), as in Luo & Hu 2021. The
    gate and the shift are computed once per cloud, not once per point.

    Args:
        inputs: Number of input features of a point.
        outputs: Number of output features of a point.
        context: Size of the context.
    """

    def __init__(self, inputs: int, outputs: int, context: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.gate = nn.Linear(context, outputs)
        self.shift = nn.Linear(context, outputs, bias=False)

    def forward(
        self, points: Float[Tensor, "batch points inputs"], context: Float[Tensor, "batch context"]
    ) -> Float[Tensor, "batch points outputs"]:
        """Apply the layer to each point of each cloud."""
        y = self.linear(points)
        gate = torch.sigmoid(self.gate(context))[:, None].to(y.dtype)
        return torch.addcmul(self.shift(context)[:, None].to(y.dtype), y, gate)


class GatedPointNetwork(nn.Module):
    """`GatedLinear` layers that treat each point on its own, after Luo & Hu (CVPR 2021).

    The network is equivariant to the order of the points. It differs from that of Luo & Hu in two
    ways: the noise level enters as sines of its log signal-to-noise ratio, rather than as (β, sin
    β, cos β), and one hidden layer mixes the latent and the level before they gate the points.

    Args:
        latent: Size of the shape latent.
        widths: Widths of the hidden layers.
        level_features: Size of the embedding of the noise level.
        context: Size of the context vector that one hidden layer computes from the latent and the
            level.
    """

    independent_points = True

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
        condition: Any,
    ) -> Float[Tensor, "batch points 3"]:
        """The velocity at each point.

        Args:
            points: Noisy points, scaled to unit variance.
            log_snr: log(α²/σ²) of each cloud, which states the noise level.
            condition: A `pcdiff.clouds.condition.CloudCondition`, of which only `latent` is used.
        """
        level = sinusoidal_embedding(log_snr, self.level_features, 1.0, 100.0)
        context = self.context(torch.cat([condition.latent, level], dim=1))
        features = points
        for layer in self.layers[:-1]:
            features = functional.leaky_relu(layer(features, context), 0.01)
        return self.layers[-1](features, context).float()
