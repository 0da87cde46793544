"""Kernel sums against the sum as it is written, and their derivatives against differences."""

from __future__ import annotations

import pytest
import torch

from grasp.networks.kernel_sums import kernel_sums


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


def test_the_sum_is_the_one_that_is_written(given):
    torch.testing.assert_close(kernel_sums(*given), slow(*given), rtol=1e-12, atol=1e-12)


def test_derivatives_of_first_and_second_order(given):
    x, *rest = given
    x = x.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: kernel_sums(x, *rest), x)
    assert torch.autograd.gradgradcheck(lambda x: kernel_sums(x, *rest), x)


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


def test_far_away_there_is_nothing_and_no_slope(given):
    x, precision, points, values = given
    x = (x + 1e3).requires_grad_()
    sums = kernel_sums(x, precision, points, values)
    (slope,) = torch.autograd.grad(sums.sum(), x)
    assert sums.abs().max() < 1e-30
    assert slope.abs().max() < 1e-25


def test_in_float32_at_the_scale_of_grasps(given):
    """Objects of 20 cm, kernels of 7 mm, 30 cm off the origin: to 1e-4 of a weight of one."""
    x, precision, points, values = given
    x, points = 0.3 + 0.05 * x, 0.3 + 0.05 * points
    precision = torch.full_like(precision, 0.007**-2)
    exact = slow(x, precision, points, values)
    single = kernel_sums(*(each.float() for each in (x, precision, points, values)))
    torch.testing.assert_close(single.double(), exact, rtol=0, atol=1e-3)
