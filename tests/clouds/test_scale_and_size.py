"""Normalisation to the box and random choice of points, against closed forms."""

from __future__ import annotations

import itertools

import pytest
import torch
from scipy import stats

from pcdiff.clouds.scale import BoxNormalization, normalize_to_box, subsample
from pcdiff.errors import InputError

CORNERS = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=3)))


def random_clouds(generator: torch.Generator, shapes: int = 5, points: int = 20) -> torch.Tensor:
    return torch.randn(shapes, points, 3, generator=generator, dtype=torch.float64)


def test_boxes_of_known_centre_and_size():
    sides = torch.tensor([[2.0, 4.0, 8.0], [16.0, 2.0, 0.0]])
    centres = torch.tensor([[1.0, -2.0, 3.0], [0.0, 0.0, 32.0]])
    clouds = centres[:, None] + CORNERS * sides[:, None] / 2
    normalised, how = normalize_to_box(clouds)
    assert torch.equal(how.centre, centres)
    assert torch.equal(how.half_longest_side, torch.tensor([4.0, 8.0]))
    expected = CORNERS * torch.tensor([[0.25, 0.5, 1.0], [1.0, 0.125, 0.0]])[:, None]
    assert torch.equal(normalised, expected)
    assert torch.equal(how.invert(normalised), clouds)


def test_every_cloud_fills_the_longest_side_symmetrically(generator):
    normalised, _ = normalize_to_box(random_clouds(generator))
    low, high = normalised.amin(dim=1), normalised.amax(dim=1)
    torch.testing.assert_close(low, -high)
    torch.testing.assert_close(high.amax(dim=1), torch.ones(5, dtype=torch.float64))


def test_translation_and_scale_of_the_clouds_drop_out(generator):
    clouds = random_clouds(generator)
    moved = 7.5 * clouds + torch.tensor([3.0, -4.0, 5.0])
    torch.testing.assert_close(normalize_to_box(moved)[0], normalize_to_box(clouds)[0])


def test_apply_and_invert_undo_each_other(generator):
    clouds, others = random_clouds(generator), random_clouds(generator)
    normalised, how = normalize_to_box(clouds)
    assert torch.equal(how.apply(clouds), normalised)
    torch.testing.assert_close(how.invert(normalised), clouds)
    torch.testing.assert_close(how.apply(how.invert(others)), others)


def test_apply_is_the_stated_formula():
    how = BoxNormalization(torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([4.0]))
    assert how.apply(torch.tensor([[[5.0, 2.0, 1.0]]])).tolist() == [[[1.0, 0.0, -0.5]]]


@pytest.mark.parametrize("bad", [7.0, torch.nan, torch.inf])
def test_a_cloud_that_cannot_be_normalised_is_named(bad):
    clouds = CORNERS.repeat(4, 1, 1)
    if bad == 7.0:
        clouds[2] = bad
    else:
        clouds[2, 5, 1] = bad
    with pytest.raises(InputError, match=r"\Acloud 2 cannot be normalised: [^\n]+\Z"):
        normalize_to_box(clouds)


def test_clouds_without_points_are_refused():
    with pytest.raises(InputError, match="at least 1 point, got 0"):
        normalize_to_box(torch.empty(2, 0, 3))


def numbered(shapes: int, points: int) -> torch.Tensor:
    """Clouds whose coordinates number their points, so that each can be recognised."""
    cloud = torch.arange(points, dtype=torch.float32)[:, None].expand(-1, 3)
    return cloud + 1000 * torch.arange(shapes)[:, None, None]


def test_chosen_points_are_different_points_of_their_cloud(generator):
    chosen = subsample(numbered(50, 20), 7, generator)
    assert torch.equal(chosen[..., 0], chosen[..., 2])
    for index, cloud in enumerate(chosen[..., 0] - 1000 * torch.arange(50)[:, None]):
        assert len(set(cloud.tolist())) == 7, index
        assert set(cloud.tolist()) <= set(range(20)), index


def test_all_points_are_a_permutation(generator):
    clouds = numbered(3, 20)
    assert torch.equal(subsample(clouds, 20, generator).sort(dim=1).values, clouds)


def test_every_ordered_choice_is_equally_likely(generator):
    pairs = subsample(numbered(10_000, 4).remainder(1000), 2, generator)[..., 0].long()
    counts = torch.bincount(4 * pairs[:, 0] + pairs[:, 1], minlength=16).reshape(4, 4)
    assert counts.diagonal().sum() == 0
    assert stats.chisquare(counts[~torch.eye(4, dtype=torch.bool)]).pvalue > 1e-3


def test_the_generator_decides(generator):
    clouds = numbered(4, 50)
    again = torch.Generator().manual_seed(0)
    first = subsample(clouds, 9, generator)
    assert torch.equal(subsample(clouds, 9, again), first)
    assert not torch.equal(subsample(clouds, 9, again), first)


def test_with_a_generator_each_a_cloud_does_not_depend_on_its_batch():
    clouds = numbered(3, 50)
    together = subsample(clouds, 9, [torch.Generator().manual_seed(i) for i in range(3)])
    alone = subsample(clouds[1:2], 9, [torch.Generator().manual_seed(1)])
    assert torch.equal(together[1:2], alone)


@pytest.mark.parametrize("points", [0, 6])
def test_too_few_points_to_choose_from(generator, points):
    with pytest.raises(InputError, match=f"each cloud must be from 1 to 5, got {points}"):
        subsample(numbered(2, 5), points, generator)
