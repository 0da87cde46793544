"""Measure the speed of trials: single trials and robust grasps per second on two processes.

    python -m experiments.bench_physics

The objects are made objects with at most 60 exact convex parts. The grasps are antipodal
candidates, which are what labels and evaluations try. Protocol 2 is the reference. The times
contain the start of the physics for each object, but not the start of the processes.
"""

from __future__ import annotations

import argparse
import os
import time

import numpy as np

from datasets.household import make
from experiments import record
from grasp.grippers.gripper import Gripper, load_gripper
from grasp.judging.candidates import candidates
from grasp.judging.streams import object_generator
from grasp.objects.object import Object
from grasp.physics import PROTOCOLS, processes, simulate, simulate_robust
from pcdiff.tables import markdown_table

SEED = 0
STREAM = 105
"""Number of the random stream of the candidates."""

WORKERS = 2
FAMILIES = ("mug", "bottle", "hammer", "box", "scissors", "fruit", "spoon", "can")
MOST_PARTS = 60
SINGLE, ROBUST = 200, 30
"""Candidates per object for single trials and for robust trials."""


def objects() -> list[Object]:
    """Return the objects of the benchmark: one of each family, if it has few enough parts."""
    found = []
    for family in FAMILIES:
        made = make(family, SEED)
        if len(made.parts) <= MOST_PARTS:
            parts = tuple((part.vertices, part.faces) for part in made.parts)
            found.append(Object.from_mesh(made.vertices, made.faces, name=family, parts=parts))
    return found


def poses_of(obj: Object, hand: Gripper, count: int) -> np.ndarray:
    """Return antipodal candidates of an object."""
    return candidates(obj, hand, count, object_generator(SEED, STREAM, obj)).poses


def main() -> None:
    """Measure the rates, print the table and write the table."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    hand = load_gripper("panda")
    things = objects()
    rows = [["", "per second", "reference: protocol 2"]]
    results: dict[str, float] = {}
    with processes(WORKERS) as pool:
        for name, count, trial in (
            ("single trials", SINGLE, simulate),
            ("robust grasps", ROBUST, simulate_robust),
        ):
            given = [(obj, poses_of(obj, hand, count)) for obj in things]
            total = sum(len(poses) for _, poses in given)
            # The first trials of a process import the engine.
            first, poses = given[0]
            trial(first, hand, poses, protocol=PROTOCOLS["3"], pool=pool)
            rates = []
            for version in ("3", "2"):
                begin = time.perf_counter()
                for obj, poses in given:
                    trial(obj, hand, poses, protocol=PROTOCOLS[version], pool=pool)
                rates.append(total / (time.perf_counter() - begin))
                results[f"{name}, protocol {version}"] = rates[-1]
            rows.append([name, *(f"{rate:.0f}" for rate in rates)])
    note = (
        f"{len(things)} objects with {min(len(obj.parts or ()) for obj in things)} to "
        f"{max(len(obj.parts or ()) for obj in things)} parts, {WORKERS} processes."
    )
    record.write("bench_physics", SEED, results, markdown_table(rows) + "\n\n" + note)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
