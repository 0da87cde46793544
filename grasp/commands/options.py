"""Options that several commands of `grasp` share.

The module `pcdiff.console` defines the options of all commands.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from pcdiff import console
from pcdiff.errors import InputError

MOST = 10**6
"""Largest number of grasps per object."""

GripperName = Annotated[
    str, typer.Option(help="Gripper: name of a shipped gripper, or a .toml file.")
]
Scale = Annotated[
    float | None, typer.Option(help="Factor that multiplies the numbers in the object's file.")
]
Unit = Annotated[
    Literal["m", "cm", "mm", "inch"] | None,
    typer.Option(help="Unit of the numbers in the object's file."),
]
Friction = Annotated[
    float | None, typer.Option(help="Coefficient of friction between object and pads.")
]
PhysicsProtocol = Annotated[
    str,
    typer.Option(
        "--protocol",
        help="Version of the physics protocol; 2 made the labels of version 0.1.0.",
    ),
]
Frame = Annotated[
    str | None,
    typer.Option(help="Frame of the poses if the grasp file states no frame, e.g. panda_hand."),
]
GraspUnit = Annotated[
    str | None, typer.Option(help="Unit of the poses if the grasp file states no unit, e.g. m.")
]
SamplingDevice = Annotated[
    str,
    typer.Option(
        help="Device (cpu, cuda or cuda:N) for sampling a grasp field; physics runs on the CPU."
    ),
]
Workers = Annotated[
    int,
    typer.Option(
        "--threads",
        "--workers",
        min=0,
        help="Number of processes; 0 means one process per CPU core.",
    ),
]

OPTIONS = {
    "gripper": "--gripper",
    "unit": "--unit",
    "piece": "--piece",
    "names": "--object",
    "mask_id": "--mask-id",
    "without_table": "--remove-table",
    "camera_pose": "--camera-pose",
    "intrinsics": "--intrinsics",
    "pose_unit": "--grasp-unit",
    "pose_frame": "--frame",
    "pose_unit_and_frame": "--grasp-unit, --frame",
    "approach": "--approach",
    "view": "--view",
    "source": "--source, --weights",
    "protocol": "--protocol",
    "engine": "--engine",
    "friction": "--friction",
    "validate_one_in": "--validate-one-in",
}
"""Command-line option for each parameter that an error message of the library may concern."""


def check_results(output: Path | None, picture: Path | None) -> None:
    """Check that the result files of a command can be written.

    Commands call this function before long computations, so that no results are lost.

    Args:
        output: Grasp file to write; None to write no grasp file.
        picture: PNG file to write; None to write no picture.

    Raises:
        InputError: If a file has the wrong extension or cannot be written.
    """
    from grasp.formats import check_grasp_path

    if output is not None:
        check_grasp_path(output)
        console.check_file(output)
    if picture is not None:
        if picture.suffix.lower() != ".png":
            raise InputError(
                f"a picture must be written to a file that ends in .png, got {picture}"
            )
        console.check_file(picture)
