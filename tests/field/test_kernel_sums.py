"""Kernel sums against a direct sum, and their derivatives against finite differences."""

from __future__ import annotations

import math

import pytest
import torch

from grasp.field.networks.kernel_sums import kernel_sums, look


@pytest.fixture
def given():
    g = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(shape, generator=g, dtype=torch.float64)

    return (
        normal(2, 5, 3),
        0.5 + torch.rand(2, 5, 1, generator=g).double(),
        normal(2, 7, 3),
        normal(2, 7, 4),
    )


def slow(x, precision, points, values):
    distance = (x[:, :, None] - points[:, None]).square().sum(-1)
    return torch.exp(-0.5 * precision * distance) @ values


def test_the_sum_equals_the_direct_sum(given):
    torch.testing.assert_close(kernel_sums(*given), slow(*given), rtol=1e-12, atol=1e-12)


def test_derivatives_of_first_and_second_order(given):
    x, *rest = given
    x = x.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: kernel_sums(x, *rest), x)
    assert torch.autograd.gradgradcheck(lambda x: kernel_sums(x, *rest), x)


def test_without_curvature_derivatives_by_weights_are_exact(given):
    """Without curvature d/dx of a function of ∂M/∂x is approximate, but d/dw stays exact."""
    x, *rest = given
    weight = torch.linspace(0.2, 0.8, 4, dtype=torch.float64).requires_grad_()
    found = []
    for curved in (True, False):
        at = x.detach().requires_grad_()
        value = torch.tanh(kernel_sums(at, *rest, curved) @ weight)
        (slope,) = torch.autograd.grad(value.sum(), at, create_graph=True)
        found.append(torch.autograd.grad(slope.square().sum(), weight)[0])
    torch.testing.assert_close(found[1], found[0], rtol=1e-12, atol=1e-12)


def test_looking_at_a_plane():
    """A fine grid on z = 0, seen from 3 mm above with a kernel of 6 mm."""
    side = torch.linspace(-0.05, 0.05, 101, dtype=torch.float64)
    flat = torch.cartesian_prod(side, side)
    points = torch.cat([flat, torch.zeros(len(flat), 1, dtype=torch.float64)], dim=1)[None]
    normal = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    values = torch.zeros(1, len(flat), 5, dtype=torch.float64)
    values[..., 0] = values[..., 3] = 0.001**2
    height, width = 0.003, torch.full((1, 1, 1), 0.006, dtype=torch.float64)
    amount, facing, distance = look(height * normal[None, None], width, points, values)
    expected = math.exp(-0.5 * (height / 0.006) ** 2)
    assert amount.item() == pytest.approx(math.log1p(expected), rel=1e-6)
    share = expected / (expected + 0.05)
    torch.testing.assert_close(facing[0, 0], share * normal, rtol=1e-6, atol=1e-9)
    assert distance.item() == pytest.approx(share * height / 0.006, rel=1e-6)


def test_a_third_derivative(given):
    x, *rest = given
    x = x[:, :1].requires_grad_()
    rest[0] = rest[0][:, :1]

    def third(function):
        value = function(x, *rest).sum()
        for _ in range(3):
            (value,) = torch.autograd.grad(value.sum(), x, create_graph=True)
        return value

    torch.testing.assert_close(third(kernel_sums), third(slow), rtol=1e-9, atol=1e-9)


def test_sums_and_slopes_vanish_far_away(given):
    x, precision, points, values = given
    x = (x + 1e3).requires_grad_()
    sums = kernel_sums(x, precision, points, values)
    (slope,) = torch.autograd.grad(sums.sum(), x)
    assert sums.abs().max() < 1e-30
    assert slope.abs().max() < 1e-25


def test_in_float32_at_the_scale_of_grasps(given):
    """An object of 20 cm, 30 cm off the origin, kernels of 7 mm: within 1e-3 of a weight of one."""
    x, precision, points, values = given
    points = 0.3 + 0.05 * points
    x = (
        points[..., : x.shape[-2], :] + 0.003 * x
    )  # near some points, so that weights of all sizes occur
    precision = torch.full_like(precision, 0.007**-2)
    exact = slow(x, precision, points, values)
    single = kernel_sums(*(each.float() for each in (x, precision, points, values)))
    torch.testing.assert_close(single.double(), exact, rtol=0, atol=1e-3)
