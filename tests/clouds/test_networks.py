"""Networks against slow references, symmetries, automatic Jacobians and torch's own laws."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from pcdiff.clouds.condition import CloudCondition
from pcdiff.clouds.networks.encoders import PointNetEncoder
from pcdiff.clouds.networks.gated import GatedLinear, GatedPointNetwork
from pcdiff.clouds.priors import FlowPrior, GaussianPrior, LatentPrior
from pcdiff.embeddings import sinusoidal_embedding
from pcdiff.errors import InputError
from pcdiff.randomness import normal, spawn

Module = TypeVar("Module", bound=nn.Module)


def drawn(module: Module, generator: torch.Generator, scale: float) -> Module:
    """The module with weights from the generator, so that no test sees the global one."""
    with torch.no_grad():
        for parameter in module.parameters():
            fan_in = parameter.shape[-1] if parameter.ndim > 1 else 1
            parameter.normal_(0, scale / math.sqrt(fan_in), generator=generator)
    return module


class TestEmbedding:
    def test_closed_form(self) -> None:
        """Cosines, then sines, of periods 2, 6, 18 and 54."""
        values = torch.tensor([-3.0, 0.0, 0.7, 12.5])
        found = sinusoidal_embedding(values, 8, 2.0, 54.0)
        for row, value in zip(found, values.tolist(), strict=True):
            phases = [2 * math.pi * value / (2 * 3**k) for k in range(4)]
            expected = [math.cos(p) for p in phases] + [math.sin(p) for p in phases]
            np.testing.assert_allclose(row, expected, atol=2e-5)


class TestGatedLinear:
    def test_against_loops(self, generator: torch.Generator) -> None:
        """y = sigmoid(G c) ∘ (W x + b) + B c, one number at a time."""
        layer = drawn(GatedLinear(3, 4, 5), generator, 1.0)
        points, context = normal((2, 6, 3), generator), normal((2, 5), generator)
        found = layer(points, context).detach()
        w, b = layer.linear.weight.tolist(), layer.linear.bias.tolist()
        g, gb = layer.gate.weight.tolist(), layer.gate.bias.tolist()
        shift = layer.shift.weight.tolist()
        for i in range(2):
            c = context[i].tolist()
            for j in range(6):
                x = points[i, j].tolist()
                for k in range(4):
                    gate = 1 / (1 + math.exp(-gb[k] - sum(map(float.__mul__, g[k], c))))
                    inner = sum(map(float.__mul__, w[k], x)) + b[k]
                    expected = gate * inner + sum(map(float.__mul__, shift[k], c))
                    assert float(found[i, j, k]) == pytest.approx(expected, abs=1e-5)


class TestGatedPointNetwork:
    @pytest.fixture
    def network(self, generator: torch.Generator) -> GatedPointNetwork:
        return drawn(GatedPointNetwork(6, (16, 32, 16), 8, 12), generator, 1.5)

    @pytest.fixture
    def inputs(self, generator: torch.Generator) -> tuple[Tensor, Tensor, CloudCondition]:
        points, latent = normal((3, 10, 3), generator), normal((3, 6), generator)
        return points, torch.tensor([-7.0, 0.5, 6.0]), CloudCondition(latent=latent)

    def test_against_a_point_at_a_time(
        self, network: GatedPointNetwork, inputs: tuple[Tensor, Tensor, CloudCondition]
    ) -> None:
        weights = {name: value.numpy() for name, value in network.state_dict().items()}
        points, log_snr, latent = inputs[0].numpy(), inputs[1].numpy(), inputs[2].latent.numpy()
        found = network(*inputs).detach()
        for i in range(3):
            periods = 100 ** (np.arange(4) / 3)
            phase = 2 * np.pi * log_snr[i] / periods
            level = np.concatenate([np.cos(phase), np.sin(phase)])
            context = weights["context.0.weight"] @ np.concatenate([latent[i], level])
            context = context + weights["context.0.bias"]
            context = context / (1 + np.exp(-context))
            for j in range(10):
                x = points[i, j]
                for layer in range(4):
                    at = f"layers.{layer}."
                    gate = weights[at + "gate.weight"] @ context + weights[at + "gate.bias"]
                    inner = weights[at + "linear.weight"] @ x + weights[at + "linear.bias"]
                    x = inner / (1 + np.exp(-gate)) + weights[at + "shift.weight"] @ context
                    if layer < 3:
                        x = np.where(x > 0, x, 0.01 * x)
                np.testing.assert_allclose(found[i, j], x, rtol=1e-3, atol=1e-4)

    def test_equivariant_to_the_order_of_points(
        self,
        network: GatedPointNetwork,
        inputs: tuple[Tensor, Tensor, CloudCondition],
        generator: torch.Generator,
    ) -> None:
        points, *context = inputs
        order = torch.randperm(10, generator=generator)
        torch.testing.assert_close(
            network(points[:, order], *context), network(points, *context)[:, order]
        )

    def test_a_point_does_not_depend_on_the_others_nor_a_cloud_on_its_batch(
        self, network: GatedPointNetwork, inputs: tuple[Tensor, Tensor, CloudCondition]
    ) -> None:
        points, log_snr, condition = inputs
        whole = network(points, log_snr, condition)
        alone = network(points[1:2, 4:5], log_snr[1:2], condition.select(slice(1, 2)))
        torch.testing.assert_close(alone[0, 0], whole[1, 4])

    def test_sees_level_and_latent(
        self, network: GatedPointNetwork, inputs: tuple[Tensor, Tensor, CloudCondition]
    ) -> None:
        points, log_snr, condition = inputs
        base = network(*inputs)
        other = CloudCondition(latent=condition.latent + 1)
        assert (network(points, log_snr + 1, condition) - base).abs().amax((1, 2)).min() > 0.01
        assert (network(points, log_snr, other) - base).abs().amax((1, 2)).min() > 0.01

    def test_answers_in_single_precision_when_run_in_half(
        self, network: GatedPointNetwork, inputs: tuple[Tensor, Tensor, CloudCondition]
    ) -> None:
        with torch.autocast("cpu", torch.bfloat16):
            half = network(*inputs)
        assert half.dtype == torch.float32
        exact = network(*inputs)
        assert (half - exact).norm() / exact.norm() < 0.03


class TestPointNetEncoder:
    @pytest.fixture
    def encoder(self, generator: torch.Generator) -> PointNetEncoder:
        return drawn(PointNetEncoder(5, (16, 32), 24), generator, 1.0)

    def test_against_a_point_at_a_time(
        self, encoder: PointNetEncoder, generator: torch.Generator
    ) -> None:
        cloud = normal((1, 20, 3), generator)
        weights = {name: value.numpy() for name, value in encoder.state_dict().items()}

        def linear(name: str, x: np.ndarray) -> np.ndarray:
            return weights[name + ".weight"] @ x + weights[name + ".bias"]

        def relu(x: np.ndarray) -> np.ndarray:
            return np.maximum(x, 0)

        largest = np.max(
            [linear("points.2", relu(linear("points.0", x))) for x in cloud[0].numpy()], axis=0
        )
        scaled = (largest - largest.mean()) / np.sqrt(largest.var() + encoder.norm.eps)
        features = weights["norm.weight"] * scaled + weights["norm.bias"]
        for found, head in zip(encoder(cloud), ("mean", "log_variance"), strict=True):
            expected = linear(f"{head}.2", relu(linear(f"{head}.0", features)))
            np.testing.assert_allclose(found[0].detach(), expected, atol=1e-4)

    def test_invariant_to_order_and_repetition_of_points(
        self, encoder: PointNetEncoder, generator: torch.Generator
    ) -> None:
        clouds = normal((4, 20, 3), generator)
        order = torch.randperm(20, generator=generator)
        for same in (clouds[:, order], torch.cat([clouds, clouds[:, :7]], dim=1)):
            torch.testing.assert_close(encoder(same), encoder(clouds))

    def test_a_code_does_not_depend_on_its_batch(
        self, encoder: PointNetEncoder, generator: torch.Generator
    ) -> None:
        clouds = normal((4, 20, 3), generator)
        mean, log_variance = encoder.train()(clouds)
        alone = encoder(clouds[2:3])
        torch.testing.assert_close(alone, (mean[2:3], log_variance[2:3]))


class TestFlowPrior:
    @pytest.fixture
    def flow(self, generator: torch.Generator) -> FlowPrior:
        return drawn(FlowPrior(6, layers=5, hidden=16), generator, 1.0)

    def test_begins_as_the_identity(self, generator: torch.Generator) -> None:
        """With an odd number of layers the halves end up swapped, which changes no density."""
        z = normal((4, 6), generator)
        for layers, expected in ((4, z), (5, z.roll(3, dims=1))):
            flow = FlowPrior(6, layers, 16)
            w, log_determinant = flow.to_base(z)
            assert w.equal(expected)
            assert flow.from_base(w).equal(z)
            assert log_determinant.equal(torch.zeros(4))

    def test_from_base_inverts_to_base(self, flow: FlowPrior, generator: torch.Generator) -> None:
        z = normal((100, 6), generator)
        w, _ = flow.to_base(z)
        assert (w - z.roll(3, dims=1)).abs().mean() > 0.3  # not the identity
        torch.testing.assert_close(flow.from_base(w), z, rtol=1e-4, atol=1e-4)
        again, _ = flow.to_base(flow.from_base(z))
        torch.testing.assert_close(again, z, rtol=1e-4, atol=1e-4)

    def test_log_determinant_is_that_of_the_jacobian(
        self, flow: FlowPrior, generator: torch.Generator
    ) -> None:
        z = normal((8, 6), generator)
        _, found = flow.to_base(z)
        assert found.abs().min() > 0.01
        for point, value in zip(z, found, strict=True):
            jacobian = torch.autograd.functional.jacobian(
                lambda x: flow.to_base(x[None])[0][0], point
            )
            torch.testing.assert_close(value, torch.linalg.slogdet(jacobian).logabsdet)

    def test_density_integrates_to_one(self, generator: torch.Generator) -> None:
        """And has the moments of the samples, so it is their law."""
        flow = drawn(FlowPrior(2, layers=4, hidden=8), generator, 0.6)
        axis = torch.linspace(-12, 12, 601)
        grid = torch.cartesian_prod(axis, axis)
        with torch.no_grad():
            mass = flow.log_prob(grid).double().exp() * float(axis[1] - axis[0]) ** 2
            samples = flow.sample(20_000, generator).double()
        assert float(mass.sum()) == pytest.approx(1, abs=2e-3)
        for power in (1, 2):
            expected = (mass[:, None] * grid.double() ** power).sum(0)
            error = 4 * (samples**power).std(0) / math.sqrt(20_000)
            assert ((((samples**power).mean(0)) - expected).abs() < error + 2e-3).all()

    def test_layers_cannot_explode(self, generator: torch.Generator) -> None:
        """|log scale| < 1 a layer and coordinate, however large the weights."""
        flow = drawn(FlowPrior(6, layers=5, hidden=16), generator, 100.0)
        _, log_determinant = flow.to_base(normal((50, 6), generator))
        assert log_determinant.abs().max() <= 5 * 3

    def test_needs_an_even_latent(self) -> None:
        with pytest.raises(InputError, match="must be even, got 7"):
            FlowPrior(7, layers=2, hidden=8)


class TestGaussianPrior:
    def test_log_prob_is_torchs(self, generator: torch.Generator) -> None:
        z = 2 * normal((10, 5), generator)
        expected = MultivariateNormal(torch.zeros(5), torch.eye(5)).log_prob(z)
        torch.testing.assert_close(GaussianPrior(5).log_prob(z), expected)


@pytest.mark.parametrize("make", [GaussianPrior, partial(FlowPrior, layers=3, hidden=8)])
class TestSampling:
    @pytest.fixture
    def prior(self, make: Callable[[int], LatentPrior], generator: torch.Generator) -> LatentPrior:
        return drawn(make(4), generator, 0.3)

    @pytest.mark.parametrize("temperature", [1.0, 0.6])
    def test_temperature_scales_the_base_noise(
        self, prior: LatentPrior, temperature: float
    ) -> None:
        found = prior.sample(10, torch.Generator().manual_seed(1), temperature)
        noise = normal((10, 4), torch.Generator().manual_seed(1))
        torch.testing.assert_close(found, prior.from_base(temperature * noise))
        w, _ = prior.to_base(found)
        torch.testing.assert_close(w, temperature * noise, rtol=1e-4, atol=1e-4)

    def test_a_sample_does_not_depend_on_its_batch(self, prior: LatentPrior) -> None:
        whole = prior.sample(5, spawn(torch.Generator().manual_seed(1), 5))
        alone = prior.sample(1, spawn(torch.Generator().manual_seed(1), 5)[3:4])
        torch.testing.assert_close(alone[0], whole[3])
