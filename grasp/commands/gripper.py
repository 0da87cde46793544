"""The command `grasp gripper`: describe the hand of a URDF file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from grasp.commands.options import check_results, name_options
from pcdiff import console
from pcdiff.console import Json, Session
from pcdiff.errors import InputError


@name_options
def gripper(
    hand: Annotated[Path, typer.Argument(metavar="HAND.urdf", help="URDF of a hand.")],
    output: Annotated[Path, typer.Option(help="Gripper file to write: .toml.")],
    picture: Annotated[
        Path | None, typer.Option(help="Draw the hand and its boxes into this .png file.")
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Name of the gripper.", show_default="the name of the robot"),
    ] = None,
    max_force: Annotated[
        float | None,
        typer.Option(
            help="Largest force of each finger in newtons.",
            show_default="the effort limit of the joints",
        ),
    ] = None,
    mass: Annotated[
        float | None,
        typer.Option(
            help="Mass of the hand in kg.", show_default="the sum of the masses of the links"
        ),
    ] = None,
    approach: Annotated[
        str | None,
        typer.Option(
            help="Axis of the base link along which the hand approaches: +x, -x, +y, -y, +z, -z.",
            show_default="found",
        ),
    ] = None,
    meshes: Annotated[
        Path | None,
        typer.Option(
            help="Folder that contains the mesh files; no file outside of it is read.",
            show_default="the folder of the URDF",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Describe the hand of a URDF file for all other commands.

    Finds two parallel jaws, their stroke, boxes, pads and tool centre point. A hand whose fingers
    turn, or with more than two jaws, is refused. Check the result with --picture.
    """
    from grasp.grippers.from_urdf import HandOptions, gripper_from_urdf
    from pcdiff.drawing.png import save_png
    from pcdiff.files import atomic_write

    session = Session("grasp gripper", 0, as_json=as_json)
    if output.suffix.lower() != ".toml":
        raise InputError(f"a gripper must be written to a file that ends in .toml, got {output}")
    console.check_file(output)
    check_results(None, picture)
    found = gripper_from_urdf(hand, HandOptions(name, max_force, mass, approach, meshes))
    with atomic_write(output) as temporary:
        temporary.write_text(found.text(), "utf-8")
    if picture is not None:
        from grasp.pictures import draw_gripper

        save_png(picture, draw_gripper(found.gripper, found.meshes()))
    files = [str(path) for path in (output, picture) if path is not None]
    made = found.gripper
    results = {
        "name": made.name,
        "stroke": made.stroke,
        "max_force": made.max_force,
        "mass": made.mass,
        "tool_center_point": made.tool_center_point.tolist(),
        "pad": list(made.pad),
        "link": found.link,
        "joints": list(found.joints),
        "T_link_grasp": found.T_link_grasp.tolist(),
        "notes": list(found.notes),
        "files": files,
    }
    text = [
        f"{made.name}: stroke {1000 * made.stroke:.1f} mm, pads from z = {1000 * made.pad[0]:.1f} "
        f"to {1000 * made.pad[1]:.1f} mm, boxes: {len(made.hand_boxes)} of the palm and "
        f"{len(made.finger_boxes)} of each finger",
        *found.notes,
        *files,
    ]
    session.finish(results, "\n".join(text))
