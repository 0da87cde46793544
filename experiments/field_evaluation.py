"""Measure how often the field's grasps succeed, and whether its probabilities are calibrated.

    python -m experiments.field_evaluation scanned|view|robotiq_2f_85|vessels|large
        [--weights NAME|FILE] [--meshes FOLDER] [--labels FOLDER]

The study runs `grasp evaluate` on objects that are not in the training data, and draws the
reliability diagram. The first argument chooses the objects:

- scanned: the household meshes of the folder (see `experiments.baseline`) with the Franka Hand,
  1000 grasps and 2000 candidates per mesh;
- view: 60 grasps per mesh from one noisy depth image;
- robotiq_2f_85: 60 grasps per mesh for another gripper, with the same weights;
- vessels: 60 grasps for each of 50 synthetic mugs and bowls from a seed that the training data do
  not use;
- large: 60 grasps for each household mesh at four times its size. Most of the large objects are too
  heavy or too wide, so the field should return no grasps for these objects.

`--labels FOLDER` stores the labelled candidates in the folder, and later runs reuse them. The
candidates decide whether the gripper can grasp an object at all. Each object has 2000 candidates
for scanned, view and large, and 300 candidates for robotiq_2f_85 and vessels.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from datasets.household import make_set, write_set
from experiments import record
from experiments.baseline import DEVELOPMENT_DATA, household_meshes

SEED, VESSELS, VESSELS_SEED = 0, 50, 777
FEW = ["--samples", "60", "--candidates", "300"]
OPTIONS = {
    "scanned": [],
    "view": ["--view", "--samples", "60"],
    "robotiq_2f_85": ["--gripper", "robotiq_2f_85", *FEW],
    "vessels": FEW,
    "large": ["--scale", "4", "--samples", "60"],
}


def main() -> None:
    """Evaluate the field, write the table and draw the diagram."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", choices=OPTIONS)
    parser.add_argument("--weights", default="panda")
    parser.add_argument("--meshes", type=Path, default=DEVELOPMENT_DATA)
    parser.add_argument("--labels", type=Path)
    chosen = parser.parse_args()
    options = ["--weights", chosen.weights, "--seed", str(SEED), *OPTIONS[chosen.which]]
    if chosen.labels is not None:
        options += ["--labels", str(chosen.labels)]
    with objects(chosen.which, chosen.meshes) as files:
        if not files:
            print(f"skipped: {chosen.meshes} does not exist, expected a folder of .stl meshes")
            return
        evaluation = record.answer("grasp", "evaluate", *map(str, files), *options)
    results = {"cpu_seconds": evaluation["cpu_seconds"], **evaluation["results"]}
    name = f"field_evaluation_{chosen.which}"
    # Write the record first: it states whether the checkout has changes, such as a new picture.
    record.write(name, SEED, results, results.pop("table"))
    draw(results["reliability"], record.RESULTS / f"{name}.png")


@contextmanager
def objects(which: str, meshes: Path) -> Iterator[list[Path]]:
    """Yield the list of mesh files for the evaluation; the list is empty without a mesh folder."""
    if which != "vessels":
        yield household_meshes(meshes) if meshes.is_dir() else []
        return
    with tempfile.TemporaryDirectory() as folder:
        made = make_set(VESSELS, VESSELS_SEED, ["mug", "bowl"])
        entries = write_set(Path(folder), made, {"maker": "datasets.household"}, "MIT")
        yield [Path(folder) / entry.file for entry in entries]


def draw(reliability: dict[str, list[float]], path: Path) -> None:
    """Draw the share of successful grasps against the predicted probability of success.

    The area of a dot is proportional to the number of grasps.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    most = max(reliability["count"])
    sizes = [max(4.0, 400 * count / most) for count in reliability["count"]]
    axes.scatter(reliability["predicted"], reliability["happened"], s=sizes, alpha=0.7)
    axes.plot(reliability["predicted"], reliability["happened"], linewidth=1)
    axes.set(
        xlim=(0, 1), ylim=(0, 1.02), xlabel="predicted probability", ylabel="share that holds",
        aspect="equal",
    )  # fmt: skip
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
