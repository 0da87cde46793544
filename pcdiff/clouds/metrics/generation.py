"""How well a generated set of clouds resembles a reference set.

Definitions of PointFlow (Yang et al., ICCV 2019, section 5.1) and, for the Jensen-Shannon
divergence, of Achlioptas et al. (ICML 2018). All clouds given here are already normalised and
subsampled; `pcdiff.clouds.evaluation` does both. Accuracies and coverages are fractions, not
percentages.
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
    """A metric over several sets.

    Attributes:
        mean: the mean.
        std: the sample standard deviation (divisor n − 1), None for one set.
    """

    mean: float
    std: float | None


def summarize(results: Sequence[Mapping[str, float]]) -> dict[str, Summary]:
    """Mean and standard deviation of each key over several results that have the same keys."""
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
    """The share of all shapes whose nearest neighbour, leaving itself out, is of its own set.

    Near 1/2 the sets cannot be told apart; 1 means that they do not mix; below 1/2 the generated
    shapes are nearer to the reference shapes than these are to each other, as copies are. A shape
    that is equally near to both sets counts one half, the expectation of a fair coin, so the
    accuracy does not depend on the shapes' order.

    Args:
        generated_generated: distances within the generated set.
        generated_reference: distances from each generated shape (row) to each reference shape.
        reference_reference: distances within the reference set.

    Raises:
        InputError: the sets have unequal sizes or fewer than 2 shapes, or a distance is not finite.
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
            f"got distances of shapes {', '.join(str(tuple(m.shape)) for m in matrices.values())}"
        )
    score = _score_own(generated_generated, generated_reference)
    score += _score_own(reference_reference, generated_reference.T)
    return score / (2 * count)


def _score_own(within: Tensor, across: Tensor) -> float:
    """How many rows have their nearest neighbour within; a tie is one half."""
    itself = torch.eye(len(within), dtype=torch.bool, device=within.device)
    own = within.masked_fill(itself, torch.inf).amin(dim=1)
    other = across.amin(dim=1)
    return float((own < other).sum() + 0.5 * (own == other).sum())


def coverage(generated_reference: Float[Tensor, "generated reference"]) -> float:
    """The share of reference shapes that are the nearest of at least one generated shape.

    Of several reference shapes equally near to a generated one, the first is covered.

    Args:
        generated_reference: distances from each generated shape (row) to each reference shape.

    Raises:
        InputError: a set is empty, or a distance is not finite.
    """
    check_distances("the generated-reference distances", generated_reference)
    covered = generated_reference.argmin(dim=1).unique()
    return len(covered) / generated_reference.shape[1]


def minimum_matching_distance(generated_reference: Float[Tensor, "generated reference"]) -> float:
    """The mean, over reference shapes, of the distance to the nearest generated shape.

    Args:
        generated_reference: distances from each generated shape (row) to each reference shape.

    Raises:
        InputError: a set is empty, or a distance is not finite.
    """
    check_distances("the generated-reference distances", generated_reference)
    return float(generated_reference.amin(dim=0).double().mean())


# --- From clouds ----------------------------------------------------------------------------------


def jensen_shannon_divergence(
    a: Float[Tensor, "shapes1 points1 3"],
    b: Float[Tensor, "shapes2 points2 3"],
    resolution: int = 28,
) -> float:
    """The Jensen-Shannon divergence between the sets' distributions over voxels, in bits.

    Each set's points, of all its clouds together, are counted in `resolution`³ equal voxels of the
    cube [−1, 1]³, which box-normalised clouds fill; with P and Q the shares of each voxel and M
    their mean, it is ½KL(P‖M) + ½KL(Q‖M) with logarithms of base 2: 0 for equal, 1 for disjoint
    distributions. Achlioptas et al. keep only the voxels inside the cube's ball; box-normalised
    clouds have points in the corners, so here all voxels count.

    Args:
        a: the first set, inside the cube.
        b: the second set, inside the cube.
        resolution: voxels along an edge.

    Raises:
        InputError: a set is empty, not finite, or leaves the cube by more than rounding; the
            resolution is less than 1.
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
    """The share of the points in each voxel of [−1, 1]³: (resolution³,), float64."""
    check_clouds(name, clouds)
    extent = float(clouds.abs().max())
    if extent > 1 + 1e-5:
        raise InputError(
            f"{name} must lie in the cube [-1, 1]³, as box-normalised clouds do, got {extent:.6g}"
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

    The check for memorisation: a generator that copies has a median far below that of the test
    shapes.

    Args:
        clouds: generated or held-out shapes.
        train: the training shapes.
        progress: called now and then with the fraction that is done.

    Raises:
        InputError: a set is empty, of another shape, or not finite.
    """
    return pairwise_chamfer(clouds, train, progress).amin(dim=1)


# --- A generated set against a reference set ------------------------------------------------------


@dataclass(frozen=True)
class Reference:
    """A reference set with what is computed of it once, for any number of generated sets.

    Attributes:
        clouds: the shapes, normalised: (shapes, points, 3).
        within: the distances within the set, by name of the distance: (shapes, shapes) each.
        emd_points: the earth mover's distance uses this many points, the first ones of each cloud.
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
    """Compute what `generation_metrics` needs of the reference set alone.

    Args:
        clouds: the reference shapes in [−1, 1]³, each one's points in random order.
        distances: which distances to compare by: "cd" (squared Chamfer), "emd" (earth mover's).
        emd_points: how many points of each cloud, the first ones, the earth mover's distance uses.
        executor: as in `pairwise_earth_mover`.
        progress: called now and then with the fraction that is done.

    Raises:
        InputError: there are fewer than 2 shapes, they are not clouds or not finite, a distance has
            another name, or the clouds have fewer than `emd_points` points.
    """
    check_clouds("the reference set", clouds, least=2)
    for name in distances:
        if name not in get_args(Distance):
            raise InputError(f"a distance must be 'cd' or 'emd', got {name!r}")
    if not 1 <= emd_points <= clouds.shape[1] and "emd" in distances:
        raise InputError(
            f"the earth mover's distance cannot use {emd_points} points of clouds that have "
            f"{clouds.shape[1]}"
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
        generated: as many shapes with as many points as the reference has, in [−1, 1]³, each one's
            points in random order.
        reference: from `prepare_reference`, which also says by which distances to compare.
        executor: as in `pairwise_earth_mover`.
        progress: called now and then with the fraction that is done.

    Returns:
        "1-nna-cd", "cov-cd", "mmd-cd" and "1-nna-emd", "cov-emd", "mmd-emd" for the reference's
        distances, and "jsd" in bits.

    Raises:
        InputError: the set is not a set of clouds in the cube, not finite, or of another size.
    """
    check_clouds("the generated set", generated, least=2)
    if generated.shape != reference.clouds.shape:
        raise InputError(
            "the generated set must have as many shapes and points as the reference set, "
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
    """The metrics of real shapes: what a perfect generator would score, and how much that varies.

    Each draw takes as many training shapes as the reference has, without replacement, in place of
    a generated set.

    Args:
        train: the training shapes, normalised and subsampled as the reference.
        reference: the reference set.
        draws: how many random subsets, at least 1.
        generator: draws the subsets.
        executor: as in `pairwise_earth_mover`.
        progress: called now and then with the fraction that is done.

    Returns:
        The keys of `generation_metrics`, over the draws.

    Raises:
        InputError: there are fewer training than reference shapes, or the number of draws is less
            than 1; and what `generation_metrics` raises.
    """
    check_clouds("the training set", train)
    if draws < 1:
        raise InputError(f"the number of draws must be at least 1, got {draws}")
    count = len(reference.clouds)
    if len(train) < count:
        raise InputError(
            f"the floor needs at least as many training as reference shapes, {count}, "
            f"got {len(train)}"
        )
    results = []
    for draw in range(draws):
        order = torch.randperm(len(train), generator=generator, device=generator.device)
        subset = train[order[:count].to(train.device)]
        results.append(generation_metrics(subset, reference, executor, part(progress, draw, draws)))
    return summarize(results)


def part(progress: Progress | None, start: int, steps: int, span: int = 1) -> Progress | None:
    """The progress of `span` of `steps` equal steps, from `start`, as progress of the whole."""
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
