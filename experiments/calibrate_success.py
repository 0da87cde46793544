"""Calibrate the success probabilities of the grasps that a field returns.

    python -m experiments.calibrate_success WEIGHTS CALIBRATED.safetensors SET... [--seed 0]

A field draws many samples and returns those with high predicted probabilities. Such a choice
prefers predictions that are too high. So the study samples grasps of the validation objects of
`grasp train`, tries each under its own draw of the unknown factors
(`grasp.physics.simulate_drawn`), and fits the scale and the shift of the logits
(`grasp.judging.calibration.platt_scaling`). An object with a rough scan (`datasets.scans`) is
sampled from the mesh and from the scan. The ranking of the grasps of an object does not change.

`experiments.train_field` does this for the shipped weights.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from datasets.household.catalogue import read_catalogue
from experiments import record
from grasp.field.items import SCANS
from grasp.field.model import KIND
from grasp.field.selection import Selection
from grasp.field.trained import GraspField
from grasp.grippers.gripper import load_gripper
from grasp.judging.calibration import platt_scaling, reliability
from grasp.objects.loading import load_object
from grasp.physics import Conditions, cores, processes, simulate_drawn
from grasp.physics.workers import results_in_order
from pcdiff.errors import InputError
from pcdiff.learning import checkpoint
from pcdiff.randomness import seeded
from pcdiff.tables import markdown_table

GRASPS = 40
"""Number of requested grasps per object."""

SELECTION = Selection(least_probability=0.2, likely=0.4)
"""Selection that also accepts less probable grasps, so that the fit covers more probabilities."""

VALIDATION = 12
"""By default, `grasp train` uses one object in 12 for validation."""


class Case(NamedTuple):
    """A validation object.

    Attributes:
        mesh: File of the mesh for physics.
        seen: File that the field sees: the mesh or its scan.
        mass: Mass of the object in kilograms.
    """

    mesh: Path
    seen: Path
    mass: float


class Tried(NamedTuple):
    """Predicted probabilities of success and outcomes of grasps."""

    probability: Float[np.ndarray, " grasps"]
    success: Bool[np.ndarray, " grasps"]

    @classmethod
    def joined(cls, parts: Sequence[Tried]) -> Tried:
        """Join several groups of grasps."""
        return cls(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def validation_cases(folders: Sequence[Path]) -> Iterator[Case]:
    """Yield the objects that `grasp.field.items.split` assigns to validation, and their scans.

    Args:
        folders: Sets that `datasets.household` wrote.
    """
    for folder in folders:
        for entry in read_catalogue(folder):
            mesh = folder / entry.file
            if int(load_object(mesh).sha256, 16) % VALIDATION:
                continue
            scan = folder / SCANS / mesh.name
            for seen in (mesh, scan):
                if seen.exists():
                    yield Case(mesh, seen, entry.mass)


def tried(weights: str, seed: int, case: Case) -> Tried:
    """Sample grasps of a case, and try each under its own draw of the unknown factors.

    Args:
        weights: Name or file of the field's weights.
        seed: Seed of the samples and of the draws.
        case: The object.
    """
    import torch

    torch.set_num_threads(1)
    field, hand = GraspField.from_pretrained(weights), load_gripper("panda")
    obj = load_object(case.mesh)
    found = field.condition(load_object(case.seen), hand, seed).sample(
        GRASPS, seeded(seed), selection=SELECTION
    )
    if not len(found):
        return Tried(np.empty(0), np.empty(0, bool))
    trials = simulate_drawn(obj, hand, found.poses, seed, Conditions(mass=case.mass))
    return Tried(np.asarray(found.success_probability), trials.success)


def calibrate(weights: Path, output: Path, folders: Sequence[Path], seed: int) -> dict[str, Any]:
    """Fit the two numbers, write calibrated weights, and return what was found.

    Args:
        weights: File of uncalibrated weights.
        output: File to write.
        folders: Sets that `datasets.household` wrote.
        seed: Seed of the samples and of the draws.

    Raises:
        InputError: If the weights are calibrated already.
    """
    configuration, _ = checkpoint.load(weights, KIND)
    if "calibration" in configuration:
        raise InputError(f"{weights} is already calibrated, expected uncalibrated weights")
    cases = list(validation_cases(folders))
    with processes(cores()) as pool:
        work = functools.partial(tried, str(weights), seed)
        parts = list(results_in_order(work, cases, pool))
    grasps = Tried.joined(parts)
    scale, shift = platt_scaling(grasps.probability, grasps.success)
    field = GraspField.from_pretrained(weights)
    field.success.rescale(scale, shift)
    found = {"scale": scale, "shift": shift}
    checkpoint.save(output, KIND, {**configuration, "calibration": found}, field.state_dict())
    rows = {}
    for name, scanned in (("meshes", False), ("rough scans", True)):
        chosen = [
            part
            for part, case in zip(parts, cases, strict=True)
            if (case.seen != case.mesh) == scanned and len(part.success)
        ]
        if chosen:
            rows[name] = _row(len(chosen), Tried.joined(chosen), scale, shift)
    return {**found, "by": rows}


def table(found: dict[str, Any]) -> str:
    """Return the result of `calibrate` in Markdown.

    Args:
        found: The result.
    """
    cells = [["the field sees", "objects", "grasps", "succeed, %", "error before", "error after"]]
    for name, row in found["by"].items():
        cells.append(
            [
                name, str(row["objects"]), str(row["grasps"]), f"{100 * row['success']:.1f}",
                f"{row['before']:.3f}", f"{row['after']:.3f}",
            ]
        )  # fmt: skip
    note = f"The logits are scaled by {found['scale']:.3f} and shifted by {found['shift']:+.3f}."
    return f"{markdown_table(cells)}\n\n{note}"


def _row(objects: int, grasps: Tried, scale: float, shift: float) -> dict[str, float]:
    logit = np.log(grasps.probability / (1 - grasps.probability))
    return {
        "objects": objects,
        "grasps": len(grasps.success),
        "success": float(grasps.success.mean()),
        "before": reliability(grasps.probability, grasps.success).error,
        "after": reliability(1 / (1 + np.exp(-scale * logit - shift)), grasps.success).error,
    }


def main() -> None:
    """Calibrate weights and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("sets", type=Path, nargs="+")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    found = calibrate(chosen.weights, chosen.output, chosen.sets, chosen.seed)
    record.write("calibrate_success", chosen.seed, found, table(found))


if __name__ == "__main__":
    main()
