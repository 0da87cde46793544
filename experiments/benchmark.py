"""Compare sources of grasps on the frozen sets, under every physics of this package.

    python -m datasets.frozen --meshes FOLDER --output sets
    python -m experiments.benchmark sets [--paper FILE] [--engine drake] [NAME...]

The sources are all shipped weights, the network of the paper SE(3)-DiffusionFields (weights of
`grasp train --networks energy --architecture paper`) and the antipodal baseline. The success
network of `RANKING` ranks the samples of the paper's network, so only the energies of the two
differ. No source knows the table.

All figures have the same denominators for all sources. An object fits if at least 1 % of its
antipodal candidates succeed under the protocol and are robust; a refused object that fits counts 0.
Every finished row is kept in the folder `--kept`, so that an interrupted run continues there.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experiments import record
from experiments.field_evaluation import SHIPPED
from experiments.field_networks import with_success_of
from grasp.field.trained import GraspField
from grasp.grippers.gripper import Gripper, load_gripper
from grasp.judging.benchmark import Benchmark, load_set
from grasp.judging.evaluation import Budget, Source, evaluate
from grasp.judging.laboratory import ENGINES, open_laboratory
from grasp.judging.report import Report
from grasp.judging.sheet import draw_sheet
from grasp.judging.sources import ANTIPODAL, field_source, kept_labels, named_source
from grasp.physics import PROTOCOL, PROTOCOLS, Conditions, cores
from pcdiff.drawing.png import save_png
from pcdiff.tables import markdown_table

SEED, RANKING = 0, "panda-0.1"
SETS = ("scanned-report", "made", "rough", "views", "resting", "too-large")
"""Sets of the table. `scanned-tune` is for tuning, so nothing is reported on it."""

COLUMNS = {
    "success_2_all": "protocol 2",
    "success_all": "protocol 3",
    "robust_all": "robust",
    "robust_top20": "robust, top 20",
    "drake_all": "Drake",
    "coverage": "coverage",
    "collides": "collides",
    "collides_hidden": "hidden side",
    "collides_table": "table",
    "straight_approach": "straight approach",
    "lift": "lift",
}
"""Figures of the table, in percent."""


def sources(paper: Path | None, hand: Gripper) -> Iterator[tuple[str, Source]]:
    """Yield the name and the source of each row of a set.

    Args:
        paper: Weights with the energy network of the paper; None leaves the row out.
        hand: Gripper of the grasps.
    """
    for name in SHIPPED:
        yield name, field_source(GraspField.from_pretrained(name), hand)
    if paper is not None:
        ranking = GraspField.from_pretrained(RANKING)
        field = with_success_of(ranking, GraspField.from_pretrained(paper))
        yield "paper's network", field_source(field, hand)
    yield "antipodal baseline", named_source(ANTIPODAL, [], hand)


def main() -> None:
    """Judge every source on every set, print the table and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", type=Path)
    parser.add_argument("names", nargs="*", default=SETS)
    parser.add_argument("--paper", type=Path)
    parser.add_argument("--engine", choices=ENGINES)
    parser.add_argument("--samples", type=int, default=40)
    parser.add_argument("--candidates", type=int, default=300)
    parser.add_argument("--kept", type=Path, default=Path("runs/benchmark"))
    chosen = parser.parse_args()
    hand = load_gripper("panda")
    chosen.kept.mkdir(parents=True, exist_ok=True)
    results: dict[str, dict[str, Any]] = {}
    for name in chosen.names:
        frozen = load_set(chosen.sets / name)
        rows: dict[str, Any] = {}
        for source, draw in sources(chosen.paper, hand):
            kept = chosen.kept / f"{name}-{source.replace(' ', '-')}.json"
            if not kept.exists():
                report = judged(frozen, draw, source, hand, chosen)
                kept.write_text(json.dumps(report.as_dict()))
                save_png(kept.with_suffix(".png"), draw_sheet(report, frozen.cases, hand))
            rows[source] = json.loads(kept.read_text())
        results[name] = {"sha256": frozen.digest, "sources": rows}
        print(table(results, chosen.samples, chosen.candidates), flush=True)
    record.write("benchmark", SEED, results, table(results, chosen.samples, chosen.candidates))


def judged(
    frozen: Benchmark, source: Source, name: str, hand: Gripper, chosen: argparse.Namespace
) -> Report:
    """Judge one source on one set.

    Args:
        frozen: The set.
        source: Source of the grasps.
        name: Name of the source.
        hand: The gripper.
        chosen: Options of the program.
    """
    earlier = (PROTOCOLS["2"],)
    with open_laboratory(
        Conditions(), PROTOCOL, workers=cores(), engine=chosen.engine, others=earlier
    ) as laboratory:
        labels = kept_labels(
            chosen.kept / "labels", hand, laboratory.labeller,
            count=chosen.candidates, seed=SEED, physics=laboratory.facts,
        )  # fmt: skip
        budget = Budget(chosen.samples, chosen.candidates, SEED)
        judge = laboratory.judge(labels)
        return evaluate(source, frozen.cases, hand, judge, name=name, budget=budget)


def table(results: dict[str, dict[str, Any]], samples: int, candidates: int) -> str:
    """Return the results in Markdown: one row per set and source, and notes.

    Args:
        results: For each set, its digest and the report of each source.
        samples: Largest number of grasps per case.
        candidates: Number of antipodal candidates per object.
    """
    head = [
        "set", "source", "cases that fit", *(f"{title}, %" for title in COLUMNS.values()),
        "calibration error", "wrong refusals", "right refusals", "CPU-s a case",
    ]  # fmt: skip
    rows = [head]
    for name, found in results.items():
        for source, report in found["sources"].items():
            rows.append(
                [
                    name,
                    source,
                    f"{report['objects_that_fit']} of {report['objects']}",
                    *(_cell(report, key) for key in COLUMNS),
                    _number(report["robust_calibration_error"], 3),
                    str(report["refused_that_fit"]),
                    f"{report['refused_that_do_not_fit']} of "
                    f"{report['objects'] - report['objects_that_fit']}",
                    _number(report["cpu_seconds"], 2),
                ]
            )
    note = (
        f"At most {samples} grasps per case, {candidates} antipodal candidates per object; means "
        "over the cases that fit, with 95 % intervals over objects. Protocol 2 and protocol 3: "
        "success under the protocol. Robust: mean robust success. Drake: success in the second "
        "engine of up to 20 grasps per case. Calibration error: of the stated probabilities as "
        "robust success. Wrong and right refusals: cases without grasps that fit and that do not."
    )
    return "\n\n".join([markdown_table(rows), note])


def _cell(report: dict[str, Any], key: str) -> str:
    value, interval = report.get(key), report.get(f"{key}_interval")
    if value is None:
        return "–"
    if interval is None:
        return f"{100 * value:.0f}"
    return f"{100 * value:.0f} [{100 * interval[0]:.0f}, {100 * interval[1]:.0f}]"


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


if __name__ == "__main__":
    main()
