"""Measure the robust success of a field's grasps on sets and grippers that no training has seen.

    python -m datasets.frozen --meshes FOLDER --output sets
    python -m experiments.field_evaluation sets [--weights NAME...] [--engine drake] [ROW...]

Each row asks every object for 100 grasps, and judges them under the draws of `uncertainty-1.toml`.
The row "coverage" asks for 1000 and judges them under the protocol alone:

- coverage: as scanned;
- scanned, made, rough, views: frozen sets (`datasets.frozen`) with the Franka Hand;
- vessels: 40 synthetic vessels of a seed that no training uses;
- robotiq_2f_85, robotiq_2f_140: the frozen set made with another gripper;
- jaws: the frozen set made with each of four random jaws (`datasets.jaws`) of an unseen seed.

An object fits if at least 1 % of its antipodal candidates are robust; the means are over the
objects that fit, and a refused object that fits counts 0. "Claimed" is the mean probability that
the weights state. Every finished row is kept in the folder `--kept`. The table has all rows of
shipped weights that are kept there, so an evaluation can be made in several runs.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from datasets.household import make_set, write_set
from datasets.jaws import write_jaws
from experiments import record
from grasp.field.trained import NEWEST, GraspField, pretrained_names
from grasp.grippers.gripper import Gripper, load_gripper
from grasp.judging.benchmark import Case, load_set
from grasp.judging.evaluation import Budget, evaluate
from grasp.judging.laboratory import ENGINES, open_laboratory
from grasp.judging.report import TOP, Report
from grasp.judging.sources import field_source, kept_labels
from grasp.objects.loading import load_object
from grasp.physics import PROTOCOL, Conditions, cores
from pcdiff.tables import markdown_table

SEED, GRASPS, CANDIDATES = 0, 100, 300
COVERAGE, COVERAGE_GRASPS = "coverage", 1000
SHIPPED = [name for name in reversed(pretrained_names()) if name not in NEWEST]
"""Names of all shipped weights, the newest first."""

VESSELS = ["mug", "bowl", "jug", "glass", "wineglass", "pot", "jar", "teapot"]
VESSELS_COUNT, VESSELS_SEED = 40, 71_001
JAWS_COUNT, JAWS_SEED = 4, 71_002

FROZEN = {
    "scanned": "scanned-report", COVERAGE: "scanned-report", "made": "made", "rough": "rough",
    "views": "views",
}  # fmt: skip
HANDS = ("robotiq_2f_85", "robotiq_2f_140")
ROWS = (*FROZEN, "vessels", *HANDS, "jaws")


@dataclass(frozen=True)
class Options:
    """Settings of an evaluation.

    Attributes:
        sets: Folder of the frozen sets.
        kept: Folder of labels that later evaluations reuse.
        engine: Name of the second engine; None for no second engine.
        grasps: Number of grasps per object, except in the row "coverage".
        candidates: Number of antipodal candidates per object.
        vessels: Number of objects in the row "vessels".
    """

    sets: Path
    kept: Path
    engine: str | None = None
    grasps: int = GRASPS
    candidates: int = CANDIDATES
    vessels: int = VESSELS_COUNT


def cases_and_hands(row: str, options: Options) -> Iterator[tuple[Sequence[Case], Gripper]]:
    """Yield the cases of a row with each of its grippers.

    Args:
        row: Name of the row.
        options: Settings of the evaluation.
    """
    panda = load_gripper("panda")
    if row in FROZEN:
        yield load_set(options.sets / FROZEN[row]).cases, panda
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if row == "vessels":
            made = make_set(options.vessels, VESSELS_SEED, VESSELS)
            entries = write_set(folder, made, {"maker": "datasets.household"}, "MIT")
            objects = [load_object(folder / entry.file) for entry in entries]
            yield [Case(each.name, each.name, each, each) for each in objects], panda
            return
        cases = load_set(options.sets / "made").cases
        if row in HANDS:
            yield cases, load_gripper(row)
            return
        for path in write_jaws(folder, JAWS_COUNT, JAWS_SEED):
            yield cases, load_gripper(path)


def main() -> None:
    """Judge weights on rows, print the table of all finished rows and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", type=Path)
    parser.add_argument("rows", nargs="*", default=ROWS, choices=[*ROWS, []])
    parser.add_argument("--weights", nargs="+", default=SHIPPED)
    parser.add_argument("--engine", choices=ENGINES)
    parser.add_argument("--kept", type=Path, default=Path("runs/field_evaluation"))
    chosen = parser.parse_args()
    chosen.kept.mkdir(parents=True, exist_ok=True)
    options = Options(chosen.sets, chosen.kept, chosen.engine)
    for row in chosen.rows:
        for weights in chosen.weights:
            kept = file_of(row, weights, options)
            if not kept.exists():
                kept.write_text(json.dumps(judged(row, weights, options)))
        print(table(finished(options, chosen.weights)), flush=True)
    results = finished(options, chosen.weights)
    record.write("field_evaluation", SEED, results, table(results))


def file_of(row: str, weights: str, options: Options) -> Path:
    """Return the file that keeps a finished row of some weights."""
    return options.kept / f"{row}-{title(weights)}.json"


def finished(options: Options, weights: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the figures of all finished rows, by row and by weights.

    Args:
        options: Settings of the evaluation.
        weights: Weights of the table, beside the shipped ones.
    """
    found: dict[str, dict[str, Any]] = {}
    for row in ROWS:
        for each in dict.fromkeys([*weights, *SHIPPED]):
            kept = file_of(row, each, options)
            if kept.exists():
                found.setdefault(row, {})[each] = json.loads(kept.read_text())
    return found


def judged(row: str, weights: str, options: Options) -> dict[str, Any]:
    """Judge weights on a row, and return the figures.

    Args:
        row: Name of the row.
        weights: Name or file of the weights.
        options: Settings of the evaluation.
    """
    field = GraspField.from_pretrained(weights)
    by_hand = []
    plain = row == COVERAGE
    engine = None if plain else options.engine
    number = cores()
    with (
        open_laboratory(Conditions(), PROTOCOL, workers=number) as laboratory,
        open_laboratory(
            Conditions(), PROTOCOL, workers=number, engine=engine, robustly=not plain
        ) as trials,
    ):
        for cases, hand in cases_and_hands(row, options):
            labels = kept_labels(
                options.kept / "labels", hand, laboratory.labeller,
                count=options.candidates, seed=SEED, physics=laboratory.facts,
            )  # fmt: skip
            judge = trials.judge(labels)
            budget = Budget(COVERAGE_GRASPS if plain else options.grasps, options.candidates, SEED)
            source = field_source(field, hand)
            report = evaluate(source, cases, hand, judge, name=weights, budget=budget)
            by_hand.append({"gripper": hand.name, **figures(report)})
    return {"by_hand": by_hand}


def figures(report: Report) -> dict[str, Any]:
    """Return the figures of a report, with the claims of the weights.

    Args:
        report: Judgements of one gripper.
    """
    known = report.as_dict()
    fitting = [each for each in report.judgements if each.fits and each.probability is not None]
    claimed = [
        float(np.mean(p[:TOP])) for each in fitting if len(p := np.asarray(each.probability))
    ]
    names = ("robust_all", "robust_top20", "success_all", "drake_all", "coverage")
    return {
        "objects": known["objects"],
        "fit": known["objects_that_fit"],
        **{key: known[key] for name in names for key in (name, f"{name}_interval") if key in known},
        "claimed_top20": float(np.mean(claimed)) if claimed else None,
        "calibration_error": known["robust_calibration_error"],
        "refused_that_fit": known["refused_that_fit"],
    }


def table(results: dict[str, dict[str, Any]], grasps: int = GRASPS) -> str:
    """Return the results in Markdown.

    Args:
        results: For each row, the result of `judged` of each weights.
        grasps: Number of grasps per object, except in the row "coverage".
    """
    rows = [
        [
            "objects", "weights", "gripper", "fit", "robust success of all, %", "of the top 20, %",
            "claimed of the top 20, %", "calibration error", "success in Drake, %", "coverage, %",
            "wrong refusals",
        ]
    ]  # fmt: skip
    for row, by_weights in results.items():
        for weights, found in by_weights.items():
            rows += [[row, title(weights), *_cells(each)] for each in found["by_hand"]]
    note = (
        f"{grasps} grasps are requested per object, {COVERAGE_GRASPS} in the row {COVERAGE}. "
        "Intervals: 95 %, over objects. Coverage: share of the robust antipodal candidates within "
        "1 cm and 15° of a grasp."
    )
    return f"{markdown_table(rows)}\n\n{note}"


def _cells(found: dict[str, Any]) -> list[str]:
    error = found["calibration_error"]
    return [
        found["gripper"],
        f"{found['fit']} of {found['objects']}",
        _cell(found, "robust_all"),
        _cell(found, "robust_top20"),
        _percent(found["claimed_top20"]),
        "–" if error is None else f"{error:.3f}",
        _cell(found, "drake_all"),
        _cell(found, "coverage"),
        str(found["refused_that_fit"]),
    ]


def title(weights: str) -> str:
    """Return the name of weights in a table: that of shipped weights, or of the file.

    Args:
        weights: Name or file of the weights.
    """
    return Path(weights).name.removesuffix(".safetensors")


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}"


def _cell(found: dict[str, Any], key: str) -> str:
    interval = found.get(f"{key}_interval")
    if found.get(key) is None or interval is None:
        return _percent(found.get(key))
    return f"{100 * found[key]:.1f} [{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]"


if __name__ == "__main__":
    main()
