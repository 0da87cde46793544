"""The denoising loss with noise beyond the level: it learns the score of a mixture of blurs."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from pcdiff.diffusion.losses import denoising_loss
from pcdiff.diffusion.schedules import GeometricVarianceExploding, Level, Linear
from pcdiff.errors import InputError
from tests.exact.problems import LINE, seeded

SCHEDULE = GeometricVarianceExploding(0.1, 2.0)
TAIL = 0.4


def mixture_noise(x: Tensor, level: Level, condition: Any = None) -> Tensor:
    """−σ ∇log q of one clean point at 0, for the blurs N(0, s²) with the weights of the tail."""
    sigma = level.sigma[:, None]
    times = (sigma.log() - math.log(0.1)) / math.log(20.0)
    share = (torch.arange(500, dtype=torch.float64) + 0.5) / 500
    s = 0.1 * 20.0 ** (times + (1 - times) * share)
    s = torch.cat([sigma, s], dim=1)
    weights = torch.full_like(s, TAIL / 500)
    weights[:, 0] = 1 - TAIL
    # The error is in units of s, so the blur of deviation s counts (s/σ)² times.
    density = weights * (s / sigma) ** 2 / s * torch.exp(-(x**2) / (2 * s**2))
    score = (-x / s**2 * density).sum(1, keepdim=True) / density.sum(1, keepdim=True)
    return -sigma * score


def gaussian_noise(x: Tensor, level: Level, condition: Any = None) -> Tensor:
    return x / level.sigma[:, None]


def slope(model: Any, direction: Any, tail: float) -> tuple[float, float]:
    """The derivative of the mean loss along a change of the model, and its standard error."""
    x0 = torch.zeros(4000, 1, dtype=torch.float64)

    def loss(step: float) -> Tensor:
        def moved(x: Tensor, level: Level, condition: Any) -> Tensor:
            return model(x, level) + step * direction(x, level.sigma[:, None])

        return denoising_loss(moved, LINE, SCHEDULE, x0, seeded(), None, None, tail)[0]

    change = loss(0.5) - loss(-0.5)  # exact for a square
    return float(change.mean()), float(change.std()) / math.sqrt(len(x0))


@pytest.mark.parametrize(
    "direction",
    [
        lambda x, sigma: torch.sin(x / sigma),
        lambda x, sigma: torch.tanh(x / sigma) * torch.exp(-(x**2) / (2 * sigma**2)),
        lambda x, sigma: sigma * x / (sigma**2 + x**2),
    ],
)
def test_the_score_of_the_mixture_minimises_the_loss(direction):
    found, error = slope(mixture_noise, direction, TAIL)
    assert abs(found) < 4 * error


def test_the_score_of_a_single_blur_does_not():
    found, error = slope(gaussian_noise, lambda x, s: s * x / (s**2 + x**2), TAIL)
    assert found > 10 * error
    found, error = slope(gaussian_noise, lambda x, s: s * x / (s**2 + x**2), 0.0)
    assert abs(found) < 4 * error


def test_the_model_is_told_the_level_below_the_noise():
    """With the whole noise in the tail, x is on average farther away than the told level says."""
    told = []

    def model(x: Tensor, level: Level, condition: Any) -> Tensor:
        told.append((x[:, 0], level.sigma))
        return torch.zeros_like(x)

    x0 = torch.zeros(4000, 1, dtype=torch.float64)
    _, level = denoising_loss(model, LINE, SCHEDULE, x0, seeded(), None, None, 1.0)
    ((x, sigma),) = told
    assert level.sigma.equal(sigma)
    # log₂₀(σ/0.1) is uniform on [0, 1), and the later time uniform between it and 1: the mean of s²
    # is the integral of 0.01·20^(2u) over both.
    grid = (torch.arange(400, dtype=torch.float64) + 0.5) / 400
    later = grid[:, None] + (1 - grid[:, None]) * grid
    expected = float((0.01 * 20.0 ** (2 * later)).mean())
    assert float(x.square().mean()) == pytest.approx(expected, rel=0.05)


def test_a_tail_must_be_a_share_and_needs_a_process_that_does_not_shrink():
    x0 = torch.zeros(4, 1, dtype=torch.float64)
    with pytest.raises(InputError, match=r"a share from 0 to 1, got 1\.5"):
        denoising_loss(gaussian_noise, LINE, SCHEDULE, x0, seeded(), None, None, 1.5)
    with pytest.raises(InputError, match="a tail needs a schedule whose α is 1"):
        denoising_loss(gaussian_noise, LINE, Linear(), x0, seeded(), None, None, 0.5)
