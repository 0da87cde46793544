"""The evaluation of clouds that any program generated, which `pcdiff evaluate --generated` runs."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from pcdiff.clouds.canonical import read_clouds
from pcdiff.clouds.collections import load_clouds
from pcdiff.clouds.evaluation import EvaluationConfig, evaluate
from pcdiff.clouds.metrics.generation import Progress
from pcdiff.clouds.report import Report
from pcdiff.errors import InputError
from pcdiff.randomness import seeded

_ORDER, _SUBSET = 5, 6  # purposes of random numbers; `pcdiff.clouds.evaluation` has lower numbers


def evaluate_generated(
    generated: str | os.PathLike[str],
    path: Path,
    category: str,
    split: str,
    config: EvaluationConfig,
    progress: Progress | None = None,
) -> Report:
    """Compare generated clouds with one split of a canonical file, by the metrics of `evaluate`.

    A set has one generated cloud per real shape. If there are more generated clouds, they are
    divided at random into sets, at most `config.sets`; clouds that fill no set are left out. If
    there are fewer, a random subset of the real shapes of that size is used; the report states the
    number of shapes.

    Args:
        generated: Folder of cloud files, `.npy` file with an array (shapes, points, 3), or
            canonical HDF5 file, of which the same category and split are used.
        path: Canonical HDF5 file with the real shapes.
        category: Name of the category, e.g. "chair", or its synset id.
        split: Split to compare with.
        config: The settings of the evaluation.
        progress: Function that is called repeatedly with the finished fraction, from 0 to 1.

    Raises:
        InputError: If a file cannot be read, there are fewer than 2 generated clouds, or a cloud
            has too few points; also for the reasons listed in `evaluate`.
    """
    found = load_clouds([generated], category, split)
    clouds = found.with_points(config.points, config.seed)
    train, test = (read_clouds(path, category, name) for name in ("train", split))
    if len(clouds) < 2:
        raise InputError(
            f"an evaluation needs at least 2 generated clouds, got {len(clouds)} in {generated}"
        )
    if len(clouds) < len(test):
        chosen = torch.randperm(len(test), generator=seeded(config.seed, 0, _SUBSET))
        test = test[chosen[: len(clouds)].sort().values]
    size = len(test)
    sets = min(config.sets, len(clouds) // size)
    order = torch.arange(size)
    if len(clouds) > size:
        order = torch.randperm(len(clouds), generator=seeded(config.seed, 0, _ORDER))

    def sample_set(seed: int) -> Tensor:
        begin = (seed - config.seed) * size
        return clouds[order[begin : begin + size]]

    config = replace(config, sets=sets)
    report = evaluate(sample_set, train, test, config, category, split, progress)
    return replace(report, remarks=found.remarks)
