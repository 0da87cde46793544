"""The command `grasp label`: make training data from meshes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from grasp.commands.options import (
    MOST,
    Friction,
    GripperName,
    PhysicsProtocol,
    Workers,
    name_options,
)
from pcdiff import console
from pcdiff.console import Json, Seed, Session
from pcdiff.errors import InputError


@name_options
def label(
    meshes: Annotated[
        list[Path],
        typer.Argument(metavar="MESH...", help="Mesh files, and folders of mesh files."),
    ],
    output: Annotated[
        Path, typer.Option(help="Folder for copies of the meshes and for their labels.")
    ],
    gripper: GripperName = "panda",
    count: Annotated[int, typer.Option(min=1, max=MOST, help="Number of candidates per mesh.")] = (
        500
    ),
    near_misses: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Share of candidates that are moved and turned a little.",
            show_default="0.25; 0 with --weights",
        ),
    ] = None,
    far_misses: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="Share of candidates that are moved so far that they often miss."
        ),
    ] = 0.0,
    weights: Annotated[
        str | None,
        typer.Option(
            help="Weights of a grasp field: label samples of the field instead of antipodal "
            "candidates."
        ),
    ] = None,
    scale: Annotated[
        float | None, typer.Option(help="Metres per unit of the meshes.", show_default="1")
    ] = None,
    density: Annotated[
        float | None,
        typer.Option(help="Density of the objects in kg/m³.", show_default="of the protocol"),
    ] = None,
    friction: Friction = None,
    protocol: PhysicsProtocol = "3",
    uncertain: Annotated[
        bool,
        typer.Option(
            "--uncertain",
            help="Try each grasp under its own draw of friction, mass, centre of mass, force and "
            "the hand's position.",
        ),
    ] = False,
    seed: Seed = 0,
    workers: Workers = 0,
    as_json: Json = False,
) -> None:
    """Make training data from meshes: try candidate grasps in physics, and keep all outcomes.

    Writes one file per mesh in ACRONYM's schema and a data card; grasp train reads the output
    folder. If a run was killed, the same command continues it.
    """
    from grasp.grippers.gripper import load_gripper
    from grasp.labelling.folder import Assumptions
    from grasp.labelling.jobs import NEAR_MISSES, Settings
    from grasp.labelling.request import label_meshes, meshes_to_label

    session = Session("grasp label", seed, as_json=as_json)
    if uncertain and friction is not None:
        raise InputError("--friction has no effect with --uncertain, which draws the friction")
    if near_misses is None:
        near_misses = NEAR_MISSES if weights is None else 0.0
    settings = Settings(
        load_gripper(gripper),
        count,
        near_misses,
        seed,
        weights,
        protocol=protocol,
        far_misses=far_misses,
        uncertain=uncertain,
    )
    assumed = Assumptions(scale, density, friction)
    console.check_folder(output)
    with console.progress("labelling", len(meshes_to_label(meshes))) as advance:
        done = label_meshes(meshes, output, settings, assumed, workers=workers, advance=advance)
    for sentence in done.skipped:
        session.note(f"skipped: {sentence}")
    session.finish(done.as_dict(), done.text())
