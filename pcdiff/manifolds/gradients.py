"""The gradient of a function on a manifold, taken along the retraction."""

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
    """Return f(x) and its gradient d/dv f(retract(x, v)) at v = 0.

    The gradient is a covector in the tangent space at `x`: on SE(3) it is per metre and per radian
    in the body frame. It differs from the derivative in log coordinates. The function is
    differentiated even if the caller has switched gradients off or is in inference mode.

    Args:
        function: f, which maps points `(batch…, *point)` to values `(batch…)`; each value must
            depend on its own point only.
        manifold: Space of the points, which defines the retraction.
        x: Points, `(batch…, *point)`.
        keep_graph: True to make the value and the gradient differentiable themselves.

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
