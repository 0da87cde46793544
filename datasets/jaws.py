"""Make random parallel jaws, so that a grasp field is trained for more than a few real grippers.

    python -m datasets.jaws --count 40 --output data/jaws

Each jaw is a .toml file that `grasp.grippers.gripper.load_gripper` reads. Stroke, fingers, pads,
hand and force vary independently, over ranges around the dimensions of the shipped grippers. The
hand of the Franka Hand is wider, and the fingers of the 2F-140 are longer, than any random jaw's.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from grasp.grippers.gripper import Box, Gripper, gripper_text
from pcdiff.console import Json, Seed, Session, application, run
from pcdiff.files import atomic_write, prepare_folder

app = application("Write random parallel jaws.")

# Smallest and largest values, between which the logarithm is uniform; lengths are in metres.
_STROKE = 0.04, 0.16
_FORCE = 20.0, 250.0  # newtons
_FINGER_LENGTH = 0.04, 0.13  # from the palm to the tip
_FINGER_WIDTH = 0.012, 0.032
_PAD_DEPTH = 0.006, 0.02
_PALM = 0.05, 0.12  # from the base of the hand to the palm
_HAND_HALF_DEPTH = 0.025, 0.045

_PAD_SHARE = 0.25, 0.75  # smallest and largest share of the finger that is pad; uniform
_SHAFT_DEPTH = 1.0, 2.0  # depth of the shaft divided by the depth of the pad; uniform
_BESIDE = 0.6, 1.1  # half of the hand's width, divided by half of the open hand's; uniform
_SET_BACK = 0.1  # distance from the pad's plane to the shaft, divided by the depth of the pad
_MASS = 0.8  # kilograms; no trial depends on it


def jaw(seed: int, index: int) -> Gripper:
    """Return a random jaw.

    Args:
        seed: Seed of the set, at least 0.
        index: Position in the set, at least 0.
    """
    rng = np.random.default_rng([seed, index, *b"jaw"])

    def spread(bounds: tuple[float, float]) -> float:
        return float(np.exp(rng.uniform(*np.log(bounds))))

    stroke, force = spread(_STROKE), spread(_FORCE)
    length, width, depth = spread(_FINGER_LENGTH), spread(_FINGER_WIDTH), spread(_PAD_DEPTH)
    palm, thick = spread(_PALM), spread(_HAND_HALF_DEPTH)
    pad = rng.uniform(*_PAD_SHARE) * length
    shaft = rng.uniform(*_SHAFT_DEPTH) * depth
    beside = rng.uniform(*_BESIDE) * (stroke / 2 + shaft)
    begin, tip = palm + length - pad, palm + length
    # The shaft is set back from the pad, so that only the pads meet when the jaw closes.
    back = _SET_BACK * depth
    return Gripper(
        name=f"jaw_{seed}_{index:03d}",
        stroke=stroke,
        max_force=force,
        mass=_MASS,
        tool_center_point=np.array([0.0, 0.0, (begin + tip) / 2]),
        hand_boxes=(_box((-beside, -thick, 0.0), (beside, thick, palm)),),
        finger_boxes=(
            _box((0.0, -width / 2, begin), (depth, width / 2, tip)),
            _box((back, -width / 2, palm), (back + shaft, width / 2, begin)),
        ),
        pad=(begin, tip),
    )


def _box(low: tuple[float, float, float], high: tuple[float, float, float]) -> Box:
    return Box((np.array(low) + high) / 2, (np.array(high) - low) / 2)


def write_jaws(output: Path, count: int, seed: int) -> list[Path]:
    """Write random jaws to a folder, and return the paths of their files.

    The same seed gives the same jaws, and a larger count adds jaws.

    Args:
        output: Folder to write; it is created if it is missing.
        count: Number of jaws.
        seed: Seed of the set, at least 0.

    Raises:
        InputError: If a file cannot be written.
    """
    prepare_folder(output)
    paths = []
    for index in range(count):
        made = jaw(seed, index)
        paths.append(output / f"{made.name}.toml")
        with atomic_write(paths[-1]) as temporary:
            temporary.write_text(gripper_text(made), encoding="utf-8")
    return paths


@app.command()
def jaws(
    output: Annotated[Path, typer.Option(help="Folder to write.")],
    count: Annotated[int, typer.Option(min=1, max=10_000, help="Number of jaws.")] = 40,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Write random parallel jaws as .toml files."""
    session = Session("datasets.jaws", seed, as_json=as_json)
    paths = write_jaws(output, count, seed)
    session.finish(
        {"output": str(output), "jaws": [path.name for path in paths]},
        f"wrote {len(paths)} jaws to {output}",
    )


main = partial(run, app)
"""Run the program, with the command-line arguments of the process or with a given list."""


if __name__ == "__main__":
    main()
