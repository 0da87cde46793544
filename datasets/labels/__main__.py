"""The program `python -m datasets.labels data/household --gripper panda`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NoReturn

import typer

from datasets.labels.folder import Assumptions, label_folder
from datasets.labels.labelling import NEAR_MISSES, Settings
from datasets.labels.targets import targets_in
from grasp.grippers.gripper import load_gripper
from pcdiff.console import Json, Seed, Session, application, progress, run
from pcdiff.errors import InputError

app = application("Label grasps for a set of objects.")


@app.command()
def labels(
    folder: Annotated[
        Path, typer.Argument(help="Set that datasets.household wrote, or any folder of meshes.")
    ],
    gripper: Annotated[
        str, typer.Option(help="Gripper: the name of a shipped one, or a .toml file.")
    ] = "panda",
    count: Annotated[
        int, typer.Option(min=1, max=10**6, help="Number of candidates per object.")
    ] = 500,
    near_misses: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Share of near misses among the candidates.",
            show_default=f"{NEAR_MISSES}; 0 with --weights",
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="Label samples of this grasp field instead of candidates: the name of shipped "
            "weights, or a file."
        ),
    ] = None,
    view: Annotated[
        bool,
        typer.Option(
            "--view",
            help="Give the field a view of only one side of each object, with the noise of a depth "
            "camera; "
            "physics uses the whole object.",
        ),
    ] = False,
    scale: Annotated[
        float | None,
        typer.Option(
            help="Metres per unit of the meshes, if the folder has no catalogue. Default: 1."
        ),
    ] = None,
    density: Annotated[
        float | None,
        typer.Option(help="Density of the objects in kg/m³, if the folder has no catalogue."),
    ] = None,
    friction: Annotated[
        float | None,
        typer.Option(
            help="Coefficient of friction of object and pads, if the folder has no catalogue."
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option(min=0, help="Number of processes; 0 uses one per CPU core.")
    ] = 0,
    ray: Annotated[
        str | None,
        typer.Option(
            help="Use the Ray cluster at this address HOST:PORT; auto uses the cluster that this "
            "machine belongs to, local starts one on this machine."
        ),
    ] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Simulate grasps of every object, and keep successes and failures as labels."""
    session = Session("datasets.labels", seed, as_json=as_json)
    if view and weights is None:
        raise InputError("--view needs --weights, because a view is what a grasp field sees")
    if near_misses is None:
        near_misses = NEAR_MISSES if weights is None else 0.0
    settings = Settings(load_gripper(gripper), count, near_misses, seed, weights, view)
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
        raise InputError(f"no object of {folder} can be labelled")
    session.finish(done.as_dict(), done.text())


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the program.

    Args:
        arguments: Command-line arguments; None means those of the process.
    """
    run(app, arguments)


if __name__ == "__main__":
    main()
