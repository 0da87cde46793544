"""Measure the antipodal baseline on household meshes; other methods should exceed its figures.

    python -m experiments.baseline [FOLDER_OF_MESHES] [--gripper NAME] [--labels FOLDER]

It runs `grasp evaluate` with default options on the .stl files of the folder, except for the cubes,
spheres, cylinders, pyramids and tori of GraspIt's object set. Without an argument, the meshes are
taken from the development data beside the checkout. With `--labels`, the labelled candidates, which
take two thirds of the time, are kept in that folder and reused.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from experiments import record

DEVELOPMENT_DATA = Path(__file__).parents[2] / "shared" / "data" / "object_sim"
PRIMITIVES = ("cube", "sphere", "cylinder", "pyramid", "torus")


def main() -> None:
    """Evaluate the baseline and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("meshes", nargs="?", type=Path, default=DEVELOPMENT_DATA)
    parser.add_argument("--gripper", default="panda")
    parser.add_argument("--labels", type=Path)
    chosen = parser.parse_args()
    if not chosen.meshes.is_dir():
        print(f"skipped: there is no {chosen.meshes}; name a folder of .stl meshes")
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
    """List the .stl meshes in a folder that are not primitive shapes, sorted.

    Args:
        folder: Folder of meshes, which may be in subfolders.
    """
    return [path for path in sorted(folder.rglob("*.stl")) if not path.stem.startswith(PRIMITIVES)]


if __name__ == "__main__":
    main()
