"""Clouds, a generator and objectives that are so small that a training step takes milliseconds."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pcdiff.clouds.components import Choice
from pcdiff.clouds.configuration import GeneratorConfig, Standardization
from pcdiff.clouds.generator import PointCloudGenerator
from pcdiff.clouds.objective import CloudObjective
from pcdiff.clouds.scale import normalize_to_box
from pcdiff.diffusion.schedules import Cosine
from pcdiff.learning import checkpoint
from pcdiff.learning.state import STATE_KIND
from pcdiff.learning.trainer import LAST, LOG, Progress
from pcdiff.randomness import normal, seeded


def clouds(shapes: int, points: int = 40, seed: int = 0) -> Tensor:
    """Box-normalised ellipsoids with random half axes."""
    generator = seeded(seed, 99)
    directions = nn.functional.normalize(normal((shapes, points, 3), generator), dim=-1)
    half_axes = 0.3 + torch.rand(shapes, 1, 3, generator=generator)
    return normalize_to_box(directions * half_axes)[0]


def config(prior: Any = "flow") -> GeneratorConfig:
    return GeneratorConfig(
        latent=4,
        network=Choice("gated", {"widths": [8, 8]}),
        encoder=Choice("pointnet", {"widths": [8, 16]}),
        prior=Choice("flow", {"layers": 2, "hidden": 8}) if prior == "flow" else prior,
        schedule=Cosine(),
        standardization=Standardization((0.01, -0.02, 0.0), 0.5),
    )


def generator(prior: Any = "flow", seed: int = 0) -> PointCloudGenerator:
    """An untrained generator that distinguishes shapes and whose flow is not the identity."""
    model = PointCloudGenerator.initialized(config(prior), seed)
    with torch.no_grad():
        model.encoder.mean[-1].weight.mul_(30)
        for name, parameter in model.named_parameters():
            if name.startswith("prior"):
                parameter.add_(0.1 * normal(parameter.shape, seeded(seed, len(name))))
    return model


def cloud_objective(prior: Any = "flow", **options: Any) -> CloudObjective:
    """Six ellipsoids to train on and three to validate on; each step uses 16 of their 40 points."""
    settings = {"points": 16, "levels_per_cloud": 2, **options}
    return CloudObjective(generator(prior), clouds(6), clouds(3, seed=1), **settings)


class Regression:
    """An objective without clouds: y = A x + b on noisy x, in float64, which needs no tolerance.

    Attributes:
        seen: Items of each call of `loss`.
    """

    kind = "regression"

    def __init__(self, size: int = 7) -> None:
        generator = seeded(5)
        self.size = size
        self.x = normal((size, 3), generator, torch.float64)
        self.y = self.x @ normal((3, 2), generator, torch.float64) + 0.5
        self.model = nn.Linear(3, 2, dtype=torch.float64)
        with torch.no_grad():
            for parameter in self.model.parameters():
                parameter.copy_(normal(parameter.shape, generator, torch.float64))
        self.description: dict[str, Any] = {
            "model": {"inputs": 3},
            "data": {"sha256": "abc"},
            "origin": {"source": "made up"},
        }
        self.seen: list[list[int]] = []

    def loss(
        self, model: nn.Module, items: list[int], generators: list[torch.Generator]
    ) -> dict[str, Tensor]:
        self.seen.append(items)
        noise = normal((len(items), 3), generators, torch.float64)
        error = model(self.x[items] + 0.1 * noise) - self.y[items]
        return {"loss": error.square().mean(), "absolute": error.abs().mean()}

    def validation_loss(self, model: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
        noise = normal((self.size, 3), generator, torch.float64)
        return {"loss": (model(self.x + 0.1 * noise) - self.y).square().mean()}


def run(progress: Iterable[Progress], until: int | None = None) -> None:
    """Train to the end, or stop after the step `until`."""
    for each in progress:
        if each.step == until:
            break


def state(folder: Path) -> tuple[int, dict[str, Tensor]]:
    """The step and the tensors of a run's last checkpoint."""
    header, tensors = checkpoint.load(folder / LAST, STATE_KIND)
    return header["progress"]["step"], tensors


def log(folder: Path) -> list[dict[str, str]]:
    """The rows of a run's log without the column of seconds, which differs between runs."""
    with (folder / LOG).open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{name: text for name, text in row.items() if name != "seconds"} for row in rows]


def same(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> bool:
    """Whether two sets of tensors are identical."""
    return ours.keys() == theirs.keys() and all(
        a.dtype == theirs[name].dtype and torch.equal(a, theirs[name]) for name, a in ours.items()
    )
