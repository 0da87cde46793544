"""Shared by the exact tests: data whose diffusion is known in closed form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from torch import Tensor

from pcdiff.diffusion.schedules import Level


@dataclass(frozen=True)
class GaussianData:
    """x₀ ~ N(mean, deviation² I), so x_t ~ N(α·mean, α²·deviation² + σ²) exactly."""

    mean: float = 0.7
    deviation: float = 0.5

    def variance(self, level: Level) -> Tensor:
        """The variance of each coordinate of x_t."""
        return level.alpha**2 * self.deviation**2 + level.sigma**2

    def noise(self, x: Tensor, level: Level, condition: Any = None) -> Tensor:
        """E[ε | x_t] = −σ ∇log p(x_t) = σ (x − α·mean)/(α²·deviation² + σ²): the exact `Model`."""
        slope = level.sigma / self.variance(level)
        shape = slope.shape + (1,) * (x.ndim - slope.ndim)
        return slope.reshape(shape) * (x - level.alpha.reshape(shape) * self.mean)

    def flow(self, x: Tensor, level: Level, target: Level) -> Tensor:
        """The end of the probability-flow ODE from `x`: it keeps (x − α·mean)/√variance."""
        scale = (self.variance(target) / self.variance(level)).sqrt()
        return target.alpha * self.mean + scale * (x - level.alpha * self.mean)


@pytest.fixture(scope="session")
def gaussian() -> GaussianData:
    return GaussianData()
