"""The reference network of the cloud head, which processes each point independently."""

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
"""Widths of the hidden layers in Luo & Hu (CVPR 2021), supplementary material."""


class GatedLinear(nn.Module):
    """A linear layer on points, gated by a context: y = sigmoid(G c + g) ∘ (W x + b) + B c.

    Here x is the feature vector of a point, c is the context vector of its cloud, and ∘ multiplies
    elements. FFJORD (Grathwohl et al. 2019) calls this layer "ConcatSquash", and Luo & Hu (2021)
    use it. The gate and the shift are computed once per cloud, not once per point.

    Args:
        inputs: Number of input features of a point.
        outputs: Number of output features of a point.
        context: Size of the context vector.
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
    """A stack of `GatedLinear` layers on independent points, after Luo & Hu (CVPR 2021).

    The network is equivariant to the order of the points. It differs from the network of Luo & Hu
    in two ways. The noise level enters as sines and cosines of its log signal-to-noise ratio, not
    as (β, sin β, cos β). A hidden layer mixes the latent with the noise level before the result
    gates the points.

    Args:
        latent: Size of the shape latent.
        widths: Widths of the hidden layers.
        level_features: Size of the embedding of the noise level.
        context: Size of the context vector, which a hidden layer computes from the latent and the
            noise level.
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
        """The predicted velocity v = α ε − σ x₀ at each point, for noise ε and clean point x₀.

        Args:
            points: Noisy points, scaled to unit variance.
            log_snr: Log signal-to-noise ratio log(α²/σ²) of each cloud.
            condition: A `pcdiff.clouds.condition.CloudCondition`. The network uses only the entry
                `latent`.
        """
        level = sinusoidal_embedding(log_snr, self.level_features, 1.0, 100.0)
        context = self.context(torch.cat([condition.latent, level], dim=1))
        features = points
        for layer in self.layers[:-1]:
            features = functional.leaky_relu(layer(features, context), 0.01)
        return self.layers[-1](features, context).float()
