"""Metrics that compare a generated set of clouds with a reference set.

The definitions follow PointFlow (Yang et al., ICCV 2019, section 5.1) and, for the Jensen-Shannon
divergence, Achlioptas et al. (ICML 2018). All clouds must already be normalised and subsampled, as
`pcdiff.clouds.evaluation` does. Accuracies and coverages are fractions, not percentages.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from pcdiff.clouds.metrics.chamfer import pairwise_chamfer
from pcdiff.clouds.metrics.earth_mover import pairwise_earth_mover
from pcdiff.errors import InputError
from pcdiff.geometry.checks import check_clouds, check_distances

Distance = Literal["cd", "emd"]
Progress = Callable[[float], None]


@dataclass(frozen=True)
class Summary:
    """The mean and the spread of a metric over several sets.

    Attributes:
        mean: Mean over the sets.
        std: Sample standard deviation (divisor n − 1), or None for a single set.
    """

    mean: float
    std: float | None


def summarize(results: Sequence[Mapping[str, float]]) -> dict[str, Summary]:
    """Compute the mean and the spread of each metric; all results must have the same metrics."""
    columns = {key: [result[key] for result in results] for key in results[0]}
    return {
        key: Summary(
            statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None
        )
        for key, values in columns.items()
    }


# --- From matrices of distances -------------------------------------------------------------------


def one_nearest_neighbour_accuracy(
    generated_generated: Float[Tensor, "shapes shapes"],
    generated_reference: Float[Tensor, "shapes shapes"],
    reference_reference: Float[Tensor, "shapes shapes"],
) -> float:
    """The fraction of shapes whose nearest neighbour is in their own set.

    An accuracy near 1/2 means that the two sets cannot be distinguished, and 1 means that the sets
    do not mix at all. An accuracy below 1/2 means that many shapes are closer to the other set than
    to their own set, as with copied shapes. A shape that is equally close to both sets counts as
    one half, so the accuracy does not depend on the order of the shapes.

    Args:
        generated_generated: Distances within the generated set.
        generated_reference: Distances from generated shapes (rows) to reference shapes (columns).
        reference_reference: Distances within the reference set.

    Raises:
        InputError: If the sets have different sizes or fewer than 2 shapes, or a distance is not
            finite.
    """
    matrices = {
        "the generated-generated distances": generated_generated,
        "the generated-reference distances": generated_reference,
        "the reference-reference distances": reference_reference,
    }
    for name, matrix in matrices.items():
        check_distances(name, matrix)
    count = len(generated_reference)
    if count < 2 or any(matrix.shape != (count, count) for matrix in matrices.values()):
        raise InputError(
            "the 1-nearest-neighbour accuracy needs two sets of equal size with at least 2 shapes, "
            f"got distances of size {', '.join(str(tuple(m.shape)) for m in matrices.values())}"
        )
    score = _score_own(generated_generated, generated_reference)
    score += _score_own(reference_reference, generated_reference.T)
    return score / (2 * count)


def _score_own(within: Tensor, across: Tensor) -> float:
    """The number of shapes whose nearest neighbour is in their own set; a tie counts as 1/2."""
    itself = torch.eye(len(within), dtype=torch.bool, device=within.device)
    own = within.masked_fill(itself, torch.inf).amin(dim=1)
    other = across.amin(dim=1)
    return float((own < other).sum() + 0.5 * (own == other).sum())


def coverage(generated_reference: Float[Tensor, "generated reference"]) -> float:
    """The fraction of reference shapes that are the nearest neighbour of a generated shape.

    If several reference shapes are equally close to a generated shape, only the first of these
    reference shapes counts.

    Args:
        generated_reference: Distances from generated shapes (rows) to reference shapes (columns).

    Raises:
        InputError: If a set is empty, or a distance is not finite.
    """
    check_distances("the generated-reference distances", generated_reference)
    covered = generated_reference.argmin(dim=1).unique()
    return len(covered) / generated_reference.shape[1]


def minimum_matching_distance(generated_reference: Float[Tensor, "generated reference"]) -> float:
    """The mean distance from a reference shape to the nearest generated shape.

    Args:
        generated_reference: Distances from generated shapes (rows) to reference shapes (columns).

    Raises:
        InputError: If a set is empty, or a distance is not finite.
    """
    check_distances("the generated-reference distances", generated_reference)
    return float(generated_reference.amin(dim=0).double().mean())


# --- From clouds ----------------------------------------------------------------------------------


def jensen_shannon_divergence(
    a: Float[Tensor, "shapes1 points1 3"],
    b: Float[Tensor, "shapes2 points2 3"],
    resolution: int = 28,
) -> float:
    """The Jensen-Shannon divergence between the voxel distributions of two sets, in bits.

    The cube [−1, 1]³ contains all box-normalised clouds and is divided into `resolution`³ equal
    voxels. P is the fraction of the first set's points in each voxel, Q is the fraction of the
    second set's points, and M is the mean of P and Q. The divergence is ½KL(P‖M) + ½KL(Q‖M),
    where KL is the Kullback-Leibler divergence with logarithms of base 2. The divergence is 0 for
    equal and 1 for disjoint distributions. Achlioptas et al. (ICML 2018) use only the voxels inside
    the ball that the cube encloses. This function uses all voxels, because box-normalised clouds
    can have points in the corners of the cube.

    Args:
        a: The first set, inside the cube.
        b: The second set, inside the cube.
        resolution: Number of voxels along an edge of the cube.

    Raises:
        InputError: If a set is empty or not finite, a point is outside the cube by more than
            rounding, or the resolution is less than 1.
    """
    if resolution < 1:
        raise InputError(f"the resolution must be at least 1, got {resolution}")
    p = _occupancy("the first set", a, resolution)
    q = _occupancy("the second set", b, resolution).to(p.device)
    mean = (p + q) / 2
    entropy = torch.special.entr
    bits = (entropy(mean) - (entropy(p) + entropy(q)) / 2).sum() / math.log(2)
    return float(bits.clamp(0, 1))  # the sum rounds to −1e-17 for equal sets


def _occupancy(name: str, clouds: Tensor, resolution: int) -> Tensor:
    """The fraction of all points in each voxel of the cube [−1, 1]³, (resolution³,) in float64."""
    check_clouds(name, clouds)
    extent = float(clouds.abs().max())
    if extent > 1 + 1e-5:
        raise InputError(
            f"{name} must lie in the cube [-1, 1]³ of box-normalised clouds, "
            f"got a coordinate of magnitude {extent:.6g}"
        )
    cells = ((clouds.reshape(-1, 3) + 1) * (resolution / 2)).long().clamp(0, resolution - 1)
    flat = (cells[:, 0] * resolution + cells[:, 1]) * resolution + cells[:, 2]
    return torch.bincount(flat, minlength=resolution**3).double() / len(flat)


def nearest_training_distance(
    clouds: Float[Tensor, "shapes points1 3"],
    train: Float[Tensor, "shapes2 points2 3"],
    progress: Progress | None = None,
) -> Float[Tensor, " shapes"]:
    """The Chamfer distance from each cloud to the nearest training shape.

    The distance reveals memorisation: if a generator copies training shapes, the median distance
    of generated shapes is far below the median distance of test shapes.

    Args:
        clouds: Generated or held-out shapes.
        train: The training shapes.
        progress: Function that is called repeatedly with the finished fraction, from 0 to 1.

    Raises:
        InputError: If a set is empty, has a wrong array shape, or is not finite.
    """
    return pairwise_chamfer(clouds, train, progress).amin(dim=1)


# --- A generated set against a reference set ------------------------------------------------------


@dataclass(frozen=True)
class Reference:
    """A reference set and the distances within the set, computed once for all generated sets.

    Attributes:
        clouds: Normalised shapes, (shapes, points, 3).
        within: For each name of a distance, the matrix (shapes, shapes) of distances in the set.
        emd_points: Number of points at the start of each cloud that the earth mover's distance
            uses.
    """

    clouds: Float[Tensor, "shapes points 3"]
    within: Mapping[Distance, Float[Tensor, "shapes shapes"]]
    emd_points: int


def prepare_reference(
    clouds: Float[Tensor, "shapes points 3"],
    distances: Sequence[Distance] = ("cd", "emd"),
    emd_points: int = 512,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Reference:
    """Compute the distances within a reference set for `generation_metrics`.

    Args:
        clouds: The reference shapes in [−1, 1]³, each with its points in random order.
        distances: Distances between clouds: "cd" (squared Chamfer), "emd" (earth mover's).
        emd_points: Number of points at the start of each cloud that the earth mover's distance
            uses.
        executor: Processes that compute in parallel; see `pairwise_earth_mover`.
        progress: Function that is called repeatedly with the finished fraction, from 0 to 1.

    Raises:
        InputError: If there are fewer than 2 shapes, the array has a wrong shape or a number that
            is not finite, a distance has an unknown name, or `emd_points` is less than 1 or more
            than the number of points per cloud.
    """
    check_clouds("the reference set", clouds, least=2)
    for name in distances:
        if name not in get_args(Distance):
            raise InputError(f"a distance must be 'cd' or 'emd', got {name!r}")
    if not 1 <= emd_points <= clouds.shape[1] and "emd" in distances:
        raise InputError(
            f"emd_points must be from 1 to {clouds.shape[1]}, the number of points per cloud, "
            f"got {emd_points}"
        )
    within = {
        name: _pairwise(name, clouds, None, emd_points, executor, part(progress, i, len(distances)))
        for i, name in enumerate(distances)
    }
    return Reference(clouds, within, emd_points)


def generation_metrics(
    generated: Float[Tensor, "shapes points 3"],
    reference: Reference,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> dict[str, float]:
    """Compare one generated set with a reference set.

    Args:
        generated: The generated shapes in [−1, 1]³, with the array shape of the reference set. The
            points of each shape are in random order.
        reference: The result of `prepare_reference`, which also determines the distances to
            compute.
        executor: Processes that compute in parallel; see `pairwise_earth_mover`.
        progress: Function that is called repeatedly with the finished fraction, from 0 to 1.

    Returns:
        The metrics by name: "1-nna-cd", "cov-cd" and "mmd-cd" if the reference contains Chamfer
        distances; "1-nna-emd", "cov-emd" and "mmd-emd" if the reference contains earth mover's
        distances; and "jsd" in bits.

    Raises:
        InputError: If the generated set and the reference set have different array shapes, a point
            is outside the cube, or a number is not finite.
    """
    check_clouds("the generated set", generated, least=2)
    if generated.shape != reference.clouds.shape:
        raise InputError(
            "the generated set must have the array shape of the reference set, "
            f"{tuple(reference.clouds.shape)}, got {tuple(generated.shape)}"
        )
    divergence = jensen_shannon_divergence(generated, reference.clouds)
    metrics = {}
    steps = 2 * len(reference.within)
    for i, (name, reference_reference) in enumerate(reference.within.items()):
        within, across = (
            _pairwise(
                name, generated, other, reference.emd_points, executor, part(progress, step, steps)
            )
            for step, other in ((2 * i, None), (2 * i + 1, reference.clouds))
        )
        metrics[f"1-nna-{name}"] = one_nearest_neighbour_accuracy(
            within, across, reference_reference
        )
        metrics[f"cov-{name}"] = coverage(across)
        metrics[f"mmd-{name}"] = minimum_matching_distance(across)
    return metrics | {"jsd": divergence}


def floor(
    train: Float[Tensor, "shapes points 3"],
    reference: Reference,
    draws: int,
    generator: torch.Generator,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> dict[str, Summary]:
    """Compute the metrics of real training shapes: the expected score of a perfect generator.

    Each draw replaces the generated set with a random subset of the training shapes. The subset has
    the size of the reference set and is drawn without replacement.

    Args:
        train: The training shapes, normalised and subsampled like the reference shapes.
        reference: The reference set.
        draws: Number of random subsets, at least 1.
        generator: Random generator that draws the subsets.
        executor: Processes that compute in parallel; see `pairwise_earth_mover`.
        progress: Function that is called repeatedly with the finished fraction, from 0 to 1.

    Returns:
        The metrics of `generation_metrics`, each summarised over the draws.

    Raises:
        InputError: If there are fewer training shapes than reference shapes or the number of draws
            is less than 1; also for the reasons listed in `generation_metrics`.
    """
    check_clouds("the training set", train)
    if draws < 1:
        raise InputError(f"the number of draws must be at least 1, got {draws}")
    count = len(reference.clouds)
    if len(train) < count:
        raise InputError(
            f"the scores of real shapes need at least {count} training shapes, one per reference "
            f"shape, got {len(train)}"
        )
    results = []
    for draw in range(draws):
        order = torch.randperm(len(train), generator=generator, device=generator.device)
        subset = train[order[:count].to(train.device)]
        results.append(generation_metrics(subset, reference, executor, part(progress, draw, draws)))
    return summarize(results)


def part(progress: Progress | None, start: int, steps: int, span: int = 1) -> Progress | None:
    """Convert progress in one part of a task to progress in the whole task.

    Args:
        progress: Function that takes the finished fraction of the whole task.
        start: Number of steps done before this part.
        steps: Total number of equal steps.
        span: Number of steps in this part.

    Returns:
        A function that takes the finished fraction of the part, or None if `progress` is None.
    """
    if progress is None:
        return None
    return lambda fraction: progress((start + span * fraction) / steps)


def _pairwise(
    name: Distance,
    a: Tensor,
    b: Tensor | None,
    emd_points: int,
    executor: Executor | None,
    progress: Progress | None,
) -> Tensor:
    if name == "cd":
        return pairwise_chamfer(a, b, progress)
    few = None if b is None else b[:, :emd_points]
    return pairwise_earth_mover(a[:, :emd_points], few, executor, progress).to(a.device)
