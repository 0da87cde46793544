"""The embedding that converts a noise level into input features of a neural network."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor


def sinusoidal_embedding(
    value: Float[Tensor, " batch"], width: int, shortest_period: float, longest_period: float
) -> Float[Tensor, "batch width"]:
    """Embed numbers as cosines and sines with geometrically spaced periods (Vaswani et al. 2017).

    Args:
        value: Numbers to embed.
        width: Number of features, which must be even.
        shortest_period: Period of the first cosine and sine, in the units of `value`.
        longest_period: Period of the last cosine and sine, in the units of `value`.
    """
    ends = torch.tensor([shortest_period, longest_period], device=value.device).log()
    periods = torch.lerp(ends[0], ends[1], torch.linspace(0, 1, width // 2, device=value.device))
    phase = 2 * math.pi * value[:, None] / periods.exp()
    return torch.cat([phase.cos(), phase.sin()], dim=1)
