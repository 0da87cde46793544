"""Maps on manifolds under `torch.func` and `torch.export`, over all manifolds.

Both fail on control flow that depends on data, and that is also what makes a host wait for a GPU.
"""

from __future__ import annotations

import math

import pytest
import torch
from jaxtyping import config
from torch import Tensor
from torch.func import hessian, jacfwd, jacrev, vmap

from pcdiff.manifolds import so3
from pcdiff.manifolds.base import Manifold
from tests.laws.cases import Case, over_manifolds

# torch's own forward mode loads code that torch itself deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")


def some(case: Case, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Points, points near them, tangent vectors and noise levels."""
    x = case.draw((5,), generator)
    v = 0.3 * case.manifold.tangent_noise(x, generator)
    sigma = 0.2 + 0.6 * torch.rand(5, dtype=torch.float64, generator=generator)
    return x, case.near(x, 0.4, generator), v, sigma


@over_manifolds
def test_vmap(case: Case, generator: torch.Generator) -> None:
    """On SO(3), where noise levels cannot be read, all turns are summed: they change nothing."""
    manifold, (x, y, v, sigma) = case.manifold, some(case, generator)
    for function, arguments in (
        (manifold.retract, (x, v)),
        (manifold.local, (x, y)),
        (manifold.kernel_score, (x, y, sigma)),
        (manifold.log_kernel, (x, y, sigma)),
        (manifold.mixture_score, (torch.stack([x, y], dim=1), x, sigma)),
    ):
        found = vmap(function)(*arguments)
        torch.testing.assert_close(found, function(*arguments), rtol=1e-13, atol=1e-13)


@over_manifolds
def test_kernels_on_a_device_without_values(case: Case, generator: torch.Generator) -> None:
    """torch's meta device has shapes only, so nothing may read a value."""
    manifold = case.manifold
    x, y, v, sigma = (each.to("meta") for each in some(case, generator))
    assert manifold.retract(x, v).shape == x.shape
    assert manifold.local(x, y).shape == v.shape
    assert manifold.kernel_score(x, y, sigma).shape == v.shape
    assert manifold.log_kernel(x, y, sigma).shape == (5,)
    assert manifold.mixture_score(x[:, None], y, sigma).shape == v.shape
    manifold.check_signal(sigma)
    assert manifold.contract(sigma, x).shape == x.shape


@over_manifolds
def test_jacobians_agree(case: Case, generator: torch.Generator) -> None:
    """Forward and reverse mode, mapped over a batch."""
    manifold, (x, y, v, _) = case.manifold, some(case, generator)
    for function, arguments in ((manifold.retract, (x, v)), (manifold.local, (x, y))):
        forward = vmap(jacfwd(function, argnums=(0, 1)))(*arguments)
        reverse = vmap(jacrev(function, argnums=(0, 1)))(*arguments)
        for one, other in zip(forward, reverse, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@over_manifolds
def test_local_after_retract_is_linear(case: Case, generator: torch.Generator) -> None:
    """v ↦ local(x, retract(x, v)) is the identity: its Jacobian is I and its Hessian is 0."""
    manifold, (x, _, v, _) = case.manifold, some(case, generator)

    def there_and_back(x: Tensor, u: Tensor) -> Tensor:
        return manifold.local(x, manifold.retract(x, u.view(v.shape[1:]))).flatten()

    flat, size = v.flatten(1), v[0].numel()
    jacobian = vmap(jacrev(there_and_back, argnums=1))(x, flat)
    identity = torch.eye(size, dtype=torch.float64).expand(5, size, size)
    torch.testing.assert_close(jacobian, identity, rtol=0, atol=1e-12)
    curvature = hessian(there_and_back, argnums=1)(x[0], flat[0])
    torch.testing.assert_close(curvature, torch.zeros_like(curvature), rtol=0, atol=1e-11)


class RoundTrip(torch.nn.Module):
    """`retract` and `local` as a module, which is what can be exported."""

    def __init__(self, manifold: Manifold) -> None:
        super().__init__()
        self.manifold = manifold

    def forward(self, x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        y = self.manifold.retract(x, v)
        return y, self.manifold.local(x, y)


@over_manifolds
def test_export_at_any_batch_size(
    case: Case, generator: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, _, v, _ = some(case, generator)
    batch = torch.export.Dim("batch", min=2)
    module = RoundTrip(case.manifold)
    # The check of annotated shapes would fix every size that it sees.
    monkeypatch.setattr(config, "jaxtyping_disable", True)
    exported = torch.export.export(module, (x, v), dynamic_shapes=({0: batch}, {0: batch}))
    for count in (2, 4):
        found = exported.module()(x[:count], v[:count])
        for one, other in zip(found, module(x[:count], v[:count]), strict=True):
            torch.testing.assert_close(one, other)


@pytest.mark.parametrize("angle", [0.0, 1e-6, 0.5, 2.0])
def test_hessian_of_a_rotation_angle(angle: float) -> None:
    """∂²/∂v² of |Log(R·Exp(v))|²/2 at v = 0: 1 along ω, and (θ/2) cot(θ/2) across it."""
    axis = torch.tensor([0.0, 0.6, 0.8], dtype=torch.float64)
    rotation = so3.exp(angle * axis)

    def half_square(v: Tensor) -> Tensor:
        return so3.log(rotation @ so3.exp(v)).square().sum() / 2

    across = 1.0 if angle == 0 else angle / 2 / math.tan(angle / 2)
    outer = axis[:, None] * axis
    expected = outer + across * (torch.eye(3, dtype=torch.float64) - outer)
    found = hessian(half_square)(torch.zeros(3, dtype=torch.float64))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
