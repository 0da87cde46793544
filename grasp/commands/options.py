"""Options that several commands of `grasp` take; those that all commands take are the console's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from pcdiff import console
from pcdiff.errors import InputError

MOST = 10**6
"""Grasps of an object, at most."""

GripperName = Annotated[str, typer.Option(help="A name or a .toml file.")]
Scale = Annotated[float | None, typer.Option(help="Multiplies the mesh file's numbers.")]
Unit = Annotated[
    Literal["m", "cm", "mm", "inch"] | None, typer.Option(help="Of the mesh file's numbers.")
]
Friction = Annotated[float | None, typer.Option(help="Coefficient of object and pads.")]
Frame = Annotated[
    str | None, typer.Option(help="Of the poses, if their file does not say: e.g. panda_hand.")
]
GraspUnit = Annotated[
    str | None, typer.Option(help="Of the poses, if their file does not say: e.g. m.")
]
PhysicsDevice = Annotated[
    str, typer.Option(help="Where to compute; physics runs on the cpu alone.")
]
Workers = Annotated[
    int, typer.Option("--threads", "--workers", min=0, help="Processes; 0: one a CPU core.")
]


def check_results(output: Path | None, picture: Path | None) -> None:
    """Raise unless a command's results can be written, before work that would be lost.

    Args:
        output: a grasp file, if asked for.
        picture: a PNG, if asked for.

    Raises:
        InputError: a file has another extension or cannot be written.
    """
    from grasp.judging.sources import check_grasp_file

    if output is not None:
        check_grasp_file(output)
        console.check_file(output)
    if picture is not None:
        if picture.suffix.lower() != ".png":
            raise InputError(f"a picture is written to a file that ends in .png, got {picture}")
        console.check_file(picture)
