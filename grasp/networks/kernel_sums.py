"""Sums over an object's points with Gaussian weights: how a place sees a surface, smoothly.

M(x) = Σᵢ exp(−‖x − pᵢ‖²/2h²) vᵢ is infinitely smooth in x: it has no nearest neighbour that could
change. Its derivative is a sum of the same kind, with the values v ⊗ p in place of v:

    ∂M/∂x = (Σᵢ wᵢ vᵢ ⊗ pᵢ − M ⊗ x)/h²

so one pass over the points gives values and derivatives, and derivatives of any order are exact.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

# exp(−80) is the least weight: smaller ones are below float32's normal numbers, with which
# processors calculate a hundred times slower, and they change no sum.
_LEAST_EXPONENT = -80.0


def kernel_sums(
    x: Float[Tensor, "objects queries 3"],
    precision: Float[Tensor, "objects queries 1"],
    points: Float[Tensor, "objects points 3"],
    values: Float[Tensor, "objects points channels"],
) -> Float[Tensor, "objects queries channels"]:
    """Σᵢ exp(−‖x − pᵢ‖²/2h²) vᵢ at each query x, differentiable any number of times in x alone.

    Args:
        x: where to sum, metres.
        precision: 1/h² of each query, 1/metre²; a constant.
        points: p, metres; constants.
        values: v; constants.
    """
    sums: Tensor = _KernelSums.apply(x, precision, points, values)
    return sums


class _KernelSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, precision: Tensor, points: Tensor, values: Tensor) -> Tensor:
        # ‖x − p‖² = ‖x‖² − 2x·p + ‖p‖², by one matrix product.
        rows = torch.cat([x * precision, precision], dim=-1)
        columns = torch.cat([points, -0.5 * points.square().sum(-1, keepdim=True)], dim=-1)
        offset = -0.5 * precision * x.square().sum(-1, keepdim=True)
        weights = torch.baddbmm(offset, rows, columns.mT).clamp_(_LEAST_EXPONENT, 0.0).exp_()
        channels = values.shape[-1]
        if ctx.needs_input_grad[0]:
            both = weights @ torch.cat([values, _times_points(values, points)], dim=-1)
            sums, moments = both.split([channels, 3 * channels], dim=-1)
        else:
            sums, moments = weights @ values, None
        ctx.save_for_backward(x, precision, points, values, sums, moments)
        return sums

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        x, precision, points, values, sums, moments = ctx.saved_tensors
        if torch.is_grad_enabled():  # the derivative is to be differentiated, too
            sums = kernel_sums(x, precision, points, values)
            moments = kernel_sums(x, precision, points, _times_points(values, points))
        moments = moments.unflatten(-1, (gradient.shape[-1], 3))
        pull = (gradient[..., None, :] @ moments)[..., 0, :]
        along = (gradient * sums).sum(-1, keepdim=True)
        return precision * (pull - along * x), None, None, None


def _times_points(values: Tensor, points: Tensor) -> Tensor:
    """v ⊗ p, with one axis for both."""
    return (values[..., None] * points[..., None, :]).flatten(-2)
