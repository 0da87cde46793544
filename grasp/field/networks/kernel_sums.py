"""Sums over an object's points with Gaussian weights: how a place sees a surface, smoothly.

M(x) = Σᵢ exp(−‖x − pᵢ‖²/2h²) vᵢ is infinitely smooth in x: it has no nearest neighbour that could
change. Its derivative is a sum of the same kind, with the values v ⊗ p in place of v:

    ∂M/∂x = (Σᵢ wᵢ vᵢ ⊗ pᵢ − M ⊗ x)/h²

so one pass over the points gives values and derivatives, and derivatives of any order are exact.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

# exp(−72) is the least weight: what smaller ones make of values is below float32's normal numbers,
# with which processors calculate a hundred times slower, and they change no sum.
_LEAST_EXPONENT = -72.0

_FLOOR = 0.05  # of the amount of surface that counts as near; a plane through the place is 1

# Weights that are calculated together: they fit a processor's cache, which halves the time.
_AT_ONCE = 2**16


def kernel_sums(
    x: Float[Tensor, "objects queries 3"],
    precision: Float[Tensor, "objects queries 1"],
    points: Float[Tensor, "objects points 3"],
    values: Float[Tensor, "objects points channels"],
    curved: bool = True,
) -> Float[Tensor, "objects queries channels"]:
    """Σᵢ exp(−‖x − pᵢ‖²/2h²) vᵢ at each query x, differentiable any number of times in x alone.

    Args:
        x: where to sum, metres.
        precision: 1/h² of each query, 1/metre²; a constant.
        points: p, metres; constants.
        values: v; constants.
        curved: without it the first derivative counts as a constant when it is differentiated. Then
            what is differentiated by x and after that by a network's weights is still exact, at
            less than half the cost.
    """
    sums: Tensor = _KernelSums.apply(x, precision, points, values, curved)
    return sums


def look(
    x: Float[Tensor, "objects queries 3"],
    width: Float[Tensor, "objects queries 1"],
    points: Float[Tensor, "objects points 3"],
    values: Float[Tensor, "objects points 5"],
    curved: bool = True,
) -> tuple[
    Float[Tensor, "objects queries 1"],
    Float[Tensor, "objects queries 3"],
    Float[Tensor, "objects queries 1"],
]:
    """How much surface is near each place, which way it faces, and how far it is.

    The amount is the logarithm of 1 + the area under the kernel, 1 for a plane through the place;
    the normal is the mean of the normals; the distance, in widths, is that of implicit moving least
    squares, Σ w n·(x − p) / Σ w (Kolluri 2008). A constant in the denominators lets the last two
    vanish where nothing is near.

    Args:
        x: from where to look, metres.
        width: h of the kernel, metres.
        points: p, metres.
        values: a, a·n and a·(n·p) of each point for its area a, square metres; see `Surface`.
        curved: as for `kernel_sums`.
    """
    sums = kernel_sums(x, width**-2, points, values, curved) / (2 * math.pi * width**2)
    amount, normal, offset = sums.split([1, 3, 1], dim=-1)
    near = amount + _FLOOR
    distance = ((x * normal).sum(-1, keepdim=True) - offset) / (near * width)
    return torch.log1p(amount), normal / near, distance


class _KernelSums(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, precision: Tensor, points: Tensor, values: Tensor, curved: bool
    ) -> Tensor:
        if ctx.needs_input_grad[0]:
            channels = values.shape[-1]
            both = torch.cat([values, _times_points(values, points)], dim=-1)
            sums, moments = _sums(x, precision, points, both).split([channels, 3 * channels], -1)
        else:
            sums, moments = _sums(x, precision, points, values), None
        ctx.save_for_backward(x, precision, points, values, sums, moments)
        ctx.curved = curved
        return sums

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:
        x, precision, points, values, sums, moments = ctx.saved_tensors
        if not ctx.curved:
            x = x.detach()
        elif torch.is_grad_enabled():  # the derivative is to be differentiated, too
            sums = kernel_sums(x, precision, points, values)
            moments = kernel_sums(x, precision, points, _times_points(values, points))
        moments = moments.unflatten(-1, (gradient.shape[-1], 3))
        pull = (gradient[..., None, :] @ moments)[..., 0, :]
        along = (gradient * sums).sum(-1, keepdim=True)
        return precision * (pull - along * x), None, None, None, None


def _sums(x: Tensor, precision: Tensor, points: Tensor, values: Tensor) -> Tensor:
    # −‖x − p‖²/2h² = (x·p − ‖p‖²/2 − ‖x‖²/2)/h², by one matrix product.
    of_x, of_points = (-0.5 * each.square().sum(-1, keepdim=True) for each in (x, points))
    rows = torch.cat([x * precision, precision, of_x * precision], dim=-1)
    columns = torch.cat([points, of_points, torch.ones_like(of_points)], dim=-1).mT
    # The few channels come first: products of many columns by few are slow.
    channels = values.mT.contiguous()
    sums = x.new_empty(*channels.shape[:-1], x.shape[-2])
    at_once = max(1, _AT_ONCE // points.shape[-2])
    for row, column, channel, into in zip(rows, columns, channels, sums, strict=True):
        parts = zip(row.split(at_once), into.split(at_once, dim=-1), strict=True)
        for some, result in parts:
            weights = torch.mm(some, column).clamp_(_LEAST_EXPONENT, 0.0).exp_()
            result.copy_(torch.mm(channel, weights.T))
    return sums.mT.contiguous()


def _times_points(values: Tensor, points: Tensor) -> Tensor:
    """v ⊗ p, with one axis for both."""
    return (values[..., None] * points[..., None, :]).flatten(-2)
