"""Compare energy networks with each other and with the antipodal baseline on scanned meshes.

    python -m experiments.field_networks [FOLDER_OF_MESHES] [--default FILE] [--paper FILE]
        [--labels FOLDER] [--samples 1000] [--objects N]

The table has four rows: the shipped weights; the default network and the network of
SE(3)-DiffusionFields, both from files of `grasp train --networks energy [--architecture paper]`;
and the baseline. The study uses the meshes of `experiments.baseline` and the Franka Hand, and
judges the grasps with `grasp.judging.evaluation.evaluate`, like `grasp evaluate`.

The success network in the two files is untrained, so every field uses the success network of the
shipped weights (`with_success_of`). The same success network ranks and rejects all grasps, so only
the energies differ. The two fields from files are sampled from pure noise, with `SAMPLING`, because
the energies alone should decide the poses. The shipped weights start from proposals. The success
network is not neutral: its training data are samples of the shipped energy and of earlier energies.

Success at a coverage C is the share of successful grasps in the shortest prefix of the ranking that
covers C. It is 0 for an object if its whole ranking covers less, so a source does not benefit if it
leaves out difficult grasps. The table shows the mean over all objects that fit the gripper, and the
share of these objects that reach C. The mean divided by the share is the precision on the objects
that reach C. The objects that reach C differ between sources.

Training time is the wall time in seconds until the training reached the weights in the file. The
time comes from the metadata of the file, which does not record CPU-seconds. If weights were trained
in several steps, the metadata record only the last step; see the model card of the weights.
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
from grasp.field.model import KIND
from grasp.field.sampling import Sampling
from grasp.field.selection import Selection
from grasp.field.trained import GraspField, weights_file
from grasp.formats import Grasps
from grasp.grippers.gripper import Gripper, load_gripper
from grasp.judging.coverage import PrecisionCoverage
from grasp.judging.evaluation import Budget, Judge, Source, evaluate
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
SAMPLING = Sampling(begin=None, steps=12)
SELECTION = Selection(oversampling=2.0, attempts=1)
COVERAGES = (0.2, 0.3, 0.4, 0.5)
"""Coverages for the comparison of the sources, as shares from 0 to 1."""

BUDGET = ("sha256", "initialized_from", "grasps", "batch_size", "steps", "learning_rate", "seed")
"""Keys of the metadata that describe the data and the effort of a training, for comparison."""


def main() -> None:
    """Judge every source, print the table and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("meshes", nargs="?", type=Path, default=DEVELOPMENT_DATA)
    parser.add_argument("--default", type=Path)
    parser.add_argument("--paper", type=Path)
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--objects", type=int)
    chosen = parser.parse_args()
    if not chosen.meshes.is_dir():
        print(f"skipped: {chosen.meshes} does not exist, expected a folder of .stl meshes")
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
                [load_object(path) for path in files],  # no row reuses another row's computations
                hand,
                Judge(simulator, physics={"density": PROTOCOL.density}, labels=labels),
                name=name,
                budget=Budget(samples=chosen.samples, seed=SEED),
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
    """Yield the name, the source and the metadata of the network for each row of the table.

    Args:
        default: Weights with a default energy network; None prints a message and omits the row.
        paper: Weights with the energy network of SE(3)-DiffusionFields; None prints a message and
            omits the row.
        hand: Gripper of the grasps.

    Raises:
        InputError: If a file has no weights, or weights of the wrong architecture.
    """
    shipped = GraspField.from_pretrained(SHIPPED)
    yield "shipped weights", field_source(shipped, hand), known(shipped, SHIPPED)
    for architecture, file in ((DEFAULT, default), (PAPER, paper)):
        if file is None:
            print(f"left out the {architecture} network: state its weights with --{architecture}")
            continue
        field = GraspField.from_pretrained(file)
        if field.config.architecture != architecture:
            raise InputError(
                f"{file} has the network {field.config.architecture}, expected the network "
                f"{architecture}"
            )
        field = with_success_of(shipped, field)
        yield (
            f"{architecture} network",
            field_source(field, hand, SAMPLING, SELECTION),
            known(field, file),
        )
    yield "antipodal baseline", named_source(ANTIPODAL, [], hand), {}


def with_success_of(judge: GraspField, field: GraspField) -> GraspField:
    """Copy the success network of the field `judge` into another field, and return that field.

    Args:
        judge: Field whose success network is copied.
        field: Field to change in place.
    """
    field.success.load_state_dict(judge.success.state_dict())
    return field


def known(field: GraspField, weights: str | Path) -> dict[str, Any]:
    """Return the number of parameters of the energy network, and the metadata of its training."""
    configuration, _ = checkpoint.load(weights_file(weights), KIND)
    parameters = sum(each.numel() for each in field.energy.parameters())
    return {"energy_parameters": parameters, "training": configuration.get("training", {})}


def timed(source: Source, spent: list[float]) -> Source:
    """Return a source that also appends the CPU-seconds for each object to the list `spent`."""

    def watched(obj: Object, count: int, rng: np.random.Generator) -> Grasps:
        began = time.process_time()
        grasps = source(obj, count, rng)
        spent.append(time.process_time() - began)
        return grasps

    return watched


def precision_at(curve: PrecisionCoverage | None, coverage: float) -> float | None:
    """Return the precision in the shortest prefix of a ranking that reaches a coverage.

    Args:
        curve: Curve of the ranking; None if the ranking is empty.
        coverage: Coverage to reach, 0 to 1.

    Returns:
        The precision, or None if the whole ranking covers less.
    """
    if curve is None or curve.coverage[-1] < coverage:
        return None
    return float(curve.precision[np.searchsorted(curve.coverage, coverage)])


def success_at_coverage(report: Report, coverage: float) -> dict[str, Any]:
    """Compute the success at a coverage for all objects that fit the gripper (see the module).

    Args:
        report: Report of a source.
        coverage: Coverage to reach, 0 to 1.

    Returns:
        The coverage; the mean success; its 95 % interval over objects if at least 2 objects fit;
        the share of objects that reach the coverage; and the precision at the coverage for each
        object by name. Undefined values are None.
    """
    found = [precision_at(each.curve, coverage) for each in report.fitting]
    counted = [np.array([0.0 if each is None else each]) for each in found]
    interval = None
    if len(counted) > 1:
        # The bootstrap draws the same objects for every source.
        _, *interval = cluster_bootstrap(counted, np.random.default_rng(SEED))
    return {
        "coverage": coverage,
        "success": float(np.mean(counted)) if found else None,
        "success_interval": interval,
        "reached": float(np.mean([each is not None for each in found])) if found else None,
        "by_object": {each.name: at for each, at in zip(report.fitting, found, strict=True)},
    }


def table(results: dict[str, dict[str, Any]], samples: int) -> str:
    """Return the results in Markdown: one row per source, and notes that explain the columns."""
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
        apart = budget_differences(ours, theirs)
        notes.append(f"Data and budget of the two networks: {apart or 'equal'}.")
    return "\n\n".join([markdown_table(rows), *notes])


def training_seconds(training: dict[str, Any] | None) -> str:
    """Return the training time in seconds as text; after several trainings, name the model card."""
    if training is None:
        return "–"
    alone = "initialized_from" in training and training["initialized_from"] is None
    if not alone or "energy" not in training["networks"]:
        return "see the model card"
    return f"{training['seconds']:.0f}"


def budget_differences(a: dict[str, Any], b: dict[str, Any]) -> str:
    """Return a text with the differences of two trainings in the entries of `BUDGET`."""
    return ", ".join(
        f"{key} {a.get(key)} and {b.get(key)}" for key in BUDGET if a.get(key) != b.get(key)
    )


def cell(value: float | None, interval: Sequence[float] | None, factor: int, digits: int) -> str:
    """Format a value with its interval; return a dash if the value is None."""
    if value is None:
        return "–"
    text = f"{factor * value:.{digits}f}"
    if interval is None:
        return text
    low, high = (f"{factor * end:.{digits}f}" for end in interval)
    return f"{text} [{low}, {high}]"


def cell_at_coverage(found: dict[str, Any]) -> str:
    """Format the success at a coverage, and in brackets the share of objects with this coverage."""
    shown = cell(found["success"], found["success_interval"], 100, 1)
    return f"{shown} ({cell(found['reached'], None, 100, 0)})"


if __name__ == "__main__":
    main()
