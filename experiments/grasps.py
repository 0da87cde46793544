"""Draw the README's picture of grasps of a mug and a hammer: `python -m experiments.grasps`.

The objects come from `datasets.household`, and the grasps come from the shipped weights. The grasps
of an object differ by more than 1 cm or 15°. The colour of a grasp shows its probability of
success. The study writes the picture to `results/grasps.png`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import grasp
from experiments import record
from grasp.field.selection import Selection
from grasp.pictures import PictureSettings, draw_grasps, probability_colours
from grasp.poses.distances import ROTATION, TRANSLATION
from pcdiff.drawing.png import save_png
from pcdiff.randomness import seeded

SEED = 0
OBJECTS = ("mug_0_00000", "hammer_0_00001")  # names from datasets.household
GRASPS = 7  # number of grasps per object; more grasps would hide the object
SETTINGS = PictureSettings(width=600, height=460, samples=16)


def main() -> None:
    """Make the objects, sample grasps, and draw the objects with the grasps."""
    field = grasp.GraspField.from_pretrained("panda")
    hand = grasp.load_gripper("panda")
    tiles = []
    with tempfile.TemporaryDirectory() as root:
        command = [sys.executable, "-m", "datasets.household", "--count", "2", "--no-sheet"]
        command += ["--families", "mug,hammer", "--seed", str(SEED), "--output", f"{root}/objects"]
        subprocess.run(command, check=True)
        for name in OBJECTS:
            obj = grasp.load_object(Path(root) / "objects" / "meshes" / f"{name}.obj")
            apart = Selection(apart=(TRANSLATION, ROTATION))
            found = field.condition(obj, hand).sample(GRASPS, seeded(SEED), selection=apart)
            assert found.success_probability is not None
            colours = probability_colours(found.success_probability)
            tiles.append(draw_grasps(obj, hand, found.poses, colours=colours, settings=SETTINGS))
    path = record.RESULTS / "grasps.png"
    save_png(path, np.concatenate(tiles, axis=1))
    print(path.name)


if __name__ == "__main__":
    main()
