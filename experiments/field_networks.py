"""Energy networks beside each other, and beside the antipodal baseline, on scanned meshes.

    python -m experiments.field_networks [FOLDER_OF_MESHES] [--default FILE] [--paper FILE]
        [--labels FOLDER] [--samples 1000] [--objects N]

The rows are the shipped weights; the default network, and that of SE(3)-DiffusionFields, as `grasp
train --networks energy [--architecture paper]` left them in a file; and the baseline. The meshes
are those of `experiments.baseline`, the hand is Franka's, and `grasp.judging.evaluation.evaluate`
judges, as for `grasp evaluate`.

A file's network of success is untrained, so each field is given that of the shipped weights
(`with_success_of`): it ranks and refuses for every field, and only the energies differ. These two
rows are sampled from pure noise, by `SAMPLING`: proposals, by which the shipped weights sample,
would say in place of the energies where grasps are. The judge is not neutral: it has learned from
samples of the shipped energy and its forerunners.

Success at a coverage C: of the shortest beginning of the ranking that covers C, the share of grasps
that hold; 0 for an object whose whole list covers less, so that a source gains nothing by leaving
out what is hard. It is the mean over all objects that fit, and beside it stands the share of them
that reach C. Divided by that share it is the precision on those objects alone, which are others for
each source.

Seconds of training are those of the clock until the weights of the file were reached, as its
metadata tells; CPU-seconds are not kept there. Weights that were trained in several steps know the
last alone: for these, see the model card.
"""

from __future__ import annotations

import argparse
import functools
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments import record
from experiments.baseline import DEVELOPMENT_DATA, household_meshes
from grasp.field.configuration import DEFAULT, PAPER
from grasp.field.model import KIND, WEIGHTS, GraspField
from grasp.field.sampling import Sampling
from grasp.formats import Grasps
from grasp.grippers.gripper import Gripper, load_gripper
from grasp.judging.coverage import PrecisionCoverage
from grasp.judging.evaluation import Budget, Source, evaluate
from grasp.judging.proportions import FITS_CANDIDATES, cluster_bootstrap
from grasp.judging.report import Report
from grasp.judging.sources import ANTIPODAL, field_source, kept_labels, named_source
from grasp.objects.loading import load_object
from grasp.objects.object import Object
from grasp.physics import PROTOCOL, cores, processes, simulate
from pcdiff.errors import InputError
from pcdiff.learning import checkpoint
from pcdiff.tables import markdown_table

SEED = 0
SHIPPED = "panda"
SAMPLING = Sampling(begin=None, steps=12, oversampling=2.0, attempts=1)
COVERAGES = (0.2, 0.3, 0.4, 0.5)
"""At which the sources are compared."""

BUDGET = ("sha256", "initialized_from", "grasps", "batch_size", "steps", "learning_rate", "seed")
"""What the metadata tells of the data, by their digest, and of the effort of a training."""


def main() -> None:
    """Judge each source, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("meshes", nargs="?", type=Path, default=DEVELOPMENT_DATA)
    parser.add_argument("--default", type=Path)
    parser.add_argument("--paper", type=Path)
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--objects", type=int)
    chosen = parser.parse_args()
    if not chosen.meshes.is_dir():
        print(f"skipped: there is no {chosen.meshes}; name a folder of .stl meshes")
        return
    files = household_meshes(chosen.meshes)[: chosen.objects]
    hand = load_gripper("panda")
    physics = {
        "protocol": PROTOCOL.version, "friction": PROTOCOL.friction, "density": PROTOCOL.density,
    }  # fmt: skip
    results: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder, processes(cores()) as pool:
        simulator = functools.partial(simulate, pool=pool)
        labels = kept_labels(
            chosen.labels or folder, hand, simulator,
            count=FITS_CANDIDATES, seed=SEED, physics=physics,
        )  # fmt: skip
        for name, source, facts in contestants(chosen.default, chosen.paper, hand):
            spent: list[float] = []
            report = evaluate(
                timed(source, spent),
                [load_object(path) for path in files],  # anew: nothing that another row computed
                hand,
                simulator,
                name=name,
                budget=Budget(samples=chosen.samples, seed=SEED),
                physics={"density": PROTOCOL.density},
                labels=labels,
            )
            given = sum(len(each.success) for each in report.judgements)
            results[name] = {
                **facts,
                "success_at_coverage": [success_at_coverage(report, each) for each in COVERAGES],
                "cpu_seconds_per_100": 100 * sum(spent) / given if given else None,
                **report.as_dict(),
            }
    record.write("field_networks", SEED, results, table(results, chosen.samples))


def contestants(
    default: Path | None, paper: Path | None, hand: Gripper
) -> Iterator[tuple[str, Source, dict[str, Any]]]:
    """The rows: name, source, and what is known of its network.

    Args:
        default: weights with a default network of energy; without, there is a message and no row.
        paper: likewise of the paper's.
        hand: the gripper.

    Raises:
        InputError: a file is no weights, or of the other architecture.
    """
    shipped = GraspField.from_pretrained(SHIPPED)
    yield "shipped weights", field_source(shipped, hand), known(shipped, SHIPPED)
    for architecture, file in ((DEFAULT, default), (PAPER, paper)):
        if file is None:
            print(f"left out: the {architecture} network; name its weights by --{architecture}")
            continue
        field = GraspField.from_pretrained(file)
        if field.config.architecture != architecture:
            raise InputError(
                f"--{architecture} {file}: its network is the {field.config.architecture} one"
            )
        field = with_success_of(shipped, field)
        yield f"{architecture} network", field_source(field, hand, SAMPLING), known(field, file)
    yield "antipodal baseline", named_source(ANTIPODAL, [], hand), {}


def with_success_of(judge: GraspField, field: GraspField) -> GraspField:
    """The field itself, that keeps its energy and takes over the judge's probability of success."""
    field.success.load_state_dict(judge.success.state_dict())
    return field


def known(field: GraspField, weights: str | Path) -> dict[str, Any]:
    """The number of the energy's weights, and what the metadata tells of their training."""
    configuration, _ = checkpoint.load(checkpoint.find(weights, WEIGHTS), KIND)
    parameters = sum(each.numel() for each in field.energy.parameters())
    return {"energy_parameters": parameters, "training": configuration.get("training", {})}


def timed(source: Source, spent: list[float]) -> Source:
    """A source that appends its CPU-seconds, those of all threads, of each object."""

    def watched(obj: Object, count: int, rng: np.random.Generator) -> Grasps:
        began = time.process_time()
        grasps = source(obj, count, rng)
        spent.append(time.process_time() - began)
        return grasps

    return watched


def precision_at(curve: PrecisionCoverage | None, coverage: float) -> float | None:
    """The precision of the shortest beginning of a ranking that covers so much.

    Args:
        curve: of the ranking; None if it is empty.
        coverage: 0 to 1.

    Returns:
        None if the whole ranking covers less.
    """
    if curve is None or curve.coverage[-1] < coverage:
        return None
    return float(curve.precision[np.searchsorted(curve.coverage, coverage)])


def success_at_coverage(report: Report, coverage: float) -> dict[str, Any]:
    """Success at one coverage over the objects that fit, as the module defines it.

    Args:
        report: of a source.
        coverage: 0 to 1.

    Returns:
        The coverage; the mean success, with its interval (95 %, over objects) where 2 objects or
        more fit; the share of these that reach the coverage; and the precision of each there. None
        is what does not exist.
    """
    found = [precision_at(each.curve, coverage) for each in report.fitting]
    counted = [np.array([0.0 if each is None else each]) for each in found]
    interval = None
    if len(counted) > 1:
        # The same draws of objects for every source.
        _, *interval = cluster_bootstrap(counted, np.random.default_rng(SEED))
    return {
        "coverage": coverage,
        "success": float(np.mean(counted)) if found else None,
        "success_interval": interval,
        "reached": float(np.mean([each is not None for each in found])) if found else None,
        "by_object": {each.name: at for each, at in zip(report.fitting, found, strict=True)},
    }


def table(results: dict[str, dict[str, Any]], samples: int) -> str:
    """The results in Markdown: a row for each source, then how to read them."""
    head = [
        "source", "training, s", "weights of the energy", "success, %", "top 20, %",
        f"coverage at {samples}, %",
        *(f"success at coverage {100 * each:.0f} %, % (objects there, %)" for each in COVERAGES),
        "P–C area", "CPU-s per 100",
    ]  # fmt: skip
    rows = [head]
    for name, row in results.items():
        shares = ("success_all", "success_top20", "coverage")
        seconds = row["cpu_seconds_per_100"]
        rows.append(
            [
                name,
                training_seconds(row.get("training")),
                str(row.get("energy_parameters", "–")),
                *(cell(row[key], row[f"{key}_interval"], 100, 1) for key in shares),
                *map(cell_at_coverage, row["success_at_coverage"]),
                cell(row["precision_coverage_area"], row["precision_coverage_area_interval"], 1, 3),
                "–" if seconds is None else f"{seconds:.2f}",
            ]
        )
    first = next(iter(results.values()))
    notes = [
        f"Over the {first['objects_that_fit']} of {first['objects']} objects that fit, {samples} "
        "grasps asked of each; intervals: 95 %, over objects. Success at a coverage: of the "
        "shortest beginning of the ranking that covers so much; 0 for an object whose list covers "
        "less, the share of the others is in brackets. The shipped network of success ranks the "
        "grasps of every field. Seconds of training are of the clock; those of the CPU are for "
        "100 grasps given."
    ]
    ours, theirs = (results.get(f"{each} network", {}).get("training") for each in (DEFAULT, PAPER))
    if ours and theirs:
        apart = unlike(ours, theirs)
        notes.append(f"Data and budget of the two networks: {apart or 'equal'}.")
    return "\n\n".join([markdown_table(rows), *notes])


def training_seconds(training: dict[str, Any] | None) -> str:
    """Seconds of training, of weights whose energy was trained in one go."""
    if training is None:
        return "–"
    alone = "initialized_from" in training and training["initialized_from"] is None
    if not alone or "energy" not in training["networks"]:
        return "see the model card"
    return f"{training['seconds']:.0f}"


def unlike(a: dict[str, Any], b: dict[str, Any]) -> str:
    """Where two trainings differ in `BUDGET`."""
    return ", ".join(
        f"{key} {a.get(key)} and {b.get(key)}" for key in BUDGET if a.get(key) != b.get(key)
    )


def cell(value: float | None, interval: Sequence[float] | None, factor: int, digits: int) -> str:
    """A figure with its interval, where there are such."""
    if value is None:
        return "–"
    text = f"{factor * value:.{digits}f}"
    if interval is None:
        return text
    low, high = (f"{factor * end:.{digits}f}" for end in interval)
    return f"{text} [{low}, {high}]"


def cell_at_coverage(found: dict[str, Any]) -> str:
    """Success at a coverage, and in brackets the share of objects that reach it."""
    shown = cell(found["success"], found["success_interval"], 100, 1)
    return f"{shown} ({cell(found['reached'], None, 100, 0)})"


if __name__ == "__main__":
    main()
