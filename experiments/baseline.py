"""Measure the antipodal baseline on household meshes, which other methods should exceed.

    python -m experiments.baseline [FOLDER_OF_MESHES] [--gripper NAME] [--labels FOLDER]

The study runs `grasp evaluate` with default options on the .stl files of the folder, except for the
cubes, spheres, cylinders, pyramids and tori of GraspIt's object set. Without a folder, the study
uses the development data beside the checkout. `--labels FOLDER` stores the labelled candidates in
the folder, and later runs reuse them. Without reuse, the labelling of the candidates takes two
thirds of the time.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from experiments import record

DEVELOPMENT_DATA = Path(__file__).parents[2] / "shared" / "data" / "object_sim"
PRIMITIVES = ("cube", "sphere", "cylinder", "pyramid", "torus")


def main() -> None:
    """Evaluate the baseline, print the table and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("meshes", nargs="?", type=Path, default=DEVELOPMENT_DATA)
    parser.add_argument("--gripper", default="panda")
    parser.add_argument("--labels", type=Path)
    chosen = parser.parse_args()
    if not chosen.meshes.is_dir():
        print(f"skipped: {chosen.meshes} does not exist, expected a folder of .stl meshes")
        return
    files = household_meshes(chosen.meshes)
    options = ["--gripper", chosen.gripper]
    if chosen.labels is not None:
        options += ["--labels", str(chosen.labels)]
    name = "baseline" if chosen.gripper == "panda" else f"baseline_{chosen.gripper}"
    evaluation = record.answer("grasp", "evaluate", *map(str, files), *options)
    results = {"cpu_seconds": evaluation["cpu_seconds"], **evaluation["results"]}
    record.write(name, evaluation["seed"], results, results.pop("table"))


def household_meshes(folder: Path) -> list[Path]:
    """Return a sorted list of the .stl meshes in a folder, without primitive shapes.

    Args:
        folder: Folder of meshes, which may be in subfolders.
    """
    return [path for path in sorted(folder.rglob("*.stl")) if not path.stem.startswith(PRIMITIVES)]


if __name__ == "__main__":
    main()
