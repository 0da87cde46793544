"""The point-cloud head against closed forms, invariances and a slow reference."""

from __future__ import annotations

import inspect
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from pcdiff.clouds import generator
from pcdiff.clouds.components import Choice
from pcdiff.clouds.condition import CloudCondition
from pcdiff.clouds.configuration import GeneratorConfig, Standardization
from pcdiff.clouds.generator import (
    KIND,
    SPACE,
    PointCloudGenerator,
    pretrained_names,
)
from pcdiff.clouds.levels import sampled_ratios, sampling_levels
from pcdiff.clouds.sampling import shape_generators
from pcdiff.diffusion.samplers import DDIM
from pcdiff.diffusion.schedules import (
    Cosine,
    GeometricVarianceExploding,
    Level,
    Linear,
    LuoHuReleasedCode,
    geometric_levels,
)
from pcdiff.errors import InputError
from pcdiff.learning import checkpoint
from pcdiff.randomness import seeded

TINY = GeneratorConfig(
    latent=6,
    network=Choice("gated", {"widths": [8, 16, 8]}),
    encoder=Choice("pointnet", {"widths": [8, 16]}),
    prior=Choice("flow", {"layers": 3, "hidden": 8}),
    schedule=Cosine(),
    standardization=Standardization((0.1, -0.2, 0.3), 0.5),
)


def tiny(**changes: object) -> PointCloudGenerator:
    """A tiny generator with random weights, the flow's last layers included."""
    model = PointCloudGenerator.initialized(replace(TINY, **changes), seed=3).eval()  # type: ignore[arg-type]
    random = seeded(4)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=random))
    return model.requires_grad_(False)


@pytest.fixture
def clouds() -> Tensor:
    return 2 * torch.rand((5, 40, 3), generator=seeded(1)) - 1


class TestStandardization:
    def test_gives_zero_mean_and_unit_variance(self, clouds):
        record = Standardization.of(clouds)
        standard = record.apply(clouds)
        assert standard.mean(dim=(0, 1)).abs().max() < 1e-6
        assert standard.square().mean() == pytest.approx(1, abs=1e-5)

    def test_inverts(self, clouds):
        record = TINY.standardization
        torch.testing.assert_close(record.invert(record.apply(clouds)), clouds)


class TestLoss:
    def test_equals_the_terms_written_out(self, clouds):
        """The loss of each cloud from its own generator, computed one cloud and level at a time."""
        model, levels = tiny(), 4
        loss = model.loss(clouds, [seeded(0, i) for i in range(5)], levels)
        denoising, kl = [], []
        for i, cloud in enumerate(clouds):
            random = seeded(0, i)
            x0 = (cloud - torch.tensor(TINY.standardization.mean)) / 0.5
            mean, log_variance = (row[0] for row in model.encoder(x0[None]))
            noise = torch.randn(6, generator=random)
            z = mean + noise * (log_variance / 2).exp()
            normal = torch.distributions.Normal(mean, (log_variance / 2).exp())
            kl.append(normal.log_prob(z).sum() - model.prior.log_prob(z[None])[0])
            steps = [(torch.rand((), generator=random, dtype=torch.float64) * 1000).floor() + 1
                     for _ in range(levels)]  # fmt: skip
            epsilons = [torch.randn((10, 3), generator=random) for _ in range(levels)]
            for step, epsilon, points in zip(steps, epsilons, x0.split(10), strict=True):
                alpha, sigma = (value.float() for value in TINY.schedule(step / 1000))
                x = alpha * points + sigma * epsilon
                log_snr = torch.log(alpha**2 / sigma**2)
                condition = CloudCondition(latent=z[None])
                velocity = model.network(x[None], log_snr[None], condition)[0]
                error = alpha * velocity + sigma * x - epsilon
                denoising.append(error.square().mean())
        assert float(loss["denoising"]) == pytest.approx(
            float(torch.stack(denoising).mean()), rel=1e-5
        )
        assert float(loss["kl"]) == pytest.approx(float(torch.stack(kl).mean()), rel=1e-4)
        total = loss["denoising"] + TINY.kl_weight * loss["kl"]
        assert float(loss["loss"]) == pytest.approx(float(total), rel=1e-6)

    def test_the_latent_kl_is_unbiased(self, clouds):
        """With a Gaussian prior its mean is the closed form of KL(N(m, s²) ‖ N(0, 1))."""
        model = tiny(prior="gaussian")
        mean, log_variance = model.posterior(model.config.standardization.apply(clouds))
        exact = 0.5 * (mean**2 + log_variance.exp() - log_variance - 1).sum(dim=1).mean()
        random = seeded(5)
        draws = torch.stack([model.loss(clouds, random)["kl"] for _ in range(800)])
        assert abs(draws.mean() - exact) < 4 * draws.std() / math.sqrt(800)

    def test_an_auto_encoder_has_no_kl(self, clouds):
        loss = tiny(prior="none").loss(clouds, seeded(0))
        assert loss["kl"] == 0
        assert loss["loss"] == loss["denoising"]


class TestSampling:
    def test_shape_i_does_not_depend_on_the_count(self):
        model = tiny()
        few, many = (model.sample(n, 30, seeded(7), steps=4) for n in (2, 5))
        torch.testing.assert_close(few, many[:2], rtol=1e-5, atol=1e-5)

    def test_a_seed_stands_for_a_generator_per_shape(self, clouds):
        """The same as the command's, so that its clouds can be made again in Python."""
        model, each = tiny(), shape_generators(7, 3)
        close = torch.testing.assert_close
        close(model.sample(3, 30, seed=7, steps=4), model.sample(3, 30, each, steps=4))
        each, latents = shape_generators(7, 2), model.encode(clouds[:2])
        expected = model.decode(latents, 30, each, steps=4)
        close(model.decode(latents, 30, seed=7, steps=4), expected)
        close(model.reconstruct(clouds[:2], 30, seed=7, steps=4), expected)
        path = model.interpolate(clouds[0], clouds[1], 3, 20, seed=7, steps=4)
        given = model.interpolate(clouds[0], clouds[1], 3, 20, shape_generators(7, 1), steps=4)
        close(path, given)

    @pytest.mark.parametrize(
        ("arguments", "came"), [({}, "neither"), ({"generator": seeded(0), "seed": 0}, "both")]
    )
    def test_needs_one_source_of_random_numbers(self, clouds, arguments, came):
        model = tiny()
        for function in (
            lambda **source: model.sample(2, 10, **source),
            lambda **source: model.reconstruct(clouds[:2], 10, **source),
            lambda **source: model.interpolate(clouds[0], clouds[1], 2, 10, **source),
        ):
            with pytest.raises(InputError, match=f"either a generator or a seed, got {came}"):
                function(**arguments)
        with pytest.raises(InputError, match="a seed must be from 0 to 4294967295, got -1"):
            model.sample(2, 10, seed=-1)
        with pytest.raises(TypeError, match="sed"):
            model.sample(2, 10, sed=1)

    def test_equals_the_prior_then_the_decoder(self):
        model = tiny()
        sampled = model.sample(3, 30, [seeded(i) for i in range(3)], steps=4)
        generators = [seeded(i) for i in range(3)]
        latents = model.prior.sample(3, generators)
        torch.testing.assert_close(sampled, model.decode(latents, 30, generators, steps=4))

    def test_decoding_in_chunks_changes_nothing(self, monkeypatch):
        model = tiny()
        latents = torch.randn((5, 6), generator=seeded(2))
        whole = model.decode(latents, 30, seeded(3), steps=4)
        monkeypatch.setattr(generator, "POINTS_AT_ONCE", 60)
        torch.testing.assert_close(model.decode(latents, 30, seeded(3), steps=4), whole)

    def test_a_point_does_not_depend_on_the_others(self):
        """Points are independent given z: the first of them do not change when more are asked."""
        model = tiny()
        latents = torch.randn((1, 6), generator=seeded(2))
        x = torch.randn((1, 30, 3), generator=seeded(3))
        level = Level(torch.tensor([0.6]), torch.tensor([0.8]))
        condition = model.condition_on(latents)
        few = model.predict_noise(x[:, :7], level, condition)
        torch.testing.assert_close(model.predict_noise(x, level, condition)[:, :7], few)

    def test_a_perfect_network_samples_the_data(self, monkeypatch):
        """If v̂ belongs to points from N(m, s²), sampled points have that mean and deviation."""
        model, mean, deviation = tiny(), torch.tensor([1.0, -0.5, 0.2]), 0.3

        def velocity(x: Tensor, log_snr: Tensor, condition: CloudCondition) -> Tensor:
            alpha = torch.sigmoid(log_snr).sqrt()[:, None, None]
            sigma = torch.sigmoid(-log_snr).sqrt()[:, None, None]
            variance = alpha**2 * deviation**2 + sigma**2
            noise = sigma * (x - alpha * mean) / variance
            return (noise - sigma * x) / alpha

        monkeypatch.setattr(model.network, "forward", velocity)
        standard = TINY.standardization.apply(model.sample(4, 5000, seeded(0), steps=40))
        assert (standard.mean(dim=(0, 1)) - mean).abs().max() < 4 * deviation / math.sqrt(20_000)
        spread = standard.std(dim=(0, 1))
        assert (spread / deviation - 1).abs().max() < 4 / math.sqrt(40_000) + 0.01

    @pytest.mark.filterwarnings("ignore:schedule 'luo-hu-released-code' ends at")
    @pytest.mark.parametrize("kind", [Cosine, Linear, LuoHuReleasedCode])
    def test_levels_run_from_noise_to_clean_and_stay_where_it_was_trained(self, kind):
        schedule = kind()
        levels = sampling_levels(schedule, 20)
        ratio = levels.sigma / levels.alpha
        first, last = (float(sigma / alpha) for alpha, sigma in schedule(
            torch.tensor([1, 1 / schedule.steps]).double()
        ).each())  # fmt: skip
        ends = torch.tensor([min(80, first), max(0.005, last), 0]).double()
        assert len(ratio) == 21
        torch.testing.assert_close(ratio[[0, -2, -1]], ends)

    def test_a_schedule_that_explodes_is_refused(self):
        with pytest.raises(InputError, match="schedule must preserve variance"):
            replace(TINY, schedule=GeometricVarianceExploding(0.01, 80.0))

    def test_no_shapes_are_refused(self):
        with pytest.raises(InputError, match="at least 1, got 0"):
            tiny().sample(0, 10, seeded(0))

    def test_an_auto_encoder_has_nothing_to_sample(self):
        with pytest.raises(InputError, match="auto-encoder"):
            tiny(prior="none").sample(1, 10, seeded(0))

    def test_needs_a_generator_for_each_shape(self):
        with pytest.raises(ValueError, match="one generator or 3"):
            tiny().sample(3, 10, [seeded(0)])


class TestEncodingAndDecoding:
    def test_the_code_does_not_depend_on_the_order_of_points_or_on_the_batch(self, clouds):
        model = tiny()
        order = torch.randperm(40, generator=seeded(9))
        codes = model.encode(clouds)
        torch.testing.assert_close(model.encode(clouds[:, order]), codes)
        torch.testing.assert_close(model.encode(clouds[2:3]), codes[2:3])

    @pytest.mark.parametrize("prior", ["flow", "gaussian", "none"])
    def test_a_path_ends_at_the_reconstructions(self, clouds, prior):
        model = tiny(prior=prior)
        path = model.interpolate(clouds[0], clouds[1, :25], 4, 20, seeded(8), steps=4)
        for end, cloud in ((0, clouds[0]), (-1, clouds[1, :25])):
            (same,) = generator.randomness.spawn(seeded(8), 1)
            rebuilt = model.reconstruct(cloud[None], 20, [same], steps=4)
            torch.testing.assert_close(path[end], rebuilt[0], rtol=1e-3, atol=1e-4)

    def test_a_path_is_straight_where_the_prior_is_gaussian(self, clouds, monkeypatch):
        model, seen = tiny(), []
        decode = model.decode
        monkeypatch.setattr(model, "decode", lambda z, *rest: seen.append(z) or decode(z, *rest))
        model.interpolate(clouds[0], clouds[1], 5, 20, seeded(8))
        base = model.prior.to_base(seen[0])[0]
        torch.testing.assert_close(
            base.diff(dim=0), base.diff(dim=0)[:1].expand(4, -1), atol=1e-5, rtol=1e-4
        )

    def test_the_sampler_is_used(self, clouds):
        model = tiny()
        second_order, first_order = (
            model.reconstruct(clouds[:1], 20, seeded(8), 4, sampler) for sampler in (None, DDIM())
        )
        assert (second_order - first_order).abs().max() > 1e-3


class TestRefusals:
    @pytest.mark.parametrize(
        "cloud",
        [
            torch.zeros(5, 3),
            torch.zeros(2, 0, 3),
            torch.zeros(0, 5, 3),
            torch.zeros(2, 5, 2),
            torch.full((1, 5, 3), torch.nan),
            torch.zeros(1, 5, 3, dtype=torch.int64),
        ],
        ids=lambda cloud: f"{cloud.dtype}-{tuple(cloud.shape)}",
    )
    def test_what_is_no_set_of_clouds(self, cloud):
        """The checks must not lean on the annotations, which only tests enforce."""
        with pytest.raises(InputError, match="the clouds must"):
            inspect.unwrap(PointCloudGenerator.encode)(tiny(), cloud)

    def test_double_precision_is_brought_to_the_model_s(self, clouds):
        torch.testing.assert_close(tiny().encode(clouds.double()), tiny().encode(clouds))

    @pytest.mark.parametrize("shape", [(0, 6), (2, 7)])
    def test_latents_of_another_shape(self, shape):
        with pytest.raises(InputError, match=r"latents must have shape \(shapes, 6\)"):
            tiny().decode(torch.zeros(shape), 10, seeded(0))

    @pytest.mark.parametrize("temperature", [-1.0, math.nan, math.inf])
    def test_a_temperature_that_is_none(self, temperature):
        with pytest.raises(InputError, match="temperature must be a finite number"):
            tiny().sample(1, 10, seeded(0), temperature=temperature)

    @pytest.mark.parametrize("record", [((0.0, 0.0, 0.0), 0.0), ((0.0, math.nan, 0.0), 1.0)])
    def test_a_standardisation_that_is_none(self, record):
        with pytest.raises(InputError, match="standardization must have a mean of three"):
            Standardization(*record)


class TestBound:
    def test_counts_in_the_units_of_the_clouds(self, clouds):
        """Twice as large clouds with a twice as large unit: the density falls by 2 a coordinate."""
        model = tiny()
        record = TINY.standardization
        doubled = tiny(standardization=Standardization(tuple(2 * m for m in record.mean), 1.0))
        small = model.variational_bound(clouds, seeded(0), steps=5)
        large = doubled.variational_bound(2 * clouds, seeded(0), steps=5)
        nats = torch.full((5,), 120 * math.log(2), dtype=torch.float64)
        torch.testing.assert_close(large.total - small.total, nats, rtol=1e-4, atol=1e-3)

    def test_equals_its_closed_form_for_normal_points(self, monkeypatch):
        """For points from N(0, 1) and the exact ε̂, Var(x₀ | x_t) = σ_t² makes each term known."""
        model = tiny(prior="none", standardization=Standardization())
        monkeypatch.setattr(
            model, "predict_noise", lambda x, level, _: SPACE.over_tangent(level.sigma) * x
        )
        x0 = torch.randn((64, 50, 3), generator=seeded(0))
        bound = model.variational_bound(x0, seeded(1), steps=100)
        alpha, sigma = geometric_levels(TINY.schedule, 100, *sampled_ratios(TINY.schedule))
        snr = (alpha / sigma) ** 2
        exact = -torch.log(sigma[0])
        exact += 0.5 * ((snr[1:-1] - snr[:-2]) * sigma[:-2] ** 2).sum()
        exact += 0.5 * (alpha[-2] ** 2 - torch.log(snr[-2]) + math.log(2 * math.pi))
        measured = bound.total / bound.dimensions
        assert abs(measured.mean() - exact) < 4 * measured.std() / 8
        assert float(bound.latent.abs().sum()) == 0


class TestParts:
    def test_a_part_that_is_not_there_is_refused(self):
        for wrong, sentence in (
            (
                {"network": Choice("mine")},
                r"must be one of the networks \(gated\), got 'mine'",
            ),
            ({"prior": "cube"}, r"must be one of the priors \(flow, gaussian\), got 'cube'"),
            (
                {"network": Choice("gated", {"width": 3})},
                r"'gated' \(one of the networks\) cannot be built",
            ),
        ):
            with pytest.raises(InputError, match=sentence):
                PointCloudGenerator(replace(TINY, **wrong))

    def test_points_that_see_each_other_share_a_noise_level(self, clouds, monkeypatch):
        model = tiny()
        monkeypatch.setattr(model.network, "independent_points", False)
        assert model.loss(clouds, seeded(0))["loss"] > 0
        with pytest.raises(InputError, match="does not treat points independently, got 4"):
            model.loss(clouds, seeded(0), 4)

    def test_a_description_of_version_0_1_0_is_understood(self):
        old = {
            "latent": 6, "widths": [8, 16, 8], "encoder_widths": [8, 16], "prior": "flow",
            "flow_layers": 3, "flow_hidden": 8, "kl_weight": 1e-4,
            "schedule": TINY.schedule.as_dict(),
            "standardization": {"mean": [0.1, -0.2, 0.3], "deviation": 0.5},
        }  # fmt: skip
        assert GeneratorConfig.from_dict(old) == TINY
        assert GeneratorConfig.from_dict(TINY.as_dict()) == TINY


class TestWeights:
    def test_round_trip(self, tmp_path):
        model = tiny()
        model.save(tmp_path / "w.safetensors", {"command": "none"})
        again = PointCloudGenerator.from_pretrained(tmp_path / "w.safetensors")
        assert again.config == model.config
        for ours, theirs in zip(model.parameters(), again.parameters(), strict=True):
            assert torch.equal(ours, theirs)

    def test_half_precision_weights_are_read_in_single(self, tmp_path):
        model = tiny()
        tensors = {name: tensor.half() for name, tensor in model.state_dict().items()}
        checkpoint.save(tmp_path / "w.safetensors", KIND, {"model": TINY.as_dict()}, tensors)
        again = PointCloudGenerator.from_pretrained(tmp_path / "w.safetensors")
        assert {parameter.dtype for parameter in again.parameters()} == {torch.float32}

    def test_a_name_that_is_not_shipped(self):
        with pytest.raises(InputError, match="'sofa': expected a file or the name of shipped"):
            PointCloudGenerator.from_pretrained("sofa")

    def test_initial_weights_are_a_function_of_the_seed_and_leave_torch_alone(self):
        before = torch.default_generator.get_state()
        first, same, other = (PointCloudGenerator.initialized(TINY, s) for s in (1, 1, 2))
        assert torch.equal(before, torch.default_generator.get_state())
        assert torch.equal(first.encoder.points[0].weight, same.encoder.points[0].weight)
        assert not torch.equal(first.encoder.points[0].weight, other.encoder.points[0].weight)

    @pytest.mark.parametrize("name", pretrained_names())
    def test_shipped_weights_load_and_fit_in_8_megabytes(self, name):
        model = PointCloudGenerator.from_pretrained(name)
        assert 4 * sum(p.numel() for p in model.parameters()) <= 8e6
