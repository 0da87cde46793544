"""Fit how the probability of a successful grasp decreases with the weight of the object.

    python -m experiments.calibrate_load WEIGHTS CALIBRATED.safetensors
        [--objects 114] [--seed 4101]

The success network sees the surface of an object but not its weight, and few objects in its
training data were large and heavy. So the study fits one number, `load_exponent` of
`grasp.field.networks.energy.SuccessNetwork`, to simulated outcomes of the field's samples. The
objects are synthetic, come from a seed that the training data do not use, and are scaled by factors
from 1 to 4. The study writes the number into the weights `CALIBRATED.safetensors`. The
probabilities for light objects do not change.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float

from datasets.household import make_set
from experiments import record
from grasp.field.model import KIND
from grasp.field.selection import Selection
from grasp.field.trained import WEIGHTS, GraspField
from grasp.field.weight import squared_load
from grasp.grippers.gripper import load_gripper
from grasp.objects.object import Object
from grasp.physics import cores, processes, simulate
from pcdiff.learning import checkpoint
from pcdiff.randomness import seeded
from pcdiff.tables import markdown_table

SCALES = (1.0, 2.0, 3.0, 4.0)
SAMPLES = 60  # number of samples per object and scale
LIKELY = Selection().least_probability  # least probability of success of a returned grasp


def main() -> None:
    """Sample and simulate grasps, fit the exponent, and write the weights and the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights")
    parser.add_argument("output", type=Path)
    parser.add_argument("--objects", type=int, default=114)
    parser.add_argument("--seed", type=int, default=4101)
    chosen = parser.parse_args()
    field = GraspField.from_pretrained(chosen.weights)
    field.success.load_exponent.zero_()
    tried = {scale: trials(field, scale, chosen.objects, chosen.seed) for scale in SCALES}
    exponent = fit(*(np.concatenate(each) for each in zip(*tried.values(), strict=True)))
    field.success.load_exponent.fill_(exponent)
    configuration, _ = checkpoint.load(checkpoint.find(chosen.weights, WEIGHTS), KIND)
    fitted = {"exponent": exponent, "objects": chosen.objects, "seed": chosen.seed}
    checkpoint.save(chosen.output, KIND, {**configuration, "load": fitted}, field.state_dict())
    head = [
        "size", "samples", "likely", "predicted, %", "hold, %", "likely under load", "predicted, %",
        "hold, %",
    ]  # fmt: skip
    rows, cells = {}, [head]
    for scale, (logit, load, success) in tried.items():
        shown: list[float] = [len(success)]
        for adjusted in (logit, logit - exponent * load):
            probability = 1 / (1 + np.exp(-adjusted))
            likely = probability >= LIKELY
            held = (100 * of[likely].mean() for of in (probability, success))
            shown += [int(likely.sum()), *(round(float(each), 1) for each in held)]
        rows[f"{scale:g}"] = shown
        cells.append([f"{scale:g}", *map(str, shown)])
    note = f"Likely: a probability of at least {LIKELY}. The exponent is {exponent:.3f}."
    record.write(
        "calibrate_load", chosen.seed, {"exponent": exponent, "by_scale": rows},
        f"{markdown_table(cells)}\n\n{note}",
    )  # fmt: skip


@torch.no_grad()
def trials(
    field: GraspField, scale: float, objects: int, seed: int
) -> tuple[Float[np.ndarray, " grasps"], Float[np.ndarray, " grasps"], Bool[np.ndarray, " grasps"]]:
    """Simulate samples of a field whose success network ignores the weight of objects.

    Args:
        field: Field to sample.
        scale: Factor that multiplies the lengths of the objects.
        objects: Number of objects.
        seed: Seed of the objects and of the samples.

    Returns:
        Three arrays with one value for each sample: the logit of the predicted probability of
        success, ½·log(1 + ρ²) for the load ρ, and whether the grasp succeeded in simulation.
    """
    hand, found = load_gripper("panda"), []
    with processes(cores()) as pool:
        for made in make_set(objects, seed):
            obj = Object.from_mesh(
                made.vertices, made.faces, name=made.name, parts=made.parts, scale=scale
            )
            conditioned = field.condition(obj, hand)
            if not conditioned.opposites.exist or conditioned.weight is None:
                continue
            samples = conditioned.draw(SAMPLES, seeded(seed))
            load = squared_load(samples.double(), hand, conditioned.weight).log1p() / 2
            logit = conditioned.success_probability(samples).double().logit(1e-6)
            held = simulate(obj, hand, samples.double().numpy(), pool=pool).success
            found.append((logit.numpy(), load.numpy(), held))
    logits, loads, success = (np.concatenate(each) for each in zip(*found, strict=True))
    return logits, loads, success


def fit(
    logit: Float[np.ndarray, " grasps"],
    load: Float[np.ndarray, " grasps"],
    success: Bool[np.ndarray, " grasps"],
) -> float:
    """Fit the exponent c >= 0 in the logits a·l + b - c·load by maximum likelihood.

    The network is also calibrated for other objects. So grasps of synthetic objects succeed more
    often than the network predicts (see `experiments.calibrate_success`). The fitted numbers a and
    b account for the difference, and are then discarded.

    Args:
        logit: Logit l of the predicted probability of success of each grasp.
        load: ½·log(1 + ρ²) for the load ρ of each grasp.
        success: Whether each grasp succeeded in simulation.

    Returns:
        The exponent c.
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    seen = np.column_stack([logit, np.ones_like(logit), -load])

    def cross_entropy(fitted: np.ndarray) -> tuple[float, np.ndarray]:
        logits = seen @ fitted
        missed = expit(logits) - success
        return (np.logaddexp(0, logits) - success * logits).mean(), missed @ seen / len(seen)

    found = minimize(cross_entropy, np.array([1.0, 0.0, 0.0]), jac=True, method="BFGS")
    return max(float(found.x[2]), 0.0)


if __name__ == "__main__":
    main()
