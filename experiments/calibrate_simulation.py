"""Measure the speed of the physics, its repeatability, and its agreement with ACRONYM's labels.

    python -m experiments.calibrate_simulation ../shared/data/acronym_examples

The folder contains ACRONYM's examples: a mug and a table, each with 2000 grasps that were labelled
with the simulator FleX. Protocol 2 was tuned on a random half of the mug's grasps, the tuning half.
The grasps of the table only decided between settings with equal results on the tuning half. Mass
and friction come from ACRONYM's files. The study also prints the agreement at half the time step,
the effect of each choice in the protocol on the tuning half, and the number of grasps per second
without the time to compute convex parts. `experiments.agreement` compares protocol 3.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import resource
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments import record
from grasp.formats import Grasps, read_grasps
from grasp.grippers.gripper import load_gripper
from grasp.objects.loading import load_object
from grasp.objects.object import Object
from grasp.physics import PROTOCOLS, Conditions, Motion, Protocol, Trials, convex_parts, simulate

SEED = 0
WORKERS = 2
PROTOCOL = PROTOCOLS["2"]


@dataclass(frozen=True, eq=False)
class Example:
    """An object with grasps and labels from ACRONYM.

    Attributes:
        obj: Mesh of the object.
        grasps: ACRONYM's grasps and labels.
    """

    obj: Object
    grasps: Grasps

    def trials(self, chosen: np.ndarray, protocol: Protocol = PROTOCOL) -> Trials:
        """Simulate the grasps with the indices `chosen` in the physics of this project."""
        return simulate(
            self.obj, load_gripper("panda"), self.grasps.poses[chosen],
            Conditions(mass=self.grasps.mass, friction=self.grasps.friction),
            protocol=protocol, workers=WORKERS,
        )  # fmt: skip

    def agreement(self, chosen: np.ndarray, trials: Trials) -> dict[str, float]:
        """Compute how often simulated outcomes agree with ACRONYM's labels."""
        assert self.grasps.success is not None
        return agreement(self.grasps.success[chosen], trials.success)


def agreement(theirs: np.ndarray, ours: np.ndarray) -> dict[str, float]:
    """Compute how often simulated outcomes agree with the labels of others.

    Args:
        theirs: Labels, at least one success. Without a failure, there is only a sensitivity.
        ours: Simulated outcomes.
    """
    sensitivity = float(ours[theirs].mean())
    figures = {"grasps": len(theirs), "sensitivity": sensitivity}
    if not theirs.all():
        specificity = float((~ours[~theirs]).mean())
        figures |= {
            "balanced_accuracy": (sensitivity + specificity) / 2,
            "specificity": specificity,
        }
    return figures


def halves(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of the tuning half and of the held-out half, each in random order."""
    tuned, held_out = np.split(np.random.default_rng(SEED).permutation(count), 2)
    return tuned, held_out


def alternatives() -> dict[str, Protocol]:
    """Return protocols by name; each protocol differs from `PROTOCOL` in one choice."""

    def but(**changes: Any) -> Protocol:
        return dataclasses.replace(PROTOCOL, **changes)

    weightless = [dataclasses.replace(each, gravity=(0.0, 0.0, 0.0)) for each in PROTOCOL.motions]
    twice: list[Motion] = [
        dataclasses.replace(each, acceleration=2 * each.acceleration) for each in PROTOCOL.motions
    ]
    ratio = PROTOCOL.friction_impedance_ratio
    return {
        "friction without creep (impedance 0.99, ratio 10)": but(
            impedance=0.99, friction_impedance_ratio=10.0
        ),
        "half the creep": but(friction_impedance_ratio=2 * ratio),
        "twice the creep": but(friction_impedance_ratio=ratio / 2),
        "half the force": but(force=20.0),
        "twice the force": but(force=80.0),
        "no torsional friction": but(torsional_friction=1e-6),
        "no gravity": but(motions=tuple(weightless)),
        "twice the acceleration": but(motions=tuple(twice)),
        "no shaking at all": but(motions=()),
    }


def main() -> None:
    """Measure the agreement and the speed, print the tables and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    mug, table = (load(folder, name) for name in ("Mug", "Table"))
    tuned, held_out = (np.sort(half) for half in halves(len(mug.grasps)))
    everything = np.arange(len(table.grasps))
    sets = {
        "mug, tuning half": (mug, tuned),
        "mug, held-out half": (mug, held_out),
        "table": (table, everything),
    }
    results: dict[str, Any] = {"protocol": dataclasses.asdict(PROTOCOL), "sets": {}}
    for example in (mug, table):
        convex_parts(example.obj)
    half_step = dataclasses.replace(PROTOCOL, time_step=PROTOCOL.time_step / 2)
    lines = [
        f"Protocol {PROTOCOL.version}, against ACRONYM's labels.", "",
        "| grasps | balanced accuracy | sensitivity | specificity | … at half the time step "
        "| labels changed by that | grasps/s | CPU ms a grasp |",
        "|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name, (example, chosen) in sets.items():
        wall, cpu = time.perf_counter(), _cpu_seconds()
        trials = example.trials(chosen)
        wall, cpu = time.perf_counter() - wall, _cpu_seconds() - cpu
        finer = example.trials(chosen, half_step)
        entry: dict[str, Any] = {
            **example.agreement(chosen, trials),
            "half_step": example.agreement(chosen, finer),
            "changed_at_half_step": float((trials.success != finer.success).mean()),
            "failures": _counts(trials),
            "grasps_per_second": len(chosen) / wall,
            "cpu_seconds_per_grasp": cpu / len(chosen),
        }
        results["sets"][name] = entry
        lines.append(
            f"| {name} ({len(chosen)}) | {entry['balanced_accuracy']:.3f} "
            f"| {entry['sensitivity']:.3f} | {entry['specificity']:.3f} "
            f"| {entry['half_step']['balanced_accuracy']:.3f} "
            f"| {100 * entry['changed_at_half_step']:.1f} % "
            f"| {entry['grasps_per_second']:.0f} | {1e3 * entry['cpu_seconds_per_grasp']:.1f} |"
        )
    first, second = (mug.trials(held_out[:200]) for _ in range(2))
    same = bool((first.failure == second.failure).all() and (first.width == second.width).all())
    results["two_runs_identical"] = same
    results["alternatives"] = {
        name: mug.agreement(tuned, mug.trials(tuned, protocol))
        for name, protocol in alternatives().items()
    }
    lines += [
        "", f"{WORKERS} processes. Two runs identical to the last bit: {'yes' if same else 'NO'}.",
        "", "What each choice is worth, on the tuning half:", "",
        "| protocol | balanced accuracy | sensitivity | specificity |", "|---|---|---|---|",
    ]  # fmt: skip
    rows = {"ours": results["sets"]["mug, tuning half"], **results["alternatives"]}
    lines += [
        f"| {name} | {row['balanced_accuracy']:.3f} | {row['sensitivity']:.3f} "
        f"| {row['specificity']:.3f} |"
        for name, row in rows.items()
    ]
    record.write("calibrate_simulation", SEED, results, "\n".join(lines))


def load(folder: Path, category: str) -> Example:
    """Load the ACRONYM example of a category, `Mug` or `Table`."""
    (file,) = (folder / "examples" / "grasps").glob(f"{category}_*.h5")
    grasps = read_grasps(file)
    assert grasps.object_file is not None
    mesh = folder / "examples" / grasps.object_file
    return Example(load_object(mesh, grasps.object_scale), grasps)


def _counts(trials: Trials) -> dict[str, int]:
    names, counts = np.unique(trials.failure[~trials.success], return_counts=True)
    return dict(zip(names.tolist(), counts.tolist(), strict=True))


def _cpu_seconds() -> float:
    """Return the CPU-seconds of this process and of all its finished child processes."""
    spent = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in spent)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
