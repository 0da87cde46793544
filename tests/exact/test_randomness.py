"""Draws depend only on their generator and follow the law in their name."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations

import pytest
import torch
from scipy import stats
from torch import Tensor

from pcdiff.errors import InputError
from pcdiff.randomness import normal, repeat, seeded, spawn, uniform

Draw = Callable[..., Tensor]
over_draws = pytest.mark.parametrize("draw", [normal, uniform])


def fresh(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def correlations(streams: list[torch.Generator], count: int = 4000) -> list[float]:
    """Correlations of each pair of streams; independent streams give a deviation of 1/√count."""
    draws = torch.stack([normal((count,), stream) for stream in streams])
    matrix = torch.corrcoef(draws)
    return [float(matrix[i, j]) for i, j in combinations(range(len(streams)), 2)]


class TestLaws:
    def test_normal(self, generator: torch.Generator) -> None:
        numbers = normal((50, 200), generator, torch.float64)
        assert stats.kstest(numbers.flatten().numpy(), "norm").pvalue > 1e-3

    def test_uniform(self, generator: torch.Generator) -> None:
        numbers = uniform((50, 200), generator, torch.float64)
        assert stats.kstest(numbers.flatten().numpy(), "uniform").pvalue > 1e-3

    def test_normal_with_many_generators(self, generator: torch.Generator) -> None:
        numbers = normal((2000, 3), spawn(generator, 2000), torch.float64)
        assert stats.kstest(numbers.flatten().numpy(), "norm").pvalue > 1e-3


@over_draws
class TestGenerators:
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
    def test_same_generator_same_numbers(self, draw: Draw, dtype: torch.dtype) -> None:
        first = draw((3, 2), fresh(), dtype)
        assert first.dtype == dtype
        assert first.equal(draw([3, 2], fresh(), dtype))
        assert not first.equal(draw((3, 2), fresh(2), dtype))

    def test_one_generator_continues(self, draw: Draw) -> None:
        """A second draw differs from the first."""
        generator = fresh()
        assert not draw((4,), generator).equal(draw((4,), generator))

    def test_a_sample_depends_on_its_own_generator_only(self, draw: Draw) -> None:
        whole = draw((5, 2, 3), [fresh(seed) for seed in range(5)])
        for i in range(5):
            assert draw((1, 2, 3), [fresh(i)])[0].equal(whole[i])
        backwards = draw((5, 2, 3), [fresh(seed) for seed in reversed(range(5))])
        assert backwards.equal(whole.flip(0))

    def test_a_batch_without_further_axes(self, draw: Draw) -> None:
        assert draw((3,), [fresh(seed) for seed in range(3)]).shape == (3,)

    def test_needs_one_generator_per_sample(self, draw: Draw) -> None:
        with pytest.raises(ValueError, match="expected 4 generators, one per sample, got 3"):
            draw((4, 2), [fresh(), fresh(), fresh()])

    def test_needs_a_generator(self, draw: Draw) -> None:
        with pytest.raises(ValueError, match="need a generator, got None"):
            draw((4, 2), None)


class TestSpawn:
    def test_the_first_streams_do_not_depend_on_how_many_follow(self) -> None:
        few, many = spawn(fresh(), 3), spawn(fresh(), 8)
        for one, other in zip(few, many[:3], strict=True):
            assert one.initial_seed() == other.initial_seed()
        assert len({stream.initial_seed() for stream in many}) == 8

    def test_a_second_spawn_gives_other_streams(self) -> None:
        generator = fresh()
        seeds = [stream.initial_seed() for _ in range(2) for stream in spawn(generator, 4)]
        assert len(set(seeds)) == 8

    def test_streams_are_independent_of_each_other_and_of_their_parent(self) -> None:
        parent = fresh()
        found = correlations([parent, *spawn(parent, 6)])
        assert max(map(abs, found)) < 4.5 / math.sqrt(4000)


class TestRepeat:
    def test_each_generator_serves_all_copies_of_its_sample(self) -> None:
        first, second = fresh(1), fresh(2)
        assert repeat([first, second], 3) == [first, first, first, second, second, second]
        drawn = normal((4, 2), repeat([fresh(1), fresh(2)], 2))
        expected = [normal((2, 2), fresh(1)), normal((2, 2), fresh(2))]
        assert drawn.equal(torch.cat(expected))

    def test_one_generator_stays_one(self) -> None:
        generator = fresh()
        assert repeat(generator, 5) is generator


class TestSeeded:
    def test_is_a_function_of_all_words_in_order(self) -> None:
        words = [(0,), (1,), (0, 1), (1, 1), (1, 2), (2, 1), (2**31, 3), (3, 2**31)]
        streams = [normal((8,), seeded(*each)) for each in words]
        for each, numbers in zip(words, streams, strict=True):
            assert normal((8,), seeded(*each)).equal(numbers)
        for one, other in combinations(streams, 2):
            assert not one.equal(other)

    @pytest.mark.parametrize("word", [-1, 2**32])
    def test_a_word_that_would_be_read_as_another_is_refused(self, word: int) -> None:
        with pytest.raises(InputError, match=f"from 0 to 4294967295, got {word}"):
            seeded(1, word)

    def test_neighbouring_words_give_unrelated_streams(self) -> None:
        found = correlations([seeded(7, step) for step in range(8)])
        assert max(map(abs, found)) < 4.5 / math.sqrt(4000)


def test_nothing_touches_the_global_generator() -> None:
    before = torch.get_rng_state()
    normal((3,), fresh())
    uniform((3,), spawn(seeded(1, 2), 3))
    assert torch.get_rng_state().equal(before)
