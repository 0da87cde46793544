"""The generator of clouds: a variational auto-encoder with a diffusion model as its decoder.

The model follows Luo & Hu, "Diffusion Probabilistic Models for 3D Point Cloud Generation", CVPR
2021. An encoder maps a cloud to a latent z, a network denoises points for a known z, and a prior of
z generates new shapes. Without a prior, the model is an auto-encoder. The configuration names the
encoder, the network and the prior (see `pcdiff.clouds.components`). Unlike the paper's model, the
network predicts a velocity v, the encoder has no batch normalisation, and the noise schedule ends
in pure noise.

Units: public functions accept and return *box-normalised* clouds, which are centred on their
bounding box and divided by half the longest side of the box. Inside the model, clouds are
standardised by `Standardization`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pcdiff import randomness
from pcdiff.clouds.components import NO_PRIOR, SHIPPED, Choice, Components
from pcdiff.clouds.condition import CloudCondition
from pcdiff.clouds.configuration import GeneratorConfig, renamed_from_0_1_0
from pcdiff.clouds.levels import sampled_ratios, sampling_levels
from pcdiff.clouds.networks.interface import CloudEncoder, CloudNetwork
from pcdiff.clouds.priors import InvertiblePrior, LatentPrior
from pcdiff.diffusion.bound import Bound, variational_bound
from pcdiff.diffusion.guidance import Cost, Guided, cost_list
from pcdiff.diffusion.losses import denoising_loss
from pcdiff.diffusion.parametrization import noise_from_velocity
from pcdiff.diffusion.samplers import Multistep, Sampler, State, sample
from pcdiff.diffusion.schedules import Level, geometric_levels
from pcdiff.errors import InputError
from pcdiff.geometry.checks import check_clouds
from pcdiff.learning import checkpoint
from pcdiff.manifolds.euclidean import Euclidean
from pcdiff.randomness import Generator, Seed, initial_weights

KIND = "point-cloud-generator"
"""The name of this kind of model in weights files."""

SPACE = Euclidean(point_ndim=2)
"""The space of clouds, ℝ^{N×3}."""

DEFAULT_STEPS = 20

POINTS_AT_ONCE = 2**16
"""Number of points that pass through the network together in `decode`, to limit memory."""

WEIGHTS = Path(__file__).parent / "weights"
"""Folder of the weights that come with the package."""


class PointCloudGenerator(nn.Module):
    """A model that generates, encodes, decodes and interpolates point clouds.

    Args:
        config: The configuration of the model.
        components: The components that the configuration may name.

    Raises:
        InputError: If the configuration names an unknown component, or a component does not have
            the interface of its kind.
    """

    def __init__(self, config: GeneratorConfig, components: Components = SHIPPED) -> None:
        super().__init__()
        self.config = config
        # The initial weights of a seed depend on this order, which is the order of version 0.1.0.
        self.encoder = components.make("encoders", config.encoder, config.latent)
        self.network = components.make("networks", config.network, config.latent)
        self.prior: nn.Module | None = None
        prior = cast(Choice, config.prior)
        if prior.name != NO_PRIOR:
            self.prior = components.make("priors", prior, config.latent)

    # Weights

    @classmethod
    def initialized(
        cls, config: GeneratorConfig, seed: int, components: Components = SHIPPED
    ) -> PointCloudGenerator:
        """Make an untrained generator whose weights depend only on `config` and `seed`."""
        with initial_weights(seed):
            return cls(config, components)

    @classmethod
    def from_pretrained(
        cls, weights: str | os.PathLike[str] = "chair", components: Components = SHIPPED
    ) -> PointCloudGenerator:
        """Load a trained generator, in evaluation mode and on the CPU.

        Args:
            weights: Name of weights in the package (see `pretrained_names`), or the path of a file.
            components: The components that the weights may name.

        Raises:
            InputError: If the weights do not exist, or are not weights of a `PointCloudGenerator`.
        """
        return checkpoint.load_model(
            weights,
            KIND,
            WEIGHTS,
            lambda description: cls(GeneratorConfig.from_dict(description), components),
            renamed_from_0_1_0,
        )

    def save(self, path: str | os.PathLike[str], training: dict[str, Any] | None = None) -> None:
        """Write the weights, the configuration and a description of the training to a file."""
        configuration = {"model": self.config.as_dict(), "training": training or {}}
        checkpoint.save(path, KIND, configuration, self.state_dict())

    # Functions for the diffusion code, with standardised points

    @property
    def independent_points(self) -> bool:
        """Whether the network treats the points of a cloud independently."""
        return cast(CloudNetwork, self.network).independent_points

    def check_levels(self, levels_per_cloud: int, points: int) -> None:
        """Check that the points of a cloud can be split into groups with one noise level per group.

        Args:
            levels_per_cloud: Number of noise levels per cloud.
            points: Number of points per cloud.

        Raises:
            InputError: If there are several noise levels per cloud although the network does not
                treat points independently, or the number of levels does not divide the number of
                points.
        """
        if levels_per_cloud > 1 and not self.independent_points:
            raise InputError(
                "levels_per_cloud must be 1 for a network that does not treat points "
                f"independently, got {levels_per_cloud}",
                parameter="levels_per_cloud",
            )
        if levels_per_cloud < 1 or points % levels_per_cloud:
            raise InputError(
                f"levels_per_cloud must be a divisor of {points}, the number of points per cloud, "
                f"got {levels_per_cloud}",
                parameter="levels_per_cloud",
            )

    def condition_on(self, latents: Float[Tensor, "batch *latent"]) -> CloudCondition:
        """Put latents of the encoder into a condition for the network."""
        return CloudCondition(**{cast(CloudEncoder, self.encoder).provides: latents})

    def predict_noise(
        self, x: Float[Tensor, "batch points 3"], level: Level, condition: CloudCondition
    ) -> Float[Tensor, "batch points 3"]:
        """Predict the noise ε̂(x_t, t | z) of noisy clouds x_t, in standardised units.

        The output of the network is the velocity v (Salimans & Ho 2022). At high noise, where x_t
        is almost equal to ε, an error of the network is therefore not magnified in the predicted
        clean cloud x̂₀.

        Raises:
            InputError: If the network returns an array of another shape than `x`.
        """
        log_snr = 2 * torch.log(level.alpha / level.sigma)
        velocity = self.network(x, log_snr, condition)
        if velocity.shape != x.shape:
            raise InputError(
                f"{type(self.network).__name__} must return one velocity per point, "
                f"{tuple(x.shape)}, got {tuple(velocity.shape)}"
            )
        return noise_from_velocity(SPACE, x, velocity, level)

    def posterior(
        self, clouds: Float[Tensor, "batch points 3"]
    ) -> tuple[Float[Tensor, "batch *latent"], Float[Tensor, "batch *latent"]]:
        """Return the mean and the log variance of q(z | cloud) for standardised clouds."""
        mean, log_variance = self.encoder(clouds)
        return mean, log_variance

    def loss(
        self,
        clouds: Float[Tensor, "batch points 3"],
        generator: Generator,
        levels_per_cloud: int = 1,
    ) -> dict[str, Tensor]:
        """Compute the training loss and its terms, as means over the batch.

        The loss is `denoising + kl_weight · kl`, equation 10 of Luo & Hu (2021) with the simple
        weights of Ho et al. (2020). One latent is drawn per cloud. The points of the cloud are then
        split into `levels_per_cloud` groups with one noise level per group. Several groups are
        allowed only if the network treats points independently.

        Args:
            clouds: Box-normalised clouds; the number of points is a multiple of `levels_per_cloud`.
            generator: One random generator, or one random generator per cloud.
            levels_per_cloud: Number of noise levels per cloud.

        Raises:
            InputError: If `check_levels` rejects `levels_per_cloud`.
        """
        self.check_levels(levels_per_cloud, clouds.shape[1])
        x0 = self.config.standardization.apply(clouds)
        latent, kl = self._draw_latent(x0, generator)
        groups = x0.reshape(len(x0) * levels_per_cloud, -1, 3)
        condition = self.condition_on(latent).repeat_interleave(levels_per_cloud)
        generator = randomness.repeat(
            generator, levels_per_cloud
        )  # all groups of a cloud share its generator
        denoising, _ = denoising_loss(
            self.predict_noise, SPACE, self.config.schedule, groups, generator, condition
        )
        return {
            "loss": denoising.mean() + self.config.kl_weight * kl.mean(),
            "denoising": denoising.mean(),
            "kl": kl.mean(),
        }

    def _draw_latent(self, x0: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Draw a latent z from q(z | x₀), and return z and the divergence KL(q ‖ p) in nats.

        With an invertible prior p, the divergence is the unbiased estimate
        log q(z | x₀) − log p(z). With any other prior, p is N(0, I), and the divergence is exact.
        For an auto-encoder, z is the mean of q, and the divergence is 0.
        """
        mean, log_variance = self.posterior(x0)
        if self.prior is None:
            return mean, mean.new_zeros(len(mean))
        noise = randomness.normal(mean.shape, generator, device=mean.device)
        latent = mean + (0.5 * log_variance).exp() * noise
        if isinstance(self.prior, InvertiblePrior):
            log_q = -0.5 * (noise.square() + log_variance + math.log(2 * math.pi)).sum(dim=1)
            return latent, log_q - self.prior.log_prob(latent)
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)
        return latent, kl.flatten(1).sum(dim=1)

    # Functions for users, with box-normalised clouds

    def sample(
        self,
        count: int,
        points: int = 2048,
        generator: Generator | None = None,
        steps: int = DEFAULT_STEPS,
        sampler: Sampler | None = None,
        temperature: float = 1.0,
        guidance: Cost | Sequence[Cost] = (),
        **seed: Unpack[Seed],
    ) -> Float[Tensor, "count points 3"]:
        """Generate new shapes.

        Each shape has its own random numbers, so shape i does not depend on `count`, apart from
        rounding errors of matrix products. The random numbers come either from `generator` or from
        `seed`: pass exactly one of them.

        Args:
            count: Number of shapes.
            points: Number of points per shape, at least 1.
            generator: One random generator, or one random generator per shape.
            steps: Number of sampling steps.
            sampler: Sampler that takes the steps; None means `Multistep()`.
            temperature: Spread of the latent; see `LatentPrior.sample`.
            guidance: One cost or several of box-normalised clouds (shapes, points, 3), each with
                one number per shape. Given the latents, the points follow the model's density
                times exp(−cost); see `pcdiff.diffusion.guidance.Guided`.
            **seed: `seed=7` in place of a generator. Shape i depends only on the seed and i, as in
                `pcdiff sample --seed 7`.

        Returns:
            The clouds, which are approximately box-normalised like the training clouds.

        Raises:
            InputError: If a number is out of range, the model has no prior, a cost does not give
                one number per shape with a finite gradient, or there is not exactly one source of
                random numbers.
        """
        if count < 1:
            raise InputError(f"the number of shapes must be at least 1, got {count}")
        generators = randomness.one_each(generator, count, **seed)
        if not 0 <= temperature < math.inf:
            raise InputError(
                f"temperature must be a finite number of at least 0, got {temperature}"
            )
        if self.prior is None:
            raise InputError(
                "a model that generates new shapes must have a prior, got an auto-encoder (prior "
                "'none'), which can only reconstruct and interpolate"
            )
        device = next(self.parameters()).device
        latents = cast(LatentPrior, self.prior).sample(count, generators, temperature, device)
        return self.decode(latents, points, generators, steps, sampler, guidance)

    def encode(self, clouds: Float[Tensor, "batch points 3"]) -> Float[Tensor, "batch *latent"]:
        """Return the mean of q(z | cloud) for box-normalised clouds with any number of points."""
        return self.posterior(self._standardised(clouds))[0]

    def decode(
        self,
        latents: Float[Tensor, "batch *latent"],
        points: int = 2048,
        generator: Generator | None = None,
        steps: int = DEFAULT_STEPS,
        sampler: Sampler | None = None,
        guidance: Cost | Sequence[Cost] = (),
        **seed: Unpack[Seed],
    ) -> Float[Tensor, "batch points 3"]:
        """Generate clouds from latents; see `sample` for the other arguments."""
        if points < 1:
            raise InputError(f"the number of points per shape must be at least 1, got {points}")
        shape = tuple(cast(CloudEncoder, self.encoder).latent_shape)
        if tuple(latents.shape[1:]) != shape or len(latents) < 1:
            raise InputError(
                f"latents must have shape {('shapes', *shape)} with at least one latent, "
                f"got {tuple(latents.shape)}".replace("'", "")
            )
        generators = randomness.one_each(generator, len(latents), **seed)
        latents = latents.to(next(self.parameters()))
        at_once = max(1, POINTS_AT_ONCE // points)
        clouds = []
        for begin in range(0, len(latents), at_once):
            some = slice(begin, begin + at_once)
            arguments = (latents[some], points, generators[some], steps, sampler, guidance)
            for state in self.trajectory(*arguments):
                last = state.x
            clouds.append(self.config.standardization.invert(last))
        return torch.cat(clouds)

    @torch.no_grad()
    def trajectory(
        self,
        latents: Float[Tensor, "batch *latent"],
        points: int,
        generator: Generator,
        steps: int = DEFAULT_STEPS,
        sampler: Sampler | None = None,
        guidance: Cost | Sequence[Cost] = (),
    ) -> Iterator[State]:
        """Yield the sampler's states from noise to clouds, in standardised coordinates."""
        standardization = self.config.standardization
        model = Guided(self.predict_noise, SPACE, cost_list(guidance), standardization.invert)
        levels = sampling_levels(self.config.schedule, steps)
        x = SPACE.random((len(latents), points, 3), 1.0, generator).to(latents)
        condition = self.condition_on(latents)
        yield from sample(sampler or Multistep(), model, SPACE, x, levels, condition, generator)

    def reconstruct(
        self,
        clouds: Float[Tensor, "batch points 3"],
        points: int = 2048,
        generator: Generator | None = None,
        steps: int = DEFAULT_STEPS,
        sampler: Sampler | None = None,
        guidance: Cost | Sequence[Cost] = (),
        **seed: Unpack[Seed],
    ) -> Float[Tensor, "batch decoded 3"]:
        """Encode and decode clouds: `decode(encode(clouds))`; see `sample` for the arguments."""
        latents = self.encode(clouds)
        return self.decode(latents, points, generator, steps, sampler, guidance, **seed)

    def interpolate(
        self,
        first: Float[Tensor, "points 3"],
        second: Float[Tensor, "others 3"],
        count: int = 8,
        points: int = 2048,
        generator: Generator | None = None,
        steps: int = DEFAULT_STEPS,
        sampler: Sampler | None = None,
        **seed: Unpack[Seed],
    ) -> Float[Tensor, "count decoded 3"]:
        """Generate shapes on a path between two box-normalised clouds, including both ends.

        With an invertible prior, the path is a straight line in the base space, where the prior is
        Gaussian. Otherwise the path is a straight line in z. All shapes start from equal noise, so
        corresponding points of neighbouring shapes are close to each other.

        Args:
            first: Cloud at the start of the path, with any number of points.
            second: Cloud at the end of the path, with any number of points.
            count: Number of shapes on the path, at least 2.
            points: Number of points per shape.
            generator: One random generator.
            steps: Number of sampling steps.
            sampler: Sampler that takes the steps; None means `Multistep()`.
            **seed: `seed=7` in place of a generator.

        Raises:
            InputError: If a number is out of range, or there is not exactly one source of random
                numbers.
        """
        if count < 2:
            raise InputError(f"the number of shapes on the path must be at least 2, got {count}")
        ends = torch.cat([self.encode(cloud[None]) for cloud in (first, second)])
        invertible = self.prior if isinstance(self.prior, InvertiblePrior) else None
        base = ends if invertible is None else invertible.to_base(ends)[0]
        fraction = torch.linspace(0, 1, count, device=base.device)
        path = torch.lerp(base[:1], base[1:], fraction.view(-1, *[1] * (base.ndim - 1)))
        latents = path if invertible is None else invertible.from_base(path)
        (only,) = randomness.one_each(generator, 1, **seed)
        generators = [only.clone_state() for _ in range(count)]
        return self.decode(latents, points, generators, steps, sampler)

    @torch.no_grad()
    def variational_bound(
        self, clouds: Float[Tensor, "batch points 3"], generator: Generator, steps: int = 1000
    ) -> Bound:
        """Compute an upper bound on −log p(cloud) of this model in nats, term by term.

        p is the density of the ordered points in box-normalised coordinates. For an auto-encoder,
        the bound applies to −log p(cloud | z) and has no term for the latent.

        Args:
            clouds: Box-normalised clouds.
            generator: One random generator, or one random generator per cloud.
            steps: Number of steps of the generative chain, equally spaced in log(σ/α). Each step
                evaluates the network once, and more steps give a tighter bound.

        Raises:
            InputError: If the prior has no density.
        """
        if self.prior is not None and not isinstance(self.prior, InvertiblePrior):
            raise InputError(
                "the variational bound needs an InvertiblePrior (a prior with log_prob), "
                f"got {type(self.prior).__name__}"
            )
        x0 = self._standardised(clouds)
        latent, kl = self._draw_latent(x0, generator)
        levels = geometric_levels(
            self.config.schedule, steps, *sampled_ratios(self.config.schedule)
        )
        condition = self.condition_on(latent)
        bound = variational_bound(self.predict_noise, SPACE, x0, levels, generator, condition, kl)
        units = bound.dimensions * math.log(self.config.standardization.deviation)
        return replace(bound, reconstruction=bound.reconstruction + units)

    def _standardised(self, clouds: Tensor) -> Tensor:
        """Convert box-normalised clouds to network units, with the device and type of the model."""
        check_clouds("the clouds", clouds)
        return self.config.standardization.apply(clouds.to(next(self.parameters())))


def pretrained_names() -> list[str]:
    """Return the names of the weights that come with the package."""
    return checkpoint.names_in(WEIGHTS)
