"""Choose the distribution of robust success: which bounds agree with stated outcomes.

    python -m experiments.calibrate_uncertainty ../shared/data

All grasps of the evidence of `experiments.calibrate_protocol` meet the `DRAWS` draws of the wide
distribution `WIDE`. A candidate is a choice of narrower bounds, one per factor of `BOUNDS`: its
robust success is the share of successes among the draws within these bounds. So one set of trials
judges all candidates. No generator of grasps takes part. The errors of the pose are not varied
here: 2.5 mm and 2.5° were chosen among 2, 2.5 and 3 on the same grasps.

The table shows the candidates with the largest smallest margin over `BARS`. For the figure "leave
one out", the candidate for each published object is chosen without the grasps of that object. The
last row is the distribution of this package: it lies near the best candidates, was rounded, and is
tried here with its own draws.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from experiments import record
from experiments.agreement import area_under_curve
from experiments.calibrate_protocol import (
    Bars,
    Evidence,
    Figures,
    left_out,
    margin,
    published,
    recall,
    tuning_halves,
)
from grasp.grippers.gripper import load_gripper
from grasp.physics import ROBUST, Conditions, RobustTrials, processes, simulate_robust
from grasp.physics.uncertainty import Draw, Uncertainty, load_uncertainty
from pcdiff.tables import markdown_table

SEED = 11
WORKERS = 2
DRAWS = 64
FEWEST = 12
"""Smallest number of draws within the bounds of a candidate."""

WIDE = Uncertainty(
    version="wide", count=DRAWS, seed=SEED,
    friction=(0.25, 0.8), creep=(0.3, 5.0), softness=(1.0, 1.8), mass=(0.5, 2.0), force=(0.5, 1.0),
    centre=0.05, translation=0.0025, rotation=math.radians(2.5),
)  # fmt: skip

BOUNDS = {
    "friction": ((0.25, 0.3, 0.35, 0.4), (0.5, 0.6, 0.7, 0.8)),
    "creep": ((0.3, 0.5, 0.7, 1.0), (1.0, 1.5, 2.0, 3.0, 5.0)),
    "softness": ((1.0,), (1.3, 1.5, 1.8)),
    "force": ((0.5, 0.7), (1.0,)),
}
"""Lower and upper bounds to combine, for each factor that is chosen here."""

BARS: Bars = {
    "mug, area": (0.94, 0.02),
    "mug, accuracy": (0.83, 0.02),
    "table, area": (0.93, 0.02),
    "table, accuracy": (0.80, 0.02),
    "recall": (0.60, 0.05),
}
"""Required figures of robust success, and the difference that counts as one margin."""


def candidates() -> Iterator[dict[str, tuple[float, float]]]:
    """Yield all combinations of the bounds of `BOUNDS`, an interval for each factor."""
    intervals = [list(itertools.product(low, high)) for low, high in BOUNDS.values()]
    for chosen in itertools.product(*intervals):
        yield dict(zip(BOUNDS, chosen, strict=True))


def within(draws: list[Draw], bounds: dict[str, tuple[float, float]]) -> np.ndarray:
    """Return which draws lie within the bounds of all factors."""
    return np.array(
        [all(low <= getattr(draw, name) <= high for name, (low, high) in bounds.items())
         for draw in draws]
    )  # fmt: skip


def figures(evidence: dict[str, Evidence], success: dict[str, np.ndarray]) -> Figures:
    """Return the figures of robust success.

    Args:
        evidence: Grasps of each object with their stated outcomes.
        success: Robust success of these grasps.

    Returns:
        The area under the ROC curve and the accuracy of "at least half of the draws" for the mug
        and the table, and the share of robust grasps of each other object.
    """
    found: Figures = {}
    for name, each in evidence.items():
        robust = success[name] >= ROBUST
        if each.success.all():
            found[name] = float(robust.mean())
        else:
            found[f"{name}, area"] = area_under_curve(success[name], each.success)
            found[f"{name}, accuracy"] = float((robust == each.success).mean())
    return found


def main() -> None:
    """Try all grasps under the wide distribution, choose bounds, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--grasps", type=int, default=400, help="of the mug and of the table")
    options = parser.parse_args()
    others = published(options.folder / "ycb_grasps")
    evidence = {**tuning_halves(options.folder / "acronym_examples", options.grasps), **others}
    counts = {name: len(each.poses) for name, each in others.items()}
    with processes(WORKERS) as pool:

        def tried(uncertainty: Uncertainty) -> dict[str, RobustTrials]:
            return {
                name: simulate_robust(
                    each.obj, load_gripper("panda"), each.poses, Conditions(mass=each.mass),
                    uncertainty=uncertainty, pool=pool,
                )
                for name, each in evidence.items()
            }  # fmt: skip

        wide = {name: trials.failure == "" for name, trials in tried(WIDE).items()}
        shipped = {name: trials.success for name, trials in tried(load_uncertainty()).items()}
    rows: list[tuple[str, Figures]] = []
    for bounds in candidates():
        chosen = within(WIDE.draws(), bounds)
        if chosen.sum() >= FEWEST:
            success = {name: each[:, chosen].mean(axis=1) for name, each in wide.items()}
            text = ", ".join(f"{name} {low:g} to {high:g}" for name, (low, high) in bounds.items())
            rows.append((f"{text} ({chosen.sum()} draws)", figures(evidence, success)))
    without = left_out([found for _, found in rows], counts, BARS)
    rows.sort(key=lambda row: -margin(row[1], counts, BARS))
    last = (f"uncertainty {load_uncertainty().version}", figures(evidence, shipped))
    table = [["bounds", "margin", "mug", "table", "published grasps that are robust"]]
    for text, found in [*rows[:8], last]:
        table.append(
            [
                text,
                f"{margin(found, counts, BARS):.2f}",
                *(f"{found[f'{key}, area']:.3f} / {found[f'{key}, accuracy']:.3f}"
                  for key in ("mug", "table")),
                f"{recall(found, counts):.3f}",
            ]
        )  # fmt: skip
    results = {"rows": [*rows, last], "counts": counts, "left_out": without}
    notes = (
        f"\n\n{len(rows)} candidates, {options.grasps} grasps of the tuning half of each ACRONYM "
        f"object, {sum(counts.values())} published grasps of {len(counts)} objects. Mug and table: "
        "area under the ROC curve / accuracy of at least half of the draws. Robust with one object "
        f"left out of the choice: {without:.3f}."
    )
    record.write("calibrate_uncertainty", SEED, results, markdown_table(table) + notes)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
