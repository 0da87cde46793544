"""Head 1: a variational auto-encoder of shapes whose decoder is a diffusion of points.

It follows Luo & Hu, "Diffusion Probabilistic Models for 3D Point Cloud Generation", CVPR 2021. An
encoder maps a cloud to a latent z, a network denoises points given z, and a prior over z generates
new shapes; without a prior the model is an auto-encoder. Each of the three is chosen by name (see
`pcdiff.clouds.components`). Unlike in the paper, the network predicts v, the encoder has no batch
normalisation, and the noise schedule ends in pure noise.

Units: clouds are *box-normalised* (centred on their bounding box, divided by half its longest side)
in the arguments and results of public functions; inside, they are standardised by
`Standardization`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

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
from pcdiff.diffusion.losses import denoising_loss
from pcdiff.diffusion.parametrization import noise_from_velocity
from pcdiff.diffusion.samplers import Multistep, Sampler, State, sample
from pcdiff.diffusion.schedules import Level, geometric_levels
from pcdiff.errors import InputError
from pcdiff.geometry.checks import check_clouds
from pcdiff.learning import checkpoint
from pcdiff.manifolds.euclidean import Euclidean
from pcdiff.randomness import Generator, initial_weights

KIND = "point-cloud-generator"
"""The kind under which the weights are saved."""

SPACE = Euclidean(point_ndim=2)
"""The space of clouds, ℝ^{N×3}."""

DEFAULT_STEPS = 20

POINTS_AT_ONCE = 2**16
"""Points that go through the network together in `decode`: bounds its memory, not its result."""

WEIGHTS = Path(__file__).parent / "weights"
"""The weights that the package carries."""


class PointCloudGenerator(nn.Module):
    """A model that generates, encodes, decodes and interpolates point clouds.

    Args:
        config: The configuration to build.
        components: The parts whose names the configuration may use.

    Raises:
        InputError: If the configuration names a part that is not there, or a part does not have the
            interface of its kind.
    """

    def __init__(self, config: GeneratorConfig, components: Components = SHIPPED) -> None:
        super().__init__()
        self.config = config
        # In the order in which version 0.1.0 made them, so that a seed gives the same weights.
        self.encoder = components.make("encoders", config.encoder, config.latent)
        self.network = components.make("networks", config.network, config.latent)
        self.prior: nn.Module | None = None
        prior = cast(Choice, config.prior)
        if prior.name != NO_PRIOR:
            self.prior = components.make("priors", prior, config.latent)
        for part, interface in (
            (self.encoder, CloudEncoder),
            (self.network, CloudNetwork),
            (self.prior, LatentPrior),
        ):
            if part is not None and not isinstance(part, interface):
                raise InputError(
                    f"{type(part).__name__} is not a {interface.__name__}: it lacks an attribute "
                    f"or a method of it, see {interface.__module__}"
                )

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
            components: The parts whose names the weights may use.

        Raises:
            InputError: If there are no such weights, or the file holds something else.
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

    # The model as the core sees it: standardised points

    @property
    def independent_points(self) -> bool:
        """Whether the network treats each point on its own, given the condition."""
        return cast(CloudNetwork, self.network).independent_points

    def check_levels(self, levels_per_cloud: int, points: int) -> None:
        """Check that the points of a cloud can be split into groups with a noise level each.

        Args:
            levels_per_cloud: Number of noise levels per cloud.
            points: Number of points per cloud.

        Raises:
            InputError: If a cloud has several levels although the network does not treat points
                independently, or the number of levels does not divide that of the points.
        """
        if levels_per_cloud > 1 and not self.independent_points:
            raise InputError(
                "levels_per_cloud: a network that does not treat points independently needs one "
                f"noise level per cloud, got {levels_per_cloud}",
                parameter="levels_per_cloud",
            )
        if levels_per_cloud < 1 or points % levels_per_cloud:
            raise InputError(
                f"levels_per_cloud: expected a divisor of {points} points, got {levels_per_cloud}",
                parameter="levels_per_cloud",
            )

    def condition_on(self, latents: Float[Tensor, "batch *latent"]) -> CloudCondition:
        """Return the condition that the network needs for latents of the encoder."""
        return CloudCondition(**{cast(CloudEncoder, self.encoder).provides: latents})

    def predict_noise(
        self, x: Float[Tensor, "batch points 3"], level: Level, condition: CloudCondition
    ) -> Float[Tensor, "batch points 3"]:
        """Predict the noise ε̂(x_t, t | z) in standardised units, as a `Model` of the core.

        The network's output is read as v (Salimans & Ho 2022), so that at high noise, where x_t is
        almost ε, an error of the network is not magnified in x̂₀.

        Raises:
            InputError: If the network returns another shape.
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

        `loss = denoising + kl_weight · kl`, equation 10 of Luo & Hu 2021 with Ho's simple weights.
        One latent is drawn per cloud. The cloud's points are then split into `levels_per_cloud`
        groups, each with its own noise level, which is allowed if points are independent given z.

        Args:
            clouds: Box-normalised clouds; the number of points is a multiple of `levels_per_cloud`.
            generator: One generator, or one per cloud.
            levels_per_cloud: Number of noise levels drawn per cloud.

        Raises:
            InputError: If `check_levels` refuses the levels.
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
        """Draw z ~ q(z | x₀), and return it with KL(q ‖ p) in nats.

        With an invertible prior the KL is the unbiased estimate log q(z | x₀) − log p(z). With any
        other prior p is N(0, I), and the KL is exact. For an auto-encoder z is the mean of q, and
        the KL is 0.
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
        """Generate new shapes.

        Each shape has its own random numbers, so shape i does not depend on `count`, except through
        the rounding of matrix products, which may depend on their size.

        Args:
            count: Number of shapes.
            points: Number of points per shape, at least 1.
            generator: One generator, or one per shape.
            steps: Number of sampling steps.
            sampler: Sampler that takes the steps; None means `Multistep()`.
            temperature: Spread of the latent; see `LatentPrior.sample`.

        Returns:
            The clouds, which are box-normalised as accurately as the model has learnt it.

        Raises:
            InputError: If a number is out of its range, or the model has no prior.
        """
        if count < 1:
            raise InputError(f"shapes to sample: expected at least 1, got {count}")
        generators = self._generators(generator, count)
        if not 0 <= temperature < math.inf:
            raise InputError(
                f"temperature: expected a finite number of at least 0, got {temperature}"
            )
        if self.prior is None:
            raise InputError(
                "these weights are an auto-encoder (prior 'none'): it reconstructs and "
                "interpolates but has no prior to sample new shapes from"
            )
        device = next(self.parameters()).device
        latents = cast(LatentPrior, self.prior).sample(count, generators, temperature, device)
        return self.decode(latents, points, generators, steps, sampler)

    def encode(self, clouds: Float[Tensor, "batch points 3"]) -> Float[Tensor, "batch *latent"]:
        """Return the mean of q(z | cloud) for box-normalised clouds of any number of points."""
        return self.posterior(self._standardised(clouds))[0]

    def decode(
        self,
        latents: Float[Tensor, "batch *latent"],
        points: int = 2048,
        generator: Generator | None = None,
        steps: int = DEFAULT_STEPS,
        sampler: Sampler | None = None,
    ) -> Float[Tensor, "batch points 3"]:
        """Generate clouds from latents; the other arguments are those of `sample`."""
        if points < 1:
            raise InputError(f"points per shape: expected at least 1, got {points}")
        shape = tuple(cast(CloudEncoder, self.encoder).latent_shape)
        if tuple(latents.shape[1:]) != shape or len(latents) < 1:
            raise InputError(
                f"latents: expected shape {('shapes', *shape)} and at least one shape, "
                f"got {tuple(latents.shape)}".replace("'", "")
            )
        generators = self._generators(generator, len(latents))
        latents = latents.to(next(self.parameters()))
        at_once = max(1, POINTS_AT_ONCE // points)
        clouds = []
        for begin in range(0, len(latents), at_once):
            some = slice(begin, begin + at_once)
            for state in self.trajectory(latents[some], points, generators[some], steps, sampler):
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
    ) -> Iterator[State]:
        """Yield the sampler's states from noise to clouds, in standardised coordinates."""
        levels = sampling_levels(self.config.schedule, steps)
        x = SPACE.random((len(latents), points, 3), 1.0, generator).to(latents)
        condition = self.condition_on(latents)
        yield from sample(
            sampler or Multistep(), self.predict_noise, SPACE, x, levels, condition, generator
        )

    def reconstruct(
        self,
        clouds: Float[Tensor, "batch points 3"],
        points: int = 2048,
        generator: Generator | None = None,
        steps: int = DEFAULT_STEPS,
        sampler: Sampler | None = None,
    ) -> Float[Tensor, "batch decoded 3"]:
        """Encode and decode clouds: `decode(encode(clouds))`."""
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
        """Generate shapes between two box-normalised clouds, including both ends.

        The path is straight in z, or in the base space of an invertible prior, where the prior is a
        Gaussian. All shapes start from the same noise, so corresponding points of neighbouring
        shapes are close to each other.

        Args:
            first: Cloud at one end, with any number of points.
            second: Cloud at the other end, with any number of points.
            count: Number of shapes on the path, at least 2.
            points: Number of points per shape.
            generator: One generator.
            steps: Number of sampling steps.
            sampler: Sampler that takes the steps; None means `Multistep()`.

        Raises:
            InputError: If a number is out of its range.
        """
        if count < 2:
            raise InputError(f"shapes on the path: expected at least 2, got {count}")
        ends = torch.cat([self.encode(cloud[None]) for cloud in (first, second)])
        invertible = self.prior if isinstance(self.prior, InvertiblePrior) else None
        base = ends if invertible is None else invertible.to_base(ends)[0]
        fraction = torch.linspace(0, 1, count, device=base.device)
        path = torch.lerp(base[:1], base[1:], fraction.view(-1, *[1] * (base.ndim - 1)))
        latents = path if invertible is None else invertible.from_base(path)
        (only,) = self._generators(generator, 1)
        generators = [only.clone_state() for _ in range(count)]
        return self.decode(latents, points, generators, steps, sampler)

    @torch.no_grad()
    def variational_bound(
        self, clouds: Float[Tensor, "batch points 3"], generator: Generator, steps: int = 1000
    ) -> Bound:
        """Compute the upper bound on −log p(cloud) of this model, term by term.

        The density is that of the ordered points in box-normalised coordinates. For an
        auto-encoder the bound is on −log p(cloud | z), without a latent term.

        Args:
            clouds: Box-normalised clouds.
            generator: One generator, or one per cloud.
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
        """Convert box-normalised clouds to network units, on the model's device and in its type."""
        check_clouds("the clouds", clouds)
        return self.config.standardization.apply(clouds.to(next(self.parameters())))

    @staticmethod
    def _generators(generator: Generator | None, count: int) -> list[torch.Generator]:
        if isinstance(generator, torch.Generator):
            return randomness.spawn(generator, count)
        if generator is None or len(generator) != count:
            came = generator if generator is None else len(generator)
            raise InputError(f"expected one generator or {count}, one per shape, got {came}")
        return list(generator)


def pretrained_names() -> list[str]:
    """Return the names of the weights that come with the package."""
    return checkpoint.names_in(WEIGHTS)
