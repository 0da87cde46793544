"""The evaluation of a cloud generator, which `pcdiff evaluate` runs.

The evaluation normalises and subsamples the clouds before it computes the metrics of
`pcdiff.clouds.metrics`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from pcdiff.clouds.canonical import read_clouds
from pcdiff.clouds.generator import PointCloudGenerator
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
from pcdiff.clouds.report import Memorization, Report, Stamp
from pcdiff.clouds.sampling import Sampling, shape_generators
from pcdiff.clouds.scale import normalize_to_box, subsample
from pcdiff.errors import InputError
from pcdiff.geometry.checks import check_clouds
from pcdiff.randomness import seeded

# The evaluation draws random numbers with seeds `(seed, 0, purpose)`; these are the purposes. A
# purpose above 0 makes the seed different from `(seed, i)`, the usual seed of generated shape i.
_TEST, _TRAIN, _FLOOR, _GENERATED = range(1, 5)


@dataclass(frozen=True)
class EvaluationConfig:
    """The settings of an evaluation.

    Attributes:
        sets: Number of generated sets; the seeds of the sets are `seed`, `seed + 1`, …
        seed: Seed of the first generated set, and of all random choices of the evaluation.
        points: Number of random points that are chosen from each cloud.
        emd_points: Number of these points that the earth mover's distance uses.
        distances: Distances between clouds: "cd" (squared Chamfer), "emd" (earth mover's).
        floor_draws: Number of random training subsets, each as large as the test set, that give
            the floor, i.e. the scores of real shapes; 0 leaves out the floor.
        workers: Number of processes that compute the earth mover's distance.

    Raises:
        InputError: If a number is out of range.
    """

    sets: int = 10
    seed: int = 0
    points: int = 1024
    emd_points: int = 512
    distances: tuple[Distance, ...] = ("cd", "emd")
    floor_draws: int = 5
    workers: int = 1

    def __post_init__(self) -> None:
        for name in ("sets", "points", "emd_points", "workers"):
            self._require(name, 1)
        for name in ("seed", "floor_draws"):
            self._require(name, 0)
        if "emd" in self.distances and self.emd_points > self.points:
            raise InputError(
                f"emd_points must be at most {self.points}, the number of points per cloud, "
                f"got {self.emd_points}: reduce emd_points, or leave out the distance 'emd'",
                parameter="distances",
            )

    def _require(self, name: str, least: int) -> None:
        if getattr(self, name) < least:
            raise InputError(
                f"{name} must be at least {least}, got {getattr(self, name)}", parameter=name
            )


def evaluate_on_file(
    generator: PointCloudGenerator,
    path: Path,
    category: str,
    split: str,
    config: EvaluationConfig,
    sampling: Sampling,
    temperature: float = 1.0,
    progress: Progress | None = None,
) -> Report:
    """Compare a generator with one split of a canonical file; see `evaluate`.

    Args:
        generator: The generator, already on the device that samples.
        path: Canonical HDF5 file.
        category: Name of the category, e.g. "chair", or its synset id.
        split: Split to compare with. The scores of real shapes and the memorisation distances use
            the split "train".
        config: The settings of the evaluation.
        sampling: The settings of the sampling, with at least `config.points` points per cloud.
        temperature: Spread of the latent.
        progress: Function that is called repeatedly with the finished fraction, from 0 to 1.

    Raises:
        InputError: If the file cannot be read or the generator is an auto-encoder; also for the
            reasons listed in `evaluate`.
    """
    train, test = (read_clouds(path, category, name) for name in ("train", split))

    def sample_set(seed: int) -> Tensor:
        return generator.sample(
            len(test),
            sampling.points,
            shape_generators(seed, len(test)),
            sampling.steps,
            sampling.new_sampler(),
            temperature,
        ).cpu()

    return evaluate(sample_set, train, test, config, category, split, progress)


def evaluate(
    sample_set: Callable[[int], Float[Tensor, "shapes points 3"]],
    train: Float[Tensor, "train_shapes train_points 3"],
    test: Float[Tensor, "test_shapes test_points 3"],
    config: EvaluationConfig,
    category: str,
    split: str = "test",
    progress: Progress | None = None,
) -> Report:
    """Compare both generated shapes and real training shapes with the test shapes.

    Every cloud, real or generated, is reduced to `config.points` random points and then normalised
    to its bounding box, so the unit and the origin of the cloud do not matter. All inputs except
    the generated sets are checked before the first generated set is requested.

    Args:
        sample_set: Function that takes the seed of a set and returns one generated cloud per test
            shape, each with at least `config.points` points.
        train: The training shapes, in any unit.
        test: The test shapes, in any unit.
        config: The settings of the evaluation.
        category: Category of the shapes, which the report states.
        split: Name of the split of the test shapes, which the report states.
        progress: Function that is called repeatedly with the finished fraction, from 0 to 1.

    Raises:
        InputError: If a set has too few clouds; if a cloud has too few points or a number that is
            not finite; if a generated set and the test set have different sizes; or if the last
            seed is too large.
    """
    seed, points, distances = config.seed, config.points, config.distances
    check_clouds("the training set", train)
    check_clouds("the test set", test, least=2)
    for name, clouds in (("the training set", train), ("the test set", test)):
        if points > clouds.shape[1]:
            raise InputError(
                f"each cloud of {name} must have at least {points} points for the evaluation, "
                f"got {clouds.shape[1]}",
                parameter="points",
            )
    if config.floor_draws and len(train) < len(test):
        raise InputError(
            f"the scores of real shapes need at least {len(test)} training shapes, one per test "
            f"shape, got {len(train)}: set floor_draws to 0 to leave out these scores",
            parameter="floor_draws",
        )
    seeds = tuple(range(seed, seed + config.sets))
    draws = [seeded(each, 0, _GENERATED) for each in seeds]  # raises if the last seed is too large
    steps = 2 + config.sets + config.floor_draws
    test = _prepared("the test set", test, points, seeded(seed, 0, _TEST))
    train = _prepared("the training set", train.to(test.device), points, seeded(seed, 0, _TRAIN))

    with earth_mover_workers(config.workers if "emd" in distances else 1) as executor:
        reference = prepare_reference(
            test, distances, config.emd_points, executor, part(progress, 0, steps)
        )
        generated, results = [], []
        for i, set_seed in enumerate(seeds):
            clouds, name = sample_set(set_seed), f"the set generated with seed {set_seed}"
            check_clouds(name, clouds)
            if len(clouds) != len(test):
                raise InputError(
                    f"{name} must have {len(test)} shapes, one per test shape, got {len(clouds)}"
                )
            generated.append(_prepared(name, clouds.to(test.device), points, draws[i]))
            results.append(
                generation_metrics(generated[i], reference, executor, part(progress, 1 + i, steps))
            )
        real: dict[str, Summary] = {}
        if config.floor_draws:
            span = part(progress, 1 + config.sets, steps, span=config.floor_draws)
            draw = seeded(seed, 0, _FLOOR)
            real = floor(train, reference, config.floor_draws, draw, executor, span)
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
            emd_points=config.emd_points if "emd" in distances else None,
            reference_shapes=len(test),
            train_shapes=len(train),
            seeds=seeds,
            floor_draws=config.floor_draws,
        ),
    )


def _prepared(name: str, clouds: Tensor, points: int, generator: torch.Generator) -> Tensor:
    try:
        return normalize_to_box(subsample(clouds, points, generator))[0]
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
