"""The command `grasp export`: write the grasps of a file in another format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from grasp.commands.options import (
    GRASP_FILE,
    Frame,
    GraspUnit,
    ObjectId,
    check_results,
    name_options,
)
from pcdiff.console import Json, Session


@name_options
def export(
    grasps: Annotated[Path, typer.Argument(help=GRASP_FILE)],
    output: Annotated[Path, typer.Option(help="File to write; its extension stands for a format.")],
    format: Annotated[
        str | None,
        typer.Option(
            help="Format if the extension stands for several: pcdiff or graspgen for .json.",
            show_default="pcdiff for .json",
        ),
    ] = None,
    hand_frame: Annotated[
        str,
        typer.Option(
            help="Frame of the hand of the written poses (.csv and .yaml only), e.g. panda_hand."
        ),
    ] = "gripper",
    gripper: Annotated[
        str | None,
        typer.Option(
            help="Gripper: name of a shipped gripper, or a .toml file. .npy files need it. "
            "Default: the gripper in the grasp file."
        ),
    ] = None,
    frame: Frame = None,
    grasp_unit: GraspUnit = None,
    object_id: ObjectId = None,
    as_json: Json = False,
) -> None:
    """Write the grasps of a file in another format.

    .json: our own JSON, or GraspGen's; .h5: ACRONYM; .yaml: the Isaac tools; .csv: positions and
    quaternions; .npy: GraspNet-1Billion; .npz: Contact-GraspNet. What a format cannot state is
    lost.
    """
    from grasp.formats import convert_grasps

    session = Session("grasp export", 0, as_json=as_json)
    check_results(output, None)
    written = convert_grasps(
        grasps,
        output,
        format=format,
        hand_frame=hand_frame,
        frame=frame,
        unit=grasp_unit,
        gripper=gripper,
        object_id=object_id,
    )
    session.finish(
        {"grasps": len(written), "gripper": written.gripper, "files": [str(output)]},
        f"{output}: {len(written)} grasps",
    )
