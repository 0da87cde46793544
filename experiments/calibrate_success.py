"""Make the probabilities of success truer of the grasps that are given, above all on new objects.

    python -m experiments.calibrate_success WEIGHTS CALIBRATED.safetensors --seen FOLDER...
        --without WEIGHTS --unseen FOLDER... [--objects 80] [--seed 0]

The grasps that are given are the likeliest of several times as many samples, so they hold a little
less often than the network of success says of them; and on a kind of object that it never saw it is
surer than it should be. So two numbers (`grasp.judging.calibration.platt_scaling`) are fitted to
what physics says of given grasps: half of objects from the sets that it learned from (`--seen`),
those that `grasp train` keeps for validation; half of objects from sets (`--unseen`) that a second
network was trained without (`--without`), by the same command but for them. The two numbers go into
the weights `CALIBRATED.safetensors`; what WEIGHTS orders stays in that order. The load of an
object's weight counts for nothing here and in these weights: `experiments.calibrate_load` comes
after.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from experiments import record
from grasp.field.items import CANDIDATES
from grasp.field.model import KIND, WEIGHTS, GraspField
from grasp.field.sampling import Sampling
from grasp.formats import read_grasps
from grasp.grippers.gripper import load_gripper
from grasp.judging.calibration import platt_scaling, reliability
from grasp.objects.loading import load_object
from grasp.physics import PROTOCOL, Conditions, cores, processes, simulate
from pcdiff.errors import InputError
from pcdiff.learning import checkpoint
from pcdiff.randomness import seeded

GRASPS, TRIED = 400, 60
"""Grasps asked of each object, and those of them, from the first to the last, that are tried."""

SAMPLING = Sampling(least_probability=0.3, likely=0.6)
"""Less choosy than by default of what is given at all, so that more is known than is needed."""

VALIDATION = 12  # one object in so many, as `grasp train` keeps it unless told otherwise


def main() -> None:
    """Sample, try, fit, keep."""
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
        raise InputError(f"{chosen.weights} is calibrated already")
    told = {
        "validation objects of the sets it learned from": given(
            chosen.weights, labelled(chosen.seen, VALIDATION), chosen.objects, chosen.seed
        ),
        "objects of sets that a network was trained without": given(
            chosen.without, labelled(chosen.unseen, 1), chosen.objects, chosen.seed
        ),
    }
    fewer = min(len(probability) for probability, _ in told.values())
    rng = np.random.default_rng(chosen.seed)
    drawn = [
        (probability[some], success[some])
        for probability, success in told.values()
        for some in [rng.permutation(len(probability))[:fewer]]
    ]
    scale, shift = platt_scaling(*(np.concatenate(each) for each in zip(*drawn, strict=True)))

    field = unloaded(chosen.weights)
    field.success.rescale(scale, shift)
    calibration = {"scale": scale, "shift": shift}
    checkpoint.save(
        chosen.output, KIND, {**configuration, "calibration": calibration}, field.state_dict()
    )
    rows, lines = {}, ["| grasps of | grasps | error before | after |", "| --- | --- | --- | --- |"]
    for name, (probability, success) in told.items():
        logit = np.log(probability / (1 - probability))
        before = reliability(probability, success).error
        after = reliability(1 / (1 + np.exp(-scale * logit - shift)), success).error
        rows[name] = {"grasps": len(success), "before": before, "after": after}
        lines.append(f"| {name} | {len(success)} | {before:.3f} | {after:.3f} |")
    note = f"Of the logit: scale {scale:.3f}, shift {shift:.3f}."
    record.write(
        "calibrate_success", chosen.seed, {**calibration, "by": rows}, "\n".join([*lines, "", note])
    )


def labelled(folders: Sequence[Path], one_in: int) -> list[tuple[Path, Path]]:
    """The label files of one object in so many, each with its folder.

    Which objects these are says `grasp.field.items.split`.

    Args:
        folders: that `datasets.labels` wrote.
        one_in: 1 for all.
    """
    return [
        (folder, path)
        for folder in folders
        for path in sorted((folder / CANDIDATES / "panda").glob("*.h5"))
        if int(str(read_grasps(path).object_sha256), 16) % one_in == 0
    ]


def unloaded(weights: str) -> GraspField:
    """The field of some weights, which takes all objects for light.

    What is fitted here scales what the network of success says, and not what a load takes off.
    """
    field = GraspField.from_pretrained(weights)
    field.success.load_exponent.zero_()
    return field


def given(
    weights: str, labels: Sequence[tuple[Path, Path]], objects: int, seed: int
) -> tuple[Float[np.ndarray, " grasps"], Bool[np.ndarray, " grasps"]]:
    """How probable grasps that are given are, and whether they hold.

    Args:
        weights: of the field.
        labels: of objects, with their folders.
        objects: how many at most, evenly from the labels.
        seed: of the samples.
    """
    field, hand = unloaded(weights), load_gripper("panda")
    few = np.linspace(0, len(labels) - 1, min(objects, len(labels))).astype(int)
    probability, success = [], []
    with processes(cores()) as pool:
        for folder, path in (labels[each] for each in few):
            known = read_grasps(path)
            obj = load_object(folder / str(known.object_file), known.object_scale)
            grasps = field.condition(obj, hand).sample(GRASPS, seeded(seed), SAMPLING)
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
