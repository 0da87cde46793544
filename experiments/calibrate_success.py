"""Calibrate the success probabilities of sampled grasps, mainly for new kinds of objects.

    python -m experiments.calibrate_success WEIGHTS CALIBRATED.safetensors --seen FOLDER...
        --without WEIGHTS --unseen FOLDER... [--objects 80] [--seed 0]

Sampling draws many samples and returns grasps with high predicted probabilities. These grasps
succeed slightly less often than the success network predicts. On new kinds of objects, the
predictions are overconfident. So the study fits two numbers, a scale and a shift of the logits
(`grasp.judging.calibration.platt_scaling`), to simulated outcomes of sampled grasps. Half of the
grasps are on validation objects of `grasp train` from the training sets (`--seen`). The other half
of the grasps are on objects from other sets (`--unseen`), and come from a second network
(`--without`). The second network was trained with the same command, but without the other sets.

The study writes the two numbers into the weights `CALIBRATED.safetensors`. The ranking of grasps
does not change. The study ignores the load from an object's weight.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from experiments import record
from grasp.field.items import CANDIDATES
from grasp.field.model import KIND
from grasp.field.selection import Selection
from grasp.field.trained import WEIGHTS, GraspField
from grasp.formats import read_grasps
from grasp.grippers.gripper import load_gripper
from grasp.judging.calibration import platt_scaling, reliability
from grasp.objects.loading import load_object
from grasp.physics import PROTOCOL, Conditions, cores, processes, simulate
from pcdiff.errors import InputError
from pcdiff.learning import checkpoint
from pcdiff.randomness import seeded
from pcdiff.tables import markdown_table

GRASPS, TRIED = 400, 60
"""Number of requested grasps per object, and number of simulated grasps per object."""

SELECTION = Selection(least_probability=0.3, likely=0.6)
"""Selection that also accepts less probable grasps, so that the fit covers more probabilities."""

VALIDATION = 12  # by default, `grasp train` uses one object in 12 for validation


def main() -> None:
    """Sample and simulate grasps, fit the calibration, and write the weights and the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights")
    parser.add_argument("output", type=Path)
    parser.add_argument("--seen", type=Path, nargs="+", required=True)
    parser.add_argument("--without", required=True)
    parser.add_argument("--unseen", type=Path, nargs="+", required=True)
    parser.add_argument("--objects", type=int, default=80)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    configuration, _ = checkpoint.load(checkpoint.find(chosen.weights, WEIGHTS), KIND)
    if "calibration" in configuration:
        raise InputError(f"{chosen.weights} is already calibrated, expected uncalibrated weights")
    by_source = {
        "validation objects of the sets it learned from": predictions_and_outcomes(
            chosen.weights, labelled(chosen.seen, VALIDATION), chosen.objects, chosen.seed
        ),
        "objects of sets that a network was trained without": predictions_and_outcomes(
            chosen.without, labelled(chosen.unseen, 1), chosen.objects, chosen.seed
        ),
    }
    fewer = min(len(probability) for probability, _ in by_source.values())
    rng = np.random.default_rng(chosen.seed)
    drawn = [
        (probability[some], success[some])
        for probability, success in by_source.values()
        for some in [rng.permutation(len(probability))[:fewer]]
    ]
    scale, shift = platt_scaling(*(np.concatenate(each) for each in zip(*drawn, strict=True)))

    field = unloaded(chosen.weights)
    field.success.rescale(scale, shift)
    calibration = {"scale": scale, "shift": shift}
    checkpoint.save(
        chosen.output, KIND, {**configuration, "calibration": calibration}, field.state_dict()
    )
    rows, cells = {}, [["grasps of", "grasps", "error before", "after"]]
    for name, (probability, success) in by_source.items():
        logit = np.log(probability / (1 - probability))
        before = reliability(probability, success).error
        after = reliability(1 / (1 + np.exp(-scale * logit - shift)), success).error
        rows[name] = {"grasps": len(success), "before": before, "after": after}
        cells.append([name, str(len(success)), f"{before:.3f}", f"{after:.3f}"])
    note = f"Of the logit: scale {scale:.3f}, shift {shift:.3f}."
    record.write(
        "calibrate_success",
        chosen.seed,
        {**calibration, "by": rows},
        f"{markdown_table(cells)}\n\n{note}",
    )


def labelled(folders: Sequence[Path], one_in: int) -> list[tuple[Path, Path]]:
    """List the label files of a share 1/N of the objects, together with the folders of the files.

    The function chooses the objects that `grasp.field.items.split` assigns to validation.

    Args:
        folders: Folders of objects with labels from `datasets.labels`.
        one_in: The number N; 1 returns the files of all objects.
    """
    return [
        (folder, path)
        for folder in folders
        for path in sorted((folder / CANDIDATES / "panda").glob("*.h5"))
        if int(str(read_grasps(path).object_sha256), 16) % one_in == 0
    ]


def unloaded(weights: str) -> GraspField:
    """Load a field and make its success network ignore the weight of objects.

    The calibration scales the network's prediction but not the effect of a load.

    Args:
        weights: Name or file of the weights.
    """
    field = GraspField.from_pretrained(weights)
    field.success.load_exponent.zero_()
    return field


def predictions_and_outcomes(
    weights: str, labels: Sequence[tuple[Path, Path]], objects: int, seed: int
) -> tuple[Float[np.ndarray, " grasps"], Bool[np.ndarray, " grasps"]]:
    """Sample and simulate grasps; return the predicted probabilities and the outcomes.

    Args:
        weights: Name or file of the field's weights.
        labels: Folders and label files of objects, from `labelled`.
        objects: Largest number of objects, evenly spread over the labels.
        seed: Seed of the samples.

    Returns:
        For each grasp, the predicted probability of success and whether the grasp succeeded.
    """
    field, hand = unloaded(weights), load_gripper("panda")
    few = np.linspace(0, len(labels) - 1, min(objects, len(labels))).astype(int)
    probability, success = [], []
    with processes(cores()) as pool:
        for folder, path in (labels[each] for each in few):
            known = read_grasps(path)
            obj = load_object(folder / str(known.object_file), known.object_scale)
            grasps = field.condition(obj, hand).sample(GRASPS, seeded(seed), selection=SELECTION)
            tried = np.linspace(0, len(grasps.poses) - 1, min(TRIED, len(grasps.poses))).astype(int)
            if not len(tried):
                continue
            probability.append(np.asarray(grasps.success_probability)[tried])
            trials = simulate(
                obj, hand, grasps.poses[tried],
                Conditions(mass=known.mass, friction=PROTOCOL.friction), pool=pool,
            )  # fmt: skip
            success.append(trials.success)
    return np.concatenate(probability), np.concatenate(success)


if __name__ == "__main__":
    main()
