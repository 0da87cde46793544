"""The value and the gradient of a function on a manifold."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pcdiff.manifolds.base import Manifold


def value_and_gradient(
    function: Callable[[Tensor], Tensor],
    manifold: Manifold,
    x: Tensor,
    keep_graph: bool = False,
) -> tuple[Tensor, Tensor]:
    """Return the value f(x) and the gradient d/dv f(retract(x, v)) at v = 0.

    The gradient is a covector at `x`. On SE(3) its entries are per metre and per radian, in the
    body frame of the pose. The gradient differs from the derivative in log coordinates. The
    function is differentiated even if the caller has disabled gradients or uses inference mode.

    Args:
        function: f, which maps points `(batch…, *point)` to values `(batch…)`. Each value must
            depend only on its own point.
        manifold: Space of the points, which defines the retraction.
        x: Points, `(batch…, *point)`.
        keep_graph: True if the value and the gradient must themselves be differentiable.

    Returns:
        The values, `(batch…)`, and the gradients, `(batch…, *tangent)`.
    """
    with torch.inference_mode(False), torch.enable_grad():
        if x.is_inference():
            x = x.clone()
        step = manifold.zero_tangent(x).requires_grad_()
        value = function(manifold.retract(x, step))
        (gradient,) = torch.autograd.grad(value.sum(), step, create_graph=keep_graph)
    return (value, gradient) if keep_graph else (value.detach(), gradient)
