"""Measure the effect of steps, samplers and temperature on success, coverage and CPU time.

    python -m experiments.field_sampling [--weights NAME|FILE] [--count N]

The study uses one synthetic object of each family, from a seed that the training data do not use,
and the Franka Hand. It simulates raw samples of the field without ranking or rejection. Coverage is
the share of successful antipodal candidates that the samples cover.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from datasets.household import FAMILIES, make
from experiments import record
from grasp.field.sampling import REFERENCE, Sampling
from grasp.field.trained import GraspField
from grasp.grippers.gripper import load_gripper
from grasp.judging.candidates import candidates
from grasp.judging.coverage import coverage
from grasp.objects.object import Object
from grasp.physics import Conditions, cores, processes, simulate
from pcdiff.diffusion.samplers import DDIM
from pcdiff.randomness import seeded

SEED = 9001
CANDIDATES = 400
SETTINGS = {
    "as shipped": Sampling(),
    "2 steps": Sampling(steps=2),
    "6 steps": Sampling(steps=6),
    "12 steps": Sampling(steps=12),
    "24 steps": Sampling(steps=24),
    "DDIM": Sampling(sampler=DDIM()),
    "DDIM, half of the noise": Sampling(sampler=DDIM(0.5)),
    "Langevin, 3 moves a level": Sampling(sampler=REFERENCE.sampler),
    "begin at 0.1": Sampling(begin=0.1),
    "begin at 0.5": Sampling(begin=0.5),
    "from noise, 3 steps": Sampling(begin=None),
    "from noise, 12 steps": Sampling(begin=None, steps=12),
    "from noise, 48 steps": Sampling(begin=None, steps=48),
    "from noise, Langevin, 48 levels": REFERENCE,
    "temperature 1": Sampling(temperature=1.0),
    "temperature 0.3": Sampling(temperature=0.3),
    "down to the least noise": Sampling(finest=0.02),
}


def main() -> None:
    """Sample and simulate grasps, print the table and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", default="panda")
    parser.add_argument("--count", type=int, default=100)
    chosen = parser.parse_args()
    field, hand = GraspField.from_pretrained(chosen.weights), load_gripper("panda")
    tool = np.eye(4)
    tool[:3, 3] = hand.tool_center_point
    rows: dict[str, list[tuple[float, ...]]] = {name: [] for name in SETTINGS}
    with processes(cores()) as pool:
        for family in FAMILIES:
            made = make(family, SEED)
            obj = Object.from_mesh(made.vertices, made.faces, name=made.name, parts=made.parts)
            conditions = Conditions(mass=made.mass, friction=made.friction)
            tried = candidates(obj, hand, CANDIDATES, np.random.default_rng(SEED)).poses
            held = tried[simulate(obj, hand, tried, conditions, pool=pool).success]
            of_object = field.condition(obj, hand)
            for name, how in SETTINGS.items():
                began = time.process_time()
                poses = of_object.draw(chosen.count, seeded(SEED), how).double().numpy()
                seconds = (time.process_time() - began) / chosen.count * 100
                success = simulate(obj, hand, poses, conditions, pool=pool).success
                covered = coverage(poses @ tool, held @ tool) if len(held) else np.nan
                rows[name].append((success.mean(), covered, seconds))
    means = {name: np.nanmean(each, axis=0) for name, each in rows.items()}
    results = {
        name: {"success": mean[0], "coverage": mean[1], "cpu_seconds_per_100": mean[2]}
        for name, mean in means.items()
    }
    lines = [
        f"{chosen.count} samples of each of {len(FAMILIES)} made objects (seed {SEED}), Franka.",
        "",
        f"| setting | success, % | coverage at {chosen.count}, % | CPU-s per 100 |",
        "|---|---|---|---|",
        *(
            f"| {name} | {100 * mean[0]:.1f} | {100 * mean[1]:.1f} | {mean[2]:.2f} |"
            for name, mean in means.items()
        ),
    ]
    record.write("field_sampling", SEED, results, "\n".join(lines))


if __name__ == "__main__":
    main()
