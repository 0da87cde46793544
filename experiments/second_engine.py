"""Compare the outcomes of grasps in MuJoCo with the outcomes of the same grasps in Drake.

    python -m experiments.second_engine ../shared/data [--grasps 40] [--robust] [--workers 2]

No label comes from Drake (`grasp.physics.hydroelastic`): it shows how far an outcome depends on the
engine. The grasps are:

- the held-out halves of ACRONYM's mug and table, with ACRONYM's labels;
- the published grasps of the nine objects of `ycb_grasps`, of which all are positives;
- antipodal candidates of the same objects and of household meshes of `object_sim`, without labels;
  a share of them are near misses.

Cohen's κ is the agreement beyond chance: (p - c) / (1 - c) for the share p of equal outcomes and
the share c of equal outcomes if the engines were independent (Cohen 1960). Its interval comes from
a bootstrap over grasps. With `--robust`, the first outcome is not one trial in MuJoCo but whether
the robust success (`grasp.physics.robust`) is at least one half. The study also draws one grasp of
each of the five objects with the largest share of different outcomes.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Shaped

from experiments import record
from experiments.calibrate_protocol import published
from experiments.calibrate_simulation import agreement, halves, load
from grasp.grippers.gripper import load_gripper
from grasp.judging.candidates import candidates
from grasp.objects.loading import load_object
from grasp.objects.object import Object
from grasp.physics import PROTOCOL, Conditions, Protocol, processes, simulate
from grasp.physics.hydroelastic import simulate_hydroelastic
from grasp.physics.hydroelastic_settings import HYDROELASTIC
from grasp.physics.robust import simulate_robust
from grasp.pictures import PictureSettings, draw_grasps, outcome_colours
from pcdiff.drawing.parts import Image, Vector
from pcdiff.drawing.png import save_png
from pcdiff.drawing.sheets import arranged, captioned
from pcdiff.tables import markdown_table

SEED = 0
GRIPPER = "panda"
NEAR_MISSES = 0.3
"""Share of near misses among the candidates, so that some grasps fail."""

HOUSEHOLD = (
    "banana", "bowl", "cylindersmall", "hammer", "mug", "stapler", "toothpaste", "wineglass",
)  # fmt: skip
RESAMPLES = 2000
SURFACE_POINTS = 20_000
"""Number of points on the surface that measure the depth of a grasp."""

SHOWN = 5
"""Number of grasps in the picture."""

PANEL = PictureSettings(width=440, height=440, samples=4)


@dataclass(frozen=True, eq=False)
class Case:
    """Grasps of one object.

    Attributes:
        name: Name of the set of grasps.
        obj: Mesh of the object.
        poses: Grasp poses `T_object_grasp`, translations in metres.
        labels: Outcomes that others have stated; None if there are none.
        mass: Mass of the object in kilograms; None for the protocol's density.
    """

    name: str
    obj: Object
    poses: Float[np.ndarray, "grasps 4 4"]
    labels: Bool[np.ndarray, " grasps"] | None
    mass: float | None


@dataclass(frozen=True, eq=False)
class Comparison:
    """Outcomes of a case in both engines.

    Attributes:
        case: Grasps that were tried.
        first: Causes of failure in MuJoCo, or "" for success. With robust success: "" for a robust
            grasp, otherwise the most frequent cause.
        second: Causes of failure in Drake, or "" for success.
    """

    case: Case
    first: Shaped[np.ndarray, " grasps"]
    second: Shaped[np.ndarray, " grasps"]

    @property
    def differ(self) -> Bool[np.ndarray, " grasps"]:
        """True for each grasp with different outcomes; the cause of a failure does not count."""
        return (self.first == "") != (self.second == "")


def kappa(one: Bool[np.ndarray, " grasps"], other: Bool[np.ndarray, " grasps"]) -> float:
    """Compute Cohen's κ of two outcomes of the same grasps.

    Args:
        one: Outcomes in one engine.
        other: Outcomes in the other engine.

    Returns:
        κ, or NaN if all outcomes of both engines are equal, where chance alone explains them.
    """
    same = float((one == other).mean())
    p, q = float(one.mean()), float(other.mean())
    chance = p * q + (1 - p) * (1 - q)
    return (same - chance) / (1 - chance) if chance < 1 else float("nan")


def kappa_interval(
    one: Bool[np.ndarray, " grasps"], other: Bool[np.ndarray, " grasps"], rng: np.random.Generator
) -> tuple[float, float]:
    """Compute the 95 % interval of Cohen's κ by a bootstrap over grasps.

    Args:
        one: Outcomes in one engine.
        other: Outcomes in the other engine.
        rng: Random generator that draws the grasps.

    Returns:
        The ends of the interval. Resamples without a κ are left out; NaN if no resample has a κ.
    """
    drawn = rng.integers(len(one), size=(RESAMPLES, len(one)))
    values = np.array([kappa(one[some], other[some]) for some in drawn])
    values = values[np.isfinite(values)]
    if not len(values):
        return float("nan"), float("nan")
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def cases(folder: Path, count: int) -> list[Case]:
    """Return the sets of grasps to try.

    Args:
        folder: Folder of the development data.
        count: Largest number of grasps of each set.
    """
    found = []
    for category in ("Mug", "Table"):
        example = load(folder / "acronym_examples", category)
        grasps = example.grasps
        assert grasps.success is not None
        chosen = np.sort(halves(len(grasps))[1][:count])
        name, success = f"ACRONYM {category.lower()}", grasps.success[chosen]
        found.append(Case(name, example.obj, grasps.poses[chosen], success, grasps.mass))
    rng, hand = np.random.default_rng(SEED), load_gripper(GRIPPER)
    for name, each in published(folder / "ycb_grasps").items():
        # Evenly spread, because neighbours in the file are alike.
        chosen = np.unique(np.linspace(0, len(each.poses) - 1, count).astype(int))
        poses, success = each.poses[chosen], each.success[chosen]
        found.append(Case(f"{name}, published", each.obj, poses, success, each.mass))
        drawn = candidates(each.obj, hand, count, rng, near_misses=NEAR_MISSES)
        found.append(Case(f"{name}, candidates", each.obj, drawn.poses, None, each.mass))
    for name in HOUSEHOLD:
        (file,) = (folder / "object_sim" / name).glob("*.stl")
        obj = load_object(file)
        drawn = candidates(obj, hand, count, rng, near_misses=NEAR_MISSES)
        found.append(Case(f"{name}, candidates", obj, drawn.poses, None, None))
    return [each for each in found if len(each.poses)]


def compare(case: Case, protocol: Protocol, robust: bool, pool: Executor | None) -> Comparison:
    """Try the grasps of a case in both engines.

    Args:
        case: Grasps to try.
        protocol: Protocol of both engines.
        robust: True to compare the robust success in MuJoCo instead of one trial.
        pool: Processes for the trials; None means this process.
    """
    hand, conditions = load_gripper(GRIPPER), Conditions(mass=case.mass)
    if robust:
        tried = simulate_robust(
            case.obj, hand, case.poses, conditions, protocol=protocol, pool=pool
        )
        first = np.array(
            ["" if holds else _most_frequent(row[row != ""])
             for holds, row in zip(tried.robust, tried.failure, strict=True)]
        )  # fmt: skip
    else:
        first = simulate(
            case.obj, hand, case.poses, conditions, protocol=protocol, pool=pool
        ).failure
    second = simulate_hydroelastic(
        case.obj, hand, case.poses, conditions, protocol=protocol, pool=pool
    ).failure
    return Comparison(case, first, second)


def _most_frequent(causes: Shaped[np.ndarray, " trials"]) -> str:
    names, counts = np.unique(causes, return_counts=True)
    return str(names[counts.argmax()])


def depths(obj: Object, poses: Float[np.ndarray, "grasps 4 4"]) -> Float[np.ndarray, " grasps"]:
    """Measure how far the object reaches between the pads of the open hand, in metres.

    The depth is the distance along the approach from the tips of the fingers to the point of the
    surface that is nearest to the palm, among the points between the pads; 0 if there is none.

    Args:
        obj: Mesh of the object.
        poses: Grasp poses `T_object_grasp`, translations in metres.
    """
    hand = load_gripper(GRIPPER)
    points, _ = obj.surface(SURFACE_POINTS, np.random.default_rng(SEED))
    found = []
    for pose in poses:
        x, y, z = ((points - pose[:3, 3]) @ pose[:3, :3]).T
        between = (np.abs(x) < hand.stroke / 2) & (np.abs(y) < hand.finger_width / 2)
        between &= z < hand.pad[1]
        found.append(hand.pad[1] - z[between].min() if between.any() else 0.0)
    return np.array(found)


def figures(first: np.ndarray, second: np.ndarray, labels: np.ndarray | None) -> dict[str, Any]:
    """Compute the agreement of both engines with each other and with the labels.

    Args:
        first: Causes of failure in MuJoCo, or "" for success.
        second: Causes of failure in Drake, or "" for success.
        labels: Outcomes that others have stated; None if there are none.
    """
    one, other = first == "", second == ""
    low, high = kappa_interval(one, other, np.random.default_rng(SEED))
    entry: dict[str, Any] = {
        "grasps": len(one),
        "success_mujoco": float(one.mean()),
        "success_drake": float(other.mean()),
        "agreement": float((one == other).mean()),
        "kappa": _known(kappa(one, other)),
        "kappa_interval": [_known(low), _known(high)],
    }
    if labels is not None:
        entry["labels_mujoco"] = agreement(labels, one)
        entry["labels_drake"] = agreement(labels, other)
    return entry


def _known(number: float) -> float | None:
    return number if np.isfinite(number) else None


def largest_disagreements(found: Sequence[Comparison], count: int) -> list[tuple[Comparison, int]]:
    """Choose one grasp of each of the objects with the largest share of different outcomes.

    The grasp is the first one that errs in the set's more frequent direction. A grasp that collides
    in an engine is chosen only if all different outcomes of the set come from collisions.

    Args:
        found: Comparisons of all sets.
        count: Largest number of objects.

    Returns:
        Sets with the index of one grasp, the largest share first. An object occurs once.
    """
    chosen: dict[str, tuple[Comparison, int]] = {}
    for each in sorted(found, key=lambda each: -each.differ.mean()):
        if not each.differ.any() or each.case.obj.sha256 in chosen or len(chosen) == count:
            continue
        free = each.differ & (each.first != "collision") & (each.second != "collision")
        among = free if free.any() else each.differ
        held = each.first == ""
        usual = held == ((among & held).sum() >= (among & ~held).sum())
        chosen[each.case.obj.sha256] = each, int(np.flatnonzero(among & usual)[0])
    return list(chosen.values())


def draw_disagreements(chosen: Sequence[tuple[Comparison, int]]) -> Image:
    """Draw an object with one hand for each of some grasps, side by side.

    The hand points down and is seen along its y axis, with its opening at the start of the trial.
    It is green if MuJoCo says success, and red otherwise.

    Args:
        chosen: At least one set, each with the index of one grasp.
    """
    hand, tiles = load_gripper(GRIPPER), []
    for each, index in chosen:
        pose, first, second = each.case.poses[index], each.first[index], each.second[index]
        # Slightly from one side and from behind, so that the boxes look like boxes.
        settings = dataclasses.replace(
            PANEL,
            direction=_vector(pose[:3, :3] @ [0.3, -1.0, -0.35]),
            up=_vector(-pose[:3, 2]),
        )
        colours = outcome_colours(np.array([first == ""]))
        image = draw_grasps(each.case.obj, hand, pose[None], colours=colours, settings=settings)
        said = f"MuJoCo: {first or 'success'}; Drake: {second or 'success'}"
        depth = f"Depth {1e3 * depths(each.case.obj, pose[None])[0]:.0f} mm"
        share = f"{100 * each.differ.mean():.0f} % differ"
        for line in (f"{each.case.name} ({share})", said, depth):
            image = captioned(image, line)
        tiles.append(image)
    return arranged(tiles, len(tiles))


def _vector(direction: np.ndarray) -> Vector:
    x, y, z = direction.tolist()
    return x, y, z


def table(rows: dict[str, dict[str, Any]]) -> str:
    """Return the table of the figures of all sets in Markdown.

    Args:
        rows: Figures of each set, from `figures`.
    """
    cells = [
        [
            "grasps", "number", "success MuJoCo", "success Drake", "agreement", "Cohen's κ (95 %)",
            "with labels: MuJoCo", "Drake",
        ]
    ]  # fmt: skip
    for name, row in rows.items():
        interval = "–"
        if row["kappa"] is not None:
            low, high = row["kappa_interval"]
            interval = f"{row['kappa']:.2f} ({low:.2f} to {high:.2f})"
        shares = [row[key] for key in ("success_mujoco", "success_drake", "agreement")]
        cells.append(
            [name, str(row["grasps"]), *(f"{share:.2f}" for share in shares), interval]
            + [_with_labels(row.get(f"labels_{engine}")) for engine in ("mujoco", "drake")]
        )
    return markdown_table(cells)


def _with_labels(entry: dict[str, float] | None) -> str:
    if entry is None:
        return "–"
    if "balanced_accuracy" not in entry:
        return f"recall {entry['sensitivity']:.2f}"
    return (
        f"{entry['balanced_accuracy']:.3f} ({entry['sensitivity']:.2f}, {entry['specificity']:.2f})"
    )


def causes(first: np.ndarray, second: np.ndarray) -> str:
    """Return the number of grasps of each pair of outcomes as a table in Markdown.

    Args:
        first: Causes of failure in MuJoCo, or "" for success.
        second: Causes of failure in Drake, or "" for success.
    """
    names = sorted({*first.tolist(), *second.tolist()})
    cells = [["MuJoCo \\ Drake", *(name or "success" for name in names)]]
    for one in names:
        counts = [str(int(((first == one) & (second == other)).sum())) for other in names]
        cells.append([one or "success", *counts])
    return markdown_table(cells)


def main() -> None:
    """Try all grasps in both engines, print and write the tables, and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--grasps", type=int, default=40, help="largest number for each set")
    parser.add_argument("--robust", action="store_true", help="robust success instead of one trial")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()

    found, rows = [], {}
    with processes(options.workers) as pool:
        for case in cases(options.folder, options.grasps):
            done = compare(case, PROTOCOL, options.robust, pool)
            found.append(done)
            rows[case.name] = figures(done.first, done.second, case.labels)
            print(f"{case.name}: {done.differ.sum()} of {len(done.first)} differ", flush=True)
    first = np.concatenate([each.first for each in found])
    second = np.concatenate([each.second for each in found])
    free = second != "collision"
    if not options.robust:  # the errors of a draw, too, make the hand collide
        free &= first != "collision"
    depth = np.concatenate([depths(each.case.obj, each.case.poses) for each in found])
    begin, end = load_gripper(GRIPPER).pad
    shallow = depth < (end - begin) / 2
    for name, some in (
        ("all", np.ones(len(first), bool)),
        (f"all without a collision in {'Drake' if options.robust else 'either engine'}", free),
        ("… whose depth is below half the pads' length", free & shallow),
        ("… whose depth is at least half the pads' length", free & ~shallow),
    ):
        if some.any():
            rows[name] = figures(first[some], second[some], None)
    name = "second_engine_robust" if options.robust else "second_engine"
    kind = "robust success of at least ½ in MuJoCo" if options.robust else "one trial in MuJoCo"
    lines = [
        f"Protocol {PROTOCOL.version}, {kind} against one trial in Drake (hydroelastic settings "
        f"{HYDROELASTIC.version}). Agreement with labels is the balanced accuracy (sensitivity, "
        "specificity), or the recall where all labels are positive. The depth of a grasp is how "
        "far the object reaches between the pads.", "",
        table(rows), "", "Outcomes of all grasps:", "", causes(first, second),
    ]  # fmt: skip
    chosen = largest_disagreements(found, SHOWN)
    if chosen:
        save_png(record.RESULTS / f"{name}.png", draw_disagreements(chosen))
        lines += ["", f"![The largest disagreements]({name}.png)"]
    results = {
        "protocol": dataclasses.asdict(PROTOCOL),
        "hydroelastic": dataclasses.asdict(HYDROELASTIC),
        "robust": options.robust,
        "sets": rows,
    }
    record.write(name, SEED, results, "\n".join(lines))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
