"""The laws of the sampling loop, over all manifolds × samplers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from pcdiff.diffusion.samplers import (
    DDIM,
    Ancestral,
    AnnealedLangevin,
    Multistep,
    Sampler,
    sample,
)
from pcdiff.diffusion.schedules import Level
from pcdiff.randomness import spawn
from tests.exact.problems import (
    DETERMINISTIC,
    EXPLODING,
    PRESERVING,
    STOCHASTIC,
    Mixture,
    last_state,
    seeded,
)
from tests.laws.cases import CASES, Case, over_manifolds

CURVED = [case for case in CASES if not case.manifold.is_flat]


def problem(case: Case) -> tuple[Mixture, Tensor, Level]:
    """A model, five points to start from, and levels down to the clean one, in float32."""
    means = case.near(case.draw((1,), seeded(1)).expand(2, *case.point), 0.5, seeded(2))
    x = case.near(means[:1].expand(5, *case.point), 0.8, seeded(3))
    ratios = torch.tensor([2.0, 1.0, 0.4, 0.1, 0.0], dtype=torch.float64)
    schedule = PRESERVING if case.manifold.is_flat else EXPLODING
    model = Mixture(case.manifold, means.float(), torch.tensor([0.3, 0.7]), 0.4)
    return model, x.float(), schedule.at_noise_to_signal(ratios)


@pytest.mark.parametrize(
    ("case", "sampler"),
    [
        (case, sampler)
        for case in CASES
        for sampler in STOCHASTIC + DETERMINISTIC
        if case.manifold.is_flat or not isinstance(sampler, Ancestral)
    ],
    ids=str,
)
class TestLoop:
    def test_yields_one_state_per_level_with_its_estimate(
        self, case: Case, sampler: Sampler
    ) -> None:
        mixture, x, levels = problem(case)
        seen: list[tuple[Tensor, Level]] = []

        def model(x: Tensor, level: Level, condition: Any) -> Tensor:
            assert condition == "a mug"
            assert level.alpha.shape == level.sigma.shape == (5,)
            assert level.alpha.dtype == level.sigma.dtype == torch.float32
            seen.append((x, level))
            return mixture.noise(x, level)

        states = list(sample(sampler, model, mixture.manifold, x, levels, "a mug", seeded()))
        assert [tuple(state.level) for state in states] == [tuple(each) for each in levels.each()]
        assert all(state.x.dtype == torch.float32 for state in states)
        assert states[0].x is x
        assert states[0].denoised is None
        if isinstance(sampler, AnnealedLangevin):
            return
        assert len(seen) == len(states) - 1  # one evaluation per step
        for before, state, (evaluated, _) in zip(states[:-1], states[1:], seen, strict=True):
            assert evaluated is before.x
            assert state.previous is before.level
            noise = mixture.noise(before.x, before.level.over_batch(x, mixture.manifold.point_ndim))
            step = -before.level.sigma.float() * mixture.manifold.from_unit(noise)
            denoised = mixture.manifold.retract(before.x, step)
            denoised = mixture.manifold.contract(1 / before.level.alpha, denoised)
            assert state.denoised is not None
            torch.testing.assert_close(state.denoised, denoised)
        assert states[-1].denoised is not None
        torch.testing.assert_close(
            states[-1].x, states[-1].denoised
        )  # the clean level keeps no noise

    def test_a_sample_does_not_depend_on_its_batch(self, case: Case, sampler: Sampler) -> None:
        mixture, x, levels = problem(case)
        common = mixture.noise, mixture.manifold
        whole = last_state(sampler, *common, x, levels, None, spawn(seeded(), 5)).x
        for i in (0, 3):
            own = [spawn(seeded(), 5)[i]]
            alone = last_state(sampler, *common, x[i : i + 1], levels, None, own).x
            torch.testing.assert_close(alone[0], whole[i], rtol=1e-6, atol=1e-6)

    def test_needs_a_generator_only_if_it_is_random(self, case: Case, sampler: Sampler) -> None:
        mixture, x, levels = problem(case)
        run = sample(sampler, mixture.noise, mixture.manifold, x, levels)
        if sampler in DETERMINISTIC:
            assert len(list(run)) == 5
        else:
            with pytest.raises(ValueError, match="need a generator, got None"):
                list(run)


@over_manifolds
@pytest.mark.parametrize("predictor", [DDIM(), Multistep()], ids=str)
def test_langevin_without_moves_is_its_predictor(case: Case, predictor: Sampler) -> None:
    """It keeps the predictor's memory of the last estimate."""
    mixture, x, levels = problem(case)
    alone, corrected = (
        last_state(sampler, mixture.noise, mixture.manifold, x, levels).x
        for sampler in (predictor, AnnealedLangevin(0, 0.3, predictor))
    )
    assert corrected.equal(alone)


class TestRefusals:
    @pytest.mark.parametrize("case", CURVED, ids=str)
    def test_ancestral_sampling_needs_flat_space(self, case: Case) -> None:
        mixture, x, levels = problem(case)
        with pytest.raises(ValueError, match="only on flat space"):
            list(sample(Ancestral(), mixture.noise, mixture.manifold, x, levels, None, seeded()))

    @pytest.mark.parametrize("case", CURVED, ids=str)
    def test_curved_spaces_need_a_variance_exploding_schedule(self, case: Case) -> None:
        mixture, x, _ = problem(case)
        preserving = PRESERVING(torch.tensor([0.5, 0.0]))
        with pytest.raises(ValueError, match="alpha must be 1"):
            list(sample(DDIM(), mixture.noise, case.manifold, x, preserving))

    def test_unknown_options(self) -> None:
        with pytest.raises(ValueError, match="variance must be 'posterior' or 'beta', got 'both'"):
            Ancestral("both")
        for eta in (-0.1, 1.1):
            with pytest.raises(ValueError, match="eta must be between 0 and 1"):
                DDIM(eta)
