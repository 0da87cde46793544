"""Measure how much of an object's robust grasps 1000 independent grasps of the same kind cover.

    python -m datasets.frozen --meshes FOLDER --output sets
    python -m experiments.coverage_ceiling sets/scanned-report

Coverage compares a field's grasps with robust antipodal candidates
(`experiments.field_evaluation`). Here, new candidates from the same distribution take the place of
the field's grasps: the first 1000 that hold under the protocol, of at most `MOST` that are tried.
A field that drew from the distribution of the successful candidates would cover as much. A field
covers more only if its grasps are more evenly spread than independent draws. Labels are kept in the
folder `--kept`, which `experiments.field_evaluation` shares.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from experiments import record
from experiments.field_evaluation import CANDIDATES, COVERAGE_GRASPS
from grasp.grippers.gripper import load_gripper
from grasp.judging.benchmark import load_set
from grasp.judging.candidates import candidates
from grasp.judging.coverage import precision_coverage_curve
from grasp.judging.laboratory import open_laboratory
from grasp.judging.proportions import cluster_bootstrap, fits
from grasp.judging.sources import kept_labels
from grasp.judging.streams import object_generator
from grasp.physics import PROTOCOL, Conditions, cores
from pcdiff.tables import markdown_table

SEED, STREAM, MOST = 0, 107, 6000


def main() -> None:
    """Compute the coverage for every object that fits, print the table and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("set", type=Path)
    parser.add_argument("--kept", type=Path, default=Path("runs/field_evaluation"))
    chosen = parser.parse_args()
    hand = load_gripper("panda")
    rows: list[tuple[str, int, float]] = []
    with open_laboratory(Conditions(), PROTOCOL, workers=cores()) as laboratory:
        labels = kept_labels(
            chosen.kept / "labels", hand, laboratory.labeller,
            count=CANDIDATES, seed=SEED, physics=laboratory.facts,
        )  # fmt: skip
        for case in load_set(chosen.set).cases:
            labelled = labels(case.truth)
            assert labelled.success is not None
            if not fits(labelled.success):
                continue
            poses = candidates(
                case.truth, hand, MOST, object_generator(SEED, STREAM, case.truth)
            ).poses
            held = np.zeros((0, 4, 4))
            for chunk in np.array_split(poses, 6):
                trials = laboratory.simulator(case.truth, hand, chunk)
                held = np.concatenate([held, chunk[trials.success]])[:COVERAGE_GRASPS]
                if len(held) == COVERAGE_GRASPS:
                    break
            curve = precision_coverage_curve(
                hand.tool_poses(held),
                np.ones(len(held), bool),
                hand.tool_poses(labelled.poses[labelled.success]),
            )
            rows.append((case.name, len(held), float(curve.coverage[-1])))
            print(*rows[-1], flush=True)
    record.write("coverage_ceiling", SEED, {"by_object": rows}, table(rows))


def table(rows: list[tuple[str, int, float]]) -> str:
    """Return the results in Markdown.

    Args:
        rows: Name of each object, number of grasps that hold, and coverage.
    """
    shares = [np.array([share]) for _, _, share in rows]
    mean, low, high = cluster_bootstrap(shares, np.random.default_rng(SEED))
    cells = [["object", "candidates that hold", "coverage, %"]]
    cells += [[name, str(held), f"{100 * share:.1f}"] for name, held, share in rows]
    cells.append(["mean", "", f"{100 * mean:.1f} [{100 * low:.1f}, {100 * high:.1f}]"])
    return markdown_table(cells)


if __name__ == "__main__":
    main()
