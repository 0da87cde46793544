"""Gaussian-weighted sums over an object's points: a smooth description of the surface near a place.

The sum at a place x over points pᵢ with values vᵢ, for kernels of width h, is

    M(x) = Σᵢ wᵢ vᵢ with the weights wᵢ = exp(−‖x − pᵢ‖²/2h²)

M is infinitely differentiable in x, because its formula has no nearest neighbour, which would
change abruptly. The derivative of M needs a kernel sum of the values v ⊗ p:

    ∂M/∂x = (Σᵢ wᵢ vᵢ ⊗ pᵢ − M ⊗ x)/h²

So one pass over the points gives the sum and its derivative. Derivatives of any order are exact.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

# The least weight is exp(−72). Smaller weights would give denormal float32 numbers, which slow
# processors down by a factor of a hundred. They would not change any sum.
_LEAST_EXPONENT = -72.0

_FLOOR = 0.05  # added to the amount of surface in denominators; a plane through x has amount 1

# Number of weights computed together. The weights fit into a processor's cache, which halves the
# time.
_AT_ONCE = 2**16


def kernel_sums(
    x: Float[Tensor, "objects queries 3"],
    precision: Float[Tensor, "objects queries 1"],
    points: Float[Tensor, "objects points 3"],
    values: Float[Tensor, "objects points channels"],
    curved: bool = True,
) -> Float[Tensor, "objects queries channels"]:
    """Compute the kernel sum Σᵢ exp(−‖x − pᵢ‖²/2h²) vᵢ at each place x.

    The sums are infinitely differentiable in x; no gradient flows to the other arguments. The
    function supports the transforms `vmap`, `jvp`, `jacrev`, `jacfwd` and `hessian` of
    `torch.func`.

    Args:
        x: Places of the sums (queries) in metres.
        precision: 1/h² of each place in 1/m², where h is the kernel width.
        points: Points p in metres.
        values: Values v of the points.
        curved: If true, second derivatives by x are exact. If false, the first derivative by x
            counts as a constant in second derivatives by x, and the computation takes less than
            half the time. A derivative by x and then by the weights of a network is exact in both
            cases.
    """
    with_moments = torch.is_grad_enabled() and x.requires_grad
    sums: Tensor = _KernelSums.apply(x, precision, points, values, curved, with_moments)[0]
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
    """Compute the amount, the normal and the distance of the surface near each place x.

    The amount is log(1 + A), where A is the kernel-weighted area; a plane through the place has
    A = 1. The normal is the kernel-weighted mean of the surface normals n. The distance is the
    signed distance of implicit moving least squares, Σ w n·(x − p) / Σ w (Kolluri 2008), in
    multiples of the kernel width. The weights w are the kernel times the area of each point. A
    constant is added to the denominators, so that the normal and the distance are almost 0 if no
    surface is near.

    Args:
        x: Places in metres.
        width: Kernel width h at each place in metres.
        points: Points p of the surface in metres.
        values: Values a, a·n and a·(n·p) of each point with area a in square metres; see `Surface`.
        curved: If true, second derivatives by x are exact; see `kernel_sums`.

    Returns:
        The amount, the normal and the distance at each place.
    """
    sums = kernel_sums(x, width**-2, points, values, curved) / (2 * math.pi * width**2)
    amount, normal, offset = sums.split([1, 3, 1], dim=-1)
    near = amount + _FLOOR
    distance = ((x * normal).sum(-1, keepdim=True) - offset) / (near * width)
    return torch.log1p(amount), normal / near, distance


class _KernelSums(torch.autograd.Function):
    """The kernel sums of v and, if requested, the sums of v ⊗ p, which give the derivative."""

    @staticmethod
    def forward(
        x: Tensor,
        precision: Tensor,
        points: Tensor,
        values: Tensor,
        curved: bool,
        with_moments: bool,
    ) -> tuple[Tensor, Tensor]:
        channels = values.shape[-1]
        if with_moments:
            values = torch.cat([values, _times_points(values, points)], dim=-1)
        both = _sums(x, precision, points, values)
        sums, moments = both.split([channels, both.shape[-1] - channels], -1)
        return sums.contiguous(), moments.contiguous()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        x, precision, points, values, ctx.curved, ctx.with_moments = inputs
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(x, precision, points, values, *output)
        ctx.save_for_forward(x, precision, points, values)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        x, precision, points, values, sums, moments = ctx.saved_tensors
        if not ctx.curved:
            x = x.detach()
        if not ctx.with_moments or (ctx.curved and torch.is_grad_enabled()):
            # The derivative may be differentiated again.
            sums = kernel_sums(x, precision, points, values)
            moments = kernel_sums(x, precision, points, _times_points(values, points))
        moments = moments.unflatten(-1, (gradient.shape[-1], 3))
        pull = (gradient[..., None, :] @ moments)[..., 0, :]
        along = (gradient * sums).sum(-1, keepdim=True)
        return precision * (pull - along * x), None, None, None, None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *_: Any) -> tuple[Tensor, None]:
        x, precision, points, values = ctx.saved_tensors
        sums = kernel_sums(x, precision, points, values)
        moments = kernel_sums(x, precision, points, _times_points(values, points))
        pull = (moments.unflatten(-1, (values.shape[-1], 3)) @ tangent[..., None])[..., 0]
        along = (x * tangent).sum(-1, keepdim=True)
        return precision * (pull - along * sums), None

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], *inputs: Any
    ) -> tuple[tuple[Tensor, Tensor], tuple[int, int]]:
        *tensors, curved, with_moments = inputs
        size = info.batch_size

        def in_front(tensor: Tensor, dim: int | None) -> Tensor:
            return tensor.expand(size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)

        batched = [in_front(*each) for each in zip(tensors, in_dims[:4], strict=True)]
        # The entries of the batch are treated as further objects.
        folded = [each.flatten(0, 1) for each in batched]
        sums, moments = _KernelSums.apply(*folded, curved, with_moments)
        return (sums.unflatten(0, (size, -1)), moments.unflatten(0, (size, -1))), (0, 0)


def _sums(x: Tensor, precision: Tensor, points: Tensor, values: Tensor) -> Tensor:
    # One matrix product gives all exponents −‖x − p‖²/2h² = (x·p − ‖p‖²/2 − ‖x‖²/2)/h².
    of_x, of_points = (-0.5 * each.square().sum(-1, keepdim=True) for each in (x, points))
    rows = torch.cat([x * precision, precision, of_x * precision], dim=-1)
    columns = torch.cat([points, of_points, torch.ones_like(of_points)], dim=-1).mT
    # The channels are rows, because matrix products with few columns are slow.
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
    """Compute the outer products v ⊗ p of values and points, flattened into one axis."""
    return (values[..., None] * points[..., None, :]).flatten(-2)
