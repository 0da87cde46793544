"""The program: `python -m datasets.labels data/household --gripper panda`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NoReturn

import typer

from datasets.labels.folder import label_folder, targets_in
from datasets.labels.labelling import NEAR_MISSES, Settings
from grasp.grippers.gripper import load_gripper
from pcdiff.console import Json, Seed, Session, application, progress, run
from pcdiff.errors import InputError

app = application("Label grasps of a set of objects.")


@app.command()
def labels(
    folder: Annotated[Path, typer.Argument(help="A set of datasets.household, or any meshes.")],
    gripper: Annotated[str, typer.Option(help="A name or a .toml file.")] = "panda",
    count: Annotated[int, typer.Option(min=1, max=10**6, help="Candidates of each object.")] = 500,
    near_misses: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="The share of near misses among them.", show_default=str(NEAR_MISSES)
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(help="Label samples of this grasp field, not candidates: a name or a file."),
    ] = None,
    view: Annotated[
        bool,
        typer.Option(
            "--view",
            help="The field sees one side of each object, with a depth camera's noise; physics "
            "has the whole.",
        ),
    ] = False,
    scale: Annotated[
        float | None, typer.Option(help="Metres in a unit of the meshes. Default: 1.")
    ] = None,
    density: Annotated[
        float | None, typer.Option(help="Of the objects, kg/m³, if no catalogue tells.")
    ] = None,
    friction: Annotated[
        float | None, typer.Option(help="Of object and pads, if no catalogue tells.")
    ] = None,
    workers: Annotated[
        int, typer.Option(min=0, help="Processes; 0: as many as there are CPU cores.")
    ] = 0,
    ray: Annotated[
        str | None,
        typer.Option(help="Address of a Ray cluster, or local for one of this machine alone."),
    ] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Label grasps of every object in physics, successes and failures alike."""
    session = Session("datasets.labels", seed, as_json=as_json)
    if near_misses is None:
        near_misses = NEAR_MISSES if weights is None else 0.0
    settings = Settings(load_gripper(gripper), count, near_misses, seed, weights, view)
    with progress("objects", len(targets_in(folder))) as advance:
        done = label_folder(
            folder,
            settings,
            scale=scale,
            density=density,
            friction=friction,
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
    """Run the program; `arguments` default to the process's own."""
    run(app, arguments)


if __name__ == "__main__":
    main()
