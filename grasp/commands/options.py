"""Options that several commands of `grasp` share.

The module `pcdiff.console` defines the options of all commands.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, ParamSpec, TypeVar

import typer
from typer.core import TyperCommand

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
ObjectId = Annotated[
    str | None,
    typer.Option(help="Id of the object, for a grasp file with grasps of several objects."),
]
ObjectNames = Annotated[
    list[str] | None,
    typer.Option(
        "--object",
        metavar="NAME",
        help="Name of the object in an .obj, .glb or .dae file of several; may be repeated. "
        "Objects that are left out are no obstacles.",
    ),
]
Piece = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Number of the object in a scan or mesh of several, 1 for the largest; 0 takes "
        "everything, with all stray points. Objects that are left out are no obstacles.",
    ),
]
GRASP_FILE = "Grasp file: .json, .h5, .hdf5, .yaml, .yml, .csv, .npy or .npz."
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
    "unit_or_scale": "--unit, --scale",
    "pose_unit": "--grasp-unit",
    "pose_frame": "--frame",
    "pose_unit_and_frame": "--grasp-unit, --frame",
    "scale": "--scale",
    "mass": "--mass",
    "count": "--count",
    "oversampling": "--oversampling",
    "least_probability": "--least-probability",
    "thin": "--thin",
    "region": "--region",
    "avoid": "--avoid",
    "scene": "--scene",
    "object_id": "--object-id",
    "approach": "--approach",
    "view": "--view",
    "source": "--source, --weights",
    "protocol": "--protocol",
    "engine": "--engine",
    "friction": "--friction",
    "validate_one_in": "--validate-one-in",
    "architecture": "--architecture",
    "width": "--width",
    "config": "--config",
    "steps": "--steps",
    "resume": "--resume",
    "format": "--format",
    "hand_frame": "--hand-frame",
    "max_force": "--max-force",
    "meshes": "--meshes",
    "name": "--name",
}
"""Command-line option for each parameter that an error message of the library may concern."""

P = ParamSpec("P")
Result = TypeVar("Result")


def name_options(command: Callable[P, Result]) -> Callable[P, Result]:
    """Decorate a command so that errors of the library name the option of `OPTIONS` to change.

    An option that the command does not have is not named.

    Args:
        command: Function with the options of the command as parameters.
    """

    @functools.wraps(command)
    def named(*arguments: P.args, **options: P.kwargs) -> Result:
        try:
            return command(*arguments, **options)
        except InputError:
            with console.name_options(**_options_of(command)):
                raise

    return named


def _options_of(command: Callable[..., Any]) -> dict[str, str]:
    """Return the entries of `OPTIONS` with only those options that a command has."""
    app = typer.Typer()
    app.command()(command)
    own = {option for each in typer.main.get_command(app).params for option in each.opts}
    kept = {
        parameter: ", ".join(option for option in options.split(", ") if option in own)
        for parameter, options in OPTIONS.items()
    }
    return {parameter: options for parameter, options in kept.items() if options}


SEVERAL_NUMBERS = {"--region": 4, "--avoid": 4, "--approach": 4, "--viewpoint": 3}
"""Options whose value is several numbers, joined by commas or separated by spaces; how many."""


class Command(TyperCommand):
    """A command that also takes the numbers of `SEVERAL_NUMBERS` separated by spaces.

    typer has no repeatable option with several values.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments of the command after joining the numbers of such options."""
        return super().parse_args(ctx, join_numbers(args))


def join_numbers(arguments: Sequence[str]) -> list[str]:
    """Join the numbers that follow an option of `SEVERAL_NUMBERS` by commas.

    If they are too few, the command that reads the option says so.

    Args:
        arguments: Arguments of a command.
    """
    joined, place = [], 0
    while place < len(arguments):
        joined.append(arguments[place])
        place += 1
        following = arguments[place : place + SEVERAL_NUMBERS.get(joined[-1], 0)]
        numbers = list(itertools.takewhile(_is_number, following))
        if numbers:
            joined.append(",".join(numbers))
            place += len(numbers)
    return joined


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


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
