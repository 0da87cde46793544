"""Explain why grasps succeed in MuJoCo and fail in Drake: try them again, one change at a time.

    python -m experiments.disagreements ../shared/data [--grasps 40] [--workers 2]

The grasps are the published ones of `experiments.second_engine`. Those that succeed in MuJoCo but
not in Drake are tried again with a light object, in both engines, and in Drake with the protocol's
whole friction in place of a share of it. The table also states their depth, and that of the grasps
that succeed in both engines.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
from concurrent.futures import Executor
from pathlib import Path

import numpy as np

from experiments import record
from experiments.second_engine import GRIPPER, SEED, Case, cases, depths
from grasp.grippers.gripper import load_gripper
from grasp.physics import Conditions, processes, simulate
from grasp.physics.hydroelastic import simulate_hydroelastic
from grasp.physics.hydroelastic_settings import HYDROELASTIC
from pcdiff.tables import markdown_table

LIGHT = 0.02
"""Mass in kilograms of a light object, about that of ACRONYM's mug."""

FEWEST = 5
"""Smallest number of such grasps of an object in the table."""


def explained(case: Case, pool: Executor | None) -> dict[str, float]:
    """Try the grasps of a case that succeed in MuJoCo only again, with one change at a time.

    Args:
        case: Grasps of one object.
        pool: Processes for the trials; None means this process.

    Returns:
        The number of these grasps, the share that succeeds with each change, and median depths in
        metres.
    """
    hand, stated = load_gripper(GRIPPER), Conditions(mass=case.mass)
    light = Conditions(mass=LIGHT)
    whole = dataclasses.replace(HYDROELASTIC, friction=1.0)
    first = simulate(case.obj, hand, case.poses, stated, pool=pool).success
    second = simulate_hydroelastic(case.obj, hand, case.poses, stated, pool=pool).success
    only = first & ~second
    found = {"grasps": float(only.sum())}
    if only.sum() < FEWEST:
        return found
    poses, depth = case.poses[only], depths(case.obj, case.poses)
    for name, trials in (
        ("light_mujoco", simulate(case.obj, hand, poses, light, pool=pool)),
        ("light_drake", simulate_hydroelastic(case.obj, hand, poses, light, pool=pool)),
        (
            "whole_friction_drake",
            simulate_hydroelastic(case.obj, hand, poses, stated, contact=whole, pool=pool),
        ),
    ):
        found[name] = float(trials.success.mean())
    found["depth"] = float(np.median(depth[only]))
    found["depth_both"] = float(np.median(depth[first & second]))
    return found


def main() -> None:
    """Try the grasps, print the table and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--grasps", type=int, default=40, help="of each object")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    rows = [
        [
            "object", "mass, kg", "succeed in MuJoCo only", f"at {LIGHT} kg: MuJoCo",
            f"at {LIGHT} kg: Drake", "Drake with the whole friction", "depth, mm",
            "depth of those that succeed in both, mm",
        ]
    ]  # fmt: skip
    results = {}
    with processes(options.workers) as pool:
        for case in cases(options.folder, options.grasps):
            if not case.name.endswith("published"):
                continue
            found = explained(case, pool)
            results[case.name] = found
            if len(found) > 1:
                rows.append(
                    [
                        case.name.removesuffix(", published"),
                        f"{case.mass:g}",
                        f"{found['grasps']:.0f} of {len(case.poses)}",
                        *(f"{found[key]:.2f}"
                          for key in ("light_mujoco", "light_drake", "whole_friction_drake")),
                        *(f"{1000 * found[key]:.0f}" for key in ("depth", "depth_both")),
                    ]
                )  # fmt: skip
    record.write("disagreements", SEED, results, markdown_table(rows))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
