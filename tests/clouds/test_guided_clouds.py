"""Guidance of the cloud head against the product of two Gaussians in closed form."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pcdiff import GeneratorConfig, PointCloudGenerator
from pcdiff.clouds.components import SHIPPED, Choice
from pcdiff.clouds.configuration import Standardization
from pcdiff.diffusion.samplers import AnnealedLangevin, Multistep
from pcdiff.errors import InputError
from pcdiff.randomness import seeded

MEAN, DEVIATION = torch.tensor([0.5, -0.3, 0.0]), 0.6  # of the points, in network units
FRAME = Standardization((0.2, 0.1, -0.3), 0.5)
CENTRE, SPREAD = torch.tensor([0.0, 0.4, 0.2]), 0.25  # of exp(−cost), in box-normalised units


class GaussianPoints(nn.Module):
    """The exact velocity for independent points with the density N(MEAN, DEVIATION²)."""

    independent_points = True

    def __init__(self, latent):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(latent))

    def forward(self, points, log_snr, condition):
        signal = log_snr.sigmoid()[:, None, None]  # α²
        noise = 1 - signal  # σ²
        variance = signal * DEVIATION**2 + noise
        epsilon = noise.sqrt() * (points - signal.sqrt() * MEAN) / variance
        return (epsilon - noise.sqrt() * points) / signal.sqrt()


@pytest.fixture(scope="module")
def model():
    components = SHIPPED.extended(networks={"points": GaussianPoints})
    config = GeneratorConfig(
        latent=2, network=Choice("points"), prior=Choice("gaussian"), standardization=FRAME
    )
    return PointCloudGenerator.initialized(config, 0, components).eval().requires_grad_(False)


def spring(clouds):
    """−log of a Gaussian around CENTRE, summed over the points of a cloud."""
    return (clouds - CENTRE).square().sum(dim=(1, 2)) / (2 * SPREAD**2)


def draw(model, guidance):
    # With these many small steps, the discretisation errors are below the tolerances.
    sampler = AnnealedLangevin(moves=20, step_ratio=0.3, predictor=Multistep())
    return model.sample(2, 1500, seeded(0), 120, sampler, guidance=guidance)


def test_without_guidance_points_follow_the_model(model):
    clouds = draw(model, ())
    mean = FRAME.invert(MEAN[None])[0]
    torch.testing.assert_close(clouds.mean(dim=(0, 1)), mean, atol=0.02, rtol=0)
    torch.testing.assert_close(
        clouds.std(dim=(0, 1)), torch.full((3,), FRAME.deviation * DEVIATION), atol=0, rtol=0.06
    )


def test_guided_points_follow_the_product_of_both_densities(model):
    clouds = draw(model, spring)
    model_precision = (FRAME.deviation * DEVIATION) ** -2
    precision = model_precision + SPREAD**-2
    mean = (model_precision * FRAME.invert(MEAN[None])[0] + CENTRE * SPREAD**-2) / precision
    torch.testing.assert_close(clouds.mean(dim=(0, 1)), mean, atol=0.02, rtol=0)
    torch.testing.assert_close(
        clouds.std(dim=(0, 1)), torch.full((3,), precision**-0.5), atol=0, rtol=0.06
    )


def test_a_cloud_is_guided_alone_as_in_a_batch(model):
    generators = [seeded(1), seeded(2)]
    both = model.sample(2, 50, generators, 10, guidance=spring)
    alone = model.sample(1, 50, [seeded(2)], 10, guidance=spring)
    torch.testing.assert_close(both[1], alone[0], atol=1e-5, rtol=0)


def test_guidance_that_is_no_cost_of_clouds_is_refused(model):
    with pytest.raises(
        InputError, match=r"one number per point, shape \(1,\), got shape \(1, 50\)"
    ):
        model.sample(1, 50, seeded(0), 5, guidance=lambda clouds: clouds.sum(dim=2))
