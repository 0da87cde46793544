"""The report of an evaluation, with a table of the metrics."""

from __future__ import annotations

import dataclasses
from typing import Any

from pcdiff.clouds.metrics.generation import Summary
from pcdiff.tables import markdown_table


@dataclasses.dataclass(frozen=True)
class Stamp:
    """The conditions under which the metrics of an evaluation were computed.

    Attributes:
        category: Category of the shapes.
        split: Split of the file with which the generated sets are compared.
        points: Number of random points per cloud, drawn before the cloud is normalised.
        emd_points: Number of these points that the earth mover's distance uses; None if the
            distance was not computed.
        reference_shapes: Number of shapes in the reference set.
        train_shapes: Number of shapes in the training set.
        seeds: Seed of each generated set.
        floor_draws: Number of random training subsets that give the floor.
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
        """A description of the normalisation, which is equal in all evaluations."""
        return "each cloud centred on its box and divided by half the box's longest side"

    @property
    def generated_shapes(self) -> int:
        """Number of shapes in each generated set, equal to the size of the reference set."""
        return self.reference_shapes

    @property
    def sets(self) -> int:
        """Number of generated sets."""
        return len(self.seeds)

    @property
    def seed(self) -> int:
        """Seed of the subsampling and the floor, equal to the seed of the first generated set."""
        return self.seeds[0]

    def as_dict(self) -> dict[str, Any]:
        """Return all conditions as a dictionary, including the derived conditions."""
        return {
            **dataclasses.asdict(self),
            "normalization": self.normalization,
            "generated_shapes": self.generated_shapes,
            "sets": self.sets,
            "seed": self.seed,
        }


@dataclasses.dataclass(frozen=True)
class Memorization:
    """Median Chamfer distances from generated and test shapes to the nearest training shape.

    Attributes:
        generated_median: Median over the shapes of the first generated set.
        test_median: Median over the test shapes, which were not used for training.
    """

    generated_median: float
    test_median: float


@dataclasses.dataclass(frozen=True)
class Report:
    """The result of an evaluation.

    Accuracies and coverages are fractions, and the Jensen-Shannon divergence is in bits.

    Attributes:
        generated: Mean and spread of each metric over the generated sets.
        floor: Mean and spread of each metric over random subsets of the training set; empty if no
            subset was drawn.
        memorization: Distances that reveal whether the generator copies training shapes.
        stamp: Conditions of the evaluation.
        remarks: Sentences for the user about the files of the generated clouds, such as how many
            points were left out.
    """

    generated: dict[str, Summary]
    floor: dict[str, Summary]
    memorization: Memorization
    stamp: Stamp
    remarks: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the report as nested dictionaries that can be written as JSON."""
        return {**dataclasses.asdict(self), "stamp": self.stamp.as_dict()}

    def table(self) -> str:
        """Return the report as Markdown: metrics, memorisation distances and conditions."""
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


def _presentation(key: str) -> tuple[str, float, int]:
    """Return a metric's name and unit, its factor and its number of decimals in the table."""
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
