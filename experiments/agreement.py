"""Agreement of the physics with outcomes that others have stated, on grasps that tuned nothing.

    python -m experiments.agreement ../shared/data [--grasps 1000] [--robust 300]

The folder contains `acronym_examples` and `ycb_grasps`. Each protocol is tried on grasps of the
held-out halves of ACRONYM's mug and table, at the masses of their files, and on the published
grasps that do not overlap the object by more than 1 mm, at real masses. The published grasps have
no held-out half; `experiments.calibrate_protocol` chose protocol 3 with them and states the recall
with one object left out.

A physics that lets every grasp succeed would have a perfect recall. So the table also states the
share of antipodal candidates without collision that succeed. All figures are repeated at half the
time step. Robust success is measured on fewer grasps. Its area under the ROC curve is about
ACRONYM's labels; its accuracy is of "at least half of the draws".
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import rankdata

from experiments import record
from experiments.calibrate_protocol import Evidence, published, tuning_halves
from experiments.calibrate_simulation import agreement
from grasp.grippers.gripper import load_gripper
from grasp.judging.candidates import candidates
from grasp.judging.streams import object_generator
from grasp.physics import (
    PROTOCOLS,
    ROBUST,
    Conditions,
    Protocol,
    RobustTrials,
    Trials,
    in_collision,
    processes,
    simulate,
    simulate_robust,
)
from pcdiff.tables import markdown_table

SEED = 0
STREAM = 104
"""Number of the random stream of the antipodal candidates."""

WORKERS = 2
CANDIDATES = 200
"""Antipodal candidates per object, of which those in collision are left out."""


def area_under_curve(score: np.ndarray, label: np.ndarray) -> float:
    """Return the area under the ROC curve: the share of pairs in the right order, ties count half.

    Args:
        score: Score of each grasp.
        label: True for each success; at least one success and one failure.
    """
    ranks = rankdata(score)
    positives, negatives = int(label.sum()), int((~label).sum())
    above = ranks[label].sum() - positives * (positives + 1) / 2
    return float(above / (positives * negatives))


def antipodal(each: Evidence) -> np.ndarray:
    """Return antipodal candidates of an object that do not collide with it."""
    hand = load_gripper("panda")
    poses = candidates(each.obj, hand, CANDIDATES, object_generator(SEED, STREAM, each.obj)).poses
    return poses[~in_collision(poses, hand, each.obj)]


def success(
    trial: Callable[..., Trials | RobustTrials],
    evidence: dict[str, Evidence],
    protocol: Protocol,
    pool: Executor | None,
) -> dict[str, np.ndarray]:
    """Try all grasps under a protocol, and return their success by object.

    Args:
        trial: `grasp.physics.simulate` or `grasp.physics.simulate_robust`.
        evidence: Grasps of each object.
        protocol: Protocol of the trials.
        pool: Processes for the trials.
    """
    hand = load_gripper("panda")
    return {
        name: trial(
            each.obj, hand, each.poses, Conditions(mass=each.mass), protocol=protocol, pool=pool
        ).success
        for name, each in evidence.items()
    }


def pooled(found: dict[str, np.ndarray], names: list[str]) -> np.ndarray:
    """Return the values of several objects as one array."""
    return np.concatenate([found[name] for name in names])


def main() -> None:
    """Measure the agreement, print the tables and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--grasps", type=int, default=1000, help="of the mug and of the table")
    parser.add_argument("--robust", type=int, default=300, help="of these, for robust success")
    options = parser.parse_args()
    held_out = tuning_halves(options.folder / "acronym_examples", options.grasps, which=1)
    others = published(options.folder / "ycb_grasps")
    names = list(others)
    evidence = {**held_out, **others}
    fewer = {
        name: Evidence(
            each.obj, each.poses[: options.robust], each.success[: options.robust], each.mass
        )
        for name, each in evidence.items()
    }
    drawn = {
        name: dataclasses.replace(each, poses=poses, success=np.ones(len(poses), bool))
        for name, each in evidence.items()
        for poses in [antipodal(each)]
    }
    results: dict[str, Any] = {}
    with processes(WORKERS) as pool:
        for version, protocol in PROTOCOLS.items():
            half = dataclasses.replace(protocol, time_step=protocol.time_step / 2)
            found, finer = (success(simulate, evidence, each, pool) for each in (protocol, half))
            again = success(simulate, evidence, protocol, pool)
            passed = success(simulate, drawn, protocol, pool)
            results[f"protocol {version}"] = {
                **{
                    name: agreement(evidence[name].success, found[name])
                    for name in ("mug", "table")
                },
                "recall": float(pooled(found, names).mean()),
                "recall_by_object": {name: float(found[name].mean()) for name in names},
                "antipodal": float(pooled(passed, list(drawn)).mean()),
                "changed_at_half_step": {
                    name: float((found[name] != finer[name]).mean()) for name in ("mug", "table")
                }
                | {"published": float((pooled(found, names) != pooled(finer, names)).mean())},
                "two_runs_equal": all((found[name] == again[name]).all() for name in evidence),
            }
        protocol = PROTOCOLS["3"]
        half = dataclasses.replace(protocol, time_step=protocol.time_step / 2)
        found, finer = (success(simulate_robust, fewer, each, pool) for each in (protocol, half))
        passed = success(simulate_robust, drawn, protocol, pool)
        results["robust"] = {
            **{
                name: {
                    "area_under_curve": area_under_curve(found[name], fewer[name].success),
                    "accuracy": float(((found[name] >= ROBUST) == fewer[name].success).mean()),
                }
                for name in ("mug", "table")
            },
            "recall": float((pooled(found, names) >= ROBUST).mean()),
            "antipodal": float((pooled(passed, list(drawn)) >= ROBUST).mean()),
            "changed_at_half_step": {
                name: float(abs(found[name].mean() - finer[name].mean()))
                for name in ("mug", "table")
            }
            | {"published": float(abs(pooled(found, names).mean() - pooled(finer, names).mean()))},
        }
    record.write("agreement", SEED, results, table(results, options))


def table(results: dict[str, Any], options: argparse.Namespace) -> str:
    """Return the results in Markdown.

    Args:
        results: Figures of each protocol and of robust success.
        options: Options of the program.
    """
    rows = [
        ["", "mug", "table", "published", "antipodal", "changed at half the time step"],
    ]
    for name, found in results.items():
        if name == "robust":
            agree = [
                f"{found[key]['area_under_curve']:.3f} / {found[key]['accuracy']:.3f}"
                for key in ("mug", "table")
            ]
        else:
            agree = [f"{found[key]['balanced_accuracy']:.3f}" for key in ("mug", "table")]
        changed = ", ".join(
            f"{key} {100 * value:.1f} %" for key, value in found["changed_at_half_step"].items()
        )
        rows.append([name, *agree, f"{found['recall']:.3f}", f"{found['antipodal']:.3f}", changed])
    same = all(found.get("two_runs_equal", True) for found in results.values())
    return (
        markdown_table(rows)
        + f"\n\nHeld-out halves: {options.grasps} grasps, {options.robust} for robust success. "
        "Protocols: balanced accuracy, recall of published grasps, share of antipodal candidates "
        "without collision that succeed, and share of labels that change. Robust: area under the "
        "ROC curve / accuracy of at least half of the draws, shares of robust grasps, and change "
        f"of the mean robust success. Two runs identical: {'yes' if same else 'no'}."
    )


if __name__ == "__main__":
    main()
