"""Head 1: a variational auto-encoder of shapes whose decoder is a diffusion of points.

After Luo & Hu, "Diffusion Probabilistic Models for 3D Point Cloud Generation", CVPR 2021. A
PointNet encodes a cloud to a latent z; given z, every point is denoised on its own; a prior over z
generates new shapes. With `prior="none"` it is an auto-encoder. Unlike theirs, the network predicts
v, its encoder has no batch normalisation, and the noise schedule ends in noise.

Units: clouds are *box-normalised* (centred on their bounding box, divided by half its longest
side) at the surface of this module; inside, they are standardised by the record `Standardization`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pcdiff import randomness
from pcdiff.clouds.configuration import GeneratorConfig
from pcdiff.clouds.networks.encoders import PointNetEncoder
from pcdiff.clouds.networks.gated import GatedPointNetwork
from pcdiff.clouds.priors import FlowPrior, GaussianPrior, LatentPrior
from pcdiff.diffusion.bound import Bound, variational_bound
from pcdiff.diffusion.losses import denoising_loss
from pcdiff.diffusion.parametrization import noise_from_velocity
from pcdiff.diffusion.samplers import Multistep, Sampler, State, sample
from pcdiff.diffusion.schedules import (
    Level,
    Schedule,
    geometric_levels,
    karras_levels,
)
from pcdiff.errors import InputError
from pcdiff.geometry.checks import check_clouds
from pcdiff.learning import checkpoint
from pcdiff.manifolds.euclidean import Euclidean
from pcdiff.randomness import Generator, initial_weights

KIND = "point-cloud-generator"


SPACE = Euclidean(point_ndim=2)


DEFAULT_STEPS = 20


LARGEST_RATIO, SMALLEST_RATIO = 80.0, 0.005
"""σ/α at which sampling begins and at which it takes its last step to the clean cloud.

At the first, x_t is noise to one part in eighty (the σ_max of Karras et al. 2022, table 1, for data
of unit variance); the second is finer than the spacing of the points.
"""


POINTS_AT_ONCE = 2**16
"""Points that go through the network together in `decode`: bounds its memory, not its result."""


class PointCloudGenerator(nn.Module):
    """Generates, encodes, decodes and interpolates point clouds.

    Args:
        config: what to build.
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = PointNetEncoder(config.latent, config.encoder_widths)
        self.noise = GatedPointNetwork(config.latent, config.widths)
        self.prior = _prior(config)

    # Weights

    @classmethod
    def initialized(cls, config: GeneratorConfig, seed: int) -> PointCloudGenerator:
        """An untrained generator whose weights are a function of `seed`."""
        with initial_weights(seed):
            return cls(config)

    @classmethod
    def from_pretrained(cls, weights: str | os.PathLike[str] = "chair") -> PointCloudGenerator:
        """A trained generator, in evaluation mode and on the CPU.

        Args:
            weights: the name of weights in the package (see `pretrained_names`) or a file.

        Raises:
            InputError: if there are no such weights or they are of something else.
        """
        return checkpoint.load_model(
            weights,
            KIND,
            _weights_folder(),
            lambda description: cls(GeneratorConfig.from_dict(description)),
        )

    def save(self, path: str | os.PathLike[str], training: dict[str, Any] | None = None) -> None:
        """Write the weights, the configuration and a record of the training that made them."""
        configuration = {"model": self.config.as_dict(), "training": training or {}}
        checkpoint.save(path, KIND, configuration, self.state_dict())

    # The model as the core sees it: standardised points

    def predict_noise(
        self,
        x: Float[Tensor, "batch points 3"],
        level: Level,
        latent: Float[Tensor, "batch latent"],
    ) -> Float[Tensor, "batch points 3"]:
        """ε̂(x_t, t | z) in standardised units: the `Model` of the diffusion core.

        The network's output is read as v (Salimans & Ho 2022), so that at high noise, where x_t is
        almost ε, an error of the network is not magnified in x̂₀.
        """
        log_snr = 2 * torch.log(level.alpha / level.sigma)
        velocity = self.noise(x, log_snr, latent)
        return noise_from_velocity(SPACE, x, velocity, level)

    def posterior(
        self, clouds: Float[Tensor, "batch points 3"]
    ) -> tuple[Float[Tensor, "batch latent"], Float[Tensor, "batch latent"]]:
        """Mean and log variance of q(z | cloud) for standardised clouds."""
        mean, log_variance = self.encoder(clouds)
        return mean, log_variance

    def loss(
        self,
        clouds: Float[Tensor, "batch points 3"],
        generator: Generator,
        levels_per_cloud: int = 1,
    ) -> dict[str, Tensor]:
        """What training minimises, and its parts, as means over the batch.

        `loss = denoising + kl_weight · kl`, equation 10 of Luo & Hu 2021 with Ho's simple weights.
        The latent is drawn once a cloud; its points are then split into `levels_per_cloud` groups
        with a noise level each, which is allowed because points are independent given z.

        Args:
            clouds: box-normalised clouds; the number of points is a multiple of `levels_per_cloud`.
            generator: one generator, or one a cloud.
            levels_per_cloud: noise levels drawn a cloud.
        """
        x0 = self.config.standardization.apply(clouds)
        latent, kl = self._draw_latent(x0, generator)
        groups = x0.reshape(len(x0) * levels_per_cloud, -1, 3)
        latent = latent.repeat_interleave(levels_per_cloud, dim=0)
        if not isinstance(generator, torch.Generator):
            # Each cloud's own generator serves all its groups.
            generator = [g for g in generator for _ in range(levels_per_cloud)]
        denoising, _ = denoising_loss(
            self.predict_noise, SPACE, self.config.schedule, groups, generator, latent
        )
        return {
            "loss": denoising.mean() + self.config.kl_weight * kl.mean(),
            "denoising": denoising.mean(),
            "kl": kl.mean(),
        }

    def _draw_latent(self, x0: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """z ~ q(z | x₀), and log q(z | x₀) − log p(z): an unbiased KL(q ‖ p) in nats.

        For an auto-encoder, the mean and zeros.
        """
        mean, log_variance = self.posterior(x0)
        if self.prior is None:
            return mean, mean.new_zeros(len(mean))
        noise = randomness.normal(mean.shape, generator, device=mean.device)
        latent = mean + (0.5 * log_variance).exp() * noise
        log_q = -0.5 * (noise.square() + log_variance + math.log(2 * math.pi)).sum(dim=1)
        return latent, log_q - self.prior.log_prob(latent)

    # What users call: box-normalised clouds

    def sample(
        self,
        count: int,
        points: int = 2048,
        generator: Generator | None = None,
        steps: int = DEFAULT_STEPS,
        sampler: Sampler | None = None,
        temperature: float = 1.0,
    ) -> Float[Tensor, "count points 3"]:
        """New shapes.

        Each shape has its own stream of random numbers, so that shape i is the same whatever
        `count` is, up to the rounding of matrix products, which may depend on their size.

        Args:
            count: how many shapes.
            points: points a shape, any number from 1.
            generator: one generator, or one a shape.
            steps: steps of the sampler.
            sampler: how to step; `Multistep()` if not given.
            temperature: see `LatentPrior.sample`.

        Returns:
            Box-normalised clouds (see the module), up to how well the model learnt that.
        """
        if count < 1:
            raise InputError(f"shapes to sample: expected at least 1, got {count}")
        generators = self._generators(generator, count)
        if not 0 <= temperature < math.inf:
            raise InputError(f"temperature: expected a finite number from 0, got {temperature}")
        device = next(self.parameters()).device
        latents = self._require_prior().sample(count, generators, temperature, device)
        return self.decode(latents, points, generators, steps, sampler)

    def encode(self, clouds: Float[Tensor, "batch points 3"]) -> Float[Tensor, "batch latent"]:
        """The mean of q(z | cloud) for box-normalised clouds of any number of points."""
        return self.posterior(self._standardised(clouds))[0]

    def decode(
        self,
        latents: Float[Tensor, "batch latent"],
        points: int = 2048,
        generator: Generator | None = None,
        steps: int = DEFAULT_STEPS,
        sampler: Sampler | None = None,
    ) -> Float[Tensor, "batch points 3"]:
        """Clouds of given latents; arguments as for `sample`."""
        if points < 1:
            raise InputError(f"points a shape: expected at least 1, got {points}")
        if latents.ndim != 2 or latents.shape[1] != self.config.latent or len(latents) < 1:
            raise InputError(
                f"latents: expected shape (shapes, {self.config.latent}) and at least one shape, "
                f"got {tuple(latents.shape)}"
            )
        generators = self._generators(generator, len(latents))
        latents = latents.to(next(self.parameters()))
        at_once = max(1, POINTS_AT_ONCE // points)
        clouds = []
        for begin in range(0, len(latents), at_once):
            part = slice(begin, begin + at_once)
            for state in self.trajectory(latents[part], points, generators[part], steps, sampler):
                last = state.x
            clouds.append(self.config.standardization.invert(last))
        return torch.cat(clouds)

    @torch.no_grad()
    def trajectory(
        self,
        latents: Float[Tensor, "batch latent"],
        points: int,
        generator: Generator,
        steps: int = DEFAULT_STEPS,
        sampler: Sampler | None = None,
    ) -> Iterator[State]:
        """The sampler's states on the way from noise to clouds, in standardised coordinates."""
        levels = sampling_levels(self.config.schedule, steps)
        x = SPACE.random((len(latents), points, 3), 1.0, generator).to(latents)
        yield from sample(
            sampler or Multistep(), self.predict_noise, SPACE, x, levels, latents, generator
        )

    def reconstruct(
        self,
        clouds: Float[Tensor, "batch points 3"],
        points: int = 2048,
        generator: Generator | None = None,
        steps: int = DEFAULT_STEPS,
        sampler: Sampler | None = None,
    ) -> Float[Tensor, "batch decoded 3"]:
        """`decode(encode(clouds))`."""
        return self.decode(self.encode(clouds), points, generator, steps, sampler)

    def interpolate(
        self,
        first: Float[Tensor, "points 3"],
        second: Float[Tensor, "others 3"],
        count: int = 8,
        points: int = 2048,
        generator: Generator | None = None,
        steps: int = DEFAULT_STEPS,
        sampler: Sampler | None = None,
    ) -> Float[Tensor, "count decoded 3"]:
        """Shapes between two box-normalised clouds, both ends included.

        The path is straight in z, and in the base space of a flow, where the prior is a Gaussian.
        All shapes start from one noise, so that neighbours resemble one another point by point.

        Args:
            first: one end, any number of points.
            second: the other end.
            count: shapes on the path, at least 2.
            points: points a shape.
            generator: one generator.
            steps: steps of the sampler.
            sampler: how to step.
        """
        if count < 2:
            raise InputError(f"shapes on the path: expected at least 2, got {count}")
        ends = torch.cat([self.encode(cloud[None]) for cloud in (first, second)])
        base = ends if self.prior is None else self.prior.to_base(ends)[0]
        fraction = torch.linspace(0, 1, count, device=base.device)[:, None]
        path = torch.lerp(base[:1], base[1:], fraction)
        latents = path if self.prior is None else self.prior.from_base(path)
        (only,) = self._generators(generator, 1)
        generators = [only.clone_state() for _ in range(count)]
        return self.decode(latents, points, generators, steps, sampler)

    @torch.no_grad()
    def variational_bound(
        self, clouds: Float[Tensor, "batch points 3"], generator: Generator, steps: int = 1000
    ) -> Bound:
        """The bound on −log p(cloud) of this model, term by term.

        The density is that of the ordered points in box-normalised coordinates. For an
        auto-encoder the bound is on −log p(cloud | z), without a latent term.

        Args:
            clouds: box-normalised clouds.
            generator: one generator, or one a cloud.
            steps: steps of the generative chain, each one evaluation of the network. The bound
                tightens with their number; they are even in the log of σ/α.
        """
        x0 = self._standardised(clouds)
        latent, kl = self._draw_latent(x0, generator)
        levels = geometric_levels(
            self.config.schedule, steps, *sampled_ratios(self.config.schedule)
        )
        bound = variational_bound(self.predict_noise, SPACE, x0, levels, generator, latent, kl)
        units = bound.dimensions * math.log(self.config.standardization.deviation)
        return replace(bound, reconstruction=bound.reconstruction + units)

    def _standardised(self, clouds: Tensor) -> Tensor:
        """Box-normalised clouds in network units, on the model's device and in its type."""
        check_clouds("the clouds", clouds)
        return self.config.standardization.apply(clouds.to(next(self.parameters())))

    def _require_prior(self) -> LatentPrior:
        if self.prior is None:
            raise InputError(
                "these weights are an auto-encoder (prior 'none'): it reconstructs and "
                "interpolates but has no law to sample new shapes from"
            )
        return self.prior

    @staticmethod
    def _generators(generator: Generator | None, count: int) -> list[torch.Generator]:
        if isinstance(generator, torch.Generator):
            return randomness.spawn(generator, count)
        if generator is None or len(generator) != count:
            came = generator if generator is None else len(generator)
            raise InputError(f"expected one generator or {count}, one a shape, got {came}")
        return list(generator)


def sampling_levels(schedule: Schedule, steps: int) -> Level:
    """The levels that sampling visits, by Karras spacing."""
    return karras_levels(schedule, steps, *sampled_ratios(schedule))


def sampled_ratios(schedule: Schedule) -> tuple[float, float]:
    """The σ/α that sampling begins with and ends at: those that matter, if they were trained."""
    largest, smallest = schedule.trained_ratios()
    return min(LARGEST_RATIO, largest), max(SMALLEST_RATIO, smallest)


def pretrained_names() -> list[str]:
    """Names of the weights in the package."""
    return sorted(path.stem for path in _weights_folder().glob("*.safetensors"))


def _weights_folder() -> Path:
    return Path(__file__).parent / "weights"


def _prior(config: GeneratorConfig) -> LatentPrior | None:
    if config.prior == "flow":
        return FlowPrior(config.latent, config.flow_layers, config.flow_hidden)
    if config.prior == "gaussian":
        return GaussianPrior(config.latent)
    if config.prior == "none":
        return None
    raise InputError(f"prior is 'flow', 'gaussian' or 'none', got {config.prior!r}")
