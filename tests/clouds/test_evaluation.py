"""The evaluation end to end, on boxes small enough to repeat it from its parts."""

from __future__ import annotations

import inspect
import json
from dataclasses import replace

import pytest
import torch

from pcdiff.clouds.evaluation import EvaluationConfig, evaluate
from pcdiff.clouds.metrics.generation import (
    floor,
    generation_metrics,
    nearest_training_distance,
    prepare_reference,
    summarize,
)
from pcdiff.clouds.scale import normalize_to_box
from pcdiff.errors import InputError
from pcdiff.randomness import seeded


def boxes(count, seed, points=32):
    generator = torch.Generator().manual_seed(seed)
    sides = 0.3 + torch.rand(count, 1, 3, generator=generator)
    return torch.rand(count, points, 3, generator=generator) * sides


CONFIG = EvaluationConfig(sets=2, points=32, distances=("cd",), floor_draws=3)


def test_evaluation_is_its_parts():
    # If all points are kept, subsampling only changes their order, which affects neither the
    # Chamfer distance nor the divergence.
    train, test = boxes(7, 1), boxes(4, 2)
    report = evaluate(
        lambda seed: boxes(4, 100 + seed), train, test, replace(CONFIG, seed=6), "box"
    )

    train, test, *sets = (
        normalize_to_box(c)[0] for c in (train, test, boxes(4, 106), boxes(4, 107))
    )
    reference = prepare_reference(test, ["cd"])
    expected = summarize([generation_metrics(each, reference) for each in sets])
    assert report.generated.keys() == {"1-nna-cd", "cov-cd", "mmd-cd", "jsd"}
    for key, summary in expected.items():
        assert report.generated[key].mean == pytest.approx(summary.mean, rel=1e-5)
        assert report.generated[key].std == pytest.approx(summary.std, rel=1e-3, abs=1e-7)
    for key, summary in floor(train, reference, 3, seeded(6, 0, 3)).items():
        assert report.floor[key].mean == pytest.approx(summary.mean, rel=1e-5)
    assert report.memorization.generated_median == pytest.approx(
        float(nearest_training_distance(sets[0], train).median()), rel=1e-5
    )
    assert report.memorization.test_median == pytest.approx(
        float(nearest_training_distance(test, train).median()), rel=1e-5
    )


def test_evaluation_does_not_depend_on_unit_and_origin():
    train, test = boxes(5, 1), boxes(3, 2)
    plain = evaluate(lambda seed: boxes(3, seed), train, test, CONFIG, "box")
    moved = evaluate(lambda seed: boxes(3, seed) * 25 - 4, train * 1000, test + 3, CONFIG, "box")
    for key, summary in plain.generated.items():
        assert moved.generated[key].mean == pytest.approx(summary.mean, rel=1e-3, abs=1e-6)


def test_evaluation_exposes_a_generator_that_copies():
    train, test = boxes(12, 1, points=200), boxes(6, 2, points=200)
    config = replace(CONFIG, points=200)
    copied = evaluate(lambda seed: train[:6], train, test, config, "box").memorization
    honest = evaluate(lambda seed: boxes(6, 3, 200), train, test, config, "box").memorization
    assert copied.generated_median < 1e-6
    assert copied.test_median == honest.test_median
    assert honest.generated_median > 0.3 * honest.test_median


def test_evaluation_repeats_itself_and_subsamples_by_its_seed():
    train, test = boxes(5, 1), boxes(3, 2)
    config = replace(CONFIG, points=16, emd_points=8, distances=("cd", "emd"))

    def run(seed):
        return evaluate(lambda _: boxes(3, 9), train, test, replace(config, seed=seed), "box")

    first = run(0)
    assert first == run(0)
    assert first.generated != run(1).generated
    assert first.generated["mmd-emd"].std > 0  # the same shapes with other points


def test_evaluation_draws_from_streams_of_its_own(monkeypatch):
    used: list[int] = []

    def recorded(*words):
        generator = seeded(*words)
        used.append(generator.initial_seed())
        return generator

    monkeypatch.setattr("pcdiff.clouds.evaluation.seeded", recorded)
    config = replace(CONFIG, seed=2)
    evaluate(lambda seed: boxes(3, seed), boxes(5, 1), boxes(3, 2), config, "box")
    # `pcdiff evaluate` draws shape i of a set from the stream of the set's seed and i.
    shapes = {seeded(seed, i).initial_seed() for seed in (2, 3) for i in range(100)}
    assert len(used) == len(set(used)) == 5  # test, train, floor and two generated sets
    assert shapes.isdisjoint(used)


def test_report_says_under_which_conditions_it_holds():
    fractions: list[float] = []
    report = evaluate(
        lambda seed: boxes(3, seed),
        boxes(5, 1),
        boxes(3, 2),
        replace(CONFIG, seed=4),
        "box",
        "val",
        fractions.append,
    )
    stamp = json.loads(json.dumps(report.as_dict()))["stamp"]
    assert stamp.pop("normalization").startswith("each cloud centred on its box")
    assert stamp == {
        "category": "box", "split": "val", "points": 32, "emd_points": None, "sets": 2,
        "generated_shapes": 3, "reference_shapes": 3, "train_shapes": 5, "seeds": [4, 5],
        "floor_draws": 3, "seed": 4,
    }  # fmt: skip
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1


def test_report_has_a_table():
    report = evaluate(lambda seed: boxes(3, seed), boxes(5, 1), boxes(3, 2), CONFIG, "box")
    lines = report.table().splitlines()
    mmd, real = report.generated["mmd-cd"], report.floor["mmd-cd"]
    assert [cell.strip() for cell in lines[4].split("|")[1:-1]] == [
        "MMD-CD, ×10⁻³",
        f"{1e3 * mmd.mean:.2f} ± {1e3 * mmd.std:.2f}",
        f"{1e3 * real.mean:.2f} ± {1e3 * real.std:.2f}",
    ]
    assert len({len(line) for line in lines[:6]}) == 1
    assert "3 generated against 3 real shapes" in lines[-1]
    assert "seeds 0, 1 (sets)" in lines[-1]


def test_report_without_floor_and_with_one_set():
    config = replace(CONFIG, sets=1, floor_draws=0)
    report = evaluate(lambda seed: boxes(3, seed), boxes(2, 1), boxes(3, 2), config, "box")
    assert report.floor == {}
    assert report.as_dict()["generated"]["jsd"]["std"] is None
    cells = report.table().splitlines()[2].split("|")
    assert cells[3].strip() == "–"
    assert "±" not in cells[2]


@pytest.mark.parametrize(
    ("sample_set", "words"),
    [
        (lambda seed: boxes(4, seed), "must have 3 shapes, one per test shape, got 4"),
        (lambda seed: boxes(3, seed) * torch.nan, "seed 0 must be finite"),
        (lambda seed: boxes(3, seed, points=9), "must be from 1 to 9, got 32"),
    ],
)
def test_evaluation_refuses_generated_sets_that_do_not_fit(sample_set, words):
    with pytest.raises(InputError, match=words):
        evaluate(sample_set, boxes(5, 1), boxes(3, 2), CONFIG, "box")


@pytest.mark.parametrize(
    ("train", "test", "seed", "words"),
    [
        (boxes(5, 1), boxes(1, 2), 0, "at least 2 shapes"),
        (boxes(5, 1)[:0], boxes(3, 2), 0, "training set must contain at least 1"),
        (boxes(2, 1), boxes(3, 2), 0, "3 training shapes, one .* shape, got 2: set floor_draws"),
        (boxes(5, 1), boxes(3, 2, points=31), 0, "the test set must have at least 32 .* got 31"),
        (boxes(5, 1, points=31), boxes(3, 2), 0, "training set must have at least 32 .* got 31"),
        (boxes(5, 1), boxes(3, 2), 2**32 - 1, "from 0 to 4294967295, got 4294967296"),
    ],
)
def test_evaluation_refuses_what_does_not_fit_before_it_samples(train, test, seed, words):
    asked: list[int] = []
    with pytest.raises(InputError, match=words):
        inspect.unwrap(evaluate)(asked.append, train, test, replace(CONFIG, seed=seed), "box")
    assert asked == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"points": 0}, "points must be at least 1, got 0"),
        ({"sets": 0}, "sets must be at least 1, got 0"),
        ({"emd_points": 0}, "emd_points must be at least 1, got 0"),
        ({"workers": 0}, "workers must be at least 1, got 0"),
        ({"floor_draws": -1}, "floor_draws must be at least 0, got -1"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        (
            {"distances": ("emd",), "emd_points": 33},
            "emd_points must be at most 32, the number of points per cloud, got 33: reduce "
            "emd_points, or leave out the distance 'emd'",
        ),
    ],
)
def test_a_configuration_out_of_range_is_refused(change, words):
    with pytest.raises(InputError) as caught:
        replace(CONFIG, **change)
    assert str(caught.value) == words
    assert caught.value.parameter in change
