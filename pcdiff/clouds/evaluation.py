"""The evaluation of a generator of clouds: what `pcdiff evaluate` computes and reports.

It stands outside `pcdiff.clouds.metrics` because it also normalises and subsamples, by
`pcdiff.clouds.files`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pcdiff.clouds.metrics.earth_mover import earth_mover_workers
from pcdiff.clouds.metrics.generation import (
    Distance,
    Progress,
    Summary,
    floor,
    generation_metrics,
    nearest_training_distance,
    part,
    prepare_reference,
    summarize,
)
from pcdiff.clouds.scale import normalize_to_box, subsample
from pcdiff.errors import InputError
from pcdiff.geometry.checks import check_clouds
from pcdiff.randomness import seeded
from pcdiff.tables import markdown_table

# Third words of the seeds `(seed, 0, word)`. `sample_set` usually draws shape i of its set from
# `seeded(seed, i)`; with a 0 before it, no word above 0 makes one of those streams.
_TEST, _TRAIN, _FLOOR, _GENERATED = range(1, 5)


@dataclasses.dataclass(frozen=True)
class Stamp:
    """The conditions of an evaluation, without which its figures mean nothing.

    Attributes:
        category: what the shapes are.
        split: the split of the file that the generated sets are compared with.
        points: random points a cloud, drawn before it is normalised.
        emd_points: of these, how many the earth mover's distance uses; None if it was not asked.
        reference_shapes: shapes in the reference set.
        train_shapes: shapes in the training set.
        seeds: the seed of each generated set.
        floor_draws: number of random training subsets behind the floor.
    """

    category: str
    split: str
    points: int
    emd_points: int | None
    reference_shapes: int
    train_shapes: int
    seeds: tuple[int, ...]
    floor_draws: int

    @property
    def normalization(self) -> str:
        """What was done to each cloud: always the same."""
        return "each cloud centred on its box and divided by half the box's longest side"

    @property
    def generated_shapes(self) -> int:
        """Shapes in each generated set: as many as in the reference set."""
        return self.reference_shapes

    @property
    def sets(self) -> int:
        """Number of generated sets."""
        return len(self.seeds)

    @property
    def seed(self) -> int:
        """The seed of everything else, subsampling and the floor's draws: that of the first set."""
        return self.seeds[0]

    def as_dict(self) -> dict[str, Any]:
        """All the conditions, with those that follow from others."""
        return {
            **dataclasses.asdict(self),
            "normalization": self.normalization,
            "generated_shapes": self.generated_shapes,
            "sets": self.sets,
            "seed": self.seed,
        }


@dataclasses.dataclass(frozen=True)
class Memorization:
    """Median Chamfer distances to the nearest training shape.

    Attributes:
        generated_median: of the shapes of the first generated set.
        test_median: of the test shapes, which no generator can have seen.
    """

    generated_median: float
    test_median: float


@dataclasses.dataclass(frozen=True)
class Report:
    """The result of `evaluate`. Accuracies and coverages are fractions, the divergence is in bits.

    Attributes:
        generated: each metric over the generated sets.
        floor: each metric over random subsets of the training set; empty without draws.
        memorization: whether the generator copies.
        stamp: the conditions.
    """

    generated: dict[str, Summary]
    floor: dict[str, Summary]
    memorization: Memorization
    stamp: Stamp

    def as_dict(self) -> dict[str, Any]:
        """The report as nested dictionaries that JSON can hold."""
        return {**dataclasses.asdict(self), "stamp": self.stamp.as_dict()}

    def table(self) -> str:
        """The report as Markdown: the table, the memorisation figures, the conditions."""
        stamp, memorization = self.stamp, self.memorization
        rows = [
            ("metric", f"generated, {stamp.sets} sets", f"floor (real), {stamp.floor_draws} draws"),
        ]
        for key, summary in self.generated.items():
            label, factor, digits = _presentation(key)
            generated, real = (
                _cell(each, factor, digits) for each in (summary, self.floor.get(key))
            )
            rows.append((label, generated, real))
        emd = f", EMD on {stamp.emd_points}" if stamp.emd_points is not None else ""
        return "\n".join(
            [
                markdown_table(rows, aligned=True),
                "",
                "Median CD to the nearest training shape, ×10⁻³: "
                f"generated {1e3 * memorization.generated_median:.2f}, "
                f"{stamp.split} {1e3 * memorization.test_median:.2f}.",
                "",
                f"Category {stamp.category}, split {stamp.split}: {stamp.generated_shapes} "
                f"generated against {stamp.reference_shapes} real shapes, the floor drawn from "
                f"{stamp.train_shapes} training shapes; {stamp.normalization}; {stamp.points} "
                f"random points{emd}; seeds {', '.join(map(str, stamp.seeds))} (sets) and "
                f"{stamp.seed} (rest).",
            ]
        )


def evaluate(
    sample_set: Callable[[int], Float[Tensor, "shapes points 3"]],
    train: Float[Tensor, "train_shapes train_points 3"],
    test: Float[Tensor, "test_shapes test_points 3"],
    *,
    category: str,
    split: str = "test",
    sets: int = 10,
    seed: int = 0,
    points: int = 1024,
    emd_points: int = 512,
    distances: Sequence[Distance] = ("cd", "emd"),
    floor_draws: int = 5,
    workers: int = 1,
    progress: Progress | None = None,
) -> Report:
    """Compare a generator with the test shapes, beside the real training shapes.

    Every cloud, real or generated, is subsampled to `points` random points and then normalised to
    its box, so its unit and its frame's origin do not matter. What does not depend on the generated
    sets is checked before the first is asked for.

    Args:
        sample_set: called with each set's seed, returns as many generated clouds as there are test
            shapes, with at least `points` points.
        train: the training shapes, in any unit.
        test: the test shapes.
        category: the shapes' category, for the stamp.
        split: the name of the split that `test` is, for the stamp.
        sets: how many sets to generate; their seeds are `seed`, `seed + 1`, …
        seed: the seed of everything that is drawn here.
        points: points a cloud.
        emd_points: of these, how many the earth mover's distance uses.
        distances: which distances to compare by.
        floor_draws: random training subsets to compare likewise, each as large as the test set; 0
            for none.
        workers: processes for the earth mover's distance.
        progress: called now and then with the fraction that is done.

    Raises:
        InputError: clouds that are not clouds, not finite, too few or with too few points, a
            generated set of another size than the test set, or an option out of range.
    """
    check_clouds("the training set", train)
    check_clouds("the test set", test, least=2)
    if min(sets, points, emd_points, workers) < 1 or min(floor_draws, seed) < 0:
        raise InputError(
            "an evaluation needs at least 1 set, 1 point, 1 EMD point, 1 worker, 0 floor draws and "
            f"seed 0, got {sets} sets, {points} points, {emd_points} EMD points, "
            f"{workers} workers, {floor_draws} draws and seed {seed}"
        )
    for name, clouds in (("the training set", train), ("the test set", test)):
        if points > clouds.shape[1]:
            raise InputError(
                f"{name} must have at least as many points a shape as the evaluation draws, "
                f"{points}, got {clouds.shape[1]}"
            )
    if "emd" in distances and emd_points > points:
        raise InputError(
            f"the earth mover's distance cannot use {emd_points} of the {points} points a shape: "
            "choose fewer EMD points, or go without it (--no-emd)"
        )
    if floor_draws and len(train) < len(test):
        raise InputError(
            "the floor needs at least as many training as test shapes, "
            f"{len(test)}, got {len(train)}: with 0 floor draws there is none"
        )
    seeds = tuple(range(seed, seed + sets))
    draws = [seeded(each, 0, _GENERATED) for each in seeds]  # now: the last seed may be too large
    steps = 2 + sets + floor_draws
    test = _prepared("the test set", test, points, seeded(seed, 0, _TEST))
    train = _prepared("the training set", train.to(test.device), points, seeded(seed, 0, _TRAIN))

    with earth_mover_workers(workers if "emd" in distances else 1) as executor:
        reference = prepare_reference(
            test, distances, emd_points, executor, part(progress, 0, steps)
        )
        generated, results = [], []
        for i, set_seed in enumerate(seeds):
            clouds, name = sample_set(set_seed), f"the set generated with seed {set_seed}"
            check_clouds(name, clouds)
            if len(clouds) != len(test):
                raise InputError(
                    f"{name} must have as many shapes as the test set, {len(test)}, "
                    f"got {len(clouds)}"
                )
            generated.append(_prepared(name, clouds.to(test.device), points, draws[i]))
            results.append(
                generation_metrics(generated[i], reference, executor, part(progress, 1 + i, steps))
            )
        real: dict[str, Summary] = {}
        if floor_draws:
            span = part(progress, 1 + sets, steps, span=floor_draws)
            real = floor(train, reference, floor_draws, seeded(seed, 0, _FLOOR), executor, span)
    generated_distance, test_distance = (
        nearest_training_distance(each, train, part(progress, 2 * steps - 2 + i, 2 * steps))
        for i, each in enumerate((generated[0], test))
    )
    return Report(
        summarize(results),
        real,
        Memorization(float(generated_distance.median()), float(test_distance.median())),
        Stamp(
            category=category,
            split=split,
            points=points,
            emd_points=emd_points if "emd" in distances else None,
            reference_shapes=len(test),
            train_shapes=len(train),
            seeds=seeds,
            floor_draws=floor_draws,
        ),
    )


def _prepared(name: str, clouds: Tensor, points: int, generator: torch.Generator) -> Tensor:
    try:
        return normalize_to_box(subsample(clouds, points, generator))[0]
    except InputError as error:
        raise InputError(f"{name}: {error}") from error


def _presentation(key: str) -> tuple[str, float, int]:
    """How a table shows a metric: its name with the unit, the factor, the digits."""
    name = key.upper()
    if key.startswith(("1-nna", "cov")):
        return f"{name}, %", 1e2, 1
    if key.startswith("mmd"):
        return f"{name}, ×10⁻³", 1e3, 2
    return f"{name}, ×10⁻³ bit", 1e3, 1


def _cell(summary: Summary | None, factor: float, digits: int) -> str:
    if summary is None:
        return "–"
    mean = f"{factor * summary.mean:.{digits}f}"
    return mean if summary.std is None else f"{mean} ± {factor * summary.std:.{digits}f}"
