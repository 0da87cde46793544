"""Options that several commands of `grasp` share. Options of all commands: `pcdiff.console`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from pcdiff import console
from pcdiff.errors import InputError

MOST = 10**6
"""Largest number of grasps per object."""

GripperName = Annotated[str, typer.Option(help="Gripper: a shipped name, or a .toml file.")]
Scale = Annotated[float | None, typer.Option(help="Multiplies the mesh file's numbers.")]
Unit = Annotated[
    Literal["m", "cm", "mm", "inch"] | None, typer.Option(help="Unit of the mesh file's numbers.")
]
Friction = Annotated[
    float | None, typer.Option(help="Coefficient of friction between object and pads.")
]
Frame = Annotated[
    str | None,
    typer.Option(help="Frame of the poses if their file does not state it, e.g. panda_hand."),
]
GraspUnit = Annotated[
    str | None, typer.Option(help="Unit of the poses if their file does not state it, e.g. m.")
]
PhysicsDevice = Annotated[
    str, typer.Option(help="Device; must be cpu, because physics runs on the CPU only.")
]
Workers = Annotated[
    int,
    typer.Option(
        "--threads", "--workers", min=0, help="Number of processes; 0 means one per CPU core."
    ),
]

OPTIONS = {
    "gripper": "--gripper",
    "unit": "--unit",
    "pose_unit": "--grasp-unit",
    "pose_frame": "--frame",
    "pose_unit_and_frame": "--grasp-unit, --frame",
    "approach": "--approach",
    "validate_one_in": "--validate-one-in",
}
"""The command-line option for each parameter that an error message of the library may name."""


def check_results(output: Path | None, picture: Path | None) -> None:
    """Check that a command's results can be written, before it starts work that would be lost.

    Args:
        output: Grasp file to write; None if there is none.
        picture: PNG file to write; None if there is none.

    Raises:
        InputError: If a file has another extension or cannot be written.
    """
    from grasp.formats import check_grasp_path

    if output is not None:
        check_grasp_path(output)
        console.check_file(output)
    if picture is not None:
        if picture.suffix.lower() != ".png":
            raise InputError(f"a picture is written to a file that ends in .png, got {picture}")
        console.check_file(picture)
