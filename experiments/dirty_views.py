"""Measure what damaged depth images and clouds cost the success of grasps.

    python -m experiments.dirty_views [FOLDER_OF_MESHES] [--views N] [--kept DIR]

A camera sees each scanned mesh of the folder from `--views` directions, before a table or a wall
(`experiments.view_damage`). Each picture is damaged in each of several ways, loaded with default
options as a user would load it, and 40 grasps are requested. The 20 best ranked grasps are tried on
the true mesh, each under its own draw of `uncertainty-1.toml`. All conditions of one picture use
the same random numbers, so damage that the cleaning undoes changes nothing.

The success of a picture without grasps is 0, and the means are over the objects that fit, as in
`grasp evaluate`. Every finished picture is kept in the folder `--kept`, so an interrupted study
goes on where it was, and a study of more pictures uses those of a smaller study. After a change of
the cleaning, `--again` loads all pictures again, and judges those that are no longer loaded as
before. Other weights need another folder.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments import record
from experiments.baseline import DEVELOPMENT_DATA, household_meshes
from experiments.field_evaluation import CANDIDATES
from experiments.view_damage import CLEAN, CONDITIONS, Condition, Picture, generator, picture
from grasp.field.trained import GraspField
from grasp.grippers.gripper import Gripper, load_gripper
from grasp.judging.calibration import reliability
from grasp.judging.laboratory import open_laboratory
from grasp.judging.proportions import Estimate, cluster_bootstrap, fits
from grasp.judging.sources import kept_labels
from grasp.objects.loading import load_object
from grasp.objects.object import Object
from grasp.physics import PROTOCOL, Conditions, cores
from grasp.physics.robust import simulate_drawn
from grasp.poses.frames import inverse
from pcdiff.errors import InputError
from pcdiff.files import atomic_write
from pcdiff.randomness import seeded
from pcdiff.tables import markdown_table

SEED, LABEL_SEED = 61_004, 0
VIEWS, REQUESTED, TOP = 10, 40, 20
MOST_LOST, MOST_ERROR = 0.05, 0.03
"""Bounds that a damaged condition should keep: lost success, and growth of the calibration
error."""


@dataclass(frozen=True)
class Seen:
    """What became of one picture under one condition.

    Attributes:
        digest: Digest of the loaded object; None if it was refused.
        reason: Why there are no grasps; None if there are some.
        claimed: Probability that the weights state for each grasp.
        held: True for each grasp that holds.
        lost: Number of true points that the cleaning left out.
        dirt: Number of false points, such as points of the background.
        left: Number of false points that the cleaning left in.
    """

    digest: str | None
    reason: str | None
    claimed: list[float]
    held: list[bool]
    lost: int
    dirt: int
    left: int

    @property
    def success(self) -> float:
        """Share of the grasps that hold; 0 without grasps."""
        return float(np.mean(self.held)) if self.held else 0.0


def main() -> None:
    """Judge the grasps of every picture, print the table and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("meshes", nargs="?", type=Path, default=DEVELOPMENT_DATA)
    parser.add_argument("--views", type=int, default=VIEWS)
    parser.add_argument("--objects", nargs="+", help="names of the meshes; all by default")
    parser.add_argument("--kept", type=Path, default=Path("runs/dirty_views"))
    parser.add_argument("--again", action="store_true", help="load all pictures again")
    parser.add_argument("--labels", type=Path, default=Path("runs/field_evaluation/labels"))
    parser.add_argument("--weights", default="panda")
    parser.add_argument("--name", default="dirty_views", help="name of the results")
    chosen = parser.parse_args()
    if not chosen.meshes.is_dir():
        print(f"skipped: {chosen.meshes} does not exist, expected a folder of .stl meshes")
        return
    files = household_meshes(chosen.meshes)
    objects = [load_object(file) for file in files]
    objects = [each for each in objects if not chosen.objects or each.name in chosen.objects]
    hand = load_gripper("panda")
    field = GraspField.from_pretrained(chosen.weights)
    found: dict[str, dict[int, dict[str, Seen]]] = {each.name: {} for each in objects}
    for number in range(chosen.views):  # all objects of one view first
        for obj in objects:
            path = chosen.kept / f"{obj.name}-{number}.json"
            seen = read(path)
            if seen is None or chosen.again:
                seen = judge(obj, number, field, hand, seen or {})
                write(path, seen)
            found[obj.name][number] = seen
        print(f"view {number + 1} of {chosen.views} is complete", flush=True)
    fitting = fitting_objects(objects, hand, chosen.labels)
    results = figures(found, fitting)
    record.write(chosen.name, SEED, results, table(results))


def read(path: Path) -> dict[str, Seen] | None:
    """Read what became of a picture under each condition; None if nothing is kept.

    Args:
        path: File that `write` wrote.
    """
    if not path.is_file():
        return None
    return {name: Seen(**each) for name, each in json.loads(path.read_text()).items()}


def write(path: Path, seen: Mapping[str, Seen]) -> None:
    """Keep what became of a picture under each condition.

    Args:
        path: File to write.
        seen: What became of it.
    """
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps({name: asdict(each) for name, each in seen.items()}))


def judge(
    obj: Object, number: int, field: GraspField, hand: Gripper, before: Mapping[str, Seen]
) -> dict[str, Seen]:
    """Judge the grasps of one picture of an object under every condition.

    Args:
        obj: True mesh.
        number: Number of the picture.
        field: Weights.
        hand: The gripper.
        before: What became of the picture before a change of the cleaning; empty if unknown.
    """
    clean = picture(obj, number, SEED)
    T_object_camera = inverse(clean.T_camera_object)
    seed = int(generator(SEED, obj.name, number, "grasps").integers(2**31))
    by_digest = {
        each.digest: (each.reason, each.claimed, each.held)
        for each in before.values()
        if each.digest is not None
    }
    found = {}
    for name, condition in CONDITIONS.items():
        dirty = condition.damage(clean, generator(SEED, obj.name, number, condition.stream))
        try:
            loaded = load(dirty, condition)
        except InputError as error:
            found[name] = Seen(None, str(error), [], [], 0, 0, 0)
            continue
        if loaded.sha256 not in by_digest:
            grasps = field.condition(loaded, hand, seed).sample(REQUESTED, seeded(seed))
            poses = T_object_camera @ grasps.poses[:TOP]
            probability = grasps.success_probability
            assert probability is not None
            held = simulate_drawn(obj, hand, poses, seed).success if len(poses) else np.zeros(0)
            by_digest[loaded.sha256] = (
                None if len(poses) else grasps.reason or "no grasp",
                probability[:TOP].tolist(),
                held.astype(bool).tolist(),
            )
        found[name] = Seen(loaded.sha256, *by_digest[loaded.sha256], *counts(dirty, loaded))
    return found


def load(dirty: Picture, condition: Condition) -> Object:
    """Load a picture with default options, as a depth image with its mask or as a cloud.

    Args:
        dirty: The picture.
        condition: States the form.

    Raises:
        InputError: If `load_object` refuses the picture.
    """
    if condition.cloud:
        return load_object(dirty.points(), viewpoint=np.zeros(3))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "view.npz"
        np.savez(path, depth=dirty.depth)
        return load_object(path, mask=dirty.mask, intrinsics=dirty.intrinsics)


def counts(dirty: Picture, loaded: Object) -> tuple[int, int, int]:
    """Count the lost true points, the false points, and the false points that are left.

    Args:
        dirty: The picture.
        loaded: What `load_object` made of it.
    """
    points = dirty.points()
    true = np.concatenate([dirty.true[dirty.mask], np.zeros(len(dirty.extra), bool)])
    kept = {point.tobytes() for point in loaded.vertices}
    stays = np.array([point.tobytes() in kept for point in points + 0.0])
    return int((true & ~stays).sum()), int((~true).sum()), int((~true & stays).sum())


def fitting_objects(objects: Sequence[Object], hand: Gripper, labels: Path) -> set[str]:
    """Return the names of the objects that fit the gripper, by their robust antipodal candidates.

    Args:
        objects: True meshes.
        hand: The gripper.
        labels: Folder of labels that later studies reuse.
    """
    with open_laboratory(Conditions(), PROTOCOL, workers=cores()) as laboratory:
        label = kept_labels(
            labels, hand, laboratory.labeller,
            count=CANDIDATES, seed=LABEL_SEED, physics=laboratory.facts,
        )  # fmt: skip
        made = {obj.name: label(obj).success for obj in objects}
    return {name for name, success in made.items() if success is not None and fits(success)}


def figures(
    found: Mapping[str, Mapping[int, Mapping[str, Seen]]], fitting: set[str]
) -> dict[str, Any]:
    """Return the figures of every condition.

    Args:
        found: What became of each picture, by the object, the number and the condition.
        fitting: Names of the objects that fit.
    """
    conditions = {}
    clean_error = None
    for name in CONDITIONS:
        pictures = [each[name] for views in found.values() for each in views.values()]
        success = {
            obj: np.array([each[name].success for each in views.values()])
            for obj, views in found.items()
            if obj in fitting
        }
        lost = {
            obj: success[obj] - [each[CLEAN].success for each in found[obj].values()]
            for obj in success
        }
        claimed = np.concatenate([each.claimed for each in pictures])
        held = np.concatenate([each.held for each in pictures]).astype(bool)
        error = reliability(claimed, held).error if len(held) else None
        clean_error = error if name == CLEAN else clean_error
        by_object = {obj: float(values.mean()) for obj, values in success.items()}
        conditions[name] = {
            "success_top20": _estimate(list(success.values())),
            "difference": _estimate(list(lost.values())),
            "claimed": float(claimed.mean()) if len(claimed) else None,
            "held": float(held.mean()) if len(held) else None,
            "calibration_error": error,
            "calibration_growth": None
            if error is None or clean_error is None
            else error - clean_error,
            "grasps": len(held),
            "refused_to_load": sum(each.digest is None for each in pictures),
            "without_grasp": sum(each.digest is not None and not each.held for each in pictures),
            "lost_points": sum(each.lost for each in pictures),
            "pictures_that_lost_points": sum(each.lost > 0 for each in pictures),
            "false_points": sum(each.dirt for each in pictures),
            "false_points_left": sum(each.left for each in pictures),
            "by_object": by_object,
        }
    return {
        "objects": len(found),
        "objects_that_fit": len(fitting & set(found)),
        "views": len(next(iter(found.values()))),
        "conditions": conditions,
    }


def _estimate(values: Sequence[np.ndarray]) -> list[float]:
    """Return the mean and its 95 % interval over objects."""
    if len(values) < 2:
        mean = float(np.mean(values[0])) if values else 0.0
        return list(Estimate(mean, mean, mean))
    return list(cluster_bootstrap(values, np.random.default_rng(SEED)))


def table(results: dict[str, Any]) -> str:
    """Return the results in Markdown.

    Args:
        results: Result of `figures`.
    """
    rows = [
        [
            "condition", "success of the top 20, %", "difference from clean, points",
            "claimed, %", "calibration error", "above clean's", "refused", "no grasp",
            "true points lost", "false points left", "kept the bounds",
        ]
    ]  # fmt: skip
    for name, each in results["conditions"].items():
        error, growth = each["calibration_error"], each["calibration_growth"]
        within = each["difference"][0] >= -MOST_LOST and (growth or 0) <= MOST_ERROR
        rows.append(
            [
                name,
                _percent(each["success_top20"]),
                _percent(each["difference"], sign="+"),
                "–" if each["claimed"] is None else f"{100 * each['claimed']:.1f}",
                "–" if error is None else f"{error:.3f}",
                "–" if growth is None else f"{growth:+.3f}",
                str(each["refused_to_load"]),
                str(each["without_grasp"]),
                f"{each['lost_points']} in {each['pictures_that_lost_points']} pictures",
                f"{each['false_points_left']} of {each['false_points']}",
                "yes" if within else "no",
            ]
        )
    note = (
        f"{results['views']} pictures each of {results['objects']} scanned meshes; success and "
        f"differences over the {results['objects_that_fit']} objects that fit, with 95 % intervals "
        f"over objects. One draw of the uncertainty per grasp. The bounds: success at most "
        f"{100 * MOST_LOST:.0f} points below clean, calibration error at most {MOST_ERROR} above "
        "clean's."
    )
    return f"{markdown_table(rows)}\n\n{note}"


def _percent(estimate: Sequence[float], sign: str = "") -> str:
    value, low, high = (f"{100 * number:{sign}.1f}" for number in estimate)
    return f"{value} [{low}, {high}]"


if __name__ == "__main__":
    main()
