"""The program `python -m datasets.labels data/household --gripper panda`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from datasets.labels.folder import Assumptions, label_folder
from datasets.labels.targets import targets_in
from grasp.grippers.gripper import load_gripper
from grasp.labelling.jobs import NEAR_MISSES, Settings
from grasp.physics import PROTOCOL
from pcdiff.console import Json, Seed, Session, application, progress, run
from pcdiff.errors import InputError

app = application("Label grasps for a set of objects.")


@app.command()
def labels(
    folder: Annotated[
        Path, typer.Argument(help="Set that datasets.household wrote, or any folder of meshes.")
    ],
    gripper: Annotated[
        str, typer.Option(help="Gripper: the name of a shipped gripper, or a .toml file.")
    ] = "panda",
    count: Annotated[
        int, typer.Option(min=1, max=10**6, help="Number of candidates per object.")
    ] = 500,
    near_misses: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Share of near misses (candidates that are moved and turned a little), 0 to 1.",
            show_default=f"{NEAR_MISSES}; 0 with --weights",
        ),
    ] = None,
    far_misses: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="Share of far misses (candidates that are moved so far that the hand is often in "
            "empty air), 0 to 1.",
        ),
    ] = 0.0,
    weights: Annotated[
        str | None,
        typer.Option(
            help="Weights of a grasp field: the name of shipped weights, or a file. With this "
            "option, the program labels samples of the field instead of antipodal candidates."
        ),
    ] = None,
    view: Annotated[
        bool,
        typer.Option(
            "--view",
            help="Condition the field on a noisy depth image of each object from one side; physics "
            "uses the whole object.",
        ),
    ] = False,
    noise: Annotated[
        float,
        typer.Option(
            min=0,
            help="Largest noise level of samples of a field, which moves half of them. Level 0.1 "
            "is 1 cm and 6 degrees.",
        ),
    ] = 0.0,
    scale: Annotated[
        float | None,
        typer.Option(
            help="Metres per unit of the meshes, if the folder has no catalogue. Default: 1."
        ),
    ] = None,
    density: Annotated[
        float | None,
        typer.Option(
            help="Density of the objects in kg/m³, if the folder has no catalogue. Default: the "
            "density of the physics protocol."
        ),
    ] = None,
    friction: Annotated[
        float | None,
        typer.Option(
            help="Coefficient of friction between object and pads, if the folder has no catalogue. "
            "Default: the friction of the physics protocol."
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option(min=0, help="Number of processes; 0 uses one per CPU core.")
    ] = 0,
    ray: Annotated[
        str | None,
        typer.Option(
            help="Address HOST:PORT of the Ray cluster to use; auto uses the cluster that this "
            "machine belongs to; local starts a cluster on this machine. Default: no cluster."
        ),
    ] = None,
    protocol: Annotated[
        str, typer.Option(help="Version of the physics protocol.")
    ] = PROTOCOL.version,
    uncertain: Annotated[
        bool,
        typer.Option(
            "--uncertain",
            help="Try each grasp under its own draw of friction, mass, centre of mass, force and "
            "the hand's position (grasp/physics/uncertainty-1.toml). The frictions of the "
            "catalogue then have no effect.",
        ),
    ] = False,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Simulate grasps of every object, and store successes and failures as labels."""
    session = Session("datasets.labels", seed, as_json=as_json)
    if view and weights is None:
        raise InputError("--view needs --weights, because only a grasp field uses a view")
    if noise and weights is None:
        raise InputError("--noise needs --weights, because only samples of a field are moved")
    if near_misses is None:
        near_misses = NEAR_MISSES if weights is None else 0.0
    if uncertain and friction is not None:
        raise InputError("--friction has no effect with --uncertain, which draws the friction")
    settings = Settings(
        load_gripper(gripper), count, near_misses, seed, weights, view, protocol, far_misses,
        uncertain, noise,
    )  # fmt: skip
    with progress("objects", len(targets_in(folder))) as advance:
        done = label_folder(
            folder,
            settings,
            Assumptions(scale, density, friction),
            workers=workers,
            cluster=ray,
            advance=advance,
        )
    for sentence in done.skipped:
        typer.echo(f"skipped: {sentence}", err=True)
    if not done.card["objects"]:
        raise InputError(f"no object in {folder} can be labelled")
    session.finish(done.as_dict(), done.text())


main = partial(run, app)
"""Run the program, with the command-line arguments of the process or with a given list."""


if __name__ == "__main__":
    main()
